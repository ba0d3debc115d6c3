"""Laws of the Lambda function that forwards PostgreSQL's log; tests/e2e/test_privacera.py runs it."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any, Callable, Dict, List, Mapping, Optional

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import pgaudit
from collector.notifications import host_of, parse
from integrations.pgaudit_lambda import forwarder
from integrations.pgaudit_lambda.forwarder import Ignored, Queue, forward, handler, line_of

STANDARD = "https://sqs.eu-west-1.amazonaws.com/111111111111/privacera-postgres-orders-audits"
PREFIX = "2026-11-21 04:55:35 UTC:"
NOBODY = Ignored()
PRIVACERA = Ignored(users=frozenset({"privacera"}), databases=frozenset({"privacera_db"}))


class Sqs:
    """SQS's side of SendMessageBatch: `refuse` says what becomes of an entry, `fail` of a whole request."""

    def __init__(
        self,
        refuse: Optional[Callable[[Mapping[str, str]], bool]] = None,
        fail: Optional[Callable[[List[Mapping[str, str]]], bool]] = None,
    ) -> None:
        self.refuse, self.fail = refuse, fail
        self.requests: List[List[Dict[str, str]]] = []
        self.taken: List[Dict[str, str]] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: List[Dict[str, str]]) -> Dict[str, Any]:
        self.requests.append(Entries)
        if self.fail and self.fail(Entries):
            error = {"Code": "InvalidParameterValue", "Message": "Message must be shorter than 1024 bytes"}
            raise ClientError({"Error": error}, "SendMessageBatch")
        refused = [entry["Id"] for entry in Entries if self.refuse and self.refuse(entry)]
        self.taken += [entry for entry in Entries if entry["Id"] not in refused]
        return {"Failed": [{"Id": id_, "Code": "InternalError", "SenderFault": False} for id_ in refused]}

    @property
    def bodies(self) -> List[str]:
        return [entry["MessageBody"] for entry in self.taken]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> List[float]:
    """How long it would have slept between attempts."""
    slept: List[float] = []
    monkeypatch.setattr(forwarder.time, "sleep", slept.append)
    return slept


def audit(statement: str, *, user: str = "etl", database: str = "sales") -> str:
    head = f"{PREFIX}10.0.0.9(40642):{user}@{database}:[16797]:LOG:  AUDIT: SESSION,1,1,READ,SELECT"
    return f"{head},,,{statement},<not logged>"


def data(*messages: str, stream: str = "orders.0") -> Dict[str, Any]:
    """A subscription's DATA_MESSAGE of these log messages."""
    events = [
        {"id": f"3{number:055d}", "timestamp": 1795236935412 + number, "message": message}
        for number, message in enumerate(messages)
    ]
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111111111111",
        "logGroup": "/aws/rds/cluster/orders/postgresql",
        "logStream": stream,
        "subscriptionFilters": ["auditTrigger"],
        "logEvents": events,
    }


def sent(*messages: str, ignored: Ignored = NOBODY) -> List[str]:
    """The messages that come out at the collector's end."""
    sqs = Sqs()
    forward(data(*messages), queue=Queue(sqs, STANDARD), ignored=ignored)
    return [parse(body).payloads[0].body.decode() for body in sqs.bodies]


# -- what is left out -------------------------------------------------------------------------------


def test_audit_records_of_an_ignored_user_or_database_stay_behind_and_no_others() -> None:
    mine = audit("SELECT 1")
    unwanted = [audit("SELECT 1", user="privacera"), audit("SELECT 1", database="privacera_db")]
    assert sent(mine, *unwanted, ignored=PRIVACERA) == [mine]


@pytest.mark.parametrize(
    "message",
    [
        audit("SELECT 1", database="privacera_db2"),
        audit("SELECT 1", user="notprivacera"),
        audit("SELECT 1", user="Privacera"),
        audit("DROP TABLE payroll /* x@privacera_db */"),
        audit("SELECT * FROM account WHERE mail='privacera@corp.com'"),
        audit("SELECT 1 -- :privacera@privacera_db:[1]:LOG:  AUDIT: "),
        # The name of a user is checked after its FATAL line is written: anybody may claim to be that user.
        PREFIX + "10.0.0.9(1):privacera@privacera_db:[9]:FATAL:  password authentication failed",
        PREFIX + "10.0.0.9(1):privacera@sales:[9]:LOG:  connection authorized: user=privacera database=sales",
        PREFIX + "10.0.0.9(1):privacera@sales:[9]:ERROR:  permission denied for table payroll",
        PREFIX + "10.0.0.9(1):privacera@sales:[9]:STATEMENT:  SELECT * FROM payroll",
        PREFIX + "10.0.0.9(1):privacera@sales:[9]:LOG:  duration: 9 ms  select 'AUDIT: '",
        "\tFROM account -- a line that goes on from another event",
        "privacera@privacera_db",
        "",
    ],
)
def test_what_is_not_beyond_doubt_an_ignored_audit_record_is_sent(message: str) -> None:
    assert sent(message, ignored=PRIVACERA) == [message]


@pytest.mark.parametrize(
    ("user", "database"),
    [
        ("x@privacera_db:[1]:LOG:  AUDIT: ", "sales"),  # a role may be named so
        ("x", "y@privacera_db"),  # and so may a database
        ("privacera@x", "sales"),
        ("privacera@sales:[1]:LOG:  AUDIT", "sales"),
        ("x\n@privacera_db", "sales"),
    ],
)
def test_a_name_made_to_look_like_another_hides_nothing(user: str, database: str) -> None:
    message = audit("DROP TABLE payroll", user=user, database=database)
    assert sent(message, ignored=PRIVACERA) == [message]


@given(st.text(max_size=60), st.sampled_from(["privacera", "@privacera_db", ":[1]:LOG:  AUDIT: ", ""]))
def test_nothing_in_a_statement_hides_it(text: str, bait: str) -> None:
    assert not PRIVACERA.leaves_out(audit(f"{text}{bait}{text}"))


def test_names_are_parted_by_commas_and_compared_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IGNORE_USERS", " rdsadmin, privacera ,")
    monkeypatch.delenv("IGNORE_DATABASE", raising=False)
    ignored = forwarder._ignored()
    assert (ignored.users, ignored.databases) == ({"rdsadmin", "privacera"}, frozenset())


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("10.0.0.9(40642):etl@sales:[7]:LOG:  x", ("etl", "sales", "LOG")),
        ("::1(44804):etl@sales:[7]:LOG:  x", ("etl", "sales", "LOG")),
        ("2001:db8::9(44804):etl@sales:[7]:ERROR:  x", ("etl", "sales", "ERROR")),
        ("ip-10-0-0-9.ec2.internal(5432):etl@sales:[7]:LOG:  x", ("etl", "sales", "LOG")),
        ("[local]:etl@sales:[7]:STATEMENT:  x", ("etl", "sales", "STATEMENT")),
        (":@:[7]:LOG:  checkpoint starting: time", ("", "", "LOG")),
        ("10.0.0.9(1):[unknown]@[unknown]:[7]:FATAL:  x", ("[unknown]", "[unknown]", "FATAL")),
        ("10.0.0.9(1):we:ird@sales:[7]:LOG:  x", ("we:ird", "sales", "LOG")),
        ("10.0.0.9(1):we:ird@u@db:x:[7]:DEBUG1:  x", ("we:ird@u", "db:x", "DEBUG1")),
        ("10.0.0.9(1):etl@sales:[x]:LOG:  x", None),
        ("etl@sales:[7]:LOG:  x", None),
    ],
)
def test_the_prefix_is_read_as_postgresql_writes_it(line: str, read: Any) -> None:
    found = line_of(PREFIX + line)
    assert (found and (found.user, found.database, found.severity)) == read


#: What prefixes are made of, and what is made to look like one.
PIECES = (
    PREFIX, "2026-11-21T04:55:35.412Z ", "2026-11-21 04:55:35.123 UTC:", "10.0.0.9(1):", "::1(44804):",
    "[local]:", ":", "etl", "sales", "privacera", "privacera_db", "@", ":[7]:", "LOG:  ", "ERROR: ",
    "AUDIT: ", "[unknown]", " ", "\n", "x" * 40, "(5)", "DEBUG1:  ", "売",
)


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=14))
def test_the_prefix_is_read_as_the_collector_reads_it(pieces: List[str]) -> None:
    for text in ("".join(pieces), PREFIX + "".join(pieces), audit("".join(pieces), user="".join(pieces[:3]))):
        ours, theirs = line_of(text), pgaudit.parse(text)
        assert (ours is None) == (theirs is None)
        if ours is not None and theirs is not None:
            assert ours[:3] == (theirs.user, theirs.database, theirs.level)
            assert ours.is_audit == theirs.message.startswith("AUDIT: ")


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_what_stays_behind_the_collector_would_leave_out_too(pieces: List[str]) -> None:
    wants = pgaudit.ignoring(databases=PRIVACERA.databases, users=PRIVACERA.users)
    assert wants is not None
    for text in ("".join(pieces), audit("".join(pieces), user="privacera", database="".join(pieces[:2]))):
        assert wants(text.encode()) or not PRIVACERA.leaves_out(text)


def test_a_long_line_is_read_in_no_time() -> None:
    line_of(PREFIX + "10.0.0.9(1):" + "a@" * 200_000)
    assert line_of(audit("@:[" * 200_000)) is not None


# -- what is sent -----------------------------------------------------------------------------------


def test_the_collector_knows_the_event_its_time_its_log_and_its_database() -> None:
    message = audit('"SELECT id,\n\t name -- ""é""\n\t  FROM account"') + "\x07\U0001f600"
    sqs = Sqs()
    forward(data(message), queue=Queue(sqs, STANDARD), ignored=NOBODY)
    (payload,) = parse(*sqs.bodies).payloads
    assert payload.body == message.encode()
    assert (payload.producer_id, payload.time, payload.whole) == ("3" + "0" * 55, "1795236935.412", True)
    assert payload.origin == "/aws/rds/cluster/orders/postgresql:orders.0"
    assert host_of(payload.origin) == "orders"
    assert sqs.bodies[0].isascii()


def test_a_body_over_the_queues_limit_is_packed_not_cut() -> None:
    message = audit('"' + "SELECT 1;" * 4000 + '"')
    sqs = Sqs()
    forward(data(message, audit("1")), queue=Queue(sqs, STANDARD, message_bytes=4096), ignored=NOBODY)
    assert [len(body) <= 4096 for body in sqs.bodies] == [True, True]
    assert sqs.bodies[0].startswith("H4sI")
    assert parse(sqs.bodies[0]).payloads[0].body == message.encode()


def test_a_queue_whose_limit_may_not_be_asked_for_is_taken_for_an_old_one() -> None:
    class Denied(Sqs):
        def get_queue_attributes(self, **_: Any) -> Dict[str, Any]:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetQueueAttributes")

    assert forwarder._message_bytes(Denied(), STANDARD) == 256 * 1024


def test_what_is_no_log_event_goes_as_the_json_it_came_as() -> None:
    subscription = {**data(), "logEvents": [{"note": "new"}, "text", {"id": 7, "message": ["?"]}]}
    sqs = Sqs()
    forward(subscription, queue=Queue(sqs, STANDARD + ".fifo"), ignored=PRIVACERA)
    first, second, third = (json.loads(body) for body in sqs.bodies)
    assert (first["note"], first["logStream"], second, third["message"]) == ("new", "orders.0", "text", ["?"])
    assert len({entry["MessageDeduplicationId"] for entry in sqs.taken}) == 3


@pytest.mark.parametrize(
    ("lengths", "batches"),
    [([10] * 23, [10, 10, 3]), ([400_000] * 5, [2, 2, 1]), ([1_048_200, 10], [1, 1]), ([], [])],
)
def test_a_request_holds_ten_messages_and_a_mebibyte_at_most(lengths: List[int], batches: List[int]) -> None:
    sqs = Sqs()
    queue = Queue(sqs, STANDARD, message_bytes=1024 * 1024)
    forward(data(*("x" * length for length in lengths)), queue=queue, ignored=NOBODY)
    assert [len(request) for request in sqs.requests] == batches
    assert all(len({entry["Id"] for entry in request}) == len(request) for request in sqs.requests)


def test_only_what_was_refused_is_sent_again(pauses: List[float]) -> None:
    refusals = iter([True, True, False])
    sqs = Sqs(refuse=lambda entry: "m-3" in entry["MessageBody"] and next(refusals))
    counts = forward(data(*(f"m-{n}" for n in range(5))), queue=Queue(sqs, STANDARD), ignored=NOBODY)
    assert [len(request) for request in sqs.requests] == [5, 1, 1]
    assert counts == {"sent": 5, "ignored": 0}
    assert sorted(json.loads(body)["message"] for body in sqs.bodies) == [f"m-{n}" for n in range(5)]
    assert pauses == sorted(pauses) != []


def test_what_sqs_does_not_take_fails_the_invocation_after_everything_else_is_sent() -> None:
    sqs = Sqs(refuse=lambda entry: "m-3" in entry["MessageBody"])
    with pytest.raises(RuntimeError, match="1 of 25 log events"):
        forward(data("m-3", *["m"] * 24), queue=Queue(sqs, STANDARD), ignored=NOBODY)
    assert len(sqs.taken) == 24


def test_one_message_that_sinks_its_request_holds_up_no_other() -> None:
    sqs = Sqs(fail=lambda entries: any("too large" in entry["MessageBody"] for entry in entries))
    with pytest.raises(RuntimeError, match="1 of 3"):
        forward(data("one", "too large", "two"), queue=Queue(sqs, STANDARD), ignored=NOBODY)
    assert [json.loads(body)["message"] for body in sqs.bodies] == ["one", "two"]


def test_on_a_fifo_queue_an_event_is_known_by_its_id_and_waits_only_for_its_own_stream() -> None:
    sqs = Sqs()
    forward(data("one", "two"), queue=Queue(sqs, STANDARD + ".fifo"), ignored=NOBODY)
    assert [entry["MessageGroupId"] for entry in sqs.taken] == ["orders.0"] * 2
    assert [entry["MessageDeduplicationId"] for entry in sqs.taken] == ["3" + "0" * 55, "3" + "0" * 54 + "1"]


@pytest.mark.parametrize("stream", ["a stream", "é", "x" * 200, ""])
def test_a_stream_that_may_not_name_a_group_has_one_all_the_same(stream: str) -> None:
    sqs = Sqs()
    forward(data("one", stream=stream), queue=Queue(sqs, STANDARD + ".fifo"), ignored=NOBODY)
    assert forwarder._GROUP.fullmatch(sqs.taken[0]["MessageGroupId"])


def test_a_standard_queue_is_told_no_group() -> None:
    sqs = Sqs()
    forward(data("one"), queue=Queue(sqs, STANDARD), ignored=NOBODY)
    assert set(sqs.taken[0]) == {"Id", "MessageBody"}


# -- what Lambda does -------------------------------------------------------------------------------


def packed(subscription: Mapping[str, Any]) -> Dict[str, Any]:
    """What Lambda is called with."""
    text = json.dumps(subscription).encode()
    return {"awslogs": {"data": base64.b64encode(gzip.compress(text)).decode()}}


def test_a_control_message_sends_nothing_and_asks_for_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SQS_QUEUE_URL", "SQS_QUEUE_NAME"):
        monkeypatch.delenv(name, raising=False)
    control = {**data("CWL CONTROL MESSAGE: Checking health"), "messageType": "CONTROL_MESSAGE"}
    assert handler(packed(control), None) == {"sent": 0, "ignored": 0}


def test_without_a_queue_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SQS_QUEUE_URL", "SQS_QUEUE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REGION", "eu-west-1")
    forwarder._queue.cache_clear()
    with pytest.raises(RuntimeError, match="SQS_QUEUE_URL"):
        handler(packed(data("one")), None)


def test_a_data_message_is_unpacked_and_forwarded(monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = Sqs()
    monkeypatch.setattr(forwarder, "_queue", lambda: Queue(sqs, STANDARD))
    monkeypatch.setenv("IGNORE_USERS", "privacera")
    event = packed(data(audit("1"), audit("2", user="privacera")))
    assert handler(event, None) == {"sent": 1, "ignored": 1}
