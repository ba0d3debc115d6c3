"""The checks of a set-up, on twins: who is asked for what, and what comes of each answer."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

from collector.config import load
from collector.errors import Fatal, Poison, Retry
from collector.model import Notification
from collector.onboarding.checks import CHECKS, TROUBLES, examine
from collector.onboarding.checks.queue_attributes import is_open
from collector.retention.moves import mover
from collector.testing.twins import ManualClock, MemoryBucket, MemoryQueue

ROLE = "arn:aws:iam::111111111111:role/audit-access"
USER = "arn:aws:iam::222222222222:user/us"
SETTINGS = {
    "role_arn": ROLE, "bucket": "audits", "output": "stdout",
    "queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/twin",
}
ATTRIBUTES = {"MessageRetentionPeriod": "345600", "MaximumMessageSize": "262144"}
DENIED = Fatal("AWS refused it", code="queue_denied", hint="Provider: attach it to R", scope="queue")


@dataclasses.dataclass
class Caller:
    arn: str = USER
    ahead_seconds: float = 0.0


class Account:
    def __init__(self, role=ROLE, base=None, assumed=None):
        self.role, self._base, self._assumed = role, base or Caller(), assumed or Caller(ROLE)

    def base(self):
        return told(self._base)

    def assumed(self):
        return told(self._assumed)


class QueueDoor:
    arn, role = "arn:aws:sqs:eu-west-1:111111111111:twin", ROLE

    def __init__(self, queue, attributes, dlq=DENIED):
        self._queue, self._attributes, self._dlq = queue, attributes, dlq

    def find(self):
        return self._queue

    def attributes(self):
        return told(self._attributes)

    def dlq_attributes(self, arn):
        return told(self._dlq)


class Bucket:
    role = ROLE

    def __init__(self, objects, region="eu-west-1"):
        self.objects = self.of_any_owner = objects
        self._region = region

    def region_of(self, bucket):
        return told(self._region)

    def read_version(self, ref, *, region):
        raise AssertionError("there are no versions here")


class Hec:
    url = "https://hec:8088"

    def __init__(self, *, acks=True, first=None, again=None, addresses=("10.0.0.1",), token=None):
        self._acks, self._cookies, self._addresses = acks, (first or {}, again or {}), addresses
        self._token = token

    def health(self):
        return "HEC is healthy"

    def token(self):
        told(self._token)

    def acknowledges(self, *, must):
        return told(self._acks)

    def cookies(self):
        return self._cookies

    def addresses(self):
        return self._addresses


def told(answer):
    if isinstance(answer, Exception):
        raise answer
    return answer


class World:
    """All that one input has, sound until a test changes it."""

    def __init__(self):
        clock = self.clock = ManualClock()
        self.queue = MemoryQueue(clock)
        self.objects = MemoryBucket(clock, "audits")
        self.objects.put("k/one", b"{}")
        self.account, self.queue_account = Account(), None
        self.queue_door = QueueDoor(self.queue, ATTRIBUTES)
        self.bucket, self.hec = Bucket(self.objects), ()
        self.runs, self.listening = False, "it is free"
        self.session_policy_is_too_long, self.checkpoint_dir = False, "/tmp"
        self.checkpoints, self.digest_keys, self.table = True, None, {}

    def read_checkpoints(self):
        return told(self.checkpoints)

    def try_table(self):
        return told(self.table)

    def ask_digest_keys(self, region):
        told(self.digest_keys)

    def is_running(self):
        return self.runs

    def listen(self):
        return told(self.listening)

    def issuer(self, text):
        return "CN=Somebody"


@pytest.fixture
def world():
    return World()


def look(world, *, peek=False, offline=False, parse=lambda body: Notification("s3"), **changed):
    """The findings by code."""
    (found,) = load(environ={f"AUDIT_S3_{k.upper()}": v for k, v in {**SETTINGS, **changed}.items()})
    findings = examine(found, world, peek=peek, offline=offline, parse=parse)
    assert len({(each.code, each.tried) for each in findings}) == len(findings)
    return {each.code: each for each in findings}


def troubles(findings):
    return [each.code for each in findings.values() if each.status in ("failed", "warning")]


# -- the tables


def test_codes_are_distinct_and_belong_to_a_check_in_the_order_of_the_report():
    checks = [check.code for check in CHECKS]
    assert len({*checks, *TROUBLES}) == len(checks) + len(TROUBLES)
    for trouble in TROUBLES.values():
        assert trouble.check in checks
        assert trouble.status in ("failed", "warning")
        assert trouble.owner in ("", "you", "provider", "network")


@pytest.mark.parametrize(
    ("error", "owner"),
    [
        (Retry("x", code="timeout"), "network"),
        (Retry("x", code="never_heard_of"), "you"),
        (Retry("x", code="hec_never_heard_of"), "you"),
        (Fatal("x", code="proxy_refused", hint="You: put user:password@ into proxy_url"), "network"),
        (Fatal("x", code="object_denied", hint="Provider: attach it"), "provider"),
        (Fatal("x", code="object_denied", hint="You: the session_policy"), "you"),
        (Fatal("x", code="object_denied", hint="Network: the endpoint"), "network"),
        (Fatal("x", code="no_profile", hint="compare"), "you"),
    ],
)
def test_the_owner_is_the_tables_else_the_hints_first_word(error, owner):
    assert mover(error.code, error.hint) == owner


# -- this host


@pytest.mark.parametrize("beneath", ["", "state"])
def test_checkpoints_cannot_lie_in_a_file_or_beneath_one(world, tmp_path, beneath):
    (tmp_path / "file").write_text("")
    world.checkpoint_dir = str(tmp_path / "file" / beneath)
    found = look(world, offline=True)["checkpoint_dir_unusable"]
    assert (found.status, found.is_configuration) == ("failed", True)
    assert found.answer == f"nothing can be written at {world.checkpoint_dir}: Not a directory"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is Linux's")
def test_checkpoints_cannot_lie_where_nobody_can_make_a_directory(world):
    world.checkpoint_dir = "/proc/x"
    assert troubles(look(world, offline=True)) == ["checkpoint_dir_unusable"]


def test_what_this_user_may_not_write_is_a_warning_as_the_services_user_may(world, tmp_path):
    tmp_path.chmod(0o500)
    world.checkpoint_dir, is_root = str(tmp_path / "state"), os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        found = look(world, offline=True)["checkpoint_dir"]
    finally:
        if is_root:
            os.seteuid(0)
    assert (found.status, "Permission denied" in found.answer) == ("warning", True)


@pytest.mark.parametrize("made", [True, False])
def test_trying_where_checkpoints_are_to_lie_leaves_nothing_behind(world, tmp_path, made):
    world.checkpoint_dir = str(tmp_path / ("" if made else "a/b"))
    assert look(world, offline=True)["checkpoints"].status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_status_page_that_has_no_address_to_itself_fails(world):
    assert "status_page" not in look(world, offline=True)
    world.listening = Fatal("It is not possible to listen there", code="http_listen", hint="Choose")
    found = look(world, offline=True, http_listen="9090")["http_listen"]
    assert (found.status, found.owner, found.is_configuration) == ("failed", "you", True)


# -- what is asked, and what not


def test_a_sound_world_has_no_trouble(world):
    findings = look(world)
    assert troubles(findings) == []
    assert findings["object"].answer == "read s3://audits/k/one"


def test_offline_nothing_is_said_of_what_the_input_does_not_have(world):
    queue_alone = look(world, offline=True, bucket="")
    assert {"object", "hec", "checkpoint_table"}.isdisjoint(queue_alone)
    assert {"credentials", "queue"} <= set(queue_alone)
    assert "hec" in look(world, offline=True, output="hec", hec_url="https://hec:8088", hec_token="t")


def test_nobody_is_asked_offline(world):
    world.account = world.queue_door = world.bucket = None
    world.account = Account(base=AssertionError("asked"))
    findings = look(world, offline=True)
    assert {each.status for each in findings.values()} == {"ok", "skipped"}


def test_nothing_is_received_unless_asked_for(world):
    world.queue.send("body")
    assert look(world)["queue_receive"].status == "skipped"
    (message,) = world.queue.receive(1, wait_seconds=0)
    assert message.receive_count == 1


def test_a_peeked_message_is_free_again(world):
    world.queue.send("body")
    assert "given back" in look(world, peek=True)["queue_receive"].answer
    assert (world.queue.in_flight, world.queue.depth) == (0, 1)


def test_a_message_whose_next_receive_is_its_last_is_left_alone(world):
    world.queue.send("body")
    redrive = json.dumps({"maxReceiveCount": 1, "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:1:dlq"})
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, "RedrivePolicy": redrive})
    assert look(world, peek=True)["queue_receive"].status == "skipped"
    assert world.queue.receive(1, wait_seconds=0)[0].receive_count == 1


def test_a_way_that_is_barred_is_tried_once(world):
    class Barred(MemoryQueue):
        def delete(self, messages):
            raise AssertionError("asked again")

    timeout = Retry("nobody answered", code="timeout")
    world.queue_door = QueueDoor(Barred(ManualClock()), timeout)
    findings = look(world)
    assert troubles(findings) == ["timeout"]
    assert findings["timeout"].owner == "network"


def test_without_a_role_sts_may_be_out_of_reach(world):
    world.account = Account(role="", base=Retry("no way to STS", code="timeout"))
    findings = look(world, role_arn="")
    assert troubles(findings) == []
    assert findings["credentials"].status == "skipped"
    assert findings["object"].status == "ok"


def test_with_a_role_sts_is_needed_and_nothing_else_is_asked(world):
    world.account = Account(base=Retry("no way to STS", code="timeout"))
    findings = look(world)
    assert troubles(findings) == ["timeout"]
    assert (findings["queue"].status, findings["object"].status) == ("skipped", "skipped")


@pytest.mark.parametrize(
    ("external_id", "first"),
    [("x-1", "You first, then the provider"), ("", "Ask whether there is an external id")],
)
def test_a_role_that_aws_does_not_explain_comes_with_both_sides_statements(world, external_id, first):
    hint = "You: compare external_id and role_arn with what was handed over"
    world.account = Account(assumed=Fatal("AWS refused it", code="role_denied", hint=hint, scope="role"))
    found = look(world, external_id=external_id, role_session_name="ours")["role_denied"]
    assert found.owner == "you"
    assert found.fix.startswith(first)
    ours, theirs = found.fix.split(" Send to the provider: ")
    assert ours.endswith(f'{{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "{ROLE}"}}')
    assert "we name the session ours" in theirs
    assert f'"Principal": {{"AWS": "{USER}"}}' in theirs and '"sts:ExternalId"' in theirs


def test_a_role_that_our_own_policy_does_not_name_may_be_a_typo_and_is_compared_first(world):
    said, hint = "AWS refused it because no identity-based policy allows it", "You: attach sts:AssumeRole"
    world.account = Account(assumed=Fatal(said, code="role_denied", hint=hint, scope="role"))
    found = look(world)["role_denied"]
    assert found.owner == "you"
    assert found.fix.startswith("First compare role_arn, letter by letter, with what was handed over")
    assert f"If {ROLE} is right: Add to the policy of {USER}" in found.fix


def test_an_archived_object_is_passed_over_for_the_next(world):
    world.clock.advance(60)
    world.objects.put("k/two", b"{}")
    assert look(world)["object"].answer == "read s3://audits/k/two"
    world.objects.refuse("k/two", Poison("in an archive", code="archived"))
    assert look(world)["object"].answer == "read s3://audits/k/one"


def test_objects_that_are_filtered_are_no_samples(world):
    assert look(world, exclude="*one")["object"].answer.startswith("there is none to read")


# -- what a peeked message says


def _peeked(world, error):
    def parse(body):
        raise error

    world.queue.send("body")
    return look(world, peek=True, parse=parse)


@pytest.mark.parametrize(
    ("code", "words"),
    [("sns_unconfirmed", "please confirm the subscription of"), ("sns_unsubscribed", "was ended")],
)
def test_a_topic_that_does_not_send_to_the_queue_is_the_providers_to_subscribe(world, code, words):
    topic = "arn:aws:sns:eu-west-1:111111111111:audit"
    found = _peeked(world, Poison("it says so", code=code, where=topic, hint="Provider: confirm it"))
    assert troubles(found) == [code]
    assert found[code].owner == "provider"
    assert found[code].fix.startswith("Send to the provider: ") and words in found[code].fix
    assert f"--topic-arn {topic} --protocol sqs --notification-endpoint {QueueDoor.arn}" in found[code].fix


def test_a_body_of_no_known_shape_is_not_looked_for_in_a_quarantine_that_has_it_not(world):
    hint = "see it with `audit-s3 quarantine show`"
    found = _peeked(world, Poison("the body is in no known shape", code="unknown_body", hint=hint))
    assert "quarantine" not in found["unknown_body"].fix and "--dry-run --peek" in found["unknown_body"].fix


# -- whose move, in words that can be sent


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("archived", "please restore s3://audits/k/one from"),
        ("customer_key", "please write audits with SSE-S3"),
        ("kms_key_unusable", "please enable"), ("gone", "s3://audits/k/one went while we looked"),
    ],
)
def test_what_the_provider_has_to_do_for_an_object_can_be_sent_and_names_it(world, code, words):
    world.objects.refuse("k/one", Poison("AWS refused it", code=code, where="s3://audits/k/one"))
    found = look(world)[code]
    assert found.owner == "provider"
    assert found.fix.startswith(f"Send to the provider: {words}") and "s3://audits/k/one" in found.fix


def test_a_key_that_aws_does_not_name_is_one_of_those_that_the_settings_do(world):
    words = "The ciphertext refers to a customer master key that does not exist, or that you may not use"
    denied = Fatal(words, code="kms_denied", hint="Provider: attach kms:Decrypt", scope="kms")
    world.objects.refuse("k/one", denied)
    one, other = (f"arn:aws:kms:eu-west-1:111111111111:key/{name}" for name in ("one", "other"))
    assert f'"Resource": "{one}"' in look(world, kms_key_arn=one)["kms_denied"].fix
    assert f'"Resource": ["{one}", "{other}"]' in look(world, kms_key_arn=f"{one},{other}")["kms_denied"].fix


def test_whoever_has_to_remove_a_deny_is_told_whose_by_arn(world):
    hint = "Provider: an explicit deny stands against x for the collector's own credentials in Q"
    denied = Fatal("AWS refused it", code="queue_denied", hint=hint, scope="queue")
    world.queue_door, world.account = QueueDoor(world.queue, denied), Account(role="")
    world.queue_door.role = ""
    fix = look(world, role_arn="")["queue_attributes_denied"].fix
    assert fix == f"Send to the provider: an explicit deny stands against x for {USER} in Q"


def test_a_deny_that_the_provider_has_to_remove_can_be_sent(world):
    deny = "an explicit deny stands against s3:GetObject on B in the policy of B itself; remove it"
    world.objects.refuse("k/one", Fatal("AWS refused it", code="object_denied", hint=f"Provider: {deny}"))
    assert look(world)["object_denied"].fix == f"Send to the provider: {deny}"


@pytest.mark.parametrize(
    ("said", "both"), [("", True), ("because no identity-based policy allows the x action", False)]
)
def test_of_a_denial_without_a_role_both_sides_are_told_only_where_aws_names_none(world, said, both):
    denied = Fatal(f"AWS refused it {said}", code="queue_denied", hint="You: attach it to us", scope="queue")
    world.queue_door, world.account = QueueDoor(world.queue, denied), Account(role="")
    world.queue_door.role = ""
    found = look(world, role_arn="")["queue_attributes_denied"]
    assert found.owner == "you"
    assert found.fix.startswith(f"Add to the policy of {USER}: ")
    assert ("is of another account, send to whoever owns it" in found.fix) is both


def test_a_queue_of_which_only_the_name_is_known_is_granted_by_its_arn(world):
    class Nameless(QueueDoor):
        arn = role = ""

        def find(self):
            raise Fatal("AWS refused it", code="queue_denied", hint="You: attach it to us", scope="queue")

    world.queue_door, world.account = Nameless(world.queue, ATTRIBUTES), Account(role="")
    fix = look(world, role_arn="", queue_url="twin", queue_region="eu-west-1")["queue_denied"].fix
    assert '"Resource": "arn:aws:sqs:eu-west-1:222222222222:twin"' in fix


def test_an_expired_token_is_to_be_renewed(world):
    expired = Retry("AWS refused it", code="credentials_expired", hint="The credentials are read anew")
    world.account = Account(base=expired)
    assert "aws_session_token" in look(world)["credentials_expired"].fix


# -- how the queue is set up


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"MessageRetentionPeriod": "345599"}, "queue_retention_short"),
        ({"MaximumMessageSize": "65535"}, "queue_message_size_small"),
        ({"ApproximateNumberOfMessagesNotVisible": "1"}, "queue_other_reader"),
        ({"RedrivePolicy": '{"maxReceiveCount": "2", "deadLetterTargetArn": "a:b"}'}, "queue_redrive_low"),
    ],
)
def test_an_attribute_beyond_its_limit_is_a_trouble(world, attributes, code):
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, **attributes})
    assert troubles(look(world)) == [code]


def test_messages_in_flight_are_our_own_while_a_collector_runs(world):
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, "ApproximateNumberOfMessagesNotVisible": "7"})
    world.runs = True
    assert troubles(look(world)) == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"MessageRetentionPeriod": "345600", "MaximumMessageSize": "65536"},
        {"MessageRetentionPeriod": "345600", "ApproximateNumberOfMessagesNotVisible": "0"},
        {"RedrivePolicy": '{"maxReceiveCount": "3", "deadLetterTargetArn": "a:b"}'},
    ],
)
def test_an_attribute_at_its_limit_is_none(world, attributes):
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, **attributes})
    assert troubles(look(world)) == []


def test_a_short_retention_is_enough_for_a_bucket_that_keeps_no_longer(world):
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, "MessageRetentionPeriod": "86400"})
    assert troubles(look(world, retention_days="1")) == []


def test_the_size_of_messages_is_nothing_to_a_queue_without_a_bucket(world):
    world.queue_door = QueueDoor(world.queue, {**ATTRIBUTES, "MaximumMessageSize": "1024"})
    world.bucket = None
    assert troubles(look(world, bucket="")) == []


@pytest.mark.parametrize(
    ("kept", "fifo", "expected"),
    [
        ("345600", "", ["dlq_retention_short"]),
        ("345601", "", []),
        ("345600", "true", []),  # there the clock starts again in the DLQ
    ],
)
def test_a_dlq_keeps_longer_than_its_queue(world, kept, fifo, expected):
    redrive = '{"maxReceiveCount": 5, "deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111111111111:dlq"}'
    attributes = {**ATTRIBUTES, "RedrivePolicy": redrive, "FifoQueue": fifo}
    world.queue_door = QueueDoor(world.queue, attributes, dlq={"MessageRetentionPeriod": kept})
    assert troubles(look(world)) == expected


def _policy(**statement):
    base = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    return {"Statement": [{**base, **statement}]}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (_policy(), True),
        (_policy(Principal={"AWS": "*"}), True),
        (_policy(Principal={"AWS": ["*"]}, Action=["sqs:*"]), True),
        (_policy(Action="SQS:SendMessage"), True),
        (_policy(Condition={"Bool": {"aws:SecureTransport": "true"}}), True),
        (_policy(Condition={"ArnLike": {"aws:SourceArn": "*"}}), True),
        ({"Statement": _policy()["Statement"][0]}, True),
        (_policy(Effect="Deny"), False),
        (_policy(Action="sqs:ReceiveMessage"), False),
        (_policy(Principal={"Service": "s3.amazonaws.com"}), False),
        (_policy(Condition={"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b"}}), False),
        (_policy(Condition={"StringEquals": {"AWS:SourceAccount": "111111111111"}}), False),
        ({}, False),
    ],
)
def test_a_policy_is_open_if_it_lets_everybody_send_on_no_condition(policy, expected):
    assert is_open(policy) is expected


# -- the bucket


def test_a_region_that_differs_is_to_be_set(world):
    world.bucket = Bucket(world.objects, region="us-west-2")
    found = look(world)["bucket_region_differs"]
    assert (found.owner, found.fix) == ("you", "Set bucket_region = us-west-2")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("AWS refused s3:GetObject: AccessDenied: Access Denied", "untried"),
        ("User: x is not authorized to perform: s3:ListBucket on resource: arn:aws:s3:::audits", "untried"),
        ("User: x is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::audits/a", "denied"),
    ],
)
def test_without_listing_a_403_for_a_key_that_is_not_there_is_no_denial_unless_it_names_the_right(
    world, said, expected
):
    class Unlisted(MemoryBucket):
        def list(self, bucket, *, prefix, token=""):
            raise Fatal("AWS refused it", code="list_denied", hint="Provider: attach s3:ListBucket")

        def open(self, ref):
            raise Fatal(said, code="object_denied", hint="Provider: attach s3:GetObject", scope="object")

    world.bucket = Bucket(Unlisted(world.clock, "audits"))
    found = look(world)
    denied = ["object_denied"] if expected == "denied" else []
    assert troubles(found) == [*denied, "list_denied"]
    if not denied:
        assert found["object"].status == "skipped" and said in found["object"].answer


def test_the_owner_alone_that_is_refused_is_ours_to_mend(world):
    world.bucket.of_any_owner = world.bucket.objects
    barred = MemoryBucket(world.clock, "audits")
    barred.put("k/one", b"{}")
    barred.refuse("k/one", Fatal("AWS refused it", code="object_denied", scope="object"))
    world.bucket.objects = barred
    findings = look(world)
    assert troubles(findings) == ["bucket_owner"]
    assert findings["bucket_owner"].owner == "you"


# -- HEC


@pytest.mark.parametrize(
    ("hec", "code", "status"),
    [
        (Hec(first={"lb": "1"}, again={}), "hec_sticky", "ok"),
        (Hec(first={"lb": "1"}, again={"lb": "1"}), "hec_sticky", "ok"),
        (Hec(first={"lb": "1"}, again={"lb": "2"}), "hec_not_sticky", "warning"),
        (Hec(addresses=("10.0.0.1", "10.0.0.2")), "hec_not_sticky", "warning"),
        (Hec(), "hec_sticky", "skipped"),
    ],
)
def test_stickiness_is_judged_by_cookies_and_addresses(world, hec, code, status):
    world.hec = [hec]
    assert look(world, output="hec", hec_url=hec.url, hec_token="t")[code].status == status


def test_without_acknowledgement_nobody_asks_for_stickiness(world):
    world.hec = [Hec(acks=False, addresses=("10.0.0.1", "10.0.0.2"))]
    assert "hec_sticky" not in look(world, output="hec", hec_url=Hec.url, hec_token="t")


def test_what_only_an_event_could_try_is_said_to_be_untried(world):
    world.hec = [Hec()]
    found = look(world, output="hec", hec_url=Hec.url, hec_token="t", index="audit")["hec_index_allowed"]
    assert found.status == "skipped"
    assert "index = audit" in found.answer


def test_an_untrusted_certificate_comes_with_its_issuer(world):
    error = Fatal("the certificate of HEC is not trusted", code="hec_tls", scope="output")
    world.hec = [Hec(token=error)]
    found = look(world, output="hec", hec_url=Hec.url, hec_token="t")["hec_tls"]
    assert (found.owner, found.status) == ("network", "failed")
    assert found.answer.endswith("issued by: CN=Somebody")


# -- what is remembered, and CloudTrail's keys


def test_a_damaged_store_is_told_of_without_the_network(world):
    world.checkpoints = Retry("SQLite says: malformed", code="store_damaged", hint="Restart")
    assert troubles(look(world, offline=True)) == ["checkpoints_unreadable"]


TABLE = {"checkpoint_store": "dynamodb", "checkpoint_table": "t", "checkpoint_region": "eu-west-1"}


def test_a_table_is_tried_but_not_offline(world):
    assert look(world, offline=True, **TABLE)["checkpoint_table"].status == "skipped"
    found = look(world, **TABLE)
    assert (found["checkpoint_table"].status, "checkpoints" in found) == ("ok", False)
    assert "checkpoint_table" not in look(world, offline=True)


def test_a_table_that_is_not_there_is_ours_to_make(world):
    world.table = Fatal("DynamoDB refused GetItem", code="store_no_table", hint="or create it: aws dynamodb")
    found = look(world, **TABLE)
    assert troubles(found) == ["checkpoint_table_missing"]
    missing = found["checkpoint_table_missing"]
    assert (missing.status, missing.owner, missing.fix) == ("failed", "you", "Or create it: aws dynamodb")


@pytest.mark.parametrize(
    ("said", "owner", "fix"),
    [
        ("because no identity-based policy allows x", "you", f"Add to the policy of {USER}"),
        ("", "you", f"Add to the policy of {USER}"),
        ("with an explicit deny in a service control policy", "you", "Have dynamodb:PutItem, dynamodb:Query"),
        ("because no permissions boundary allows x", "you", "Have dynamodb:PutItem, dynamodb:Query on"),
        ("because no VPC endpoint policy allows x", "network", "The policy of the VPC endpoint on the way"),
        ("not authorized to perform kms:Decrypt", "you", "Attach it"),
    ],
)
def test_each_right_to_the_table_that_is_refused_is_ours_to_grant(world, said, owner, fix):
    denied = Fatal(f"DynamoDB refused PutItem: {said}", code="store_denied", hint="attach it")
    world.table = {"PutItem": denied, "Query": denied}
    (code,) = troubles(found := look(world, **TABLE))
    assert (code, found[code].status, found[code].owner) == ("checkpoint_table_denied", "failed", owner)
    assert found[code].fix.startswith(fix)
    if fix.startswith("Add"):
        table = "arn:aws:dynamodb:eu-west-1:222222222222:table/t"
        assert f'"Resource": ["{table}", "{table}/index/*"]' in found[code].fix
        assert '"Action": ["dynamodb:PutItem", "dynamodb:Query"]' in found[code].fix


@pytest.mark.parametrize(
    ("code", "owner"),
    [("store_wrong_table", "you"), ("store_unreachable", "network"), ("store_newer", "you")],
)
def test_a_table_that_is_no_use_is_one_finding(world, code, owner):
    world.table = Fatal("it is none of ours", code=code, hint="create another")
    found = look(world, **TABLE)
    assert troubles(found) == ["checkpoint_table_unusable"]
    assert found["checkpoint_table_unusable"].owner == owner


def test_without_credentials_no_table_is_asked(world):
    world.account = Account(base=Fatal("AWS refused it", code="credentials_invalid", hint="You: set them"))
    world.table = AssertionError("asked")
    assert troubles(look(world, **TABLE)) == ["credentials_invalid"]


@pytest.mark.parametrize(
    ("ahead_seconds", "code", "status"),
    [
        (61.0, "clock_drift", "warning"), (-61.0, "clock_drift", "warning"), (-59.0, "clock", "ok"),
        (None, "clock", "skipped"),
    ],
)
def test_a_clock_that_drifts_is_told_of_before_signatures_are_refused(world, ahead_seconds, code, status):
    world.account = Account(base=Caller(USER, ahead_seconds))
    assert look(world)[code].status == status


def test_a_key_of_an_object_that_the_settings_do_not_allow_fails(world):
    one, other = (f"arn:aws:kms:eu-west-1:111111111111:key/{name}" for name in ("one", "other"))

    class Encrypted(MemoryBucket):
        def open(self, ref):
            opened = super().open(ref)
            opened.kms_key_arn = other
            return opened

    world.bucket = Bucket(Encrypted(world.clock, "audits"))
    world.bucket.objects.put("k/one", b"{}")
    found = look(world, kms_key_arn=one)
    assert troubles(found) == ["foreign_kms_key"]
    assert found["foreign_kms_key"].fix.endswith(f"set kms_key_arn = {one}, {other}")
    assert troubles(look(world, kms_key_arn=other)) == troubles(look(world)) == []


def test_a_role_that_runs_the_collector_is_named_without_its_session(world):
    world.account = Account(role="", base=Caller("arn:aws:sts::222222222222:assumed-role/ecs/task-1"))
    denied = Fatal("AWS refused it", code="queue_denied", hint="You: attach it to us", scope="queue")
    world.queue_door = QueueDoor(world.queue, denied)
    world.queue_door.role = ""
    fix = look(world, role_arn="")["queue_attributes_denied"].fix
    assert fix.startswith("Add to the policy of arn:aws:iam::222222222222:role/ecs: ")


def test_keys_of_digests_are_asked_for_only_where_digests_are_verified(world):
    world.digest_keys = Fatal("AWS refused it", code="keys_denied", hint="Provider: attach it", scope="keys")
    assert troubles(look(world)) == []
    found = look(world, provider="cloudtrail")
    assert troubles(found) == ["digest_keys_denied"]
    assert found["digest_keys_denied"].owner == "provider"


def test_with_checkpoints_of_its_own_a_host_is_told_that_another_would_list_what_it_has_delivered(world):
    assert "share the checkpoints" in look(world)["listing"].answer
    table = {"checkpoint_store": "dynamodb", "checkpoint_table": "t", "checkpoint_region": "eu-west-1"}
    assert "share the checkpoints" not in look(world, **table)["listing"].answer
    assert "not used" in look(world, reconcile_interval_seconds="0")["listing"].answer
