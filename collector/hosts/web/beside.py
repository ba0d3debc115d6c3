"""What a collector that runs beside us says of itself, asked of its status page.

    status = running("127.0.0.1:9090")      # None if none answers there

It is this host's own `http_listen`, so no proxy is asked and nothing is waited for.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, Dict, Optional

__all__ = ["running"]

_PATIENCE_SECONDS = 3.0
#: A status of hundreds of inputs is smaller.
_MOST_BYTES = 16 * 1024 * 1024
#: Who listens on all addresses is asked on this one.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def running(address: str) -> Optional[Dict[str, Any]]:
    """The document of /status.json at HOST:PORT; None if nobody answers, or somebody else does."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    connection = http.client.HTTPConnection(
        _EVERYWHERE.get(host, host), int(port), timeout=_PATIENCE_SECONDS
    )
    try:
        connection.request("GET", "/status.json")
        answer = connection.getresponse()
        status = json.loads(answer.read(_MOST_BYTES)) if answer.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return status if isinstance(status, dict) and status.get("program") == "audit-s3" else None
