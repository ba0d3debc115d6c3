"""What the recognisers share: the body as they see it, and careful readings of single fields."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from collector.errors import Poison
from collector.model import Notification, ObjectRef, Payload

Part = TypeVar("Part")
Meaning = TypeVar("Meaning")

MAX_DEPTH = 5
#: All that one body may unpack to, its parts and theirs together: what is made of it in memory is ten
#: times as large.
MOST_UNPACKED_BYTES = 16 * 1024 * 1024
#: What following one pointer counts for at least, so that one body does not point to thousands.
LEAST_FETCHED_BYTES = 64 * 1024
NOT_JSON = object()


#: Returns if an SNS envelope may be opened, else raises.
Verify = Callable[[Mapping[str, Any]], None]
#: The text of a body that its sender has put into a bucket.
Fetch = Callable[[ObjectRef], str]


class Room:
    """How many bytes one body may still unpack to; shared by all its parts."""

    def __init__(self) -> None:
        self.left = MOST_UNPACKED_BYTES

    def take(self, count: int) -> None:
        """Poison "bomb" if there is no room for so many."""
        self.left -= count
        if self.left < 0:
            raise Poison(
                f"the body unpacks to more than {MOST_UNPACKED_BYTES >> 20} MiB", code="bomb",
                hint="look at it with `audit-s3 quarantine show`; nobody genuine packs so much into one",
            )


def unverified(envelope: Mapping[str, Any]) -> None:
    """Open every envelope: who may send is for the queue's policy to say."""


@dataclass(frozen=True)
class Body:
    """A text, its JSON value (or NOT_JSON), how deep it was found, and the caller's part in reading it.

    `verify` vouches for SNS envelopes; `fetch` follows a pointer to a body, None where nothing may be read.
    `room` is for what is unpacked and fetched.
    """

    text: str
    json: Any
    depth: int
    audits: bool
    read: Callable[..., Notification]
    room: Room
    verify: Verify = unverified
    fetch: Optional[Fetch] = None

    def inner(self, text: str) -> Notification:
        """What a text inside this one means."""
        if self.depth == MAX_DEPTH:
            raise Poison(
                f"the body is wrapped more than {MAX_DEPTH} times", code="nested_too_deep",
                hint="look at it with `audit-s3 quarantine show`",
            )
        return self.read(text, depth=self.depth + 1, audits=self.audits)


def loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_int=as_int)
    except (ValueError, RecursionError):
        return NOT_JSON


def as_int(digits: str) -> int:
    """Python 3.11 and later refuse to compute very long numbers; nobody needs them here."""
    return int(digits) if len(digits) < 40 else 0


def glimpse(text: str) -> str:
    return repr(text[:60]) + ("..." if len(text) > 60 else "")


def under(shape: str, inner: Notification) -> Notification:
    return replace(inner, shape=f"{shape} > {inner.shape}")


def each(parts: Iterable[Part], read: Callable[[Part], Meaning]) -> Tuple[List[Meaning], Tuple[Poison, ...]]:
    """What the parts of one body mean, and the problems of the others; raises if there is nothing else."""
    meanings: List[Meaning] = []
    problems: List[Poison] = []
    for part in parts:
        try:
            meanings.append(read(part))
        except Poison as error:
            problems.append(error.with_traceback(None))
    if problems and not meanings:
        raise problems[0]
    return meanings, tuple(problems)


def together(parts: Sequence[Notification], problems: Sequence[Poison] = ()) -> Notification:
    """Several parts of one body. Reasons to do nothing count only if there is nothing to do."""
    problems = (*problems, *(problem for part in parts for problem in part.problems))
    refs = tuple(ref for part in parts for ref in part.refs)
    payloads = tuple(payload for part in parts for payload in part.payloads)
    noop = "" if refs or payloads else several([part.noop for part in parts])
    return Notification("+".join(dict.fromkeys(part.shape for part in parts)), refs, payloads, noop, problems)


def several(reasons: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(reasons))


def container(text: str) -> Payload:
    body = utf8(text)
    return Payload(digest(body), body)


def utf8(text: str) -> bytes:
    """JSON may escape half a character; it becomes U+FFFD."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode("utf-8")


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def at(value: Any, *path: str) -> Any:
    """The value at the end of a path of keys, None where the path breaks off."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def records_of(value: Any) -> List[Any]:
    records = at(value, "Records")
    return records if isinstance(records, list) else []


def element_texts(text: str) -> List[str]:
    """The elements of a JSON list, as slices of its own text."""
    return list(_value_texts(text, text.index("[") + 1, gap=" \t\r\n,]"))


def glued_texts(text: str) -> Iterator[str]:
    """The values of a text that is nothing but values; none at all if it is anything else."""
    try:
        return iter(list(_value_texts(text, 0, gap=" \t\r\n")))
    except (ValueError, RecursionError):
        return iter(())


def _value_texts(text: str, position: int, *, gap: str) -> Iterator[str]:
    decoder = json.JSONDecoder(parse_int=as_int)
    while True:
        while position < len(text) and text[position] in gap:
            position += 1
        if position == len(text):
            return
        _, end = decoder.raw_decode(text, position)
        yield text[position:end]
        position = end


#: What may stand in a header of a request: nothing that would end it, or be another in another alphabet.
_HEADER_TEXT = re.compile(r"[!#-~]{1,1024}")


def etag_or_none(value: Any) -> Optional[str]:
    """Without an etag, the object says its own."""
    return header_or_none(value.strip('"')) if isinstance(value, str) else None


def header_or_none(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and _HEADER_TEXT.fullmatch(value) else None


def version_or_none(value: Any) -> Optional[str]:
    """An unversioned bucket says "null", "", or nothing."""
    return None if value == "null" else header_or_none(value)


def size_or_none(value: Any) -> Optional[int]:
    """A number from AWS, a string from Ceph; none that no object can have."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18 else None


_FRACTION = re.compile(r"\.\d+")


def time_or_none(value: Any) -> Optional[float]:
    """Epoch seconds of an ISO time in UTC; whole milliseconds are all that anybody writes here."""
    if not isinstance(value, str):
        return None
    fraction = _FRACTION.search(value)
    try:
        moment = datetime.strptime(_FRACTION.sub("", value, count=1), "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc).timestamp() + (float(fraction.group()) if fraction else 0.0)
