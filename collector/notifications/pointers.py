"""Bodies too large for SQS, fetched from the bucket where their sender put them.

Only buckets of the input are read: a message is not trusted. What cannot be read now is tried again while
the message stays ours; nobody's rights are its fault.
"""

from __future__ import annotations

from typing import Optional

from collector.errors import Fatal, Poison, Retry
from collector.model import ObjectRef
from collector.notifications.body import Fetch
from collector.ports import ObjectStore, OpenObject

__all__ = ["MOST_BYTES", "follow"]

#: A body is held in memory whole; audits that are larger belong into an object of their own.
MOST_BYTES = 16 * 1024 * 1024
TRY_AGAIN_SECONDS = 60.0


def follow(objects: Optional[ObjectStore]) -> Fetch:
    """Reads a body from `objects`. Poison: gone, foreign, too large, no text. Retry; never Fatal."""

    def fetch(ref: ObjectRef) -> str:
        if objects is None:
            raise Poison(
                f"the body lies at {ref.url}, and this input has no bucket", code="foreign_bucket",
                hint="If the bucket is your provider's, add it to the bucket setting",
            )
        try:
            return _text_of(objects, ref)
        except Fatal as error:
            raise Retry(
                error.what, code=error.code, where=error.where or ref.url, hint=error.hint,
                after_seconds=TRY_AGAIN_SECONDS,
            ) from error

    return fetch


def _text_of(objects: ObjectStore, ref: ObjectRef) -> str:
    opened = objects.open(ref)
    try:
        return _whole(opened).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Poison("the body that is pointed to is not text", code="unknown_body", where=ref.url) from error
    finally:
        opened.close()


def _whole(opened: OpenObject) -> bytes:
    body = bytearray()
    while True:
        chunk = opened.read()
        if not chunk:
            return bytes(body)
        body += chunk
        if len(body) > MOST_BYTES:
            raise Poison(
                f"the body that is pointed to is larger than {MOST_BYTES >> 20} MiB", code="body_too_large",
                where=opened.ref.url, hint="ask the sender to write such audits as an object with its event",
            )
