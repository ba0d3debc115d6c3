"""The templates and texts: clean, complete, and no wider than what they are for."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import click
import pytest

from collector.config.table import Invalid
from collector.hosts.cli.setup import command
from collector.onboarding.setup import NAMES, policies, side_of, text
from collector.onboarding.setup.policies import outputs

ROOT = Path(__file__).resolve().parents[3]
USER = "arn:aws:iam::222222222222:user/collector"
WHO = {"CollectorArn": USER, "ExternalId": "5f2c9e0a", "Account": "111111111111", "Region": "eu-west-1"}
GIVEN: Dict[str, Dict[str, str]] = {
    "thrive": {"Account": "222222222222", "CallerArn": USER},
    "cloudtrail": {**WHO, "BucketName": "trail-logs"},
    "privacera-pgaudit": {**WHO, "InstanceName": "orders"},
    "privacera-policysync": WHO,
    "immuta": {**WHO, "BucketName": "immuta-logs"},
}
#: What the access role may do at most.
COLLECTS = {"sqs:ReceiveMessage", "sqs:DeleteMessage*", "sqs:ChangeMessageVisibility*",
            "sqs:GetQueueAttributes", "sqs:GetQueueUrl", "s3:GetObject", "s3:GetObjectVersion",
            "s3:ListBucket", "s3:GetBucketLocation", "kms:Decrypt"}


@pytest.fixture(params=NAMES)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def statements(document: Dict[str, Any]) -> Iterator[Tuple[Dict[str, Any], set[str]]]:
    for statement in document["Statement"]:
        actions = statement["Action"]
        yield statement, {actions} if isinstance(actions, str) else set(actions)


def found(provider: str, **more: str) -> Dict[str, Any]:
    return policies(side_of(provider, {**GIVEN[provider], **more}))


def test_a_template_may_be_sent_as_it_is(provider: str) -> None:
    assert len(json.dumps(side_of(provider, GIVEN[provider]).template, indent=2)) <= 51_200


def test_everything_is_filled_in_where_everything_is_given(provider: str) -> None:
    side = side_of(provider, GIVEN[provider])
    assert side.missing == []
    left = set(re.findall(r"<[A-Z]\w*>", text(side) + json.dumps(policies(side))))
    assert left == set()
    assert "Give with --set" not in text(side)


def test_what_is_not_given_is_asked_for_and_stands_as_its_name(provider: str) -> None:
    side = side_of(provider, {})
    for name in side.missing:
        assert re.search(rf"^ +{name} ", text(side), re.MULTILINE)


def test_the_access_role_may_collect_and_nothing_else() -> None:
    for provider in ("cloudtrail", "immuta", "privacera-pgaudit", "privacera-policysync"):
        for statement, actions in statements(found(provider)["role audit-access: collect"]):
            if actions == {"cloudtrail:ListPublicKeys"}:  # the keys are AWS's own and have no ARN
                assert (provider, statement["Resource"]) == ("cloudtrail", "*")
                continue
            assert actions <= COLLECTS
            assert statement["Resource"].startswith("arn:aws:")
        ((trust, _),) = statements(found(provider)["role audit-access: trust"])
        assert trust["Principal"] == {"AWS": USER}
        assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "5f2c9e0a"}}


def test_whoever_may_send_is_held_to_one_source(provider: str) -> None:
    for whose, document in found(provider).items():
        if not whose.startswith(("queue ", "topic ")):
            continue
        for statement, actions in statements(document):
            if statement["Effect"] == "Allow":
                tested = {key for test in statement["Condition"].values() for key in test}
                assert "aws:SourceArn" in tested
                from_s3 = statement["Principal"] == {"Service": "s3.amazonaws.com"}
                assert not from_s3 or "aws:SourceAccount" in tested, "a bucket's ARN has no account"
                assert actions <= {"sqs:SendMessage", "sns:Publish"}


def test_nobody_is_let_in_without_tls() -> None:
    for provider in ("cloudtrail", "immuta"):
        for whose, document in found(provider).items():
            if whose.startswith(("queue ", "bucket ")):
                denials = [each for each, _ in statements(document) if each["Effect"] == "Deny"]
                assert [each["Condition"] for each in denials] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_queues_keep_messages_for_14_days_and_give_up_to_a_queue_that_does_too(provider: str) -> None:
    resources = side_of(provider, GIVEN[provider]).template["Resources"]
    queues = {name: row["Properties"] for name, row in resources.items() if row["Type"] == "AWS::SQS::Queue"}
    assert provider == "thrive" or set(queues) == {"Queue", "DeadLetters"}
    for properties in queues.values():
        assert properties["MessageRetentionPeriod"] == 14 * 86_400
        assert properties["SqsManagedSseEnabled"] is True


def test_a_bucket_is_encrypted_closed_and_survives_its_stack() -> None:
    for provider in ("cloudtrail", "immuta"):
        bucket = side_of(provider, {}).template["Resources"]["Bucket"]
        assert bucket["DeletionPolicy"] == "Retain"
        assert set(bucket["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_until_the_role_is_known_no_role_of_ones_own_account_may_be_assumed() -> None:
    (((day_zero, _),)) = statements(found("thrive")["user audit-s3: AssumePolicy"])
    assert day_zero["NotResource"] == "arn:aws:iam::222222222222:*"
    known_account = found("thrive", ProviderAccount="111111111111")["user audit-s3: AssumePolicy"]
    (((known, _),)) = statements(known_account)
    assert (known["Resource"], "NotResource" in known) == ("arn:aws:iam::111111111111:role/*", False)
    role = "arn:aws:iam::111111111111:role/audit-access"
    (((later, _),)) = statements(found("thrive", RoleArn=role)["user audit-s3: AssumePolicy"])
    assert (later["Resource"], "NotResource" in later) == (role, False)


@pytest.mark.parametrize(
    ("more", "which"),
    [
        (
            {},
            "every role outside your own account that trusts your user, or your whole account (its root)",
        ),
        (
            {"ProviderAccount": "111111111111"},
            "the roles of account 111111111111 that trust your user, or your whole account (its root)",
        ),
        ({"RoleArn": "arn:aws:iam::111111111111:role/r"}, "that role alone: arn:aws:iam::111111111111:"),
    ],
)
def test_the_text_says_which_roles_open_and_that_trust_in_the_account_is_enough(
    more: Dict[str, str], which: str
) -> None:
    said = " ".join(text(side_of("thrive", {**GIVEN["thrive"], **more})).split())
    assert f"It opens {which}" in said


def test_nobody_assumes_immutas_role_until_both_answers_of_immuta_are_there() -> None:
    immuta = "arn:aws:iam::333333333333:root"
    for more in ({}, {"ImmutaPrincipal": immuta}, {"ImmutaExternalId": "x-1"}):
        (((trust, _),)) = statements(found("immuta", **more)["role immuta-audit-export: trust"])
        assert trust["Effect"] == "Deny"
    both = found("immuta", ImmutaPrincipal=immuta, ImmutaExternalId="x-1")
    (((trust, _),)) = statements(both["role immuta-audit-export: trust"])
    assert (trust["Effect"], trust["Principal"]) == ("Allow", {"AWS": immuta})


def test_the_forwarder_of_the_template_is_the_one_in_integrations() -> None:
    ours = (ROOT / "integrations" / "pgaudit_lambda" / "forwarder.py").read_text(encoding="utf-8")
    function = side_of("privacera-pgaudit", {}).template["Resources"]["Function"]["Properties"]
    assert function["Code"]["ZipFile"] == ours
    assert function["Handler"] == "index.handler", "CloudFormation names the file index.py"


def test_aurora_has_its_parameters_and_log_group_in_the_cluster() -> None:
    side = side_of("privacera-pgaudit", {**GIVEN["privacera-pgaudit"], "Engine": "aurora-postgresql"})
    assert outputs(side)["LogGroup"] == "/aws/rds/cluster/orders/postgresql"
    assert "family aurora-postgresql16" in text(side)
    assert "--db-cluster-parameter-group-name orders-audited" in text(side)
    for resource in ("ParameterGroup", "ClusterParameterGroup"):
        assert side.template["Resources"][resource]["Properties"]["Parameters"] == {
            "pgaudit.log": "all", "shared_preload_libraries": "pg_stat_statements,pgaudit",
            "pgaudit.role": "rds_pgaudit",
        }


def test_a_fifo_queue_is_named_like_one() -> None:
    side = side_of("privacera-policysync", {**WHO, "Fifo": "true"})
    assert outputs(side)["QueueUrl"].endswith("/111111111111/policysync-audits.fifo")


def test_partitions_of_other_countries_have_their_own_names() -> None:
    side = side_of("privacera-policysync", {**WHO, "Region": "cn-north-1"})
    assert outputs(side)["RoleArn"].startswith("arn:aws-cn:iam::")
    assert outputs(side)["QueueUrl"].startswith("https://sqs.cn-north-1.amazonaws.com.cn/")


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("Bucketname", "x", "did you mean BucketName?"),
        ("Nothing", "x", "there is BucketName"),
        ("BucketName", "Has Spaces", "bucket"),
        ("RetentionDays", "7", "30 or more"),
        ("ReadWriteType", "Everything", "one of All, WriteOnly, ReadOnly"),
        ("CollectorArn", "collector", "user or role"),
        ("Account", "1111", "form"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(name: str, value: str, hint: str) -> None:
    with pytest.raises(Invalid) as refused:
        side_of("cloudtrail", {name: value})
    assert hint in refused.value.hint


Captured = pytest.CaptureFixture[str]


def said(capsys: Captured, *words: str) -> Tuple[str, str]:
    """stdout and stderr of `audit-s3 setup`."""
    command.main(args=list(words), standalone_mode=False)
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_stdout_carries_what_was_asked_for_and_nothing_else(capsys: Captured) -> None:
    out, err = said(capsys, "cloudtrail", "--format", "json")
    assert json.loads(out)["Parameters"]["BucketName"]["Type"] == "String"
    assert "still to be given: BucketName, CollectorArn, ExternalId" in err
    flags = [f"--set={name}={value}" for name, value in GIVEN["cloudtrail"].items()]
    assert said(capsys, "cloudtrail", "--format", "json", *flags)[1] == ""
    assert said(capsys, "cloudtrail")[1] == "", "the text itself says what is missing"


def test_plain_policies_stand_under_what_they_are_attached_to(capsys: Captured) -> None:
    flags = [f"--set={name}={value}" for name, value in GIVEN["immuta"].items()]
    out, _ = said(capsys, "immuta", "--policies", *flags)
    parts = dict(part.split("\n", 1) for part in out.split("# ")[1:])
    assert {whose: json.loads(policy) for whose, policy in parts.items()} == found("immuta")


@pytest.mark.parametrize("words", [("nobody",), ("immuta", "--set", "BucketName"), ("immuta", "--set=A=b")])
def test_what_is_not_understood_is_a_mistake_of_usage(capsys: Captured, words: Tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError):
        said(capsys, *words)
    assert capsys.readouterr().out == ""
