"""The collector as a service: signals, systemd, several processes, and how all of it looks."""
