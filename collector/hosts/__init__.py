"""Who runs us: a terminal, systemd, splunkd."""
