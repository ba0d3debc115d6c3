"""One object or payload as the engine would read it: its container, its first events, their times.

For dry runs and for tests of a provider's files. Nothing is written, and an object is read no further than
its counts need.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Callable, Iterable, Iterator, List, Optional, Sequence

from collector.config.routes import Route
from collector.decode.budget import Budget
from collector.decode.containers import RECORDS_HEAD, holds_events
from collector.decode.dialects import HEAD_BYTES as LINES_BYTES
from collector.decode.dialects import recognised
from collector.decode.layers import texts
from collector.decode.pgaudit import Line, event_line
from collector.decode.sniff import HEAD_BYTES, container_of
from collector.decode.times import Times
from collector.decode.values import JsonReader
from collector.errors import CollectorError
from collector.model import (
    Block,
    Format,
    Ignores,
    Message,
    Notification,
    ObjectRef,
    Origin,
    Payload,
    Slice,
    object_identity,
    payload_identity,
)
from collector.notifications import host_of
from collector.ports import ObjectStore, OpenObject

__all__ = ["SHOWN_EVENTS", "Sample", "View", "of_object", "of_payload"]

#: How much of one object is decoded for its counts.
MOST_EVENTS = 10_000
#: How many of its events are shown.
SHOWN_EVENTS = 10


@dataclass(frozen=True)
class View:
    """The pure half of one input: how it reads, routes and labels. `retention_seconds` bounds the listing.

    Nothing written before `start` (epoch seconds) is fetched by listing. `senders` gives what was found
    out, since it was asked last, about who signed the SNS envelopes that `parse` opened.
    """

    name: str
    parse: Callable[[str], Notification]
    decode: Callable[[Iterable[bytes], Route], Iterator[Block]]
    route: Callable[[str], Route]
    payload_url: Callable[[Message], str]
    format: Format = field(default_factory=Format)
    buckets: Sequence[str] = ()
    prefix: str = ""
    retention_seconds: float = 30 * 86400.0
    source: str = ""
    sourcetype: str = ""
    index: str = ""
    host: str = ""
    ignores: Optional[Ignores] = None
    start: float = 0.0
    senders: Callable[[], Sequence[str]] = tuple

    def origin(self, oid: str, *, url: str, route: Route, fallback: float) -> Origin:
        """What the events of one object would share in the output."""
        return Origin(
            oid=oid, source=self.source or url, fallback_time=f"{fallback:.3f}",
            sourcetype=route.sourcetype or self.sourcetype, index=route.index or self.index, host=self.host,
        )


@dataclass(frozen=True)
class Sample:
    """One object or payload, decoded. `failure` comes after the events that were sound.

    `events` and `unparsed` (events without a time of their own) count all that was decoded; `is_whole`
    says that this was everything. `shown` are the first events, ready to be rendered. `object_time` is
    epoch seconds, `earliest` and `latest` are event times as decimal text. `time_field` is the field that
    the times came from, "" where that is not a field. `ignored` of the events would be filtered for what
    they say, and are not shown. `line` is the first line of a PostgreSQL log. `is_named` says that a peeked
    message names it; `senders` is what is known of who signed that message.
    """

    url: str
    container: str = ""
    stored_bytes: int = 0
    object_time: float = 0.0
    events: int = 0
    unparsed: int = 0
    is_whole: bool = False
    earliest: str = ""
    latest: str = ""
    time_field: str = ""
    ignored: int = 0
    line: Optional[Line] = None
    shown: Optional[Slice] = None
    failure: Optional[CollectorError] = None
    is_named: bool = False
    senders: Sequence[str] = ()


def of_object(view: View, objects: ObjectStore, ref: ObjectRef, *, now: float) -> Sample:
    """The object that `ref` names, opened and decoded."""
    try:
        opened = objects.open(ref)
    except CollectorError as error:
        error.where = error.where or ref.url
        return Sample(ref.url, failure=error)
    try:
        oid = object_identity(view.name, opened.ref)
        route = view.route(ref.key)
        origin = view.origin(oid, url=ref.url, route=route, fallback=opened.last_modified)
        chunks = _Chunks(opened)
        return _decoded(
            view, view.decode(chunks, route), origin=origin, now=now, url=ref.url, head=chunks,
            size=opened.ref.size or 0, object_time=opened.last_modified,
        )
    finally:
        opened.close()


def of_payload(view: View, message: Message, payload: Payload, *, now: float) -> Sample:
    """An audit that came in a message."""
    url, sent = payload.origin or view.payload_url(message), message.sent_at or now
    origin = view.origin(payload_identity(view.name, payload), url=url, route=Route(), fallback=sent)
    origin = replace(origin, host=origin.host or host_of(payload.origin))
    blocks: Iterator[Block]
    if payload.whole:
        blocks = iter([Block(0, [payload.body], [payload.time], False)])
    else:
        blocks = view.decode([payload.body], Route())
    head = _Chunks(None, first=payload.body)
    return _decoded(
        view, blocks, origin=origin, now=now, url=url, head=head, size=len(payload.body), object_time=sent
    )


class _Chunks:
    """The stored bytes of an open object, whose first piece is remembered for a look at its container."""

    def __init__(self, opened: Optional[OpenObject], *, first: bytes = b"") -> None:
        self._opened = opened
        self.first = first

    def __iter__(self) -> Iterator[bytes]:
        assert self._opened is not None
        while True:
            chunk = self._opened.read()
            if not chunk:
                return
            self.first = self.first or chunk
            yield chunk


def _decoded(
    view: View, blocks: Iterator[Block], *, origin: Origin, now: float, url: str, head: _Chunks, size: int,
    object_time: float,
) -> Sample:
    """Count the events of one object, and keep the first of them."""
    seen: List[Block] = []
    failure, is_whole = None, False
    try:
        for block in blocks:
            seen.append(block)
            if block.end >= MOST_EVENTS:
                break
        else:
            is_whole = True
    except CollectorError as error:
        error.where = error.where or url
        failure = error
    times = [time for block in seen for time in block.times]
    found = sorted((time for time in times if time is not None), key=float)
    return Sample(
        url=url,
        container=_container(head.first, view.format, now=now),
        stored_bytes=size,
        object_time=object_time,
        events=len(times),
        unparsed=times.count(None),
        is_whole=is_whole,
        earliest=found[0] if found else "",
        latest=found[-1] if found else "",
        time_field=_time_field(seen, view.format, now=now),
        ignored=_ignored(seen, view.ignores),
        line=next(filter(None, map(event_line, seen[0].bodies[:SHOWN_EVENTS])), None) if seen else None,
        shown=_shown(seen, origin, view.ignores),
        failure=failure,
    )


def _ignored(blocks: Sequence[Block], ignores: Optional[Ignores]) -> int:
    return sum(bool(ignores(body)) for block in blocks for body in block.bodies) if ignores else 0


def _shown(blocks: Sequence[Block], origin: Origin, ignores: Optional[Ignores]) -> Optional[Slice]:
    end = min(blocks[-1].end, SHOWN_EVENTS) if blocks else 0
    if not end:
        return None
    parts = [block.part(block.first, min(block.end, end)) for block in blocks if block.first < end]
    size = sum(len(body) for part in parts for body in part.bodies)
    shown = Slice(origin, 0, end, tuple(parts), size)
    return shown.without(ignores) if ignores else shown


def _time_field(blocks: Sequence[Block], form: Format, *, now: float) -> str:
    """The field that most of the first events have their time from; "" if none is a JSON object's."""
    times = Times(now=now, zone_minutes=form.zone_minutes)
    fields: Counter[str] = Counter()
    for event in (event for block in blocks[:1] for event in block.part(block.first, block.first + 100)):
        name = _field_of(event.body, event.time, form, times) if event.is_json else ""
        fields[name] += bool(name)
    return fields.most_common(1)[0][0] if fields else ""


def _field_of(body: bytes, time: Optional[str], form: Format, times: Times) -> str:
    try:
        parsed = json.loads(body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return ""
    if time is None or not isinstance(parsed, dict):
        return ""
    texts = ((name, parsed.get(name)) for name in form.time_fields)
    return next((name for name, text in texts if isinstance(text, str) and times.read(text) == time), "")


def _container(head: bytes, form: Format, *, now: float) -> str:
    """What the first bytes look like, in words: "gzip, JSON lines"."""
    stored = container_of(head[:HEAD_BYTES])
    text = b""
    try:
        text = next((piece for each in texts([head], budget=Budget()) for piece in each.chunks), b"")
    except CollectorError:
        return stored  # nothing can be read of it: the sample's failure says why
    kind = _kind(text.lstrip(b"\xef\xbb\xbf \t\r\n"), JsonReader(form, now=now))
    return kind if stored == "text" else f"{stored}, {kind}"


def _kind(text: bytes, reader: JsonReader) -> str:
    if not text:
        return "empty"
    if RECORDS_HEAD.match(text):
        return "JSON, events in Records"
    line = text.split(b"\n", 1)[0]
    try:
        parsed = json.loads(line)
    except (ValueError, RecursionError):
        return "a JSON document" if text[:1] in (b"{", b"[") else _lines(text, reader)
    if isinstance(parsed, dict) and holds_events(parsed):
        return "JSON, events in a wrapper"
    if isinstance(parsed, dict):
        return "JSON lines" if len(text.strip()) > len(line.strip()) else "one JSON object"
    return "a JSON array" if isinstance(parsed, list) else _lines(text, reader)


def _lines(text: bytes, reader: JsonReader) -> str:
    dialect = recognised(text[:LINES_BYTES], reader, whole=False)
    return "lines of text" if dialect == "lines" else f"lines of text ({dialect})"
