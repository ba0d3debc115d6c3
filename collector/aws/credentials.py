"""Credentials that renew themselves, for clients that live as long as the process.

A client keeps the credentials object that it was built with, so both kinds here stay and change within:
`stale` says that AWS has refused what they hold, and makes the next signature read them anew. This module
imports botocore: import it when the first client is built.
"""

from __future__ import annotations

import threading
from typing import Any, Callable, Dict, Optional

from botocore.credentials import CredentialProvider, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError

__all__ = ["BaseCredentials", "FixedProvider", "RoleCredentials"]


class BaseCredentials(Credentials):  # type: ignore[misc]
    """What `read` finds (a botocore credentials object, or None), read again once it is `stale`."""

    def __init__(self, read: Callable[[], Any]) -> None:
        super().__init__("", "")
        self.stale = False
        self._read = read
        self._found: Optional[Any] = None
        self._lock = threading.Lock()

    def get_frozen_credentials(self) -> Any:
        with self._lock:
            if self._found is None or self.stale:
                self._found, self.stale = self._read(), False
            if self._found is None:
                raise NoCredentialsError()
            return self._found.get_frozen_credentials()


class RoleCredentials(DeferredRefreshableCredentials):  # type: ignore[misc]
    """A role's credentials: renewed by one thread a quarter of an hour before they expire.

    In the last ten minutes every thread waits for the renewal, and its failure is theirs. A session of
    less than 45 minutes has both windows shrunk, else it would be renewed at every call.
    """

    def __init__(self, assume: Callable[[], Dict[str, str]], *, duration_seconds: int) -> None:
        super().__init__(self._renew, "assume-role")
        self.stale = False
        self._assume = assume
        self._advisory_refresh_timeout = min(900, duration_seconds // 3)
        self._mandatory_refresh_timeout = min(600, duration_seconds // 6)

    def refresh_needed(self, refresh_in: Optional[int] = None) -> bool:
        # botocore asks with 0 whether what it has just been given is expired already; a refusal that
        # another thread met meanwhile, under the old credentials, says nothing about that.
        if self.stale and refresh_in != 0:
            return True
        return bool(super().refresh_needed(refresh_in))

    def _renew(self) -> Dict[str, str]:
        self.stale = False  # first: if STS fails now, what we hold may still be good
        return self._assume()


class FixedProvider(CredentialProvider):  # type: ignore[misc]
    """Hands these credentials to a botocore session, ahead of its own chain."""

    METHOD = "audit-s3"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        return self._credentials
