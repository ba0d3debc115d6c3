"""Where the ledger outlives the process: SQLite for one host, DynamoDB for several on one queue."""
