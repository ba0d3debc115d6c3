"""`audit-s3 check`: whom it asks, and how it tells what it found."""
