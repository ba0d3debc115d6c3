"""The two systems of Privacera end to end: a database's log through our Lambda function, PolicySync's audits.

The function is deployed as its README says, and runs in the local AWS under its own role: CloudWatch Logs
calls it for what is put into the log group.
"""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Sequence, Set

import pytest

from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.docs.shown import ROOT, Shell, commands, files
from tests.e2e.collector_process import Collector, wait_for

Make = Callable[..., Collector]

FUNCTION = ROOT / "integrations" / "pgaudit_lambda"
QUEUE = "privacera-postgres-orders-audits"
GROUP = "/aws/rds/instance/orders/postgresql"
CLUSTER = "/aws/rds/cluster/orders/postgresql"
PREFIX = "2026-11-21 04:55:35 UTC:"
LONG = pytest.mark.exhaustive

#: What PostgreSQL writes: tabs after the newlines of a statement, IPv6, odd names, lines that are no audits.
LINES = tuple(
    PREFIX + line
    for line in (
        '10.0.0.9(40642):etl@sales:[7]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,"SELECT id,\n\t       name '
        '-- comment, with ""quotes""\n\t  FROM account",<not logged>',
        "::1(44804):we:ird@u@db:x:[7]:LOG:  AUDIT: SESSION,2,1,MISC,SET,,,SET a = 'é 売上 \U0001f600',<none>",
        "[local]:etl@sales:[8]:LOG:  AUDIT: SESSION,1,1,DDL,DROP TABLE,,,DROP TABLE t /* x@privacera_db */,",
        '10.0.0.9(1):etl@sales:[9]:ERROR:  permission denied for table "payroll"',
        "10.0.0.9(1):etl@sales:[9]:STATEMENT:  SELECT *\n\t\n\t FROM payroll\\;",
        "10.0.0.9(2):privacera@privacera_db:[10]:FATAL:  password authentication failed",
        ":@:[3]:LOG:  checkpoint starting: time",
    )
)
IGNORED = PREFIX + "10.0.0.9(3):privacera@sales:[11]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,SELECT 1,<none>"


@pytest.fixture
def aws(ministack: LocalAws) -> LocalAws:
    ministack.reset()
    return ministack


def _deploy(aws: LocalAws, folder: Path, *, group: str = GROUP, queue: str = QUEUE) -> Provider:
    """The function's README, followed; its queue is one that a collector may read."""
    page = (FUNCTION / "README.md").read_text(encoding="utf-8").replace(QUEUE, queue).replace(GROUP, group)
    shutil.copy(FUNCTION / "forwarder.py", folder)
    for name, text in files(page).items():
        # AWS checks batches under the singular action; ministack wants them named.
        text = text.replace('"sqs:SendMessage",', '"sqs:SendMessage", "sqs:SendMessageBatch",')
        (folder / name).write_text(text)
    provider = Provider(aws, "pgaudit", bucket=False, fifo=queue.endswith(".fifo"), queue_name=queue)
    aws.client("logs").create_log_group(logGroupName=group)
    shell = Shell(aws, folder, config=folder / "none")
    for words in commands(page):
        if words[1:3] != ["sqs", "create-queue"]:  # the provider has made it, with a right to read it
            shell.run(words)
    return provider


def _log(aws: LocalAws, *messages: str, stream: str = "orders.0", group: str = GROUP) -> int:
    """Put lines into the log as RDS does, a millisecond apart; the time of the first in milliseconds."""
    logs, now = aws.client("logs"), int(time.time() * 1000)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    events = [{"timestamp": now + number, "message": message} for number, message in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return now


def _subscription(*messages: str, group: str = GROUP) -> Dict[str, Any]:
    """What CloudWatch Logs calls the function with, the ids being the same each time."""
    events = [
        {"id": f"3{number:055d}", "timestamp": 1795236935412 + number, "message": message}
        for number, message in enumerate(messages)
    ]
    names = {"owner": "111111111111", "logGroup": group, "logStream": "orders.0"}
    data = {"messageType": "DATA_MESSAGE", **names, "logEvents": events}
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()}}


def _call(aws: LocalAws, event: Dict[str, Any]) -> Any:
    """The function's answer; fails the test if it failed."""
    answer = aws.client("lambda").invoke(FunctionName="pgaudit-forwarder", Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


class Collected:
    """What HEC has indexed of some runs."""

    def __init__(self, hec: FakeHec) -> None:
        #: As the provider wrote them: HEC gets text as a JSON string, JSON as it is.
        self.bodies = [json.loads(b) if b.startswith(b'"') else b.decode() for b in hec.bodies]
        self.times = dict(zip(self.bodies, (round(event["time"] * 1000) for event in hec.events)))
        self.events = hec.events

    def all(self, name: str) -> Set[str]:
        """Every value that this field of an envelope has."""
        return {event.get(name, "") for event in self.events}


def _collect(make: Make, provider: Provider, *, preset: str, acks: bool = False) -> Collected:
    """What one run of the collector brings, which leaves nothing in the queue."""
    with FakeHec(acks=acks) as hec:
        settings = {"provider": preset, "hec_url": hec.url, "hec_token": hec.token}
        make({**provider.handover(), **settings}).once()
        assert provider.queue_depth() == provider.dlq_depth() == 0
        return Collected(hec)


# -- the database's log -----------------------------------------------------------------------------


@pytest.mark.parametrize("queue", [QUEUE, pytest.param(f"{QUEUE}.fifo", marks=LONG)])
def test_every_line_of_the_log_arrives_once_byte_for_byte_with_its_time_and_host(
    aws: LocalAws, collector: Make, tmp_path: Path, queue: str
) -> None:
    provider = _deploy(aws, tmp_path, queue=queue)
    began = _log(aws, *LINES, IGNORED)
    wait_for(lambda: provider.queue_depth() == len(LINES))
    found = _collect(collector, provider, preset="privacera-pgaudit", acks=True)
    assert Counter(found.bodies) == Counter(LINES)
    assert [found.times[line] for line in LINES] == [began + number for number in range(len(LINES))]
    assert (found.all("host"), found.all("source")) == ({"orders"}, {f"{GROUP}:orders.0"})
    assert found.all("sourcetype") == {"postgresql:pgaudit"}


@pytest.mark.exhaustive
def test_auroras_log_group_names_the_cluster_where_the_queue_does_not(
    aws: LocalAws, collector: Make, tmp_path: Path
) -> None:
    provider = _deploy(aws, tmp_path, group=CLUSTER, queue="audits-of-aurora")
    _log(aws, *LINES[:2], stream="orders-instance-1.0", group=CLUSTER)
    _log(aws, *LINES[2:4], stream="orders-instance-2.0", group=CLUSTER)
    wait_for(lambda: provider.queue_depth() == 4)
    found = _collect(collector, provider, preset="privacera-pgaudit")
    assert (Counter(found.bodies), found.all("host")) == (Counter(LINES[:4]), {"orders"})
    assert found.all("source") == {f"{CLUSTER}:orders-instance-{number}.0" for number in (1, 2)}


def test_what_the_function_is_called_with_again_is_delivered_once(
    aws: LocalAws, collector: Make, tmp_path: Path
) -> None:
    provider = _deploy(aws, tmp_path)
    many = [f"{LINES[0]}{number}" for number in range(25)]
    for _ in range(2):
        assert _call(aws, _subscription(*many)) == {"sent": 25, "ignored": 0}
    assert provider.queue_depth() == 50
    found = _collect(collector, provider, preset="privacera-pgaudit")
    assert Counter(found.bodies) == Counter(many)


def test_a_fifo_queue_itself_knows_what_the_function_sends_again(aws: LocalAws, tmp_path: Path) -> None:
    provider = _deploy(aws, tmp_path, queue=f"{QUEUE}.fifo")
    for _ in range(2):
        _call(aws, _subscription(*LINES))
    assert provider.queue_depth() == len(LINES)


def test_a_statement_larger_than_the_queue_takes_arrives_whole(
    aws: LocalAws, collector: Make, tmp_path: Path
) -> None:
    provider = _deploy(aws, tmp_path)
    limit = {"MaximumMessageSize": "4096"}
    aws.client("sqs").set_queue_attributes(QueueUrl=provider.queue_url, Attributes=limit)
    large = LINES[0] + "\n\t".join(f"SELECT {number};" for number in range(900))
    assert _call(aws, _subscription(large, *LINES)) == {"sent": 1 + len(LINES), "ignored": 0}
    found = _collect(collector, provider, preset="privacera-pgaudit")
    assert Counter(found.bodies) == Counter([large, *LINES])


@pytest.mark.exhaustive
def test_the_queue_of_the_readme_keeps_messages_for_two_weeks_and_takes_the_largest(
    aws: LocalAws, tmp_path: Path
) -> None:
    create, *_ = commands((FUNCTION / "README.md").read_text(encoding="utf-8"))
    url = Shell(aws, tmp_path, config=tmp_path / "none").run(create)["QueueUrl"]
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (found["MessageRetentionPeriod"], found["MaximumMessageSize"]) == (str(14 * 86400), str(2**20))


@pytest.mark.exhaustive
def test_a_control_message_and_an_ignored_user_leave_the_queue_empty(aws: LocalAws, tmp_path: Path) -> None:
    provider = _deploy(aws, tmp_path)
    control = {"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 0, "message": "CWL"}]}
    packed = base64.b64encode(gzip.compress(json.dumps(control).encode())).decode()
    assert _call(aws, {"awslogs": {"data": packed}}) == {"sent": 0, "ignored": 0}
    assert _call(aws, _subscription(IGNORED)) == {"sent": 0, "ignored": 1}
    assert provider.queue_depth() == 0


@pytest.mark.exhaustive
def test_with_the_queues_url_the_right_to_send_is_enough(aws: LocalAws, tmp_path: Path) -> None:
    provider = _deploy(aws, tmp_path)
    rights = (tmp_path / "rights.json").read_text()
    for more in (', "sqs:GetQueueUrl"', ', "sqs:GetQueueAttributes"'):
        assert more in rights
        rights = rights.replace(more, "")
    aws.client("iam").put_role_policy(
        RoleName="pgaudit-forwarder", PolicyName="forward", PolicyDocument=rights
    )
    aws.client("lambda").update_function_configuration(
        FunctionName="pgaudit-forwarder",
        Environment={"Variables": {"SQS_QUEUE_URL": provider.queue_url, "REGION": aws.region}},
    )
    assert _call(aws, _subscription(*LINES, IGNORED)) == {"sent": len(LINES) + 1, "ignored": 0}


@pytest.mark.exhaustive
def test_a_function_that_may_not_send_fails_so_that_it_is_called_again(aws: LocalAws, tmp_path: Path) -> None:
    provider = _deploy(aws, tmp_path)
    aws.client("iam").delete_role_policy(RoleName="pgaudit-forwarder", PolicyName="forward")
    answer = aws.client("lambda").invoke(
        FunctionName="pgaudit-forwarder", Payload=json.dumps(_subscription(*LINES))
    )
    assert answer["FunctionError"]
    assert provider.queue_depth() == 0


@pytest.mark.exhaustive
def test_events_without_a_log_group_have_the_host_of_the_queues_name(aws: LocalAws, collector: Make) -> None:
    provider = Provider(aws, "published", bucket=False, fifo=True, queue_name=f"{QUEUE}.fifo")
    for number, line in enumerate(LINES):  # as Privacera's own function sends them, all in one group
        event = {"id": f"3{number:055d}", "timestamp": 1795236935412 + number, "message": line}
        provider.send_body(json.dumps(event, ensure_ascii=False), group_id="Audits")
    found = _collect(collector, provider, preset="privacera-pgaudit")
    assert (Counter(found.bodies), found.all("host")) == (Counter(LINES), {"orders"})
    assert [found.times[line] for line in LINES] == [1795236935412 + n for n in range(len(LINES))]


@pytest.mark.exhaustive
def test_a_dry_run_warns_of_the_function_that_a_comment_can_deceive_and_not_of_ours(
    aws: LocalAws, collector: Make, tmp_path: Path
) -> None:
    provider = _deploy(aws, tmp_path)
    ours = collector({**provider.handover(), "provider": "privacera-pgaudit"})
    _call(aws, _subscription(LINES[0]))
    shown = ours.run("--dry-run", "--peek")
    assert (shown.returncode, b"warning" in shown.stderr) == (0, False)
    provider.send_body(json.dumps({"id": "3", "timestamp": 1795236935412, "message": LINES[0]}))
    shown = ours.run("--dry-run", "--peek")
    assert (shown.returncode, b"even in a comment" in shown.stderr) == (0, True)


# -- PolicySync -------------------------------------------------------------------------------------


def _audit(number: int, **more: Any) -> str:
    """One grant as Ranger's family writes it, under an id of its own."""
    moment = f"2026-05-04 10:20:{number // 10 % 60:02d}.{number % 10}00"
    audit = {"id": f"ps-{number}", "evtTime": moment, "eventType": "GRANT", "repo": "pg-sales", "result": 1}
    return json.dumps({**audit, **more}, ensure_ascii=False)


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode())).decode()


#: How several audits come in one body, by name.
FORMS: Dict[str, Callable[[Sequence[str]], str]] = {
    "array": lambda audits: f"[{', '.join(audits)}]",
    "pretty array": lambda audits: "[\n  " + ",\n  ".join(audits) + "\n]\n",
    "lines": lambda audits: "\n".join(audits) + "\n",
    "glued": "".join,
    "docs": lambda audits: f'{{"docs":[{",".join(audits)}]}}',
    "audits": lambda audits: f'{{"count":{len(audits)},"audits":[{",".join(audits)}]}}',
    "records": lambda audits: f'{{"records":[{",".join(audits)}]}}',
    "string": lambda audits: json.dumps(f"[{','.join(audits)}]"),
    "string of lines": lambda audits: json.dumps("\n".join(audits)),
    "packed array": lambda audits: _packed(f"[{','.join(audits)}]"),
    "packed lines": lambda audits: _packed("\n".join(audits)),
}


@pytest.mark.parametrize("fifo", [False, pytest.param(True, marks=LONG)], ids=["standard", "fifo"])
def test_every_audit_of_a_body_is_one_event_however_they_are_put_together(
    aws: LocalAws, collector: Make, fifo: bool
) -> None:
    provider = Provider(aws, "policysync", bucket=False, fifo=fifo)
    audits = [_audit(number, whom="Überblick \\ \"売上\"") for number in range(3 * len(FORMS) + 1)]
    provider.send_body(audits[-1])
    for number, form in enumerate(FORMS.values()):
        provider.send_body(form(audits[3 * number : 3 * number + 3]))
    found = _collect(collector, provider, preset="privacera-policysync")
    assert Counter(found.bodies) == Counter(audits)
    assert found.times[audits[12]] == 1777890001200  # a time without a zone is UTC
    assert found.all("sourcetype") == {"privacera:policysync"}


@pytest.mark.parametrize("fifo", [False, pytest.param(True, marks=LONG)], ids=["standard", "fifo"])
def test_a_spool_that_drains_late_and_repeats_itself_adds_only_what_is_new(
    aws: LocalAws, collector: Make, fifo: bool
) -> None:
    provider = Provider(aws, "policysync", bucket=False, fifo=fifo)
    bodies = [FORMS["array"]([_audit(10 * number + each) for each in range(3)]) for number in range(8)]
    old = FORMS["lines"]([_audit(90, evtTime="2026-01-01 00:00:00"), _audit(91, evtTime=1767225600000)])
    with FakeHec() as hec:
        ours = collector({**provider.handover(), "provider": "privacera-policysync", "start_from": "now",
                          "hec_url": hec.url, "hec_token": hec.token})
        for sent in (bodies[4:], [*reversed(bodies), old, *bodies[:3]]):
            for body in sent:
                _send_again(provider, body)
            ours.once()
        found = Collected(hec)
    ids = Counter(json.loads(body)["id"] for body in found.bodies)
    expected = [f"ps-{10 * number + each}" for number in range(8) for each in range(3)]
    assert ids == Counter([*expected, "ps-90", "ps-91"])
    assert provider.queue_depth() == 0
    assert {found.times[body] for body in found.bodies if '"ps-9' in body} == {1767225600000}


def _send_again(provider: Provider, body: str) -> None:
    """Send a body under a deduplication id of its own, as a drained spool does minutes later."""
    own = {"MessageGroupId": "audits", "MessageDeduplicationId": str(time.time_ns())}
    more = own if provider.fifo else {}
    provider.client("sqs").send_message(QueueUrl=provider.queue_url, MessageBody=body, **more)


@pytest.mark.exhaustive
def test_the_same_run_reads_what_fluentd_put_into_the_bucket(aws: LocalAws, collector: Make) -> None:
    provider = Provider(aws, "policysync", delivery="s3")
    audits = [_audit(number) for number in range(12)]
    lines = ("\n".join(audits[:4]) + "\n").encode()
    provider.upload("audits/policysync_audit/20260504/10_0.log.gz", gzip.compress(lines))
    provider.upload("audits/policysync_audit/20260504/10_1.json", "".join(audits[4:7]).encode())
    provider.upload("audits/policysync_audit/20260504/10_2.json", FORMS["docs"](audits[7:9]).encode())
    provider.send_body(FORMS["array"](audits[9:]))
    found = _collect(collector, provider, preset="privacera-policysync")
    assert Counter(found.bodies) == Counter(audits)
    sources = {source.rpartition("/")[0] for source in found.all("source")}
    assert f"s3://{provider.bucket}/audits/policysync_audit/20260504" in sources


def test_a_body_that_is_cut_off_arrives_as_it_is_and_holds_up_no_other(
    aws: LocalAws, collector: Make
) -> None:
    provider = Provider(aws, "policysync", bucket=False, fifo=True)
    cut_off = FORMS["array"]([_audit(1), _audit(2)])[:-30]
    provider.send_body(cut_off)
    provider.send_body(FORMS["array"]([_audit(3), _audit(4)]))
    found = _collect(collector, provider, preset="privacera-policysync")
    assert Counter(found.bodies) == Counter([cut_off, _audit(3), _audit(4)])
