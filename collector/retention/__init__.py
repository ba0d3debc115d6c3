"""What the bucket still holds, and what of it the ledger misses. Pure: whoever lists does the I/O."""
