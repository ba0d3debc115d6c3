"""What only a person can do, as text with the exact values in it."""

from __future__ import annotations

import json
import shlex
from string import Template
from typing import Any, Dict, Mapping

from collector.onboarding.setup.policies import outputs, policies
from collector.onboarding.setup.side import Side, read

__all__ = ["text"]

_HOW_TO_KNOW = """   With its keys in the environment, ask AWS, and ask for this text again:

    aws sts get-caller-identity --query Arn --output text
"""
_ROLE_NOTE = (
    "   It is a role, which is named without its session. If it has a path, as those of IAM Identity Center\n"
    "   have, AWS does not say so here: `aws iam get-role --role-name NAME` gives the whole ARN.\n"
)
_ROOT_NOTE = "   It is the account's root, whose keys no program should have: ask with a user's.\n"


def text(side: Side) -> str:
    """The steps of `PROVIDER.txt`."""
    words = {**side.values, **outputs(side), **_about(side), "Sets": _sets(side), "Missing": _missing(side)}
    return Template(read(f"{side.provider}.txt")).substitute(words)


def _sets(side: Side) -> str:
    """The --set flags that give this text again, as a shell takes them."""
    return "".join(
        f" --set {shlex.quote(f'{name}={value}')}" for name, value in side.given.items()
        if name in side.template["Parameters"]
    )


def _missing(side: Side) -> str:
    """A paragraph on what has to be chosen first, or nothing."""
    names = [*side.missing, *(name for name in ("Account", "Region") if name not in side.given)]
    if not names:
        return ""
    rows = side.template["Parameters"]
    what = {"Account": "The AWS account that the stack is made in.", "Region": "Its region."}
    width = max(map(len, names))
    said = (f"       {name:{width}}  {what.get(name) or rows[name]['Description']}\n" for name in names)
    return f"0. Give with --set NAME=VALUE, and ask for this text again:\n\n{''.join(said)}\n"


def _about(side: Side) -> Mapping[str, str]:
    """What one provider's text has beside its template."""
    more = {"thrive": _thrive, "immuta": _immuta, "privacera-pgaudit": _pgaudit}
    return more[side.provider](side) if side.provider in more else {}


def _thrive(side: Side) -> Mapping[str, str]:
    caller = side.values["CallerArn"]
    (assume,) = policies(side).values()
    condition = {"StringEquals": {"sts:ExternalId": "<external id>"}}
    trust = _allow("sts:AssumeRole", Principal={"AWS": caller}, Condition=condition)
    queue = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
             "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    rights = (
        _allow(queue, Resource="QUEUE-ARN"),
        _allow(["s3:GetObject", "s3:GetObjectVersion"], Resource="arn:aws:s3:::BUCKET/*"),
        _allow(["s3:ListBucket", "s3:GetBucketLocation"], Resource="arn:aws:s3:::BUCKET"),
        _allow("kms:Decrypt", Resource="KEY-ARN"),
    )
    note = _HOW_TO_KNOW if caller.startswith("<") else _ROLE_NOTE if ":role/" in caller else ""
    note = _ROOT_NOTE if caller.endswith(":root") else note
    return {
        "OpenRoles": _open_roles(side.values["RoleArn"], side.values["ProviderAccount"]),
        "CallerNote": f"{note}\n" if note else "",
        "AssumePolicy": _shown(assume),
        "TrustPolicy": _shown(_policy(trust)),
        "RightsPolicy": _shown(_policy(*rights)),
    }


def _open_roles(role: str, account: str) -> str:
    """What the user's policy lets it assume, and who decides: a role may trust an account by its root."""
    if role:
        return f"that role alone:\n   {role}"
    if account:
        return (
            f"the roles of account {account} that\n"
            "   trust your user, or your whole account (its root). Step 4 leaves one."
        )
    return (
        "every role outside\n"
        "   your own account that trusts your user, or your whole account (its root). If you know Thrive's\n"
        "   account, narrow it now: --set ProviderAccount=ID. Step 4 leaves one role."
    )


def _immuta(side: Side) -> Mapping[str, str]:
    known = outputs(side)
    endpoint = {"bucketName": known["Bucket"], "path": side.values["BucketPath"],
                "region": side.values["Region"], "roleArn": known["ExportRoleArn"]}
    return {"ExportConfig": _shown({"interval": "EVERY_2_HOURS", "endpointConfiguration": endpoint})}


def _pgaudit(side: Side) -> Mapping[str, str]:
    name, version = side.values["InstanceName"], side.values["MajorVersion"]
    logs = """'{"EnableLogTypes":["postgresql"]}'"""
    if side.values["Engine"] == "postgres":
        attach = (
            f"    aws rds modify-db-instance --db-instance-identifier {name} "
            f"--db-parameter-group-name {name}-audited "
            f"--cloudwatch-logs-export-configuration {logs} --apply-immediately\n"
            f"    aws rds reboot-db-instance --db-instance-identifier {name}"
        )
        return {"Family": f"postgres{version}", "Kind": "instance", "Attach": attach}
    attach = (
        f"    aws rds modify-db-cluster --db-cluster-identifier {name} "
        f"--db-cluster-parameter-group-name {name}-audited "
        f"--cloudwatch-logs-export-configuration {logs} --apply-immediately\n"
        f"    aws rds reboot-db-cluster --db-cluster-identifier {name}\n\n"
        "   (Where RDS does not take the last: aws rds reboot-db-instance for each instance of the cluster.)"
    )
    return {"Family": f"aurora-postgresql{version}", "Kind": "cluster", "Attach": attach}


def _allow(actions: Any, **more: Any) -> Dict[str, Any]:
    principal = {"Principal": more.pop("Principal")} if "Principal" in more else {}
    return {"Effect": "Allow", **principal, "Action": actions, **more}


def _policy(*statements: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _shown(document: Any) -> str:
    """JSON, indented like the commands around it."""
    return "\n".join(f"    {line}" for line in json.dumps(document, indent=2).splitlines())
