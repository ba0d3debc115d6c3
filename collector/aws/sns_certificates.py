"""The certificates that SNS signs with: where they may lie, how they are fetched, and how long they are kept.

    certificates = Certificates(https_fetch(proxy_url="", ca_file=""), clock=clock)
    certificate = certificates.get(url)

A URL comes from the message, so it is believed only if it is, character by character, one that SNS itself
uses in the topic's region (`trusted_url`). A certificate is fetched once. A host that cannot be reached is
left alone for a minute: it costs one timeout a minute, not one a message.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from typing import Any, Callable, Dict, Optional, Tuple
from urllib.parse import urlsplit

from collector.aws.errors import Call, translated
from collector.errors import CollectorError, Poison, Retry
from collector.ports import Clock
from collector.wording import iso

__all__ = [
    "CERTIFICATE_MAX_BYTES", "Certificate", "Certificates", "Fetch", "https_fetch", "no_fetch", "trusted_url",
]

#: What a URL answers. Raises Retry or Fatal if it cannot be had now, Poison if there is no such thing.
Fetch = Callable[[str], bytes]

CERTIFICATE_MAX_BYTES = 64 * 1024
FETCH_TIMEOUT_SECONDS = 10.0
#: How long a failure is the answer to everybody who asks.
FAILURE_SECONDS = 60.0
#: After so many failures without one success nothing is asked for as long: forged messages may each name
#: another certificate, in another region, and each costs a request or a timeout.
MOST_FAILURES = 5
#: SNS uses one certificate a region at a time. A flood of other names must not become a flood of memory.
MOST_REMEMBERED = 100

_ANY_HOST = "https://sns.*.amazonaws.com"
_REGION = re.compile(r"[a-z]{2,8}(-[a-z]{2,12}){1,3}-[0-9]{1,2}", re.ASCII)
_PATH = re.compile(r"/SimpleNotificationService-[0-9A-Fa-f]{8,128}\.pem", re.ASCII)


def trusted_url(url: object, *, topic_arn: str) -> str:
    """`url`, if SNS keeps its certificates there in the region of this topic; else Poison "sns_cert_url".

    Compared as text, not parsed: so there is no port, user, query, fragment or other spelling to overlook.
    """
    parts = topic_arn.split(":")
    region = parts[3] if len(parts) == 6 and parts[0] == "arn" and parts[2] == "sns" else ""
    suffix = ".cn" if region.startswith("cn-") else ""
    start = f"https://sns.{region}.amazonaws.com{suffix}"
    known = isinstance(url, str) and url.startswith(start) and _PATH.fullmatch(url[len(start) :])
    if known and _REGION.fullmatch(region):
        return str(url)
    raise Poison(
        f"SNS does not keep its certificates at {str(url)[:200]!r}", code="sns_cert_url", where=topic_arn,
        hint="Who may send to the queue? A message with such a SigningCertURL was not sent by SNS",
    )


@dataclass(frozen=True)
class Certificate:
    """An RSA key and the epoch seconds between which it is good."""

    key: Any
    not_before: float
    not_after: float

    @classmethod
    def read(cls, pem: bytes, *, where: str) -> Certificate:
        """Retry "sns_certificate_unreachable": what came is no certificate; a gateway may have answered."""
        from cryptography import x509
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        try:
            found = x509.load_pem_x509_certificate(pem)
            key = found.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _unreachable(f"what came is no certificate: {error}", where) from error
        if not isinstance(key, RSAPublicKey):
            raise _unreachable("the certificate has no RSA key", where)
        return cls(key, _seconds(found, "not_valid_before"), _seconds(found, "not_valid_after"))

    def is_valid(self, *, now: float) -> bool:
        return self.not_before <= now <= self.not_after


class Certificates:
    """Certificates by URL, in memory. Thread safe; one fetch at a time.

    `folder` may hold PEM files under the last part of their URL, for hosts that cannot reach SNS.
    """

    def __init__(self, fetch: Fetch, *, clock: Clock, folder: Optional[Path] = None) -> None:
        self._fetch = fetch
        self._clock = clock
        self._folder = folder
        self._known: Dict[str, Certificate] = {}
        self._failed: Dict[str, Tuple[float, CollectorError]] = {}
        self._failures = 0
        self._fetching = threading.Lock()

    def get(self, url: str) -> Certificate:
        """The certificate behind a trusted URL, valid now.

        Retry "sns_certificate_unreachable", Poison "sns_certificate_missing" and "sns_certificate_invalid".
        """
        known = self._known.get(url)
        if known is not None and known.is_valid(now=self._clock.now()):
            return known
        with self._fetching:
            known = self._known.get(url)
            if known is None or not known.is_valid(now=self._clock.now()):
                known = self._look_up(url)
                _remember(self._known, url, known)
            return known

    def _look_up(self, url: str) -> Certificate:
        host = urlsplit(url).netloc
        for name in (_ANY_HOST, host, url):
            self._raise_again(name)
        try:
            found = self._valid(url)
            self._failures = 0
            return found
        except Poison as error:
            _remember(self._failed, url, (self._clock.monotonic() + FAILURE_SECONDS, error))
            self._count_failure()
            raise
        except CollectorError as error:
            _remember(self._failed, host, (self._clock.monotonic() + FAILURE_SECONDS, error))
            self._count_failure()
            raise _unreachable(error.what, url, hint=error.hint, after_seconds=FAILURE_SECONDS) from error

    def _count_failure(self) -> None:
        self._failures += 1
        if self._failures % MOST_FAILURES == 0:
            error = _unreachable(f"{MOST_FAILURES} certificates in a row could not be had", _ANY_HOST)
            _remember(self._failed, _ANY_HOST, (self._clock.monotonic() + FAILURE_SECONDS, error))

    def _raise_again(self, name: str) -> None:
        """The same answer as a moment ago, without asking."""
        until, error = self._failed.get(name, (0.0, None))
        left = until - self._clock.monotonic()
        if error is None or left <= 0:
            self._failed.pop(name, None)
            return
        if isinstance(error, Poison):
            raise Poison(error.what, code=error.code, where=error.where, hint=error.hint)
        raise _unreachable(error.what, name, hint=error.hint, after_seconds=left)

    def _valid(self, url: str) -> Certificate:
        now = self._clock.now()
        seeded = self._seeded(url)
        if seeded is not None and seeded.is_valid(now=now):
            return seeded
        found = Certificate.read(self._fetch(url), where=url)
        if not found.is_valid(now=now):
            raise Poison(
                f"the certificate is good from {iso(found.not_before)} to {iso(found.not_after)} only",
                code="sns_certificate_invalid", where=url, hint="Look whether this host's clock is right",
            )
        return found

    def _seeded(self, url: str) -> Optional[Certificate]:
        """The operator's own copy. `trusted_url` has seen the name: it has no separators."""
        if self._folder is None:
            return None
        path = self._folder / url.rsplit("/", 1)[1]
        try:
            _refuse_shared(self._folder, path)
            return Certificate.read(path.read_bytes(), where=str(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreachable(f"{path} cannot be read: {error}", str(path)) from error


def _refuse_shared(*paths: Path) -> None:
    """Who may write there may sign messages: nobody else than the owner, then."""
    for path in paths if os.name == "posix" else ():
        if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise _unreachable(f"others may write {path}", str(path), hint=f"chmod go-w {path}")


def https_fetch(
    *, proxy_url: str = "", ca_file: str = "", timeout_seconds: float = FETCH_TIMEOUT_SECONDS
) -> Fetch:
    """A Fetch on the same way out as every call to AWS: its proxy, its CA, and those of the environment.

    Redirects are not followed, answers over 64 KiB are not read.
    """

    def fetch(url: str) -> bytes:
        with translated(Call("The SNS certificate", where=url, resource=url, scope="config")):
            status, body = _exchange(url, proxy_url=proxy_url, ca_file=ca_file, seconds=timeout_seconds)
        if status in (404, 410):
            raise Poison(
                f"SNS has no such certificate: HTTP {status}", code="sns_certificate_missing", where=url,
                hint="The message was not signed by SNS, or so long ago that its certificate is gone",
            )
        if status != 200:
            raise _unreachable(f"HTTP {status} instead of a certificate; redirects are not followed", url)
        if len(body) > CERTIFICATE_MAX_BYTES:
            raise _unreachable(f"the answer is longer than {CERTIFICATE_MAX_BYTES} bytes", url)
        return body

    return fetch


def no_fetch(url: str) -> bytes:
    """A Fetch for a local AWS, which signs by itself: the one of the world has no certificate of it."""
    raise _unreachable("the queue is on this host: nothing is fetched from SNS outside", url)


def _exchange(url: str, *, proxy_url: str, ca_file: str, seconds: float) -> Tuple[int, bytes]:
    """One GET. botocore's own HTTP session, so that proxies and CAs mean what they mean to boto3."""
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    proxies = {"http": proxy_url, "https": proxy_url} if proxy_url else get_environ_proxies(url)
    own_ca = {"proxy_ca_bundle": ca_file} if proxy_url.startswith("https:") and ca_file else None
    trusted = ca_file or os.environ.get("AWS_CA_BUNDLE") or True
    session = URLLib3Session(
        verify=trusted, proxies=proxies, timeout=seconds, max_pool_connections=1, proxies_config=own_ca
    )
    try:
        request = AWSRequest(method="GET", url=url, headers={}, stream_output=True).prepare()
        answer = session.send(request)
        return answer.status_code, answer.raw.read(CERTIFICATE_MAX_BYTES + 1)
    finally:
        session.close()


def _unreachable(what: str, where: str, *, hint: str = "", after_seconds: Optional[float] = None) -> Retry:
    return Retry(
        what, code="sns_certificate_unreachable", where=where, after_seconds=after_seconds,
        hint=hint or "This host must reach SNS by HTTPS, or be given the certificate: docs/security.md",
    )


def _remember(table: Dict[str, Any], name: str, value: Any) -> None:
    while len(table) >= MOST_REMEMBERED and name not in table:
        del table[next(iter(table))]
    table[name] = value


def _seconds(certificate: Any, name: str) -> float:
    """Aware times exist since cryptography 42; the naive ones before are in UTC."""
    aware = getattr(certificate, f"{name}_utc", None)
    if aware is None:
        aware = getattr(certificate, name).replace(tzinfo=timezone.utc)
    return float(aware.timestamp())
