"""What `audit-s3 setup` prints, done: its commands are run in a local AWS, and the collector on the outcome.

The texts are followed line by line, from the first command to the configuration that `init` writes. Two
things are left out of the templates, as the local AWS cannot have them: the trail itself (it has no such
resource, so the test puts CloudTrail's files there), and the refusal of plain http, which it speaks.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping

import pytest

from collector.onboarding.setup import NAMES, side_of
from collector.testing.demo_audits import SYSTEMS, Audits
from collector.testing.local_aws import CUSTOMER, PROVIDER, LocalAws
from tests.docs.shown import ROOT, Shell
from tests.e2e.collector_process import environment, wait_for

PLAYED: Dict[str, Audits] = {audits.preset: audits for audits in (play(now=time.time()) for play in SYSTEMS)}
GROUP = "/aws/rds/instance/orders/postgresql"
#: What each provider's operator has to choose.
CHOSEN: Mapping[str, Mapping[str, str]] = {
    "cloudtrail": {"BucketName": "example-trail-logs", "DataEvents": "arn:aws:s3:::lake/,arn:aws:s3:::pond/"},
    "immuta": {"BucketName": "example-immuta-audits"},
    "privacera-pgaudit": {"InstanceName": "orders", "IgnoreUsers": "privacera"},
    "privacera-policysync": {"SenderRoleName": "audit-server"},
}


class Operator:
    """Somebody at a shell in a folder, with every right in the provider's account."""

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        self.aws, self.folder = aws, folder
        self.shell = Shell(aws, folder, config=folder / "audit-s3.conf")
        self.collector = aws.client("iam", account=CUSTOMER).create_user(UserName="collector")["User"]["Arn"]
        key = aws.client("iam", account=CUSTOMER).create_access_key(UserName="collector")["AccessKey"]
        self.keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
                     "AWS_REGION": aws.region, "AUDIT_S3_ENDPOINT_URL": aws.endpoint_url}
        self.outputs: Dict[str, str] = {}

    def chosen(self, provider: str, **more: str) -> List[str]:
        """The --set flags of one who knows everything."""
        values = {"CollectorArn": self.collector, "ExternalId": "5f2c9e0a", "Account": PROVIDER,
                  "Region": self.aws.region, **CHOSEN[provider], **more}
        return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]

    def program(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`audit-s3` with the customer's keys, in the folder."""
        command = [sys.executable, "-m", "collector", *words]
        env = {**environment(), **self.keys, "PYTHONPATH": str(ROOT), **environ}
        done = subprocess.run(command, cwd=self.folder, env=env, text=True, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done

    def follow(self, text: str, *, rds: LocalAws | None = None) -> None:
        """Run every command of a text, in its order."""
        for words in commands(text):
            if words[0] == "audit-s3":
                self._audit_s3(words[1:])
            elif words[1] == "rds":
                assert rds is not None
                Shell(rds, self.folder, config=self.folder).run(words)
            else:
                self.shell.run(words)
                if words[1] == "cloudformation":
                    self._await(words[words.index("--stack-name") + 1])

    def collect(self) -> List[str]:
        """`run --once`; the events."""
        ours = {"START_FROM": "retention", "WAIT_TIME_SECONDS": "1", "STDOUT_FORMAT": "json",
                "CHECKPOINT_DIR": str(self.folder / "state")}
        environ = {f"AUDIT_S3_{name}": value for name, value in ours.items()}
        return self.program("run", "--once", "--config", "audit-s3.conf", **environ).stdout.splitlines()

    def _audit_s3(self, words: List[str]) -> None:
        if ">" in words:
            words, (_, file) = words[: words.index(">")], words[words.index(">") :]
            template = json.loads(self.program(*words).stdout)
            (self.folder / file).write_text(json.dumps(for_the_local_aws(template), indent=2))
            return
        key_id = self.outputs.get("KmsKeyArn", "").rpartition("/")[2]
        self.program(*(word.replace("<key id>", key_id) for word in words))

    def _await(self, stack: str) -> None:
        found: Dict[str, Any] = {}

        def is_done() -> bool:
            found.update(self.aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0])
            return "IN_PROGRESS" not in found["StackStatus"]

        wait_for(is_done)
        assert found["StackStatus"] in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), found
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}


def commands(text: str) -> Iterable[List[str]]:
    """The lines that a text wants to be run."""
    for line in re.findall(r"^    ((?:aws|audit-s3) .*)$", text, re.MULTILINE):
        yield [word.rstrip() for word in shlex.split(re.sub(r"<key id>", "'<key id>'", line))]


def for_the_local_aws(template: Dict[str, Any]) -> Dict[str, Any]:
    resources = template["Resources"]
    resources.pop("Trail", None)
    for resource in resources.values():
        document = resource["Properties"].get("PolicyDocument", {})
        if "Statement" in document:
            kept = [each for each in document["Statement"] if each.get("Sid") != "OnlyOverTls"]
            document["Statement"] = kept
    emptied = [name for name, row in resources.items() if row["Properties"].get("PolicyDocument") ==
               {"Version": "2012-10-17", "Statement": []}]
    for name in emptied:
        del resources[name]
    return template


@pytest.fixture
def operator(ministack: LocalAws, tmp_path: Path) -> Operator:
    ministack.reset()
    return Operator(ministack, tmp_path)


def allow_to_assume(operator: Operator) -> None:
    """What step 3 of cloudtrail's text says: the user's own right, as `setup thrive` prints it."""
    role = operator.outputs["RoleArn"]
    flags = ["--policies", "--format", "json", "--set", f"RoleArn={role}"]
    said = operator.program("setup", "thrive", *flags)
    (policy,) = json.loads(said.stdout).values()
    operator.aws.client("iam", account=CUSTOMER).put_user_policy(
        UserName="collector", PolicyName="assume", PolicyDocument=json.dumps(policy)
    )


def complaints(operator: Operator) -> List[str]:
    """What `check` has to say to whoever made queue and bucket."""
    said = operator.program("check", "--config", "audit-s3.conf", "--format", "json")
    found = [each for each in json.loads(said.stdout)["findings"] if each["status"] in ("failed", "warning")]
    return [f"{each['code']}: {each['answer']}" for each in found]


def upload(operator: Operator, audits: Audits) -> None:
    for each in audits.uploads:
        operator.aws.client("s3").put_object(
            Bucket=operator.outputs["Bucket"], Key=each.key, Body=each.body, **each.headers
        )


def texts(lines: List[str]) -> Counter[str]:
    return Counter(json.loads(line)["event"] for line in lines)


def written(audits: Audits) -> Counter[str]:
    return Counter(event.decode() for event in audits.events)


def depth(operator: Operator) -> int:
    url = operator.outputs["QueueUrl"]
    found = operator.aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    counts = found["Attributes"].items()
    return sum(int(count) for name, count in counts if name.startswith("ApproximateNumber"))


@pytest.mark.parametrize("provider", ["cloudtrail", "immuta"])
def test_a_bucket_that_was_set_up_by_the_text_is_collected(operator: Operator, provider: str) -> None:
    operator.follow(operator.program("setup", provider, *operator.chosen(provider)).stdout)
    allow_to_assume(operator)
    left = [said for said in complaints(operator) if "Unknown CloudTrail action" not in said]
    assert left == [], "the local AWS has no keys of CloudTrail to ask for; all else is in order"
    upload(operator, PLAYED[provider])
    assert depth(operator) > 0, "the bucket tells the queue"
    lines = operator.collect()
    assert texts(lines) == written(PLAYED[provider])
    assert depth(operator) == 0


def test_the_database_log_arrives_through_the_function_that_was_set_up(
    operator: Operator, moto: LocalAws
) -> None:
    moto.reset()
    moto.client("rds").create_db_instance(
        DBInstanceIdentifier="orders", DBInstanceClass="db.t3.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="u", MasterUserPassword="not-a-secret",
    )
    moto.client("rds").create_db_parameter_group(
        DBParameterGroupName="orders-audited", DBParameterGroupFamily="postgres16", Description="pgAudit"
    )
    logs = operator.aws.client("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="orders.0")
    text = operator.program("setup", "privacera-pgaudit", *operator.chosen("privacera-pgaudit")).stdout
    operator.follow(text, rds=moto)
    allow_to_assume(operator)
    assert complaints(operator) == []
    lines = [f"2026-11-21 04:55:35 UTC:10.0.0.9(1):{who}@sales:[7]:LOG:  AUDIT: SESSION,1,1,READ,SELECT,,,x,"
             for who in ("etl", "privacera")]
    events = [{"timestamp": int(time.time() * 1000), "message": line} for line in lines]
    logs.put_log_events(logGroupName=GROUP, logStreamName="orders.0", logEvents=events)
    wait_for(lambda: depth(operator) == 1)
    (line,) = operator.collect()
    assert (json.loads(line)["event"], json.loads(line)["host"]) == (lines[0], "orders")
    (found,) = logs.describe_subscription_filters(logGroupName=GROUP)["subscriptionFilters"]
    assert (found["filterName"], found["filterPattern"]) == ("auditTrigger", "")


@pytest.mark.exhaustive
@pytest.mark.parametrize("fifo", ["false", pytest.param("true", marks=pytest.mark.exhaustive)])
def test_what_the_audit_server_sends_is_collected(operator: Operator, fifo: str) -> None:
    iam = operator.aws.client("iam")
    root = {"AWS": f"arn:aws:iam::{PROVIDER}:root"}
    trust = {"Statement": [{"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="audit-server", AssumeRolePolicyDocument=json.dumps(trust))
    chosen = operator.chosen("privacera-policysync", Fifo=fifo)
    said = operator.program("setup", "privacera-policysync", *chosen)
    operator.follow(said.stdout)
    allow_to_assume(operator)
    session = operator.aws.client("sts").assume_role(
        RoleArn=f"arn:aws:iam::{PROVIDER}:role/audit-server", RoleSessionName="audit-server")["Credentials"]
    sqs = client_of(operator.aws, session)
    extra = {"MessageGroupId": "audits"} if fifo == "true" else {}
    for body in PLAYED["privacera-policysync"].bodies:
        sqs.send_message(QueueUrl=operator.outputs["QueueUrl"], MessageBody=body.text, **extra)
    assert complaints(operator) == []
    assert texts(operator.collect()) == written(PLAYED["privacera-policysync"])
    assert depth(operator) == 0
    with pytest.raises(sqs.exceptions.ClientError, match="AccessDenied"):
        sqs.receive_message(QueueUrl=operator.outputs["QueueUrl"])


def client_of(aws: LocalAws, session: Mapping[str, Any]) -> Any:
    import boto3

    return boto3.client(
        "sqs", region_name=aws.region, endpoint_url=aws.endpoint_url,
        aws_access_key_id=session["AccessKeyId"], aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    )


@pytest.mark.exhaustive
def test_nobody_may_assume_immutas_role_before_the_second_pass_and_only_immuta_after_it(
    operator: Operator,
) -> None:
    iam = operator.aws.client("iam")
    iam.create_user(UserName="immuta")
    immuta = f"arn:aws:iam::{PROVIDER}:user/immuta"
    text = operator.program("setup", "immuta", *operator.chosen("immuta")).stdout
    first, second = text.split("3. Second pass")
    second = second.replace("arn:aws:iam::333333333333:root", immuta)
    operator.follow(first)
    trust = trust_of(iam, "immuta-audit-export")
    assert [each["Effect"] for each in trust] == ["Deny"]
    operator.follow(second)
    (allowed,) = trust_of(iam, "immuta-audit-export")
    assert (allowed["Effect"], allowed["Principal"]) == ("Allow", {"AWS": immuta})
    assert allowed["Condition"] == {"StringEquals": {"sts:ExternalId": "id-of-the-export"}}
    config = json.loads(text[text.index("    {\n") : text.index("    }\n\n3.") + 6])
    assert config["endpointConfiguration"]["roleArn"] == operator.outputs["ExportRoleArn"]
    assert config["endpointConfiguration"]["bucketName"] == operator.outputs["Bucket"]


def trust_of(iam: Any, role: str) -> List[Dict[str, Any]]:
    document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    statements: List[Dict[str, Any]] = document["Statement"]
    return statements


def test_before_the_four_values_thrive_is_told_who_will_come(operator: Operator) -> None:
    said = operator.program("setup", "thrive")
    assert (said.stderr, said.stdout.count(operator.collector)) == ("", 3)
    assert "for the IAM user collector:" in said.stdout, "the one whose keys ask, and no other"
    assert "\n\n\n" not in said.stdout
    assert f'"NotResource": "arn:aws:iam::{CUSTOMER}:*"' in said.stdout
    without = operator.program("setup", "thrive", AWS_ACCESS_KEY_ID="AKIAUNKNOWN")
    assert "<CallerArn>" in without.stdout and "aws sts get-caller-identity" in without.stdout
    assert "does not say who you are" in without.stderr and "--set CallerArn=ARN" in without.stderr
    caller = f"CallerArn={operator.collector}"
    told = operator.program("setup", "thrive", "--set", caller, AWS_ACCESS_KEY_ID="")
    assert (told.stdout, told.stderr) == (said.stdout, "")


def test_the_day_zero_policy_of_thrive_lets_the_user_into_a_role_that_names_it(operator: Operator) -> None:
    iam = operator.aws.client("iam", account=CUSTOMER)
    text = operator.program("setup", "thrive").stdout
    operator.aws = _Customer(operator.aws)  # type: ignore[assignment]
    operator.shell = Shell(operator.aws, operator.folder, config=operator.folder / "audit-s3.conf")
    day_zero, later = text.split("4. When the answer")
    operator.follow(re.sub(r"    aws sts .*", "", day_zero))
    (attached,) = iam.list_attached_user_policies(UserName="collector")["AttachedPolicies"]
    assert attached["PolicyArn"] == operator.outputs["PolicyArn"]
    operator.follow(later.replace("    audit-s3 init --provider thrive\n", ""))
    version = iam.get_policy(PolicyArn=operator.outputs["PolicyArn"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=operator.outputs["PolicyArn"], VersionId=version)
    (statement,) = document["PolicyVersion"]["Document"]["Statement"]
    assert statement["Resource"] == f"arn:aws:iam::{PROVIDER}:role/audit-access"


class _Customer:
    """The local AWS as the customer's account sees it."""

    def __init__(self, aws: LocalAws) -> None:
        self.region, self._aws = aws.region, aws

    def client(self, service: str) -> Any:
        return self._aws.client(service, account=CUSTOMER)


@pytest.mark.exhaustive
def test_every_template_is_clean_by_cfn_lint() -> None:
    """In one test: reading the schemas of all of AWS takes longer than looking at a template."""
    cfnlint = pytest.importorskip("cfnlint.api", reason="cfn-lint (extra `test`) is not installed")
    for provider in NAMES:
        matches = cfnlint.lint_all(json.dumps(side_of(provider, {}).template))
        assert [str(match) for match in matches if match.rule.id[0] in "EW"] == [], provider


@pytest.mark.exhaustive
def test_the_second_emulator_takes_what_it_knows_of_the_templates(moto: LocalAws, operator: Operator) -> None:
    moto.reset()
    cloudformation = moto.client("cloudformation")
    chosen = operator.chosen("privacera-policysync", SenderRoleName="")
    template = operator.program("setup", "privacera-policysync", "--format", "json", *chosen).stdout
    cloudformation.create_stack(StackName="one", TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])
    (stack,) = cloudformation.describe_stacks()["Stacks"]
    found = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    assert found["RoleArn"] == f"arn:aws:iam::{PROVIDER}:role/audit-access"
    moto.client("sqs").send_message(QueueUrl=found["QueueUrl"], MessageBody="{}")
