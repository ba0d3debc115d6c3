"""What `audit-s3 coverage` counts, compares with Splunk, and shows."""
