"""`audit-s3 backfill` on a local AWS: what the queue forgot arrives once, and a plan changes nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections import Counter

import pytest

from collector.testing.provider import Provider
from tests.e2e.collector_process import environment, ndjson, wait_for


def ids(lines):
    return Counter(json.loads(line)["eventId"] for line in lines)


def expected(**counts):
    return Counter(f"{name}-{i}" for name, count in counts.items() for i in range(count))


def purged(provider):
    """The queue has forgotten everything, as SQS does after days."""
    provider.client("sqs").purge_queue(QueueUrl=provider.queue_url)
    wait_for(lambda: provider.queue_depth() == 0)


@pytest.fixture
def half_read(ministack, collector):
    """Two objects delivered, and three that no message tells of any more."""
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    for name in ("one", "two"):
        provider.upload(f"audits/2026/05/04/{name}", ndjson(name, 3))
        provider.notify(f"audits/2026/05/04/{name}")
    ours = collector({**provider.handover(), "reconcile_grace_seconds": 0})
    assert ids(ours.once()) == expected(one=3, two=3)
    for name in ("three", "four", "five"):
        provider.upload(f"audits/2026/05/05/{name}", ndjson(name, 2))
        provider.notify(f"audits/2026/05/05/{name}")
    purged(provider)
    assert ours.once() == []
    return provider, ours


def ledger(ours):
    """Every file of the ledger that holds a byte; a reader may leave SQLite's -shm and an empty -wal."""
    files = [path for path in (ours.folder / "state").iterdir() if not path.name.endswith("-shm")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.stat().st_size}


def test_what_is_missing_is_delivered_once_the_queue_has_forgotten_it(half_read):
    _, ours = half_read
    done = ours.verb("backfill", "--missing")
    assert ids(done.stdout.splitlines()) == expected(three=2, four=2, five=2)
    assert b"3 delivered" in done.stderr
    again = ours.verb("backfill", "--missing")
    assert again.stdout == b""
    assert b"nothing was missing" in again.stderr


def test_a_plan_says_what_there_is_and_changes_nothing(half_read):
    provider, ours = half_read
    before = ledger(ours)
    said = ours.verb("backfill", "--missing", "--plan").stdout.decode()
    assert "to fetch: 3 objects" in said
    assert "5 objects listed in 1 LIST call; looked for were" in said
    assert "without transfer: less than 0.01 USD" in said
    assert re.search(r"first to go: s3://thrive-audit-logs/audits/2026/05/05/\w+, written 2\d{3}-", said)
    assert "an estimate" in said
    assert ledger(ours) == before
    everything = ours.verb("backfill", "--since", "1d", "--plan", "--again", code=2)
    assert b"--again is for objects by name" in everything.stderr
    assert ids(ours.verb("backfill", "--missing").stdout.splitlines()) == expected(three=2, four=2, five=2)
    assert provider.queue_depth() == 0


def test_on_a_terminal_the_bar_comes_to_its_end_and_no_line_of_an_object_hides_it(half_read):
    _, ours = half_read
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    command = [sys.executable, "-m", "collector", "backfill", "--missing", "--config", str(ours.config)]
    surroundings = {**environment(), "TERM": "xterm"}
    process = subprocess.Popen(
        command, env=surroundings, stdin=terminal, stdout=subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    events, shown = process.communicate(timeout=60)[0], b""
    while select.select([master], [], [], 1.0)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:  # all of it was read
            break
    os.close(master)
    assert ids(events.splitlines()) == expected(three=2, four=2, five=2)
    *_, last = re.findall(rb"\d+/\d+", shown)
    assert last == b"3/3"
    assert b"/s" in shown and b"thrive: 3 delivered; 6 events" in shown
    assert b"INFO" not in shown


@pytest.mark.exhaustive
def test_a_plan_before_the_first_start_leaves_no_ledger(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.upload("k/one", ndjson("one", 1))
    ours = collector({**provider.handover(), "reconcile_grace_seconds": 0})
    assert b"to fetch: 1 object," in ours.verb("backfill", "--since", "12h", "--plan").stdout
    assert not (ours.folder / "state").exists()


def test_a_young_ledger_says_that_nothing_is_old_enough_yet_and_what_it_leaves_out(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.upload("k/one", ndjson("one", 1))
    ours = collector({**provider.handover(), "start_from": "now"})
    said = ours.verb("backfill", "--missing", "--plan").stdout.decode()
    assert re.search(r"1 object listed in 1 LIST call; none written since \S+Z is old enough to be", said)
    assert "the queue has 30 min (reconcile_grace_seconds) to tell of one" in said
    assert "to fetch: 0 objects" in said and not re.search(r"written \S+ to", said)
    command = r"to fetch: audit-s3 backfill --input thrive --since \d{4}-\S+Z"
    assert re.search(rf"left out, as written before start_from: 1 object; {command}\n", said)
    done = ours.verb("backfill", "--missing")
    assert b"WARN" in done.stderr and b"Written before start_from and never read: 1 object, " in done.stderr


@pytest.mark.exhaustive
def test_an_object_by_name_comes_once_and_again_when_that_is_asked(half_read):
    provider, ours = half_read
    url = f"s3://{provider.bucket}/audits/2026/05/04/one"
    done = ours.verb("backfill", url)
    assert done.stdout == b""
    assert b"1 already done" in done.stderr
    assert b"left out, as done or filtered: 1 object; --again" in ours.verb("backfill", url, "--plan").stdout
    assert b"to fetch: 1 object," in ours.verb("backfill", url, "--again", "--plan").stdout
    plan = ours.verb("backfill", f"{url}-mistyped", url, "--again", "--plan", code=1).stdout
    assert f"not there: {url}-mistyped; compare the key".encode() in plan and b"to fetch: 1 object," in plan
    assert ids(ours.verb("backfill", url, "--again").stdout.splitlines()) == expected(one=3)
    new = ours.verb("backfill", f"s3://{provider.bucket}/audits/2026/05/05/three")
    assert ids(new.stdout.splitlines()) == expected(three=2)
    assert ids(ours.verb("backfill", "--since", "30d").stdout.splitlines()) == expected(four=2, five=2)


@pytest.mark.exhaustive
def test_an_object_that_is_not_there_is_exit_code_1_and_the_rest_is_fetched(half_read):
    provider, ours = half_read
    urls = [f"s3://{provider.bucket}/{key}" for key in ("no/such/object", "audits/2026/05/05/four")]
    done = ours.verb("backfill", *urls, code=1)
    assert ids(done.stdout.splitlines()) == expected(four=2)
    assert b"no/such/object" in done.stderr
    assert b"thrive: 1 delivered, 1 asked for and not there; 2 events" in done.stderr


@pytest.mark.exhaustive
def test_a_range_covers_what_was_written_in_it_also_before_the_start(ministack, collector):
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.upload("k/one", ndjson("one", 2))
    ours = collector({**provider.handover(), "start_from": "2999-01-01T00:00:00Z"})
    assert ours.verb("backfill", "--missing").stdout == b""
    assert ours.verb("backfill", "--since", "30d", "--until", "1d").stdout == b""
    assert ids(ours.verb("backfill", "--since", "1h").stdout.splitlines()) == expected(one=2)


def test_beside_a_running_collector_nothing_comes_twice(half_read):
    provider, ours = half_read
    process = ours.start()
    for number in range(30):
        provider.upload(f"live/{number:02}", ndjson(f"live{number}", 2))
        provider.notify(f"live/{number:02}")
    done = ours.verb("backfill", "--since", "1d")
    wait_for(lambda: provider.queue_depth() == 0, seconds=60)
    ours.stop(process)
    found = ids([*done.stdout.splitlines(), *ours.output()])
    assert found == expected(three=2, four=2, five=2, **{f"live{number}": 2 for number in range(30)})


def test_a_running_collector_finds_by_itself_what_the_queue_forgot_and_coverage_says_so(half_read):
    _, ours = half_read
    assert b"  3 objects are missing." in ours.verb("coverage", code=1).stdout
    process = ours.start("--reconcile-interval-seconds", "2")
    wait_for(lambda: (ours.folder / "out").exists() and len(ours.output()) == 6)
    wait_for(lambda: "kind=recent" in ours.log)
    ours.stop(process)
    assert ids(ours.output()) == expected(three=2, four=2, five=2)
    assert "kind=full listed=5 missing=3" in ours.log
    assert b"  Nothing is missing." in ours.verb("coverage").stdout


@pytest.mark.exhaustive
def test_without_the_right_to_list_it_says_so_and_ends_with_1(half_read):
    provider, ours = half_read
    user = {name: value for name, value in provider.handover().items() if name != "bucket"}
    ours.configure({**user, "bucket": "no-such-bucket-of-anyone"})
    done = ours.verb("backfill", "--missing", code=1)
    assert done.stdout == b""
    assert b"cannot be listed" in done.stderr
    assert b"nothing was delivered" in done.stderr and b"nothing was missing" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        [], ["--missing", "--since", "1d"], ["--since", "yesterday"], ["--until", "1d", "--missing"],
        ["--since", "1h", "--until", "2h"], ["s3://bucket"], ["https://a/b"], ["s3://elsewhere/k"],
        ["--missing", "--again"],
    ],
)
def test_what_makes_no_sense_is_usage_and_touches_nothing(collector, words):
    ours = collector({
        "bucket": "audit-logs", "queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/q",
        "region": "eu-west-1",
    })
    ours.verb("backfill", *words, code=2)
    assert not (ours.folder / "state").exists()
