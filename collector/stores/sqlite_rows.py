"""Nouns to columns and back.

Keys and bodies are whatever a producer wrote: text may hold lone surrogates that UTF-8 cannot carry.
Such text is kept as a blob, and comes back as the same text.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Optional, Tuple, Union

from collector.model import Message
from collector.ports import Checkpoint, Quarantined

__all__ = [
    "CHECKPOINT_COLUMNS",
    "ENTRY_COLUMNS",
    "checkpoint",
    "checkpoint_values",
    "entry",
    "entry_values",
    "message",
    "message_values",
    "plain_text",
    "text_value",
]

CHECKPOINT_COLUMNS = (
    'oid, url, object_time, bucket, key, etag, version_id, size, state, "offset", events, reason,'
    " attempts, first_failed, not_before, epoch, owner, updated, sha256"
)
ENTRY_COLUMNS = 'id, kind, reason, detail, url, created, oid, ordinal, "row", size, body'

Columns = Tuple[Any, ...]


def text_value(text: str) -> Union[str, bytes]:
    """`text` as SQLite can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def plain_text(value: Union[str, bytes]) -> str:
    """What `text_value` was given."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def checkpoint_values(row: Checkpoint) -> Columns:
    """In the order of CHECKPOINT_COLUMNS; a url that bucket and key already say is not stored."""
    url = None if row.bucket and row.url == _s3_url(row.bucket, row.key) else text_value(row.url)
    return (
        row.oid, url, row.object_time, row.bucket, text_value(row.key), text_value(row.etag),
        text_value(row.version_id), row.size, row.state, row.offset, row.events, text_value(row.reason),
        row.attempts, row.first_failed, row.not_before, row.epoch, row.owner, row.updated,
        row.sha256,
    )


def checkpoint(columns: Columns) -> Checkpoint:
    oid, url, object_time, bucket, key, etag, version_id, size, state, offset, events, reason, *rest = columns
    key = plain_text(key)
    return Checkpoint(
        oid, _s3_url(bucket, key) if url is None else plain_text(url), object_time, bucket, key,
        plain_text(etag), plain_text(version_id), size, state, offset, events, plain_text(reason), *rest,
    )


def _s3_url(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def entry_values(entry: Quarantined) -> Columns:
    """In the order of ENTRY_COLUMNS."""
    row = None if entry.row is None else json.dumps(dataclasses.asdict(entry.row))
    return (
        entry.id, entry.kind, entry.reason, text_value(entry.detail), text_value(entry.url),
        entry.created, entry.oid, entry.ordinal, row, entry.size_bytes, entry.body,
    )


def entry(columns: Columns) -> Quarantined:
    id_, kind, reason, detail, url, created, oid, ordinal, row_text, _, body = columns
    row: Optional[Checkpoint] = None if row_text is None else Checkpoint(**json.loads(row_text))
    return Quarantined(
        id_, kind, reason, plain_text(detail), plain_text(url), created, bytes(body), oid, ordinal, row
    )


def message_values(message: Message) -> Columns:
    """message_id, receipt_handle, receive_count, sent_at, group_id, body."""
    return (
        message.message_id, message.receipt_handle, message.receive_count, message.sent_at,
        message.group_id, text_value(message.body),
    )


def message(columns: Columns) -> Message:
    message_id, receipt_handle, receive_count, sent_at, group_id, body = columns
    return Message(message_id, plain_text(body), receipt_handle, receive_count, sent_at, group_id)
