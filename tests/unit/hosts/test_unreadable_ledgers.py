"""A ledger that cannot be read is said of its input, and hides no other input's."""

from __future__ import annotations

import json
import time
from importlib import import_module

import pytest
from click.testing import CliRunner

from collector.errors import CollectorError
from collector.ports import Quarantined
from collector.runtime.adapters import SystemClock
from collector.stores.sqlite import SqliteStore

STANZA = """[audit_s3://{name}]
provider = thrive
bucket = audit-{name}
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/{name}
"""


@pytest.fixture
def verb(tmp_path):
    """Runs a verb on two inputs: the ledger of `bad` is damaged, that of `good` has one entry."""
    (tmp_path / "bad.sqlite3").write_bytes(b"this is no ledger " * 500)
    clock = SystemClock()
    store = SqliteStore(tmp_path / "good.sqlite3", input_name="good", owner="of-the-test", clock=clock)
    store.apply([Quarantined("body-1", "body", "unknown_body", "what is this", "sqs://q/1", time.time())])
    store.close()

    def run(*words, names=("bad", "good")):
        config = tmp_path / "a.conf"
        stanzas = "".join(STANZA.format(name=name) for name in names)
        config.write_text(f"[audit_s3]\ncheckpoint_dir = {tmp_path}\n{stanzas}")
        command = import_module(f"collector.hosts.cli.{words[0]}").command
        return CliRunner().invoke(command, [*words[1:], "--config", str(config)])

    return run


def test_status_reports_the_inputs_that_can_be_read(verb):
    done = verb("status")
    lines = [line.split() for line in done.output.splitlines()]  # of the log too, where it was set up
    (bad,), (good,) = ([line for line in lines if line[:1] == [name]] for name in ("bad", "good"))
    assert (done.exit_code, bad[:2], good[:2], good[-1]) == (1, ["bad", "unreadable"], ["good", "not"], "1")
    assert "[store_damaged]" in done.output
    output = verb("status", "--format", "json").output
    told = json.loads(output[output.index("{\n") :])["inputs"]
    assert "store_damaged" in told[0]["unreadable"] and told[1]["unreadable"] is None


def test_quarantine_lists_the_inputs_that_can_be_read(verb):
    done = verb("quarantine", "list", "--format", "json")
    entries = [line for line in done.output.splitlines() if line.startswith("{")]
    assert [json.loads(entry)["id"] for entry in entries] == ["body-1"]
    assert (done.exit_code, "bad: " in done.output, "[store_damaged]" in done.output) == (1, True, True)


@pytest.mark.parametrize("words", [("status",), ("quarantine", "list")])
def test_where_nothing_can_be_read_the_error_is_all_there_is(verb, words):
    done = verb(*words, names=("bad",))
    assert isinstance(done.exception, CollectorError) and done.exception.code == "store_damaged"
