"""`--validate-arguments`: an administrator saves an input, and is told everything that is wrong with it."""

from __future__ import annotations

from xml.etree import ElementTree

from collector.hosts.splunkd_rest import REALM

GOOD = {
    "provider": "thrive",
    "role_arn": "arn:aws:iam::111111111111:role/audit-access",
    "bucket": "thrive-audit-logs",
    "queue_url": "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue",
    "kms_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    # What splunkd adds to every input.
    "disabled": "0",
    "interval": "60",
    "index": "default",
    "host": "$decideOnStartup",
    "python.version": "python3",
}


def _message(finished) -> str:
    root = ElementTree.fromstring(finished.stdout)
    assert root.tag == "error"
    return root.findtext("message") or ""


def test_a_good_input_is_accepted_in_silence(run_input, items) -> None:
    finished = run_input("--validate-arguments", stdin=items("thrive", GOOD))
    assert (finished.returncode, finished.stdout) == (0, b"")


def test_all_problems_are_said_at_once(run_input, items) -> None:
    mistakes = {"role_arn": "arn:aws:iam::1:role", "workers": "many", "hec_ack": "perhaps", "buckte": "x"}
    wrong = {**GOOD, **mistakes}
    finished = run_input("--validate-arguments", stdin=items("thrive", wrong))
    assert finished.returncode != 0
    message = _message(finished)
    for name in mistakes:
        assert name in message


def test_a_message_never_shows_a_secret(run_input, items) -> None:
    wrong = {**GOOD, "workers": "many"}
    finished = run_input("--validate-arguments", stdin=items("thrive", wrong))
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0
    assert GOOD["aws_secret_access_key"].encode() not in said


def test_a_strange_value_comes_back_in_an_answer_that_is_still_xml(run_input, items) -> None:
    wrong = {**GOOD, "provider": "a\r\n<b>&]]>\u00e9\U0001f600"}
    finished = run_input("--validate-arguments", stdin=items("thrive", wrong))
    assert finished.returncode != 0
    assert "provider" in _message(finished)


def test_a_secret_that_should_be_stored_and_is_not_is_a_problem(run_input, items) -> None:
    masked = {**GOOD, "aws_secret_access_key": "********"}
    finished = run_input("--validate-arguments", stdin=items("thrive", masked))
    assert finished.returncode != 0
    assert "thrive:aws_secret_access_key" in _message(finished)


def test_a_stored_secret_counts_as_given(run_input, items, splunkd) -> None:
    splunkd.store(REALM, "thrive:aws_secret_access_key", "stored")
    masked = {**GOOD, "aws_secret_access_key": "********"}
    finished = run_input("--validate-arguments", stdin=items("thrive", masked))
    assert (finished.returncode, finished.stdout) == (0, b"")
