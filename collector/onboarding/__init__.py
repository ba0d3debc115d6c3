"""Before the first event: what would be forwarded, what is permitted, what the other side has to do."""
