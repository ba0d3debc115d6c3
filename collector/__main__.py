"""`python -m collector` is the same as `audit-s3`."""

from collector.hosts.cli import main

if __name__ == "__main__":
    main()
