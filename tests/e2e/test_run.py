"""The main job, on real input: what was uploaded arrives, each event once, and no message is left."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter

import pytest

from collector.ports import Checkpoint, Finish, Quarantined
from collector.runtime.adapters import SystemClock
from collector.stores.sqlite import SqliteStore
from collector.testing.fake_hec import FakeHec
from collector.testing.provider import Provider
from tests.e2e.collector_process import ndjson, records, wait_for


def _ids(lines):
    events = [json.loads(line) for line in lines]
    return Counter(event.get("eventId") or event.get("eventID") for event in events)


def _expected(**counts):
    return Counter(f"{name}-{i}" for name, count in counts.items() for i in range(count))


@pytest.mark.parametrize(
    "delivery",
    [
        "sns", pytest.param("s3", marks=pytest.mark.both_emulators),
        pytest.param("sns-raw", marks=pytest.mark.exhaustive),  # whose messages are those of S3
    ],
)
def test_once_gives_exactly_what_was_uploaded_and_a_second_run_nothing(local_aws, collector, delivery):
    provider = Provider(local_aws, "thrive", delivery=delivery)
    provider.upload("audits/a b+c%25.json.gz", ndjson("one", 5))
    provider.upload("audits/plain.json", ndjson("two", 3, compress=False))
    provider.upload("audits/trail.json.gz", records("three", 4))
    provider.upload("audits/members.gz", ndjson("four", 2) + ndjson("five", 2))
    provider.upload("audits/empty.json", b"")
    ours = collector(provider.handover())
    assert _ids(ours.once()) == _expected(one=5, two=3, three=4, four=2, five=2)
    assert provider.queue_depth() == 0
    assert ours.once() == []


def test_several_records_in_one_message_and_a_repeated_message(local_aws, collector):
    provider = Provider(local_aws, "thrive", delivery="none")
    for name in ("one", "two", "three"):
        provider.upload(f"k/{name}", ndjson(name, 2))
    provider.notify("k/one", "k/two", "k/three")
    provider.notify("k/two")
    ours = collector(provider.handover())
    assert _ids(ours.once()) == _expected(one=2, two=2, three=2)
    provider.notify("k/one")
    assert ours.once() == []
    assert provider.queue_depth() == 0


def test_an_object_older_than_its_retention_is_fetched_all_the_same(local_aws, collector):
    provider = Provider(local_aws, "thrive", delivery="none")
    provider.upload("k/old", ndjson("old", 1))
    record = provider.event_record("k/old")
    record["eventTime"] = "2020-01-01T00:00:00.000Z"
    provider.send_body(json.dumps({"Records": [record]}))
    assert _ids(collector(provider.handover()).once()) == _expected(old=1)


@pytest.mark.parametrize("acks", [False, True])
def test_hec_gets_every_event_once_with_its_own_time_and_identity(ministack, collector, acks):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 1500))
    provider.upload("k/two", records("two", 3))
    with FakeHec(acks=acks) as hec:
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token,
                          "sourcetype": "thrive:audit", "index": "audit"})
        assert ours.once() == []
        events = hec.events
    assert Counter(e["event"].get("eventId") or e["event"].get("eventID") for e in events) == _expected(
        one=1500, two=3
    )
    one = next(e for e in events if e["event"].get("eventId") == "one-0")
    assert one["source"] == f"s3://{provider.bucket}/k/one"
    assert (one["time"], one["sourcetype"], one["index"]) == (1777889702.412, "thrive:audit", "audit")
    assert len({(e["fields"]["s3_oid"], e["fields"]["s3_seq"]) for e in events}) == len(events)
    assert provider.queue_depth() == 0


def test_a_fifo_queue_is_drained_through_the_spool(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "policysync", fifo=True, bucket=False)
    for number in range(25):
        provider.send_body(json.dumps({"id": f"a-{number}", "evtTime": "2026-05-04 10:20:11.120"}))
    ours = collector({**provider.handover(), "provider": "privacera-policysync"})
    lines = [json.loads(line)["id"] for line in ours.once()]
    assert sorted(lines) == sorted(f"a-{number}" for number in range(25))
    assert provider.queue_depth() == 0


def test_what_is_not_understood_is_in_quarantine_before_it_is_deleted(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.send_body("what is this")
    foreign = {"s3": {"bucket": {"name": "not-ours"}, "object": {"key": "k", "eTag": "e"}}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", **foreign}
    provider.send_body(json.dumps({"Records": [record]}))
    provider.upload("k/broken.gz", ndjson("broken", 50)[:-20])
    provider.upload("k/good", ndjson("good", 2))
    for key in ("k/broken.gz", "k/good"):
        provider.notify(key)
    ours = collector(provider.handover())
    lines = ours.once(code=1)
    assert _ids(lines)["good-0"] == 1
    assert provider.queue_depth() == 0
    listed = ours.verb("quarantine", "list", "--format", "json").stdout
    reasons = sorted(json.loads(line)["reason"] for line in listed.splitlines())
    assert reasons == ["foreign_bucket", "truncated_gzip", "unknown_body"]
    assert ours.once() == []


def test_a_missing_object_ends_as_gone_and_the_rest_flows_on(local_aws, collector):
    provider = Provider(local_aws, "thrive", delivery="none")
    provider.upload("k/gone", ndjson("gone", 1))
    provider.notify("k/gone")
    provider.client("s3").delete_object(Bucket=provider.bucket, Key="k/gone")
    provider.upload("k/here", ndjson("here", 2))
    provider.notify("k/here")
    ours = collector(provider.handover())
    done = ours.run("--once")
    assert done.returncode == 1
    assert _ids(done.stdout.splitlines()) == _expected(here=2)
    assert b"state=gone" in done.stderr
    assert provider.queue_depth() == 0


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.exhaustive)]
)
def test_a_signal_ends_it_cleanly_while_it_waits_for_messages(ministack, collector, number):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.send_body("what is this")
    ours = collector(provider.handover())
    process = ours.start()
    provider.upload("k/one", ndjson("one", 2))
    wait_for(lambda: (ours.folder / "out").exists() and len(ours.output()) == 2)
    wait_for(lambda: provider.queue_depth() == 0)
    assert ours.stop(process, number=number) < 10
    assert process.returncode == 0, "what went to quarantine before is no fault of the stop"
    assert "1 message is in quarantine" in ours.log
    assert "Traceback" not in ours.log


@pytest.mark.exhaustive
def test_killed_in_the_middle_it_loses_nothing(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", visibility_timeout_seconds=5)
    names = {f"o{number}": 20 for number in range(40)}
    for name, count in names.items():
        provider.upload(f"k/{name}", ndjson(name, count))
    with FakeHec(acks=True) as hec:
        hec.latency_seconds = 0.05
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token,
                          "visibility_timeout_seconds": 30, "batch_max_bytes": 10_000})
        process = ours.start()
        wait_for(lambda: len(hec.events) > 100)
        process.kill()
        process.wait()
        process = ours.start()
        wait_for(lambda: provider.queue_depth() == 0, seconds=60)
        ours.stop(process)
        found = Counter(event["event"]["eventId"] for event in hec.events)
    assert set(found) == set(_expected(**names))
    repeated = sum(found.values()) - len(found)
    assert repeated <= 400, "more than a batch a sender was repeated"


def test_a_drain_beside_what_a_killed_run_had_begun_says_so_and_is_no_success(ministack, collector):
    """Their messages are hidden: the queue looks empty, and not all is delivered."""
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    names = {f"o{number}": 20 for number in range(20)}
    for name, count in names.items():
        provider.upload(f"k/{name}", ndjson(name, count))
    provider.notify(*(f"k/{name}" for name in names))
    with FakeHec() as hec:
        hec.latency_seconds = 1.0
        ours = collector({**provider.handover(), "output": "hec", "hec_url": hec.url, "hec_token": hec.token,
                          "visibility_timeout_seconds": 30, "batch_max_bytes": 10_000})
        process = ours.start()
        wait_for(lambda: len(hec.events) > 40)
        process.kill()
        process.wait()
        hec.latency_seconds = 0.0
        done = ours.run("--once")
        assert done.returncode == 1 and b"an earlier run had begun are not finished" in done.stderr
        assert b"unfinished" in ours.verb("status", code=1).stdout


def test_a_refused_token_deletes_nothing_and_recovers_by_itself(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    with FakeHec() as hec:
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": "wrong"})
        done = ours.run("--once")
        assert done.returncode == 1
        assert b"hec_token" in done.stderr
        assert provider.queue_depth() == 1
        ours.configure({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token})
        ours.once()
        assert len(hec.events) == 2


def test_six_mistakes_are_six_lines_and_exit_code_78(collector):
    ours = collector({
        "queu_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/q",
        "role_arn": "not-an-arn",
        "hec_url": "ftp://splunk",
        "wait_time_seconds": "99",
        "workers": "many",
        "start_from": "yesterday",
    })
    done = ours.run("--once")
    said = done.stderr.decode()
    assert done.returncode == 78
    for name in ("queu_url", "role_arn", "hec_url", "wait_time_seconds", "workers", "start_from"):
        assert name in said
    assert "queue_url" in said, "the nearest name is suggested"
    assert "Traceback" not in said
    assert done.stdout == b""


def test_it_runs_from_the_environment_alone(ministack, collector, monkeypatch):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    ours = collector({})
    for name, value in provider.handover().items():
        monkeypatch.setenv(f"AUDIT_S3_{name.upper()}", value)
    monkeypatch.setenv("AUDIT_S3_OUTPUT", "stdout")
    done = ours.run("--once", "--checkpoint-dir", str(ours.folder / "state"), config=False)
    assert done.returncode == 0, done.stderr.decode()
    assert _ids(done.stdout.splitlines()) == _expected(one=2)


def test_a_secret_never_shows_whatever_goes_wrong(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    provider.upload("k/one", ndjson("one", 2))
    values = {**provider.handover(), "log_level": "debug", "external_id": "wrong-external-id"}
    before = provider.queue_depth()
    done = collector(values).run("--once")
    assert done.returncode == 1
    assert values["aws_secret_access_key"].encode() not in done.stderr + done.stdout
    assert provider.queue_depth() == before


def test_what_was_in_quarantine_is_delivered_again_and_only_what_was_missing(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    whole = ndjson("broken", 3000)
    provider.upload("k/broken.gz", whole[:-40])
    provider.notify("k/broken.gz")
    provider.send_body("what is this")
    elsewhere = {"bucket": {"name": "elsewhere"}, "object": {"key": "k"}}
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": elsewhere}
    provider.send_body(json.dumps({"Records": [record]}))
    ours = collector(provider.handover())
    first = ours.once(code=1)
    assert 0 < len(first) < 3000
    retried = ours.verb("quarantine", "retry", code=1)
    assert retried.stdout == b"", "the object is still broken, and what it gave is not given again"
    entries = ours.verb("quarantine", "list", "--format", "json").stdout.splitlines()
    assert len(entries) == 3
    said = [json.loads(entry) for entry in entries]
    for one in said:
        assert f"{one['id']} stays: {one['reason']}: {one['detail']}" in retried.stderr.decode()
    assert b"delivered 0 of 3" in retried.stderr
    dropped = [one["id"] for one in said]
    for verb in ("drop", "retry"):
        unknown = ours.verb("quarantine", verb, dropped[0], "no-such-entry", code=1).stderr
        assert b"there is no entry no-such-entry" in unknown and b"Go on?" not in unknown
    unconfirmed = ours.verb("quarantine", "drop", dropped[0], code=130)
    assert (unconfirmed.stdout, b"Nothing is dropped" in unconfirmed.stderr) == (b"", True)
    ours.verb("quarantine", "drop", "--yes", *dropped)
    assert ours.verb("quarantine", "list", "--format", "json").stdout == b""


@pytest.mark.parametrize("has_row", [pytest.param(False, marks=pytest.mark.exhaustive), True])
def test_an_object_whose_etag_was_never_learnt_leaves_the_quarantine_once_it_is_delivered(
    ministack, collector, has_row
):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    ours = collector(provider.handover())
    assert ours.once() == []
    provider.upload("k/one", ndjson("one", 3))
    url, row = f"s3://{provider.bucket}/k/one", None
    (path,) = (ours.folder / "state").glob("*.sqlite3")
    store = SqliteStore(path, input_name="thrive", owner="of-the-test", clock=SystemClock())
    if has_row:
        (claim,) = store.claim([Checkpoint("stand-in", url, time.time(), provider.bucket, "k/one")])
        row = claim.row
        store.apply([Finish(row.oid, row.epoch, "quarantined", reason="forbidden")])
    store.apply([Quarantined(f"object-{url}", "object", "forbidden", "denied", url, time.time(), row=row)])
    retried = ours.verb("quarantine", "retry")
    assert _ids(retried.stdout.splitlines()) == _expected(one=3)
    assert ours.verb("quarantine", "list", "--format", "json").stdout == b""
    assert sorted(store.counts().items()) == [("done", 1), *([("filtered", 1)] if has_row else [])]
    store.close()


def test_an_event_that_splunk_refused_alone_is_delivered_once_it_is_accepted(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    lines = ndjson("one", 20, compress=False).splitlines()
    lines[7] = lines[7].replace(b"user.login", b"x" * 30_000)
    provider.upload("k/one", b"\n".join(lines) + b"\n")
    provider.notify("k/one")
    with FakeHec() as hec:
        hec.policy.max_event_bytes = 20_000
        ours = collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token})
        assert ours.once(code=1) == []
        assert len(hec.events) == 19
        hec.policy.max_event_bytes = 5_000_000
        ours.verb("quarantine", "retry")
        assert sorted(e["event"]["eventId"] for e in hec.events) == sorted(_expected(one=20))
        assert ours.verb("quarantine", "list", "--format", "json").stdout == b""


@pytest.mark.exhaustive
def test_once_ends_when_the_queue_cannot_be_reached_at_all(collector):
    ours = collector({
        "queue_url": "http://127.0.0.1:9/111111111111/q", "endpoint_url": "http://127.0.0.1:9",
        "region": "eu-west-1", "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "secret",
    })
    done = ours.run("--once", timeout=90)
    assert done.returncode == 1
    assert b"127.0.0.1:9" in done.stderr


@pytest.mark.exhaustive
def test_once_ends_with_a_denied_object_in_hand_and_gives_its_message_back(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.upload("k/one", ndjson("one", 2))
    provider.notify("k/one")
    provider.set_rights(provider.least_privilege(without="s3:GetObject"))
    ours = collector(provider.handover())
    done = ours.run("--once")
    assert done.returncode == 1
    assert b"s3:GetObject" in done.stderr
    assert provider.queue_depth() == 1
    provider.set_rights(provider.least_privilege())
    assert _ids(ours.once()) == _expected(one=2), "neither its message nor its row is held back"


@pytest.mark.exhaustive
def test_a_checkpoint_file_that_vanishes_while_it_runs_is_said_so(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive")
    ours = collector(provider.handover())
    process = ours.start()
    provider.upload("k/one", ndjson("one", 2))
    wait_for(lambda: (ours.folder / "out").exists() and len(ours.output()) == 2)
    wait_for(lambda: provider.queue_depth() == 0)
    for file in (ours.folder / "state").iterdir():
        file.unlink()
    provider.upload("k/two", ndjson("two", 2))
    wait_for(lambda: "removed or replaced" in ours.log)
    wait_for(lambda: provider.queue_depth() == 0)
    ours.stop(process)
    assert _ids(ours.output()) == _expected(one=2, two=2)


def test_a_dead_letter_queue_is_drained_through_the_same_input(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none", max_receive_count=1)
    names = ("one", "two", "three")
    for name in names:
        provider.upload(f"k/{name}", ndjson(name, 4))
        provider.notify(f"k/{name}")
    sqs = provider.client("sqs")
    while provider.dlq_depth() < len(names):
        sqs.receive_message(QueueUrl=provider.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    own = json.loads(provider.least_privilege())
    dlq = json.loads(provider.least_privilege().replace("audit-queue", "audit-dlq"))
    provider.set_rights(json.dumps({**own, "Statement": [*own["Statement"], *dlq["Statement"]]}))
    ours = collector(provider.handover())
    assert ours.once() == []
    assert _ids(ours.once("--queue-url", provider.dlq_url)) == _expected(one=4, two=4, three=4)
    assert provider.dlq_depth() == 0
    provider.notify("k/one")
    assert ours.once() == [], "what came by the dead letter queue is known to the ledger of this input"
    assert provider.queue_depth() == 0
