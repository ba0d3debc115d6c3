"""`--validate-arguments`: an administrator saves an input, and is told everything that is wrong with it."""

from __future__ import annotations

import itertools
import socket
import time
from xml.etree import ElementTree

import pytest

from collector.config.load import from_stanza
from collector.errors import Retry
from collector.hosts.splunkd.rest import REALM
from collector.hosts.splunkd.validation import try_online
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import LocalAws
from collector.testing.provider import Provider

_NUMBERS = itertools.count(1)

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


# On request: what only AWS and HEC can say


@pytest.fixture
def provider(ministack: LocalAws) -> Provider:
    return Provider(ministack, f"validation-{next(_NUMBERS)}")


def _tried(provider: Provider, **more: str) -> dict[str, str]:
    return {**provider.handover(), "provider": "thrive", "validate_online": "1", **more}


def test_an_input_that_works_is_accepted_and_nothing_is_received_or_sent(run_input, items, provider) -> None:
    provider.upload("audits/1.json", b'{"id": 1}')
    depth = provider.queue_depth()
    with FakeHec() as hec:
        said = _tried(provider, output="hec", hec_url=hec.url, hec_token=hec.token)
        finished = run_input("--validate-arguments", stdin=items("thrive", said))
        assert (finished.returncode, finished.stdout) == (0, b"")
        assert hec.events == []
    assert provider.queue_depth() == depth > 0


def test_what_aws_and_hec_refuse_is_said_at_once_with_the_next_step(run_input, items, provider) -> None:
    with FakeHec() as hec:
        said = _tried(provider, output="hec", hec_url=hec.url, hec_token="another-t0ken")
        said["queue_url"] += "-of-nobody"
        finished = run_input("--validate-arguments", stdin=items("thrive", said))
    message = _message(finished)
    assert finished.returncode == 1
    assert message.startswith("2 checks failed:")
    assert "thrive: the queue: AWS refused sqs:" in message
    assert "Invalid token). Look at Settings" in message, "answer and next step are two sentences"
    assert "[hec_token_invalid]" in message
    for secret in ("another-t0ken", said["aws_secret_access_key"]):
        assert secret.encode() not in finished.stdout + finished.stderr


def test_without_the_request_nobody_is_asked(run_input, items, provider) -> None:
    said = {**_tried(provider), "validate_online": "0"}
    said["queue_url"] += "-of-nobody"
    finished = run_input("--validate-arguments", stdin=items("thrive", said))
    assert (finished.returncode, finished.stdout) == (0, b"")


def test_a_network_that_swallows_requests_ends_the_wait_of_the_form(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        found = from_stanza("thrive", {**GOOD, "endpoint_url": endpoint}, checkpoint_dir=str(tmp_path))
        started = time.monotonic()
        with pytest.raises(Retry) as caught:
            try_online(found, within_seconds=0.5)
    assert caught.value.code == "online_validation_timeout"
    assert time.monotonic() - started < 20  # without an end it would be minutes
