"""A span that holds no moment is refused, as nothing is missing in it: that is not to look like an answer."""

from __future__ import annotations

from importlib import import_module

import pytest
from click.testing import CliRunner

CONFIG = """[audit_s3://thrive]
provider = thrive
bucket = audit-bucket
queue_url = https://sqs.eu-west-1.amazonaws.com/111111111111/q
endpoint_url = http://127.0.0.1:9
"""
FUTURE = "2126-05-04T00:00:00Z"


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """Gives the usage error of a verb."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = tmp_path / "a.conf"
    config.write_text(CONFIG)

    def run(verb, *words):
        command = import_module(f"collector.hosts.cli.{verb}").command
        done = CliRunner().invoke(command, [*words, "--config", str(config)])
        assert done.exit_code == 2, done.output
        return done.output.partition("Error: ")[2].strip()

    return run


@pytest.mark.parametrize("verb", ["coverage", "backfill"])
def test_a_span_without_a_moment_is_refused(refusal, verb):
    assert refusal(verb, "--since", FUTURE) == "--since lies in the future"
    assert refusal(verb, "--since", "1d", "--until", "2d") == "--until is not after --since"


def test_an_end_before_the_retention_wants_a_beginning(refusal):
    assert "give --since too" in refusal("coverage", "--until", "31d")


def test_a_backfill_says_which_of_its_words_do_not_go_together(refusal):
    assert refusal("backfill").startswith("say what to fetch: ")
    assert refusal("backfill", "--missing", "--since", "1d").startswith("say only one of these: ")
    assert refusal("backfill", "--missing", "--again").startswith("--again is for objects by name")
    assert refusal("backfill", "--until", "1d") == "--until belongs to --since"
