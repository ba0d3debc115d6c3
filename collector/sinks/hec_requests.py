"""What every request to HEC is made of: its path, the token, and who asks.

Page: Splunk docs, "HTTP Event Collector REST API endpoints".
"""

from __future__ import annotations

from typing import Dict, Mapping

from collector.errors import Fatal

__all__ = ["ACK", "EVENT", "HEALTH", "checked_token", "headers_of"]

EVENT = "/services/collector/event"
ACK = "/services/collector/ack"
HEALTH = "/services/collector/health"


def headers_of(token: str, *, channel: str = "", cookies: Mapping[str, str] = {}) -> Dict[str, str]:
    """The headers of a request under a token that was checked, on a channel if one is named."""
    headers = {
        "Authorization": f"Splunk {token}",
        "Content-Type": "application/json",
        "User-Agent": "audit-s3",
    }
    if channel:
        headers["X-Splunk-Request-Channel"] = channel
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={text}" for name, text in cookies.items())
    return headers


def checked_token(text: str) -> str:
    """A token as it may stand in a header. Fatal "hec_token_invalid"."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        # Said here because http.client would print the token with its complaint.
        raise Fatal(
            "hec_token is empty, or has characters that no token has", code="hec_token_invalid",
            where="hec_token", hint="It is the token's value, a GUID, without 'Splunk' before it",
            scope="output",
        )
    return token
