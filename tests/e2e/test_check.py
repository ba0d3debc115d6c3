"""`audit-s3 check`: nothing is changed, and each thing wrong is one finding that says whose move it is."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any, Dict, Iterator, List

import pytest

from collector.hosts.service.board import Board
from collector.hosts.web.server import serving
from collector.onboarding.checks import CHECKS, TROUBLES
from collector.stores.dynamodb_errors import ACTIONS
from collector.testing.local_aws import CUSTOMER
from tests.e2e.broken_setups.__main__ import table, written
from tests.e2e.broken_setups.cases import CASES, Case
from tests.e2e.broken_setups.stage import Report, Stage
from tests.e2e.collector_process import ndjson, wait_for

KEYS = ["code", "status", "owner", "tried", "answer", "fix"]
CODES = {check.code for check in CHECKS} | set(TROUBLES)
#: What a provider has to grant at least. The star is for emulators, which name batches by themselves.
LEAST = ["sqs:ReceiveMessage", "sqs:DeleteMessage*", "s3:GetObject", "kms:Decrypt"]


@pytest.fixture
def make_stage(ministack: Any, tmp_path: Any) -> Iterator[Any]:
    """Sets up what works; what a case opens is closed after it."""
    with ExitStack() as stack:

        def make(**provider: Any) -> Stage:
            ministack.reset()
            return Stage(ministack, tmp_path, stack, **provider)

        yield make


def secrets_of(stage: Stage) -> List[str]:
    named = ("aws_secret_access_key", "hec_token", "external_id")
    told = [str(stage.settings[name]) for name in named if stage.settings.get(name)]
    return [*told, stage.provider.secret_access_key, stage.provider.external_id, "pr0xy-passw0rd"]


# -- broken set-ups


def _first_of_each_check() -> List[str]:
    """One broken set-up a check runs always, the others by `make faults`."""
    firsts = {TROUBLES[case.code].check: case.name for case in reversed(CASES)}
    return list(firsts.values())


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=() if case.name in _first_of_each_check() else pytest.mark.exhaustive)
        for case in CASES
    ],
    ids=[case.name for case in CASES],
)
def test_what_is_broken_is_one_finding_with_whose_move_it_is(case: Case, make_stage: Any) -> None:
    stage = make_stage(**case.provider)
    case.breaks(stage)
    report = stage.check(*case.flags, environ=case.environ)
    (trouble,) = report.troubles
    assert (trouble["code"], trouble["status"], trouble["owner"]) == (case.code, case.status, case.owner)
    missing = [words for words in case.fix if words not in trouble["fix"]]
    assert not missing, trouble["fix"]
    assert report.exit_code == case.exit_code
    _is_sound(report, stage)


def _is_sound(report: Report, stage: Stage) -> None:
    """What holds for every report."""
    for each in report.findings:
        assert list(each) == KEYS
        assert each["owner"] in ("you", "provider", "network")
        assert each["code"] in CODES
        assert bool(each["fix"]) == (each["status"] in ("failed", "warning"))
    assert not [secret for secret in secrets_of(stage) if secret in report.text]
    assert stage.hec.events == []


def test_there_are_forty_broken_set_ups_and_every_side_is_to_blame_for_some() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 40
    assert {case.owner for case in CASES} == {"you", "provider", "network"}


def test_the_page_has_every_broken_set_up() -> None:
    assert written() == table(), "run python -m tests.e2e.broken_setups"


def test_the_address_at_which_a_collector_listens_is_not_taken(make_stage: Any) -> None:
    stage = make_stage()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stage.settings["http_listen"] = f"127.0.0.1:{free.getsockname()[1]}"
    assert stage.check("--offline").of("status_page")["answer"] == "it is free"
    with serving(stage.settings["http_listen"], Board(["it"])):
        report = stage.check("--offline")
    assert report.of("status_page")["answer"] == "a collector runs, and listens there"
    assert report.exit_code == 0


def test_a_warning_of_the_configuration_is_said_once(make_stage: Any, capfd: Any) -> None:
    stage = make_stage()
    stage.settings["prefix"] = "/audits"
    report, _ = stage.run("--offline")
    assert (report + capfd.readouterr().err).count("begins with a slash") == 1


# -- rights, one by one


def _granted(stage: Stage) -> Dict[str, str]:
    """Action -> resource, of the least-privilege policy; batches count as the single calls, as AWS does."""
    policy = json.loads(stage.provider.least_privilege())
    every = {action: each["Resource"] for each in policy["Statement"] for action in each["Action"]}
    return {action: resource for action, resource in every.items() if not action.endswith("Batch")}


def test_each_right_that_is_taken_away_is_one_finding_and_only_needed_ones_fail(make_stage: Any) -> None:
    stage = make_stage(versioned=True)
    stage.upload_encrypted()  # no emulator's S3 asks KMS, but for this object the collector does
    granted = _granted(stage)
    assert len(granted) == 10
    for action, resource in granted.items():
        stage.without(action, f"{action}Batch")
        report = stage.check("--peek")
        if action == "sqs:GetQueueUrl":  # of use only for a queue by name; the settings have its URL
            assert report.troubles == []
            continue
        (trouble,) = report.troubles
        is_needed = any(action.startswith(least.rstrip("*")) for least in LEAST) and "Version" not in action
        assert trouble["status"] == ("failed" if is_needed else "warning"), action
        assert trouble["owner"] == "provider"
        assert f'"{action}"' in trouble["fix"] and resource.rstrip("*") in trouble["fix"]


def test_each_right_to_the_table_that_is_taken_away_is_one_finding_and_ours(make_stage: Any) -> None:
    stage = make_stage()
    for missing in ACTIONS:
        stage.checkpoints_in_dynamodb(rights=[action for action in ACTIONS if action != missing])
        report = stage.check()
        (trouble,) = report.troubles
        assert (trouble["code"], trouble["owner"]) == ("checkpoint_table_denied", "you"), missing
        assert f'"Action": "dynamodb:{missing}"' in trouble["fix"]
        _is_sound(report, stage)
    stage.checkpoints_in_dynamodb()
    assert stage.check().troubles == []
    found = stage.aws.client("dynamodb", account=CUSTOMER).scan(TableName="audit-s3-checkpoints")
    assert found["Items"] == []


def test_on_the_least_that_a_provider_grants_it_warns_and_the_collector_runs(
    make_stage: Any, collector: Any
) -> None:
    stage = make_stage(versioned=True)
    policy = {"Effect": "Allow", "Action": LEAST, "Resource": "*"}
    stage.provider.set_rights(json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    stage.settings["session_policy"] = "false"
    report = stage.check("--peek")
    assert report.exit_code == 0
    assert [each["code"] for each in report.troubles] == [
        "queue_visibility_denied", "queue_attributes_denied", "bucket_region_denied", "versions_denied",
        "list_denied",
    ]
    assert report.of("object")["answer"] == f"read s3://{stage.provider.bucket}/k/one"
    ours = collector({**stage.provider.handover(), "session_policy": "false"})
    assert len(ours.once()) == 2


# -- nothing is changed


def test_a_sound_set_up_is_all_ok_and_left_as_it_was(make_stage: Any) -> None:
    stage = make_stage()
    stage.provider.upload("k/two", ndjson("two", 1))
    before = stage.provider.queue_depth()
    report = stage.check()
    assert (report.troubles, report.exit_code) == ([], 0)
    _is_sound(report, stage)
    tried = [each["code"] for each in report.findings if each["status"] == "ok"]
    assert {"clock", "role", "queue_delete", "object", "listing", "kms_keys", "hec_token"} <= set(tried)
    assert stage.provider.queue_depth() == before
    assert not (stage.folder / "state").exists()
    assert _receives(stage) == 1  # nobody before this test itself


def _receives(stage: Stage) -> int:
    answer = stage.provider.client("sqs").receive_message(
        QueueUrl=stage.provider.queue_url, AttributeNames=["ApproximateReceiveCount"], VisibilityTimeout=0
    )
    return int(answer["Messages"][0]["Attributes"]["ApproximateReceiveCount"])


def test_a_peeked_message_is_back_at_once(make_stage: Any) -> None:
    stage = make_stage()
    report = stage.check("--peek")
    assert "given back" in report.of("queue_receive")["answer"]
    assert _receives(stage) == 2


def test_a_message_that_one_receive_sends_to_the_dlq_is_not_peeked_at(make_stage: Any) -> None:
    stage = make_stage(max_receive_count=1)
    report = stage.check("--peek")
    assert report.of("queue_receive")["status"] == "skipped"
    assert (stage.provider.queue_depth(), stage.provider.dlq_depth()) == (1, 0)


def test_a_queue_alone_is_enough(make_stage: Any) -> None:
    stage = make_stage(bucket=False, role=False)
    stage.provider.send_body('{"audit": 1}')
    report = stage.check("--peek")
    assert (report.troubles, report.exit_code) == ([], 0)
    assert "understood as" in report.of("queue_receive")["answer"]
    assert "object" not in {each["code"] for each in report.findings}


def test_without_listing_the_object_is_that_of_the_peeked_message(make_stage: Any) -> None:
    stage = make_stage()
    stage.without("s3:ListBucket")
    assert stage.check().of("object")["status"] == "skipped"
    assert stage.check("--peek").of("object")["answer"].startswith("read s3://")


def test_offline_asks_nobody(make_stage: Any) -> None:
    stage = make_stage()
    altered = stage.alter()
    altered.refuse("sts", "GetCallerIdentity", "AccessDenied", "asked")
    report = stage.check("--offline")
    assert report.exit_code == 0
    assert {each["status"] for each in report.findings} == {"ok", "skipped"}
    assert (altered.asked, stage.hec.connections) == (0, 0)


def test_what_a_running_collector_holds_is_nobody_elses(make_stage: Any, collector: Any) -> None:
    stage = make_stage()
    stage.hec.policy.hold_acks = stage.hec.acks = True
    ours = collector(
        {**stage.provider.handover(), "hec_url": stage.hec.url, "hec_token": stage.hec.token}, name="it"
    )
    running = ours.start()
    wait_for(lambda: stage.hec.events)
    stage.settings["checkpoint_dir"] = ours.folder / "state"
    report = stage.check()
    ours.stop(running)
    assert report.of("queue_readers")["answer"].startswith("1 message is in flight, and a collector")


# -- acknowledgement


def test_acknowledgement_behind_one_address_without_a_cookie_is_said_to_be_untried(make_stage: Any) -> None:
    stage = make_stage()
    stage.hec.acks = True
    report = stage.check()
    assert report.of("hec_acknowledgement")["answer"].startswith("the token has it")
    assert report.of("hec_sticky")["status"] == "skipped"


def test_a_cookie_that_leads_back_is_seen(make_stage: Any) -> None:
    stage = make_stage()
    stage.hec.acks, stage.hec.cookie = True, "lb"
    assert stage.check().of("hec_sticky")["answer"] == "the cookie lb leads back"


# -- what it looks like


def test_the_answer_to_an_unknown_authority_names_it(make_stage: Any) -> None:
    stage = make_stage()
    stage.lead_to(stage.tls(stage.aws.endpoint_url))
    (trouble,) = stage.check().troubles
    assert trouble["answer"].endswith("issued by: CN=Inspection CA")


def test_text_names_the_move_and_html_is_one_file_without_secrets(make_stage: Any) -> None:
    stage = make_stage()
    stage.without("s3:GetObject")
    text, _ = stage.run()
    assert "whose move: provider. Send to the provider: please add" in text
    page, _ = stage.run("--format", "html")
    assert page.startswith("<!doctype html>") and "object_denied" in page
    assert not [word for word in ("<script", "<link", "src=", "@import", "url(") if word in page]
    for said in (text, page):
        assert not [secret for secret in secrets_of(stage) if secret in said]


def test_every_mistake_of_a_configuration_is_a_finding_of_its_own(make_stage: Any) -> None:
    stage = make_stage()
    stage.settings.update(queue_ulr="x", workers="none")
    report = stage.check()
    assert [each["code"] for each in report.findings] == ["config_invalid", "config_invalid"]
    assert report.exit_code == 78


@pytest.mark.parametrize(
    ("changed", "code"), [({}, 0), ({"hec_token": "wrong"}, 1), ({"queue_ulr": "x"}, 78)]
)
def test_the_process_ends_with_the_promised_code(
    changed: Dict[str, str], code: int, make_stage: Any, collector: Any
) -> None:
    stage = make_stage()
    output = {"hec_url": stage.hec.url, "hec_token": stage.hec.token}
    done = collector({**stage.provider.handover(), **output, **changed}).verb("check", code=code)
    assert done.stdout
    assert stage.provider.secret_access_key.encode() not in done.stdout + done.stderr
