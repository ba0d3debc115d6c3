"""The threats of docs/security.md: each has its tests here or beside what it attacks, named in its row."""
