"""Where the ledger outlives the process: SQLite for one host, DynamoDB for several on one queue.

    owners.py, claims.py, receipts.py   who lives, who holds a row, and what a receipt is kept as: for both
    group_commit.py, sqlite*.py         SqliteStore on one file
    dynamodb*.py                        DynamoStore on one table

Everything here implements `ports.CheckpointStore` and knows `model`, `errors` and `ports` only.
"""
