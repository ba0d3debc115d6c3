"""`run --dry-run` against enforced IAM: what it shows, and that everything stays as it was."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from collector.config import load
from collector.errors import Fatal
from collector.onboarding.checks.troubles import TROUBLES
from collector.runtime.adapters import Adapters
from collector.testing.demo_audits import cloudtrail, pgaudit, thrive
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider
from tests.e2e.broken_setups.altered import Altered
from tests.e2e.collector_process import Collector

Make = Callable[..., Collector]


@pytest.fixture
def aws(ministack: LocalAws) -> LocalAws:
    ministack.reset()
    return ministack


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A collector for a played provider, with more settings."""

    def build(played: Provider, **more: Any) -> Collector:
        return Collector(tmp_path, {**played.handover(), **more})

    yield build


def _upload(provider: Provider, audits: Any) -> None:
    for upload in audits.uploads:
        provider.upload(upload.key, upload.body, **upload.headers)


def _receives(provider: Provider) -> List[int]:
    """How often each message had been received before this look."""
    answer = provider.client("sqs").receive_message(
        QueueUrl=provider.queue_url, MaxNumberOfMessages=10, AttributeNames=["All"], VisibilityTimeout=0
    )
    messages = answer.get("Messages", [])
    return [int(message["Attributes"]["ApproximateReceiveCount"]) - 1 for message in messages]


def test_a_dry_run_shows_events_and_touches_neither_queue_nor_ledger(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    audits = thrive(now=time.time())
    _upload(provider, audits)
    before, depth = provider.keys(), provider.queue_depth()
    collector = make(provider, provider="thrive")
    done = collector.run("--dry-run")
    assert done.returncode == 0, done.stderr.decode()
    shown = done.stdout.splitlines()
    assert set(shown) <= set(audits.events)
    assert len(shown) == 30  # of three objects ten events each
    assert done.stderr.count(b"12 events, the first 10 of them shown") == 3
    assert collector.run("--dry-run", "--format", "html").stdout.count(b"12 (10 shown)") == 3
    assert (provider.keys(), provider.queue_depth()) == (before, depth)
    assert set(_receives(provider)) == {0}
    assert not (collector.folder / "state").exists()


def test_a_sample_takes_the_newest_objects(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    for name in ("b-old", "a-new"):
        provider.upload(f"{name}.json", json.dumps({"eventTime": "2026-05-04T10:15:02Z", "n": name}).encode())
        _wait_a_second(provider)
    done = make(provider).run("--dry-run", "--sample", "1")
    assert [json.loads(line)["n"] for line in done.stdout.splitlines()] == ["a-new"]


def test_a_peek_costs_each_message_one_receive_and_gives_it_back(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "pgaudit", bucket=False)
    audits = pgaudit(now=time.time())
    for body in audits.bodies[:4]:
        provider.send_body(body.text)
    collector = make(provider, provider="privacera-pgaudit")
    done = collector.run("--dry-run", "--peek")
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(done.stdout.splitlines()) == sorted(audits.events[:4])
    assert b"each cost one receive" in done.stderr
    assert _receives(provider) == [1, 1, 1, 1]
    assert not (collector.folder / "state").exists()


def test_a_peek_takes_no_more_messages_than_its_sample(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "pgaudit", bucket=False)
    for body in pgaudit(now=time.time()).bodies[:5]:
        provider.send_body(body.text)
    done = make(provider, provider="privacera-pgaudit").run("--dry-run", "--peek", "--sample", "2")
    assert len(done.stdout.splitlines()) == 2
    assert b"2 messages of the queue, all given back" in done.stderr
    assert done.stderr.count(b" 1 event;") == 2
    assert sorted(_receives(provider)) == [0, 0, 0, 1, 1]


def test_a_queue_without_a_bucket_is_left_alone_unless_peeked_into(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "pgaudit", bucket=False)
    provider.send_body(pgaudit(now=time.time()).bodies[0].text)
    done = make(provider, provider="privacera-pgaudit").run("--dry-run")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--peek" in done.stderr
    assert _receives(provider) == [0]


def test_an_input_that_has_only_a_queue_is_skipped_and_the_others_are_looked_at(
    aws: LocalAws, make: Make
) -> None:
    provider, other = Provider(aws, "thrive"), Provider(aws, "pgaudit", bucket=False)
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    collector = make(provider)
    with collector.config.open("a") as file:
        settings = {**other.handover(), "provider": "privacera-pgaudit"}
        file.write("[audit_s3://pg]\n" + "".join(f"{name} = {text}\n" for name, text in settings.items()))
    done = collector.run("--dry-run")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr.decode()
    assert b"skipped: it has a queue and no bucket to list; add --peek" in done.stderr
    report = json.loads(collector.run("--dry-run", "--format", "json").stdout)
    assert [bool(one["skipped"]) for one in report["inputs"]] == [False, True]


def test_what_lies_before_start_from_is_counted_apart_and_shown_all_the_same(
    aws: LocalAws, make: Make
) -> None:
    provider = Provider(aws, "thrive")
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    _wait_a_second(provider)
    done = make(provider, start_from="now").run("--dry-run")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert b"0 to be read, 1 written before start_from (" in done.stderr
    assert b"not fetched by listing as it was written before start_from, read all the same" in done.stderr


def test_what_a_peeked_message_names_is_to_be_read_whenever_it_was_written(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    _wait_a_second(provider)
    collector = make(provider, start_from="now")
    said = collector.run("--dry-run", "--peek").stderr
    assert b"1 object, 1 to be read\n" in said, said.decode()
    assert b"start_from" not in said
    assert len(collector.run("--once").stdout.splitlines()) == 1, "as was said"


def test_a_ledger_says_when_it_began_and_is_left_as_it_is(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    collector = make(provider, start_from="now")
    assert collector.run("--once").returncode == 0
    (ledger,) = (collector.folder / "state").glob("*.sqlite3")
    before = ledger.read_bytes()
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    _wait_a_second(provider)
    done = collector.run("--dry-run")
    assert b"1 object, 1 to be read, if not done already\n" in done.stderr, done.stderr.decode()
    assert ledger.read_bytes() == before
    ledger.write_bytes(b"no ledger any more " * 500)
    said = collector.run("--dry-run").stderr
    assert b"[store_damaged]" in said and b".. " not in said, "one sentence ends with one full stop"


def test_the_report_has_every_event_as_hec_would_get_it_and_both_times(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    lines = [b'{"eventTime":"2026-05-04T10:15:02Z","n":1}', b'{"n":2}']
    provider.upload("a.json", b"\n".join(lines) + b"\n")
    done = make(provider, index="audit", sourcetype="thrive:audit").run("--dry-run", "--format", "json")
    assert (done.returncode, b"Dry run" in done.stderr) == (0, False), done.stderr.decode()
    (found,) = json.loads(done.stdout)["inputs"]
    (sample,) = found["samples"]
    assert (sample["time_field"], sample["unparsed_percent"], sample["container"]) == (
        "eventTime", 50, "JSON lines",
    )
    first, second = sample["shown"]
    assert (first["parsed_time"], second["parsed_time"]) == ("2026-05-04T10:15:02Z", None)
    assert sample["object_time"].startswith(time.strftime("%Y-", time.gmtime()))
    assert (first["hec"]["event"], first["hec"]["time"]) == (json.loads(lines[0]), 1777889702)
    labels = {name: first["hec"][name] for name in ("index", "sourcetype", "source")}
    assert labels == {
        "index": "audit", "sourcetype": "thrive:audit", "source": f"s3://{provider.bucket}/a.json",
    }


SECRETS = {
    "password": "hunter22", "apiToken": "t0ps3cret", "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "text": "by joe@example.com from 10.1.2.3 with token=abc123 as AKIAIOSFODNN7EXAMPLE",
}


@pytest.mark.parametrize("form", ["text", "json", "html"])
def test_what_looks_like_a_secret_is_masked_on_request_and_only_then(
    aws: LocalAws, make: Make, form: str
) -> None:
    provider = Provider(aws, "thrive")
    event = {"eventTime": "2026-05-04T10:15:02Z", **SECRETS}
    provider.upload("of-joe@example.com.json", json.dumps(event).encode() + b"\nplain password=hunter22\n")
    collector = make(provider)
    plain, masked = (
        collector.run("--dry-run", "--format", form, *more) for more in ((), ("--mask",))
    )
    said = masked.stdout + masked.stderr
    assert plain.returncode == masked.returncode == 0
    for secret in ("hunter22", "t0ps3cret", "AKIAIOSFODNN7", "joe@example", "10.1.2.3", "abc123"):
        assert secret.encode() in plain.stdout + plain.stderr
        assert secret.encode() not in said
    assert b"2026-05-04T10:15:02Z" in said, "times are no addresses"


def test_each_message_says_whether_sns_signed_it(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    looked = {}
    for mode in ("off", "warn", "enforce"):
        done = make(provider, sns_signature=mode).run("--dry-run", "--peek", "--format", "json")
        assert done.returncode == (1 if mode == "enforce" else 0), done.stderr.decode()
        (looked[mode],) = json.loads(done.stdout)["inputs"]
    said = {mode: found["messages"][0]["senders"][0] for mode, found in looked.items()}
    assert "nobody checks it" in said["off"]
    assert "not verified, would be forwarded with a warning" in said["warn"]
    assert "not verified, would be refused" in said["enforce"]
    assert looked["warn"]["samples"][0]["senders"] == [said["warn"]]


def test_envelopes_are_shown_where_the_output_is_hec(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "cloudtrail")
    _upload(provider, cloudtrail(now=time.time()))
    settings = {
        "output": "hec",
        "hec_url": "http://127.0.0.1:9",
        "hec_token": "11111111-2222",
        "index": "audit",
    }
    done = make(provider, provider="cloudtrail", **settings).run("--dry-run", "--sample", "1")
    assert done.returncode == 0, done.stderr.decode()
    envelopes: List[Dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(envelopes) == 10
    assert {(each["sourcetype"], each["index"]) for each in envelopes} == {("aws:cloudtrail", "audit")}
    keys = provider.keys()
    assert {each["source"] for each in envelopes} <= {f"s3://{provider.bucket}/{key}" for key in keys}


def test_the_report_tells_container_and_time_field_of_an_unknown_provider(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "unknown")
    _upload(provider, thrive(now=time.time()))
    provider.upload("plain.log", b"no time in here\nnor here\n")
    report = make(provider).run("--dry-run").stderr.decode()
    assert "gzip, JSON lines" in report
    assert "(field eventTime)" in report
    assert "no time was found in any event" in report


def test_an_empty_bucket_is_no_error(aws: LocalAws, make: Make) -> None:
    done = make(Provider(aws, "thrive")).run("--dry-run")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"There is nothing to show" in done.stderr


def test_what_cannot_be_read_is_one_line_with_a_hint_and_the_rest_is_shown(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    provider.upload("good.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    provider.upload("torn.json.gz", thrive(now=time.time()).uploads[0].body[:100])
    done = make(provider).run("--dry-run")
    assert done.returncode == 1
    assert b'{"eventTime":"2026-05-04T10:15:02Z"}' in done.stdout.splitlines()
    errors = [line for line in done.stderr.decode().splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "truncated_gzip" in errors[0] and "torn.json.gz" in errors[0]
    assert "delivered" not in errors[0], "nothing was"
    assert "`run` would forward what is sound before it, and put it into quarantine" in errors[0]


def test_a_refused_listing_says_what_is_missing(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive")
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    provider.set_rights(provider.least_privilege(without="s3:ListBucket"))
    collector = make(provider)
    done, peeked = collector.run("--dry-run"), collector.run("--dry-run", "--peek")
    for one in (done, peeked):
        assert (one.returncode, b"Traceback" in one.stderr) == (0, False)
        assert b"  warning: " in one.stderr and b"attach s3:ListBucket" in one.stderr
        assert TROUBLES["list_denied"].what.encode() in one.stderr, "check's own words"
        assert b"`run` would go on without listing" in one.stderr
    assert (b"To see samples add --peek" in done.stderr, done.stdout) == (True, b"")
    assert (b"add --peek" in peeked.stderr, len(peeked.stdout.splitlines())) == (False, 1)
    assert len(collector.run("--once").stdout.splitlines()) == 1, "as was said"


def test_a_bucket_that_is_not_there_is_yours_to_compare(aws: LocalAws, make: Make) -> None:
    done = make(Provider(aws, "thrive"), bucket="thrive-audit-loks").run("--dry-run")
    assert done.returncode == 1
    assert b"[bucket_missing]" in done.stderr and b"s3:ListBucket" not in done.stderr
    assert b"You: compare the bucket setting" in done.stderr


def test_aws_itself_refuses_a_deletion_during_a_dry_run(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive", delivery="none")
    provider.send_body("{}")
    collector = make(provider)
    (configured,) = load(config_path=str(collector.config), environ={})
    adapters = Adapters(configured, stdout=io.BytesIO(), read_only=True)
    assert adapters.queue is not None and adapters.is_narrowed
    messages = adapters.queue.receive(1, wait_seconds=1)
    with pytest.raises(Fatal, match="queue_denied"):
        adapters.queue.delete(messages)


@pytest.mark.parametrize("flags", [(), ("--peek",)])
def test_the_session_that_a_dry_run_asks_sts_for_may_delete_and_write_nothing(
    aws: LocalAws, make: Make, flags: Tuple[str, ...]
) -> None:
    provider = Provider(aws, "thrive", delivery="none")
    provider.send_body("{}")
    with Altered(aws.endpoint_url) as altered:
        queue_url = provider.queue_url.replace(aws.endpoint_url, altered.url)
        make(provider, endpoint_url=altered.url, queue_url=queue_url).run("--dry-run", *flags)
    assert altered.session_policies
    for policy in altered.session_policies:
        statements = json.loads(policy)["Statement"]
        allowed = {action for each in statements for action in each["Action"]}
        assert {each["Effect"] for each in statements} == {"Allow"}
        assert not [action for action in allowed if "*" in action.partition(":")[2][:6]]
        assert not [action for action in allowed if re.search("Delete|Put|Send|Create|Purge|Set", action)]


def test_keys_without_a_role_are_said_not_to_be_held_by_iam(aws: LocalAws, make: Make) -> None:
    provider = Provider(aws, "thrive", role=False)
    provider.upload("a.json", b'{"eventTime":"2026-05-04T10:15:02Z"}\n')
    done = make(provider).run("--dry-run")
    assert done.returncode == 0, done.stderr.decode()
    assert b"IAM does not enforce this" in done.stderr


def _wait_a_second(provider: Provider) -> None:
    """S3's times have whole seconds: wait until a later one would be given."""
    key = provider.keys()[-1]
    last = provider.client("s3").head_object(Bucket=provider.bucket, Key=key)["LastModified"].timestamp()
    while time.time() < last + 1.0:
        time.sleep(0.05)
