"""The keys that CloudTrail signs digests with: one pair a region at a time, told by ListPublicKeys.

    key = PublicKeys(clients, clock=clock).find("eu-west-1", fingerprint, at=digest.ended)
    key is not None and is_signed(text, signature, key)

A key is found by its fingerprint, the MD5 of its DER form, and asked for once. What goes wrong is remembered
for a quarter of an hour, so an endpoint out of reach costs a few timeouts, not one a digest.

https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_ListPublicKeys.html
"""

from __future__ import annotations

import binascii
import hashlib
import logging
import threading
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from collector.aws.errors import INSTALL_CRYPTOGRAPHY, Call, translated
from collector.errors import CollectorError, Fatal, Retry
from collector.ports import Clock

__all__ = ["Clients", "PublicKeys", "is_signed"]

log = logging.getLogger("collector.aws")

#: The boto3 clients "cloudtrail" of a region to ask in turn, each with the role it acts as ("" without).
Clients = Callable[[str], Sequence[Tuple[Any, str]]]

#: How long a failure is the answer to everybody who asks about that region.
FAILURE_SECONDS = 900.0
#: Keys are asked for around the moment of signing.
AROUND_SECONDS = 3600.0
#: A region has one key at a time. A flood of other fingerprints must not become a flood of memory.
MOST_REMEMBERED = 1000


class PublicKeys:
    """Public keys by region and fingerprint. Thread safe."""

    def __init__(self, clients: Clients, *, clock: Clock) -> None:
        self._clients = clients
        self._clock = clock
        self._keys: Dict[Tuple[str, str], Any] = {}
        self._failures: Dict[str, Tuple[float, CollectorError]] = {}
        self._said: Dict[str, str] = {}
        self._lock = threading.Lock()

    def find(self, region: str, fingerprint: str, *, at: float) -> Optional[Any]:
        """The key that signed in `region` at the epoch second `at`; None if AWS knows no such key.

        Any CollectorError: it cannot be known now. That is logged once a region, until it can.
        """
        with self._lock:
            known = self._keys.get((region, fingerprint))
            until, failure = self._failures.get(region, (0.0, None))
        if known is not None:
            return known
        if failure is not None and self._clock.monotonic() < until:
            raise failure
        try:
            found = self._ask(region, fingerprint, at)
        except CollectorError as error:
            self._note(region, error)
            raise
        with self._lock:
            self._said.pop(region, None)
        return found

    def _note(self, region: str, error: CollectorError) -> None:
        with self._lock:
            self._failures[region] = (self._clock.monotonic() + FAILURE_SECONDS, error)
            is_news = self._said.get(region) != error.code
            self._said[region] = error.code
        if is_news:
            log.warning("Digests of %s cannot be checked for their signature: %s", region, error)

    def check(self, region: str) -> None:
        """Raise what stands in the way of asking, if it stands in everybody's."""
        refusal: Optional[CollectorError] = None
        for client, role in self._clients(region):
            try:
                self._list(client, region, role, self._clock.now())
                return
            except Fatal as error:
                refusal = refusal or error
        if refusal is not None:
            raise refusal

    def _ask(self, region: str, fingerprint: str, at: float) -> Optional[Any]:
        """Every identity in turn. Where one was refused, that no other knows the key means nothing."""
        refusal: Optional[CollectorError] = None
        for client, role in self._clients(region):
            try:
                found = self._list(client, region, role, at)
            except Fatal as error:
                refusal = refusal or error
                continue
            with self._lock:
                if len(self._keys) + len(found) > MOST_REMEMBERED:
                    self._keys.clear()
                self._keys.update(found)
            if (region, fingerprint) in found:
                return found[region, fingerprint]
        if refusal is not None:
            raise refusal
        return None

    def _list(self, client: Any, region: str, role: str, at: float) -> Dict[Tuple[str, str], Any]:
        call = Call("cloudtrail:ListPublicKeys", where=region, resource="*", scope="keys", role=role)
        latest = max(at, self._clock.now())  # the service refuses times that are still to come
        start, end = _moment(at - AROUND_SECONDS), _moment(min(at + AROUND_SECONDS, latest))
        found: List[bytes] = []
        with translated(call):
            for page in client.get_paginator("list_public_keys").paginate(StartTime=start, EndTime=end):
                found += [bytes(one["Value"]) for one in page.get("PublicKeyList", ())]
        return {(region, _fingerprint(der)): _read_key(der, region) for der in found}


def is_signed(text: bytes, signature: str, key: Any) -> bool:
    """SHA256withRSA, as CloudTrail words it: RSA with PKCS #1 v1.5. The signature is in hex."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(binascii.unhexlify(signature), text, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _fingerprint(der: bytes) -> str:
    """A name, not a proof: hosts that forbid MD5 for security allow it for this."""
    return hashlib.md5(der, usedforsecurity=False).hexdigest()


def _read_key(der: bytes, region: str) -> Any:
    """Bare PKCS #1 or SubjectPublicKeyInfo: AWS has sent both."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key
    except ImportError as error:
        raise Fatal(
            f"signatures cannot be checked without the package cryptography: {error}",
            code="digest_needs_cryptography", where=region, scope="keys",
            hint=f"You: {INSTALL_CRYPTOGRAPHY}. Hashes and chains of digests are checked all the same",
        ) from error
    try:
        key = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Retry(f"what came is no key: {error}", code="keys_unreadable", where=region) from error
    if not isinstance(key, RSAPublicKey):
        raise Retry("what came is no RSA key", code="keys_unreadable", where=region)
    return key
