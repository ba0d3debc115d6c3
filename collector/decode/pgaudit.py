"""One line of a PostgreSQL log with RDS's prefix, and the pgAudit record in it.

    2026-11-21 04:55:35 UTC:10.0.0.9(4064):etl@db:[167]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<none>

RDS fixes log_line_prefix to `%t:%r:%u@%d:[%p]:`; the rest is the level and the message, whose further lines
begin with a TAB that PostgreSQL has put there. pgAudit's record is CSV, and its parameters are CSV inside
CSV. The prefix is looked for at the start alone, so that nothing inside a statement passes for it. Who
connects names the user, and a name may imitate what follows it: `certain` says that the line can be read in
one way only.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.overview.parameter-groups.html
https://github.com/pgaudit/pgaudit#format
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Callable, Collection, List, Optional, Tuple

__all__ = ["Audit", "Line", "PLACEHOLDERS", "event_line", "fields_of", "ignoring", "parse"]

#: What pgAudit and PostgreSQL write where they do not say what was there.
PLACEHOLDERS = frozenset(
    ["<not logged>", "<none>", "<previously logged>", "<long param suppressed>", "<REDACTED>"]
)


@dataclass(frozen=True)
class Audit:
    """A pgAudit record. The numbers count within one session; `class_` is READ, WRITE, ROLE, DDL and so on.

    `rows` is there with pgaudit.log_rows only. `truncated` says that the record ends too early: its last
    text is not whole.
    """

    type: str
    statement_id: int
    substatement_id: int
    class_: str
    command: str = ""
    object_type: str = ""
    object_name: str = ""
    statement: str = ""
    parameter: str = ""
    rows: Optional[int] = None
    truncated: bool = False

    def __str__(self) -> str:
        """ "SESSION READ SELECT TABLE public.account" """
        named = (self.type, self.class_, self.command, self.object_type, self.object_name)
        return " ".join(word for word in named if word) + (" (cut off)" if self.truncated else "")

    @property
    def parameters(self) -> Tuple[str, ...]:
        """The statement's parameters, none if they are not told."""
        if not self.parameter or self.parameter in PLACEHOLDERS:
            return ()
        return tuple(fields_of(self.parameter)[0])


@dataclass(frozen=True)
class Line:
    """One message of the server. `host` is an address, "[local]" or ""; `port` None where there is none.

    `user` and `database` are empty for what the server does by itself. `message` is without the TABs of
    its further lines. `certain` says that user and database can be nothing else.
    """

    time: str
    host: str
    port: Optional[int]
    user: str
    database: str
    pid: int
    level: str
    message: str
    audit: Optional[Audit] = None
    certain: bool = True

    def __str__(self) -> str:
        """ "etl@sales from 10.0.0.9: SESSION READ SELECT" """
        host = f" from {self.host}" if self.host else ""
        return f"{self.user}@{self.database}{host}: {self.audit or self.level}"


# Names are at most 63 bytes, so no more can be mistaken for one. Of several @ the last one counts.
_PREFIX = re.compile(
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z )?"
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? [A-Za-z0-9+:/_-]{1,32}?):"
    r"(?:(\[local\])|([^\s()\[\]]{1,255})\((\d+)\)|):"
)
_SESSION = re.compile(r"([^\n]{0,63}?)@([^@\n]{0,63}?):\[(\d+)\]:([A-Z]+[1-5]?): +")
#: The same with the longest names that can be: if it ends elsewhere, there are two ways to read the line.
_LONGEST = re.compile(r"([^\n]{0,63})@([^@\n]{0,63}):\[(\d+)\]:([A-Z]+[1-5]?): +")
#: All that lies before the message is shorter.
_HEAD_BYTES = 2048
_AUDIT = "AUDIT: "
#: The levels of a refused login, as of some other messages.
_CLAIMED = ("FATAL", "PANIC", "DETAIL")


def parse(text: str) -> Optional[Line]:
    """The line that `text` is, with its further lines; None if it has not RDS's prefix."""
    prefix = _PREFIX.match(text)
    session = _SESSION.match(text, prefix.end()) if prefix else None
    if prefix is None or session is None:
        return None
    time, local, host, port = prefix.groups()
    user, database, pid, level = session.groups()
    longest = _LONGEST.match(text, prefix.end())
    message = text[session.end() :].replace("\n\t", "\n").rstrip("\r\n")
    return Line(
        time, local or host or "", int(port) if port else None, user, database, int(pid), level, message,
        audit=_audit(message),
        # An @ more may be the user's or the database's: CREATE DATABASE "x@sales" is allowed.
        certain="@" not in user and longest is not None and longest.end() == session.end(),
    )


def _audit(message: str) -> Optional[Audit]:
    """The record in a message. One that was cut off may lack fields; one with too many is none of ours."""
    if not message.startswith(_AUDIT):
        return None
    fields, closed = fields_of(message[len(_AUDIT) :])
    if not 4 <= len(fields) <= 10 or fields[0] not in ("SESSION", "OBJECT"):
        return None
    numbers = fields[1:3] + fields[9:]
    if not all(number.isdigit() and number.isascii() for number in numbers):
        return None
    class_, command, object_type, object_name, statement, parameter = (fields[3:] + [""] * 6)[:6]
    return Audit(
        fields[0], int(fields[1]), int(fields[2]),
        class_, command, object_type, object_name, statement, parameter,
        rows=int(fields[9]) if len(fields) == 10 else None, truncated=not closed or len(fields) < 9,
    )


_FIELD = re.compile(r'"([^"]*(?:""[^"]*)*)(?:(")(?=,|\Z)|\Z)|([^,]*)')


def fields_of(record: str) -> Tuple[List[str], bool]:
    """The fields of one CSV record, and whether the last of them is closed."""
    fields, position, closed = [], 0, True
    while True:
        match = _FIELD.match(record, position)
        assert match is not None
        quoted, end, plain = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        closed = quoted is None or bool(end)
        if match.end() >= len(record):
            return fields, closed
        position = match.end() + 1


def event_line(body: bytes) -> Optional[Line]:
    """The line that an event is, or that a JSON event has as its `message`."""
    return parse(_message(body, whole=True))


def _message(body: bytes, *, whole: bool) -> str:
    if body.startswith(b"{"):
        try:
            parsed = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        message = parsed.get("message")
        body = message.encode("utf-8", "replace") if isinstance(message, str) else b""
    return (body if whole else body[:_HEAD_BYTES]).decode("utf-8", "replace")


def ignoring(*, databases: Collection[str], users: Collection[str]) -> Optional[Callable[[bytes], str]]:
    """Why an event is to be left out, "" if it is not; None if nothing is ignored.

    An event is a line, or a JSON object that has one as its `message`. Names are compared whole, upper and
    lower case apart, as PostgreSQL stores them. What cannot be read, or can be read in two ways, is never
    left out; nor is FATAL with its DETAIL, where the user is only who somebody claims to be.
    """
    if not (databases or users):
        return None

    def reason(body: bytes) -> str:
        line = parse(_message(body, whole=False))
        if line is None or not line.certain or line.level in _CLAIMED:
            return ""
        if line.database in databases:
            return "ignored database"
        return "ignored user" if line.user in users else ""

    return reason
