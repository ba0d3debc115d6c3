"""What `init` asks for, writes and refuses; no secret stands in a configuration."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Dict, List

import pytest

from collector.config import PROVIDERS, ConfigError
from collector.config.table import Invalid
from collector.errors import Fatal
from collector.onboarding.init import Draft, Part, input_name, questions, service_state, share, write

QUEUE = "https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue"
HANDED = {
    "provider": "thrive",
    "role_arn": "arn:aws:iam::111111111111:role/audit-access",
    "bucket": "thrive-audit-logs",
    "queue_url": QUEUE,
    "kms_key_arn": "arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}


def asked(provider: str, answers: Dict[str, str]) -> List[str]:
    """The names of the questions, each answered by `answers` or by nothing."""
    known: Dict[str, str] = {}
    names = []
    for question in questions(provider, known):
        names.append(question.name)
        known[question.name] = answers.get(question.name, "")
    return names


@pytest.mark.parametrize("provider", PROVIDERS)
def test_everything_that_a_provider_hands_over_is_asked_for(provider: str) -> None:
    derived = {"queue_region", "bucket_region"}
    handed = set(PROVIDERS[provider].hands_over) - derived
    assert handed <= set(asked(provider, {**HANDED, "queue_url": QUEUE}))


def test_what_follows_from_an_answer_is_not_asked_for() -> None:
    assert "queue_region" not in asked("thrive", HANDED)
    assert "queue_region" in asked("thrive", {**HANDED, "queue_url": "audit-queue"})
    assert "external_id" not in asked("thrive", {**HANDED, "role_arn": ""})
    assert "hec_token" not in asked("thrive", HANDED)
    assert "hec_token" in asked("thrive", {**HANDED, "hec_url": "https://splunk:8088"})


def test_a_queue_that_cannot_be_ends_no_question_before_it_is_refused() -> None:
    assert "queue_region" not in asked("thrive", {**HANDED, "queue_url": "audit@queue"})


def test_what_is_given_is_not_asked_for() -> None:
    names = [question.name for question in questions("thrive", HANDED)]
    assert not set(names) & set(HANDED)


def test_an_answer_that_cannot_be_is_refused_with_what_can() -> None:
    (question,) = [each for each in questions("thrive", {}) if each.name == "bucket"]
    with pytest.raises(Invalid, match="bucket"):
        question.judge("")
    with pytest.raises(Invalid, match="URL"):
        question.judge("s3://thrive-audit-logs")
    question.judge("thrive-audit-logs")


def test_only_secrets_are_hidden() -> None:
    hidden = [each.name for each in questions("thrive", {"aws_access_key_id": "A", "hec_url": "https://s:8088"})
              if each.secret]
    assert hidden == ["aws_secret_access_key", "hec_token"]


def test_a_databases_queue_names_its_input() -> None:
    queue = QUEUE.replace("audit-queue", "privacera-postgres-orders-audits")
    assert input_name("privacera-pgaudit", {"queue_url": queue}) == "orders"
    assert input_name("thrive", HANDED) == "thrive"


def test_a_draft_holds_what_was_given_and_nothing_that_follows_from_it(tmp_path: Path) -> None:
    draft = Draft([Part("thrive", {**HANDED, "external_id": ""})], tmp_path)
    (found,) = draft.judge("audit-s3.conf", {})
    assert found.settings.region == "eu-west-1"
    assert {line.partition(" =")[0] for line in draft.text.splitlines() if " = " in line} == set(HANDED)


def test_a_secret_goes_into_a_file_of_its_own_and_is_referred_to(tmp_path: Path) -> None:
    given = {**HANDED, "hec_url": "https://splunk:8088", "hec_token": "hush", "aws_access_key_id": "AKIA"}
    draft = Draft([Part("thrive", given)], tmp_path)
    assert draft.secrets == {tmp_path / "hec-token": "hush", tmp_path / "aws-secret": ""}
    assert "hush" not in draft.text
    assert f"hec_token = file:{tmp_path}/hec-token" in draft.text
    (found,) = draft.judge("audit-s3.conf", {})
    assert found.warnings == ()


def test_a_secret_that_is_there_already_is_only_referred_to(tmp_path: Path) -> None:
    (tmp_path / "hec-token").write_text("hush")
    draft = Draft([Part("thrive", {**HANDED, "hec_url": "https://splunk:8088"})], tmp_path)
    assert draft.secrets == {}
    assert f"hec_token = file:{tmp_path}/hec-token" in draft.text


def test_a_reference_stays_as_it_is(tmp_path: Path) -> None:
    given = {**HANDED, "hec_url": "https://splunk:8088", "hec_token": "env:TOKEN"}
    draft = Draft([Part("thrive", given)], tmp_path)
    assert (draft.secrets, "hec_token = env:TOKEN" in draft.text) == ({}, True)


def test_a_secret_that_opens_nothing_is_left_out(tmp_path: Path) -> None:
    secrets = {"hec_token": "hush", "aws_secret_access_key": "hush"}
    draft = Draft([Part("thrive", {**HANDED, **secrets})], tmp_path)
    assert (draft.secrets, "hec_token" in draft.text, "aws_secret" in draft.text) == ({}, False, False)


def test_two_inputs_with_two_tokens_have_two_files(tmp_path: Path) -> None:
    first = {**HANDED, "hec_url": "https://one:8088", "hec_token": "one"}
    second = {**HANDED, "queue_url": QUEUE + "-2", "hec_url": "https://two:8088", "hec_token": "two"}
    draft = Draft([Part("first", first), Part("second", second)], tmp_path)
    assert draft.secrets == {tmp_path / "hec-token": "one", tmp_path / "hec-token-second": "two"}


def test_a_draft_that_cannot_be_used_says_all_that_is_wrong(tmp_path: Path) -> None:
    draft = Draft([Part("thrive", {**HANDED, "bucket": "s3://x", "role_arn": "audit-access"})], tmp_path)
    with pytest.raises(ConfigError) as refused:
        draft.judge("audit-s3.conf", {"AUDIT_S3_BUCKET": "thrive-audit-logs"})
    assert len(refused.value.problems) == 2, "what the environment says here is not what the service has"


def test_a_file_is_not_overwritten_unasked_and_a_secret_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "hec-token"
    write(path, "one\n", mode=0o600, force=False)
    with pytest.raises(Fatal, match="exists") as refused:
        write(path, "two\n", mode=0o600, force=False)
    assert (path.read_text(), "--force" in refused.value.hint) == ("one\n", True)
    write(path, "two\n", mode=0o600, force=True)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("two\n", 0o600)
    assert [each.name for each in path.parent.iterdir()] == ["hec-token"]


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("/etc/audit-s3/audit-s3.conf", "/var/lib/audit-s3"),
        ("/etc/audit-s3/finance.conf", "/var/lib/audit-s3-finance"),
        ("/home/me/audit-s3.conf", ""),
        ("audit-s3.conf", ""),
    ],
)
def test_a_services_configuration_is_told_where_its_unit_keeps_checkpoints(path: str, state: str) -> None:
    assert service_state(Path(path)) == state


def test_a_shared_secret_is_read_by_the_services_group_and_by_no_other(tmp_path: Path) -> None:
    import grp

    path = tmp_path / "hec-token"
    write(path, "one\n", mode=0o600, force=False)
    assert not share(path, "no-such-group-here")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert share(path, grp.getgrgid(os.getegid()).gr_name)
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_gid) == (0o640, os.getegid())


def test_a_folder_that_cannot_be_written_to_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Fatal, match="not_writable"):
        write(tmp_path / "file" / "audit-s3.conf", "x", mode=0o644, force=False)
