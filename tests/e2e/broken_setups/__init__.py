"""Set-ups with one thing wrong each, for `audit-s3 check` to find: the stage and the cases."""
