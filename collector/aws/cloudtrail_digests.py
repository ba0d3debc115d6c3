"""CloudTrail's digests held against the log files that were delivered: one event with a verdict a digest.

    for block in DigestVerifier(objects, store.hashes, keys, content=content).judge(opened, seen): ...

Once an hour CloudTrail writes and signs a digest: the log files of that hour, their hashes, and the hash of
the digest before it. The hashes of what this collector has read are in the store already, so a digest costs
one look-up there. A file that was never read here (older than start_from, filtered, or still on its way) is
fetched once for its hash. What cannot be checked is said to be unchecked: it never holds back an audit.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import Callable, Dict, Generator, Iterable, Iterator, List, Mapping, Optional, Sequence

from collector.aws.cloudtrail_document import Digest, Listed, epoch_seconds, read_digest
from collector.aws.cloudtrail_keys import PublicKeys, is_signed
from collector.aws.cloudtrail_verdict import LOG_STATES, Verdict
from collector.errors import CollectorError, Fatal, Poison
from collector.model import Block, ObjectRef
from collector.ports import ObjectStore, OpenObject

__all__ = ["DigestVerifier"]

log = logging.getLogger("collector.aws")

Hashes = Callable[[str, Sequence[str]], Mapping[str, Sequence[str]]]
#: From stored chunks to the bytes inside their one gzip layer. Raises Poison for anything else.
Content = Callable[[Iterable[bytes]], Iterator[bytes]]
#: Signs of life while a file is looked at, then what it turned out to be.
_Look = Generator[Block, None, str]

MOST_DOCUMENT_BYTES = 64 * 1024 * 1024
#: Files of one digest that are fetched for their hash; busy accounts write some hundreds an hour.
MOST_FETCHED = 10_000
#: Nothing is called missing or invalid on one look.
LOOKS = 2

_ALIVE = Block(0, [], [], True)
_REGION = re.compile(r"/CloudTrail-Digest/([a-z]{2,8}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2})/", re.ASCII)
_BACKFILL = "_backfill.json.gz"


class DigestVerifier:
    """`ports.Digests`. Thread safe.

    `hashes` is the store's, `content` takes off the one layer of gzip that CloudTrail puts on. What S3 has
    against a file that is not the digest itself never fails the digest, unless it may pass (Retry) or is
    everybody's (Fatal, scope "role").
    """

    def __init__(
        self,
        objects: ObjectStore,
        hashes: Hashes,
        keys: PublicKeys,
        *,
        content: Content,
        max_event_bytes: int = 5_000_000,
    ) -> None:
        self._objects = objects
        self._hashes = hashes
        self._keys = keys
        self._content = content
        self._max_event_bytes = max_event_bytes

    def judge(self, opened: OpenObject, seen: Callable[[bytes], None]) -> Iterator[Block]:
        document = self._document(opened)
        seen(document)
        digest = read_digest(document, where=opened.ref.url)
        verdict = Verdict(
            digest, region=_region_of(digest.key), is_backfill=digest.key.endswith(_BACKFILL)
        )
        self._check_place(digest, opened, verdict)
        if not verdict.reasons:
            self._check_signature(digest, opened, verdict)
        if verdict.result != "invalid":  # a digest that is not CloudTrail's says nothing of other files
            yield from self._check_chain(digest, verdict)
            yield from self._check_logs(digest, verdict)
        _tell(opened.ref.url, digest, verdict)
        yield verdict.block(max_event_bytes=self._max_event_bytes)

    def _document(self, opened: OpenObject) -> bytes:
        pieces: List[bytes] = []
        size = 0
        for piece in self._content(iter(opened.read, b"")):
            pieces.append(piece)
            size += len(piece)
            if size > MOST_DOCUMENT_BYTES:
                raise Poison(
                    f"a digest of more than {MOST_DOCUMENT_BYTES} bytes", code="digest_too_large",
                    where=opened.ref.url, hint="Look at the object: genuine digests are some kilobytes long",
                )
        return b"".join(pieces)

    def _check_place(self, digest: Digest, opened: OpenObject, verdict: Verdict) -> None:
        if (digest.bucket, digest.key) != (opened.ref.bucket, opened.ref.key):
            verdict.because("moved")

    def _check_signature(self, digest: Digest, opened: OpenObject, verdict: Verdict) -> None:
        signature = opened.metadata.get("signature", "")
        at = _signed_at(digest, opened)
        if not signature or at is None:
            verdict.signature = "invalid"
            verdict.because("backfill_time_missing" if signature else "signature_missing")
            return
        region = _region_of(digest.key)
        if not region:
            verdict.because("region_unknown")
            return
        try:
            key = self._keys.find(region, digest.fingerprint, at=at)
        except CollectorError as error:
            verdict.because(error.code)
            return
        sound = key is not None and is_signed(digest.signed_text, signature, key)
        verdict.signature = "valid" if sound else "invalid"
        if not sound:
            verdict.because("signature_wrong" if key is not None else "key_unknown")

    def _check_chain(self, digest: Digest, verdict: Verdict) -> Iterator[Block]:
        """The predecessor's hash is enough: its signature was made from that hash, and is its own affair."""
        previous = digest.previous
        if previous is None:
            verdict.chain = "start"
            return
        recorded = self._hashes(previous.bucket, [previous.key]).get(previous.key, ())
        state = _compared(previous, recorded) if recorded else (yield from self._fetched(previous))
        verdict.chain = {"valid": "linked", "invalid": "changed"}.get(state, state)
        if verdict.chain != "linked":
            verdict.because(f"previous_{verdict.chain}")

    def _check_logs(self, digest: Digest, verdict: Verdict) -> Iterator[Block]:
        recorded = self._recorded(digest.logs)
        fetched = 0
        for listed in digest.logs:
            known = recorded[listed.bucket].get(listed.key, ())
            if known:
                state = _compared(listed, known)
            elif fetched < MOST_FETCHED:
                fetched += 1
                state = yield from self._fetched(listed)
            else:
                state = "unchecked"
            verdict.found(listed, state)

    def _recorded(self, logs: Sequence[Listed]) -> Mapping[str, Mapping[str, Sequence[str]]]:
        """By bucket and key, the hashes of everything that was read under that name."""
        keys: Dict[str, List[str]] = {}
        for listed in logs:
            keys.setdefault(listed.bucket, []).append(listed.key)
        return {bucket: self._hashes(bucket, some) for bucket, some in keys.items()}

    def _fetched(self, listed: Listed) -> _Look:
        """What S3 holds under this name now."""
        state = "unchecked"
        for _ in range(LOOKS):
            state = yield from self._looked_at(listed)
            if state in ("valid", "unchecked"):
                break
        return state

    def _looked_at(self, listed: Listed) -> _Look:
        hashed, opened = hashlib.sha256(), None
        try:
            opened = self._objects.open(ObjectRef(listed.bucket, listed.key))
            for piece in self._content(iter(opened.read, b"")):
                hashed.update(piece)
                yield _ALIVE
        except Poison as error:
            if opened is not None:
                return "invalid"
            return "missing" if error.code == "gone" else "unchecked"
        except Fatal as error:
            if error.scope not in ("object", "kms"):
                raise
            return "unchecked"
        finally:
            if opened is not None:
                opened.close()
        return _compared(listed, [hashed.hexdigest()])


def _compared(listed: Listed, hashes: Sequence[str]) -> str:
    """Every content that was read under this name must be the one that the digest names."""
    if not listed.sha256:
        return "unchecked"
    return "valid" if all(sha256 == listed.sha256 for sha256 in hashes) else "invalid"


def _signed_at(digest: Digest, opened: OpenObject) -> Optional[int]:
    """When CloudTrail signed: at the digest's end, or when a backfill digest says; None if it does not."""
    if not digest.key.endswith(_BACKFILL):
        return digest.ended
    try:
        return epoch_seconds(opened.metadata.get("backfill-generation-timestamp", ""))
    except ValueError:
        return None


def _region_of(key: str) -> str:
    """The region that signed. It becomes part of a host name, so only what could be one is taken."""
    match = _REGION.search(f"/{key}")
    return match.group(1) if match else ""


def _tell(url: str, digest: Digest, verdict: Verdict) -> None:
    level = {"invalid": logging.ERROR, "gap": logging.WARNING}.get(verdict.result, logging.INFO)
    log.log(
        level, "CloudTrail digest: %s. reasons=%s logs=%d valid=%d invalid=%d missing=%d unchecked=%d url=%s",
        verdict.result, ",".join(verdict.reasons) or "none", len(digest.logs),
        *(len(verdict.logs[state]) for state in LOG_STATES), url,
    )
