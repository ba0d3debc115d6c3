"""What an item is to be read as: its bytes, the decoder that its route names, and what its events share."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import partial
from typing import Callable, Iterable, Iterator, Optional, Protocol, Sequence

from collector.config.routes import Route
from collector.engine.content import Content
from collector.engine.items import Item, Reading
from collector.engine.slicer import cut
from collector.errors import Poison
from collector.model import DIGEST, GATHERING, Block, Origin, Payload, Slice
from collector.notifications import host_of
from collector.ports import Digests, ObjectStore, OpenObject

__all__ = ["Decode", "Labels", "Opener"]

log = logging.getLogger("collector.engine")


class Decode(Protocol):
    """Stored bytes to blocks, as a route says; `inflated` is told what is inside the outermost gzip."""

    def __call__(
        self, chunks: Iterable[bytes], route: Route, inflated: Optional[Callable[[bytes], None]] = None
    ) -> Iterator[Block]: ...


@dataclass(frozen=True)
class Labels:
    """An input's own metadata for events, where a route says nothing."""

    sourcetype: str = ""
    index: str = ""
    host: str = ""
    source: str = ""


class Opener:
    """Items in, open readings out. With `digests` the content of every object is hashed as it is read."""

    def __init__(
        self,
        objects: Optional[ObjectStore],
        decode: Decode,
        labels: Labels,
        digests: Optional[Digests] = None,
    ) -> None:
        self._objects = objects
        self._decode = decode
        self._labels = labels
        self._digests = digests
        self._has_told_of_bytes = False

    def foresee(self, items: Sequence[Item]) -> None:
        """This thread opens these next, in this order."""
        refs = [item.ref for item in items if item.ref is not None]
        if self._objects is not None and len(refs) > 1:
            self._objects.foresee(refs)

    def open(self, item: Item) -> Reading:
        if item.payload is not None:
            origin = self._origin(item, item.object_time)
            return Reading(None, cut(self._payload_blocks(item.payload, item.route), origin))
        assert item.ref is not None
        if self._objects is None:
            raise Poison(
                f"{item.ref.bucket} is not a bucket of this input, which has none", code="foreign_bucket",
                where=item.url, hint="If the bucket is your provider's, add it to the bucket setting",
            )
        opened = self._objects.open(item.ref)
        content = Content() if self._digests is not None else None
        reading = Reading(opened, iter(()), content)
        blocks = self._noticed(self._blocks(opened, item.route, content), reading, item.url)
        reading.slices = _cut_later(opened, blocks, partial(self._origin, item, opened.last_modified))
        return reading

    def _blocks(self, opened: OpenObject, route: Route, content: Optional[Content]) -> Iterator[Block]:
        if self._digests is None or content is None:
            return self._decode(iter(opened.read, b""), route)
        if route.decoder == DIGEST:
            return self._digests.judge(opened, content.add)
        return self._decode(iter(opened.read, b""), route, content.add)

    def _noticed(self, blocks: Iterator[Block], reading: Reading, url: str) -> Iterator[Block]:
        """The blocks, and in `reading` whether the last one said that a large event is being gathered."""
        for block in blocks:
            reading.gathers = block.note == GATHERING and not block.bodies
            if block.note and not self._has_told_of_bytes and "encoding_error" in block.note:
                self._has_told_of_bytes = True
                log.warning(
                    "An object holds bytes that are no UTF-8. Each is delivered as U+FFFD, and its event "
                    "says s3_note=encoding_error, by which others can be found: this is said once. If such "
                    "objects are no audits, leave them out by exclude or routes. url=%s", url,
                )
            yield block

    def _payload_blocks(self, payload: Payload, route: Route) -> Iterator[Block]:
        if payload.whole:
            return iter([Block(0, [payload.body], [payload.time], _is_json(payload.body))])
        return self._decode([payload.body], route)

    def _origin(self, item: Item, fallback: float) -> Origin:
        labels, route = self._labels, item.route
        named = host_of(item.payload.origin) if item.payload else ""
        return Origin(
            oid=item.oid,
            source=labels.source or item.url,
            fallback_time=f"{fallback:.3f}",
            sourcetype=route.sourcetype or labels.sourcetype,
            index=route.index or labels.index,
            host=labels.host or named,
        )


def _cut_later(
    opened: OpenObject, blocks: Iterator[Block], origin: Callable[[], Origin]
) -> Iterator[Slice]:
    """The origin is made with the first slice: a ref without etag learns its oid before that."""
    made = origin()
    while opened.prepare():
        yield Slice(made, 0, 0, (), 0)
    yield from cut(blocks, made)


def _is_json(body: bytes) -> bool:
    """Whether a whole payload may stand inside an envelope as it is."""
    if not body.startswith(b"{"):
        return False
    try:
        json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
