"""Lean requests signed as a boto3 client signs."""

from __future__ import annotations

from typing import Any

from collector.aws.lean import Lean


def lean_after(client: Any) -> Lean:
    """What AwsSession.lean is for its own clients."""

    def credentials() -> Any:
        return client._request_signer._credentials.get_frozen_credentials()

    return Lean(credentials, ca_file=str, is_proxied=lambda url: False, user_agent="contract")
