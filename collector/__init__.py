"""audit-s3: collects audit logs that a provider writes to S3, and loses none."""

__version__ = "0.1.0"
