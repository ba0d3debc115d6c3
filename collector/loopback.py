"""Which hosts are this very host: one rule for whoever may not send, verify or ask the same way elsewhere."""

from __future__ import annotations

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether `host`, as `urlsplit` gives it, is this one by its name: nothing is looked up."""
    if host == "localhost":
        return True
    import ipaddress  # most starts ask about no host

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
