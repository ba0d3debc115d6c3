"""Audits as five systems write them, made up deterministically: for the demo, tests and benchmarks.

    for upload in thrive(now=1_790_000_000).uploads:
        provider.upload(upload.key, upload.body, **upload.headers)

Each function returns what to put into the bucket, what to send to the queue as bodies, and the exact
bytes of every event that a collector has to deliver for it, once. The same `now` and `seed` give the same
bytes; another `seed` gives other events.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

__all__ = ["SYSTEMS", "Audits", "Body", "Upload", "cloudtrail", "immuta", "pgaudit", "policysync", "thrive"]

_PEOPLE = ("kim", "lee", "ann", "omar", "ines", "raj")
_ACCOUNT = "111111111111"


@dataclass(frozen=True)
class Upload:
    """One object: `headers` go to PutObject; `events` are empty for a file that is no audit."""

    key: str
    body: bytes
    events: Tuple[bytes, ...]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Body:
    """One SQS message whose body is itself audits."""

    text: str
    events: Tuple[bytes, ...]


@dataclass(frozen=True)
class Audits:
    """What one system wrote. `preset` is the `provider` setting that reads it."""

    name: str
    preset: str
    uploads: Tuple[Upload, ...] = ()
    bodies: Tuple[Body, ...] = ()

    @property
    def events(self) -> List[bytes]:
        """Every event, each once, in the order of writing."""
        parts: Sequence[Any] = (*self.uploads, *self.bodies)
        return [event for part in parts for event in part.events]


def thrive(*, now: float, seed: int = 1) -> Audits:
    """JSON lines in gzip, one object every five minutes."""
    made = _Maker("thrive", now, seed)
    uploads = []
    for _ in range(3):
        start = made.clock
        lines = [_bytes(_thrive_event(made)) for _ in range(12)]
        key = f"audits/{_date(start, '/')}/{_stamp(start)}-{made.hexadecimal(8)}.json.gz"
        uploads.append(Upload(key, _gzip(b"".join(line + b"\n" for line in lines)), tuple(lines)))
    return Audits("thrive", "thrive", tuple(uploads))


def _thrive_event(made: _Maker) -> Dict[str, Any]:
    person = made.pick(_PEOPLE)
    event: Dict[str, Any] = {
        "eventTime": _iso(made.tick(), milliseconds=True),
        "eventType": made.pick(("user.login", "user.logout", "record.export", "record.view", "role.update")),
        "actor": {"id": f"u-{made.number(1000, 1999)}", "email": f"{person}@example.com"},
        "sourceIp": made.address(),
        "tenant": "example",
        "eventId": made.hexadecimal(12),
    }
    if event["eventType"] == "user.login" and made.number(1, 4) == 1:
        event.update(outcome="FAILURE", reason="bad_password")
    else:
        event.update(outcome="SUCCESS")
    if event["eventType"].startswith("record."):
        name = made.pick(("Q3 revenue", "Überblick EMEA", "売上レポート"))
        event.update(target={"type": "report", "id": f"r-{made.number(1, 99)}", "name": name})
    return event


def cloudtrail(*, now: float, seed: int = 1) -> Audits:
    """`{"Records":[...]}` on one line, in gzip, under CloudTrail's own keys and headers."""
    made = _Maker("cloudtrail", now, seed)
    uploads = []
    for _ in range(3):
        start = made.clock
        records = [_bytes(_cloudtrail_record(made)) for _ in range(10)]
        file = f"{_ACCOUNT}_CloudTrail_eu-west-1_{_stamp(start)}_{made.letters(16)}.json.gz"
        key = f"AWSLogs/{_ACCOUNT}/CloudTrail/eu-west-1/{_date(start, '/')}/{file}"
        body = _gzip(b'{"Records":[' + b",".join(records) + b"]}")
        headers = {"ContentType": "application/json", "ContentEncoding": "gzip"}
        uploads.append(Upload(key, body, tuple(records), headers))
    return Audits("cloudtrail", "cloudtrail", tuple(uploads))


def _cloudtrail_record(made: _Maker) -> Dict[str, Any]:
    person = made.pick(_PEOPLE)
    record: Dict[str, Any] = {
        "eventVersion": "1.10",
        "userIdentity": {
            "type": "IAMUser",
            "arn": f"arn:aws:iam::{_ACCOUNT}:user/{person}",
            "accountId": _ACCOUNT,
            "userName": person,
        },
        "eventTime": _iso(made.tick()),
        "awsRegion": "eu-west-1",
        "sourceIPAddress": made.address(),
        "userAgent": "aws-cli/2.27.0",
        "eventID": made.uuid(),
        "recipientAccountId": _ACCOUNT,
    }
    record.update(made.pick((_console_login, _s3_read, _key_decrypt))(made))
    return record


def _console_login(made: _Maker) -> Dict[str, Any]:
    failed = made.number(1, 3) == 1
    login: Dict[str, Any] = {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "responseElements": {"ConsoleLogin": "Failure" if failed else "Success"},
        "additionalEventData": {"MFAUsed": "No" if failed else "Yes"},
        "eventType": "AwsConsoleSignIn",
        "managementEvent": True,
        "eventCategory": "Management",
    }
    return {**login, "errorMessage": "Failed authentication"} if failed else login


def _s3_read(made: _Maker) -> Dict[str, Any]:
    key = f"sales/part-{made.number(0, 99):05d}.parquet"
    return {
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "requestParameters": {"bucketName": "example-lake", "key": key},
        "responseElements": None,
        "readOnly": True,
        "resources": [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::example-lake/{key}"}],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "eventCategory": "Data",
    }


def _key_decrypt(made: _Maker) -> Dict[str, Any]:
    return {
        "eventSource": "kms.amazonaws.com",
        "eventName": "Decrypt",
        "requestParameters": {"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": made.uuid()},
        "responseElements": None,
        "readOnly": True,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "eventCategory": "Management",
    }


#: Class, command, object type, object name, statement: pgAudit's columns, statements unquoted yet.
_STATEMENTS = (
    ("READ", "SELECT", "TABLE", "public.orders", "SELECT id, total FROM orders WHERE total > 1000;"),
    ("READ", "SELECT", "TABLE", "public.customer", "SELECT name -- \"full\" name\nFROM customer\nLIMIT 10;"),
    ("WRITE", "UPDATE", "TABLE", "public.customer", "UPDATE customer SET note = 'o''brien' WHERE id = 7;"),
    ("DDL", "CREATE TABLE", "TABLE", "public.refund", "CREATE TABLE refund (id int, amount numeric);"),
    ("ROLE", "GRANT", "TABLE", "", "GRANT SELECT ON orders TO analyst_eu;"),
    ("MISC", "SET", "", "", "SET statement_timeout = '30s';"),
)


def pgaudit(*, now: float, seed: int = 1) -> Audits:
    """Each message is one CloudWatch log event of an RDS instance, as Privacera's Lambda sends it."""
    made = _Maker("pgaudit", now, seed)
    bodies = [_pgaudit_body(made, statement=number + 1) for number in range(18)]
    return Audits("pgaudit", "privacera-pgaudit", bodies=tuple(bodies))


def _pgaudit_body(made: _Maker, *, statement: int) -> Body:
    moment = made.tick()
    user = made.pick(("etl@sales", "analyst_eu@sales", "we:ird@sales"))
    client = made.pick((f"{made.address()}({made.number(30000, 60000)})", "[local]"))
    kind, command, object_type, name, sql = made.pick(_STATEMENTS)
    # PostgreSQL writes a tab after every newline of a statement that has several lines.
    sql = _csv(sql.replace("\n", "\n\t"))
    audit = f"SESSION,{statement},1,{kind},{command},{object_type},{name},{sql},<not logged>"
    prefix = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    line = f"{prefix}:{client}:{user}:[{made.number(1000, 32000)}]:LOG:  AUDIT: {audit}"
    log_event = {"id": f"3{made.digits(55)}", "timestamp": int(moment * 1000), "message": line}
    return Body(_text(log_event), (_delivered(log_event),))


def _delivered(log_event: Mapping[str, Any]) -> bytes:
    """What a collector makes of one CloudWatch log event."""
    return str(log_event["message"]).encode()


def policysync(*, now: float, seed: int = 1) -> Audits:
    """Grants and revokes; a message holds one audit, an array of them, or a wrapper around several."""
    made = _Maker("policysync", now, seed)
    bodies = []
    for count, form in ((1, "{}"), (3, "[{}]"), (1, "{}"), (2, "[{}]"), (4, '{{"audits":[{}]}}'), (1, "{}")):
        audits = [_text(_grant(made)) for _ in range(count)]
        bodies.append(Body(form.format(",".join(audits)), tuple(audit.encode() for audit in audits)))
    return Audits("policysync", "privacera-policysync", bodies=tuple(bodies))


def _grant(made: _Maker) -> Dict[str, Any]:
    moment, grants = made.tick(), made.number(0, 1) == 1
    table = made.pick(("orders", "customer", "refund"))
    whom = made.pick(("analyst_eu", "analyst_us", "temp_user"))
    words = f"GRANT SELECT ON public.{table} TO" if grants else f"REVOKE SELECT ON public.{table} FROM"
    audit: Dict[str, Any] = {
        "id": f"ps-{made.hexadecimal(10)}",
        "evtTime": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)) + f".{_milliseconds(moment):03d}",
        "eventType": "GRANT" if grants else "REVOKE",
        "repo": "pg-sales",
        "repoType": "postgres",
        "reqUser": whom,
        "resource": f"sales.public.{table}",
        "resType": "table",
        "query": f"{words} {whom}",
        "result": 1,
        "policy": 0,
    }
    if whom == "temp_user":
        audit.update(result=0, reason="role does not exist")
    return audit


def immuta(*, now: float, seed: int = 1) -> Audits:
    """One-line JSON objects of the universal audit model, a day old; and the marker of the export."""
    made = _Maker("immuta", now - 86_400, seed)
    marker = Upload(".immuta.export.log", b"export configured\n", ())
    uploads = [marker] if seed == 1 else []
    for _ in range(2):
        start = made.clock
        lines = [_bytes(_uam_event(made)) for _ in range(8)]
        key = f"immuta/{_date(start, '-')}/uam-{_stamp(start)}-{made.hexadecimal(6)}"
        uploads.append(Upload(key, b"".join(line + b"\n" for line in lines), tuple(lines)))
    return Audits("immuta", "immuta", tuple(uploads))


def _uam_event(made: _Maker) -> Dict[str, Any]:
    moment, person = made.tick(), made.pick(_PEOPLE)
    refused = made.number(1, 4) == 1
    event: Dict[str, Any] = {
        "id": made.uuid(),
        "action": "QUERY",
        "actionStatus": "UNAUTHORIZED" if refused else "SUCCESS",
        "targetType": "DATASOURCE",
        "targets": [{"type": "DATASOURCE", "id": str(made.number(1, 90)), "name": "Orders"}],
        "actor": {"type": "USER_ACTOR", "id": f"{person}@example.com", "name": person.title()},
        "actorIp": made.address(),
        "tenantId": "example.com",
        "sessionId": made.hexadecimal(8),
        "eventTimestamp": _iso(moment, milliseconds=True),
        "receivedTimestamp": _iso(moment + 0.137, milliseconds=True),
        "auditPayload": {"type": "QueryAuditPayload", "queryText": "select * from orders", "version": 1},
    }
    return {**event, "actionStatusReason": "insufficient privileges"} if refused else event


#: Every system of the demo, in the order of its table.
SYSTEMS: Tuple[Callable[..., Audits], ...] = (thrive, cloudtrail, pgaudit, policysync, immuta)


class _Maker:
    """The dice and the clock of one system: events come every few seconds and end before `now`."""

    def __init__(self, name: str, now: float, seed: int) -> None:
        self._dice = random.Random(f"{name}-{seed}")
        self.clock = float(int(now)) - 900.0

    def tick(self) -> float:
        """The next event's time, in whole milliseconds."""
        self.clock = round(self.clock + self._dice.uniform(0.05, 20.0), 3)
        return self.clock

    def pick(self, choices: Sequence[Any]) -> Any:
        return self._dice.choice(choices)

    def number(self, low: int, high: int) -> int:
        return self._dice.randint(low, high)

    def digits(self, count: int) -> str:
        return "".join(self._some("0123456789", count))

    def hexadecimal(self, count: int) -> str:
        return "".join(self._some("0123456789abcdef", count))

    def letters(self, count: int) -> str:
        return "".join(self._some("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count))

    def uuid(self) -> str:
        return "-".join(self.hexadecimal(count) for count in (8, 4, 4, 4, 12))

    def address(self) -> str:
        """One of the addresses kept for documentation."""
        return f"198.51.100.{self.number(1, 254)}"

    def _some(self, alphabet: str, count: int) -> Iterator[str]:
        return (self._dice.choice(alphabet) for _ in range(count))


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _bytes(value: Mapping[str, Any]) -> bytes:
    return _text(value).encode()


def _gzip(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)


def _csv(text: str) -> str:
    """Quoted as pgAudit does: only where it has to be."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _iso(moment: float, *, milliseconds: bool = False) -> str:
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    return f"{text}.{_milliseconds(moment):03d}Z" if milliseconds else f"{text}Z"


def _milliseconds(moment: float) -> int:
    return round(moment * 1000) % 1000


def _date(moment: float, separator: str) -> str:
    return time.strftime(f"%Y{separator}%m{separator}%d", time.gmtime(moment))


def _stamp(moment: float) -> str:
    return time.strftime("%Y%m%dT%H%MZ", time.gmtime(moment))
