"""Events of every sourcetype that the app defines, with the times that the collector sends with them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional

from collector.config.providers import PROVIDERS
from collector.decode import decode
from collector.notifications import parse
from collector.testing.demo_audits import immuta, pgaudit, policysync, thrive

__all__ = ["MADE", "Sample", "all_samples"]

GOLDEN = Path(__file__).parents[1] / "golden"
_NOW = 1_795_000_000.0


class Sample(NamedTuple):
    """`time`: epoch seconds, None where the collector found none in the text."""

    sourcetype: str
    raw: str
    time: Optional[float]


def all_samples() -> List[Sample]:
    """Those of the demo, of the golden cases, and those made here; each once."""
    found = [*_of_the_demo(), *_golden_objects(), *_golden_bodies()]
    found += [_timed(sourcetype, raw) for sourcetype, raws in MADE.items() for raw in raws]
    return list({(one.sourcetype, one.raw): one for one in found}.values())


def _of_the_demo() -> Iterator[Sample]:
    for play in (thrive, pgaudit, policysync, immuta):
        for seed in range(1, 5):
            audits = play(now=_NOW, seed=seed)
            for upload in audits.uploads:
                if upload.events:
                    yield from _decoded(audits.preset, upload.body)
            for body in audits.bodies:
                yield from _sent(audits.preset, body.text)


def _golden_objects() -> Iterator[Sample]:
    cases = {"thrive": ("thrive_ndjson", "thrive_csv"), "immuta": ("immuta_ndjson",),
             "privacera-policysync": ("privacera_wrapped",),
             "privacera-pgaudit": ("pgaudit_export", "pgaudit_measured", "pgaudit_text")}
    for preset, names in cases.items():
        for name in names:
            expected = json.loads((GOLDEN / "objects" / name / "expected.json").read_text(encoding="utf-8"))
            for raw, moment, *_ in expected["events"]:
                yield Sample(_sourcetype(preset), raw, float(moment) if moment else None)


def _golden_bodies() -> Iterator[Sample]:
    names = {"privacera-policysync": ("audits_object", "audits_list"),
             "privacera-pgaudit": ("log_event_of_the_forwarder", "audits_text", "log_event")}
    for preset, cases in names.items():
        for case in cases:
            yield from _sent(
                preset, (GOLDEN / "notifications" / case / "body.txt").read_text(encoding="utf-8")
            )


def _sent(preset: str, body: str) -> Iterator[Sample]:
    for payload in parse(body, bodies_are_audits=True).payloads:
        if payload.whole:
            moment = float(payload.time) if payload.time else None
            yield Sample(_sourcetype(preset), payload.body.decode(), moment)
        else:
            yield from _decoded(preset, payload.body)


def _decoded(preset: str, body: bytes) -> Iterator[Sample]:
    for block in decode([body], format=PROVIDERS[preset].format, now=time.time()):
        for raw, moment in zip(block.bodies, block.times):
            yield Sample(_sourcetype(preset), bytes(raw).decode(), float(moment) if moment else None)


def _sourcetype(preset: str) -> str:
    return PROVIDERS[preset].settings["sourcetype"]


def _timed(sourcetype: str, raw: str) -> Sample:
    if sourcetype == "aws:cloudtrail:digest":
        return Sample(sourcetype, raw, 1777889702.0)
    preset = next(name for name, one in PROVIDERS.items() if one.settings.get("sourcetype") == sourcetype)
    if sourcetype == "postgresql:pgaudit":
        return Sample(sourcetype, raw, 1795236935.0)
    return next(_decoded(preset, raw.encode()))


def _line(
    message: str, *, level: str = "LOG", who: str = "etl@sales", client: str = "10.0.0.9(40642)"
) -> str:
    return f"2026-11-21 04:55:35 UTC:{client}:{who}:[16797]:{level}:  {message}"


def _uam(**given: Any) -> str:
    always = {
        "id": "d9dc", "actionStatus": "SUCCESS", "tenantId": "example.com", "actorIp": "198.51.100.7",
        "actor": {"type": "USER_ACTOR", "id": "kim@example.com", "name": "Kim"},
        "eventTimestamp": "2026-05-04T10:15:02.412Z",
    }
    return json.dumps({**always, **given})


def _thrive(**given: Any) -> str:
    always = {
        "eventTime": "2026-05-04T10:15:02.412Z", "tenant": "example", "sourceIp": "198.51.100.7",
        "actor": {"id": "u-7", "email": "lee@example.com"}, "outcome": "SUCCESS",
    }
    return json.dumps({**always, **given})


#: What demo and golden cases have none of.
MADE = {
    "thrive:audit": (
        _thrive(eventType="user.create", target={"type": "user", "id": "u-8", "name": "ann@example.com"}),
        _thrive(eventType="user.delete", target={"type": "user", "id": "u-8"}, outcome="DENIED"),
        _thrive(eventType="record.delete", target={"type": "report", "id": "r-88"}, outcome="FAILURE",
                reason="locked"),
        '{"timestamp": 1777889702412, "eventType": "user.login", "actor": {"id": "u-7"}}',
    ),
    "immuta:uam": (
        _uam(action="CREATE", targetType="APIKEY", targets=[],
             auditPayload={"type": "ApiKeyCreatedAuditPayload", "apiKeyId": "12", "name": "T1"}),
        _uam(action="UPDATE", targetType="USER",
             targets=[{"type": "USER", "id": "9", "name": "lee@example.com"}]),
        _uam(action="DELETE", targetType="POLICY", actionStatus="FAILURE",
             targets=[{"type": "POLICY", "id": "3", "name": "Mask e-mail"}]),
        _uam(action="AUTHENTICATE", targetType="USER"),
        _uam(action="LOGIN", targetType="USER", actionStatus="FAILURE", actionStatusReason="no such user"),
        _uam(action="QUERY", targetType="DATASOURCE",
             targets=[{"id": "7", "name": "A"}, {"id": "8", "name": "B"}],
             auditPayload={"type": "QueryAuditPayload", "queryText": 'select "a" from b', "queryId": "01b2"}),
        '{"id":"1","dateTime":"1777889702412","profileId":5,"userId":"kim@example.com","dataSourceId":7,'
        '"dataSourceName":"Orders","recordType":"nativeQuery","success":false,"component":"dataSource"}',
    ),
    "privacera:policysync": (
        '{"id":"ps-3","evtTime":"2026-05-04 10:20:12.345","eventType":"CREATE_ROLE","repo":"pg-sales",'
        '"reqUser":"temp_u","query":"CREATE ROLE temp_u","result":1}',
        '{"id":"ps-4","evtTime":"2026-05-04 10:20:12.345","eventType":"REVOKE","repo":"pg-sales",'
        '"reqUser":"temp_u","resource":"sales.public.pii",'
        '"query":"REVOKE ALL PRIVILEGES ON public.pii FROM temp_u","result":0}',
    ),
    "postgresql:pgaudit": (
        _line('AUDIT: SESSION,3,1,FUNCTION,EXECUTE,FUNCTION,public.total,"SELECT total(1,2)","1,""o\'b"""'),
        _line('AUDIT: OBJECT,4,1,READ,SELECT,TABLE,"public.""odd, name""",SELECT 1,<none>,42'),
        _line("AUDIT: SESSION,5,1,WRITE,DELETE,TABLE,public.orders,DELETE FROM orders,<none>"),
        _line("AUDIT: SESSION,6,1,DDL,DROP TABLE,TABLE,public.orders,DROP TABLE orders;,<not logged>",
              client="[local]"),
        _line('AUDIT: SESSION,7,1,READ,SELECT,,,"SELECT a,\n\t b, ""c'),
        _line('STATEMENT:  SELECT 1', who="[unknown]@[unknown]"),
        _line("SELECT nosuch\n\t FROM t", level="STATEMENT"),
        _line('relation "nosuch" does not exist at character 15', level="ERROR"),
        _line("connection authorized: user=etl database=sales application_name=psql SSL enabled (TLSv1.3)"),
        _line('password authentication failed for user "etl"', level="FATAL"),
        _line('no pg_hba.conf entry for host "10.0.0.9", user "etl", database "sales", no encryption',
              level="FATAL"),
        _line('role "ghost" does not exist', level="FATAL", who="ghost@sales"),
        _line('role "ghost" is not permitted to log in', level="FATAL", who="ghost@sales"),
        _line('database "nosuch" does not exist', level="FATAL", who="etl@nosuch"),
    ),
    "aws:cloudtrail:digest": (
        '{"result":"invalid","reasons":["log_missing"],"digestFile":"s3://example-logs/d.json.gz",'
        '"awsAccountId":"111111111111","awsRegion":"eu-west-1","digestStartTime":"2026-05-04T09:15:02Z",'
        '"digestEndTime":"2026-05-04T10:15:02Z","missingLogFiles":["s3://example-logs/a.json.gz"],"invalidLogFiles":["s3://example-logs/b.json.gz"],'
        '"digest":{"digestEndTime":"2026-05-04T10:15:02Z","logFiles":[]}}',
    ),
}
