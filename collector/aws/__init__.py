"""The door to boto3: sessions and roles, queues, buckets, and one table that translates AWS's errors.

boto3 is imported when the first client is built, so that `--help` and splunkd's `--scheme` stay quick.
"""
