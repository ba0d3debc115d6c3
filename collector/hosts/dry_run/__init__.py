"""`audit-s3 run --dry-run`: what would be forwarded, as a report."""
