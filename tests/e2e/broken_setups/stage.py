"""A set-up that works, on which each case breaks one thing."""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple
from unittest.mock import patch

import pytest

from collector.hosts.cli.check import command
from collector.stores.dynamodb import create_table
from collector.stores.dynamodb_errors import ACTIONS
from collector.testing.certificate import Authority
from collector.testing.fake_hec import FakeHec
from collector.testing.local_aws import CUSTOMER, LocalAws
from collector.testing.provider import Provider
from collector.testing.proxy import Proxy
from tests.client_side import write_v2
from tests.e2e.broken_setups.altered import Altered
from tests.e2e.collector_process import ndjson

__all__ = ["Report", "Stage"]

#: No test asks the metadata service of this machine, or goes by its proxies.
_ENVIRONMENT = {"AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*"}


@dataclass(frozen=True)
class Report:
    """What check said: its findings, and its exit code."""

    findings: List[Dict[str, str]]
    exit_code: int
    text: str

    @property
    def troubles(self) -> List[Dict[str, str]]:
        return [each for each in self.findings if each["status"] in ("failed", "warning")]

    def of(self, code: str) -> Dict[str, str]:
        return next(each for each in self.findings if each["code"] == code)


class Stage:
    """`settings` is what the configuration will say; `stack` closes what a case opens."""

    def __init__(
        self, aws: LocalAws, folder: Path, stack: ExitStack, **provider: Any
    ) -> None:
        self.aws, self.folder, self.stack = aws, folder, stack
        self.provider = Provider(aws, "p", delivery="none", **provider)
        self.hec = stack.enter_context(FakeHec())
        self.settings: Dict[str, Any] = {
            **self.provider.handover(),
            "hec_url": self.hec.url, "hec_token": self.hec.token, "checkpoint_dir": folder / "state",
        }
        if self.provider.bucket:
            self.provider.upload("k/one", ndjson("one", 2))
            self.provider.notify("k/one")

    # what cases do

    def alter(self) -> Altered:
        """From here on the collector reaches AWS through this."""
        altered = self.stack.enter_context(Altered(self.aws.endpoint_url))
        self.lead_to(altered.url)
        return altered

    def upload_encrypted(self) -> None:
        """An object that its writer encrypted: the collector itself asks KMS for its key."""
        kms, arn = self.provider.client("kms"), self.provider.kms_key_arn
        body, metadata = write_v2(ndjson("three", 1), _Wraps(kms), arn=arn)
        self.provider.upload("k/three", body, Metadata=metadata)

    def proxy(self, **options: Any) -> Proxy:
        return self.stack.enter_context(Proxy(**options))

    def tls(self, origin: str) -> str:
        """The URL of the same behind a certificate that nobody here trusts."""
        certificate = Authority("Inspection CA").certificate("127.0.0.1")
        return self.proxy(origin=origin, certificate=certificate).url

    def silence(self, *, takes_connections: bool = True) -> str:
        """A URL where nothing is ever answered; with all its places taken, not even a connection."""
        place = self.stack.enter_context(socket.socket())
        place.bind(("127.0.0.1", 0))
        place.listen(50 if takes_connections else 0)
        for _ in range(0 if takes_connections else 4):
            waiting = self.stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(place.getsockname())
        return f"http://127.0.0.1:{place.getsockname()[1]}"

    def lead_to(self, url: str) -> None:
        """Another endpoint for AWS."""
        for name in ("endpoint_url", "queue_url"):
            self.settings[name] = str(self.settings[name]).replace(self.aws.endpoint_url, url)

    def without(self, *actions: str) -> None:
        """Take these from the role's policy."""
        policy = json.loads(self.provider.least_privilege())
        for statement in policy["Statement"]:
            statement["Action"] = [each for each in statement["Action"] if each not in actions]
        policy["Statement"] = [each for each in policy["Statement"] if each["Action"]]
        self._put(json.dumps(policy))

    def also(self, action: str, resource: str, effect: str = "Allow") -> None:
        """Add a statement to the role's policy."""
        policy = json.loads(self.provider.least_privilege())
        policy["Statement"].append({"Effect": effect, "Action": action, "Resource": resource})
        self._put(json.dumps(policy))

    def say_of_topic(self, kind: str) -> None:
        """The one message of the queue is what SNS says of a subscription."""
        self.provider.client("sqs").purge_queue(QueueUrl=self.provider.queue_url)
        topic = "arn:aws:sns:eu-west-1:111111111111:audit"
        said = {"Type": kind, "TopicArn": topic, "Token": "t", "Message": "m", "SubscribeURL": "https://x"}
        self.provider.send_body(json.dumps(said))

    def checkpoints_in_dynamodb(self, *, is_made: bool = True, rights: Sequence[str] = ACTIONS) -> None:
        """A table of the customer's, and these rights to it for the collector's user."""
        table = "audit-s3-checkpoints"
        self.settings.update(
            checkpoint_store="dynamodb", checkpoint_table=table, checkpoint_region=self.aws.region
        )
        if is_made:
            create_table(self.aws.client("dynamodb", account=CUSTOMER), table)
        arn = f"arn:aws:dynamodb:*:{CUSTOMER}:table/{table}"
        statements = [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": self.provider.role_arn}]
        if rights:
            actions = [f"dynamodb:{action}" for action in rights]
            statements.append({"Effect": "Allow", "Action": actions, "Resource": [arn, f"{arn}/index/*"]})
        self.customer_iam().put_user_policy(
            UserName=f"{self.provider.name}-collector", PolicyName="collect",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def _put(self, policy: str) -> None:
        if self.provider.role_arn:
            self.provider.set_rights(policy)
        else:
            user = f"{self.provider.name}-collector"
            self.provider.client("iam").put_user_policy(
                UserName=user, PolicyName="collect", PolicyDocument=policy
            )

    def queue(self, **attributes: str) -> None:
        self.provider.client("sqs").set_queue_attributes(
            QueueUrl=self.provider.queue_url, Attributes=attributes
        )

    def customer_iam(self) -> Any:
        return self.aws.client("iam", account=CUSTOMER)

    # what check says

    def check(self, *flags: str, environ: Mapping[str, str] = {}) -> Report:
        """`audit-s3 check --format json`, in this process."""
        text, exit_code = self.run(*flags, "--format", "json", environ=environ)
        return Report(json.loads(text)["findings"], exit_code, text)

    def run(self, *flags: str, environ: Mapping[str, str] = {}) -> Tuple[str, int]:
        """What it prints, and its exit code."""
        config = self.folder / "audit-s3.conf"
        lines = [f"{name} = {value}" for name, value in self.settings.items() if value is not None]
        secret = str(self.settings.get("aws_secret_access_key") or "")
        if secret:
            _keep(self.folder / "secret", secret)
            lines = [line for line in lines if not line.startswith("aws_secret_access_key")]
            lines.append(f"aws_secret_access_key = file:{self.folder / 'secret'}")
        _keep(self.folder / "token", str(self.settings["hec_token"]))
        lines = [line for line in lines if not line.startswith("hec_token")]
        lines.append(f"hec_token = file:{self.folder / 'token'}")
        config.write_text("\n".join(["[audit_s3://it]", *lines]) + "\n")
        said = TextIOWrapper(BytesIO(), encoding="utf-8")  # with a buffer, as stdout has one
        with patch.dict(os.environ, {**_ENVIRONMENT, **environ}), redirect_stdout(said):
            for name in _leaky():
                del os.environ[name]
            with pytest.raises(SystemExit) as ended:
                command.main(["--config", str(config), *flags], standalone_mode=False)
        said.seek(0)
        return said.read(), int(str(ended.value.code))


class _Wraps:
    def __init__(self, kms: Any) -> None:
        self._kms = kms

    def wrap(self, key: bytes, context: Mapping[str, str], *, arn: str) -> bytes:
        answer = self._kms.encrypt(KeyId=arn, Plaintext=key, EncryptionContext=context)
        return bytes(answer["CiphertextBlob"])


def _leaky() -> List[str]:
    """Variables of this process that could lead somewhere real, or be taken for settings."""
    ours = [name for name in os.environ if name not in _ENVIRONMENT]
    return [
        name
        for name in ours
        if name.startswith(("AWS_", "AUDIT_S3_")) or name.upper().endswith("_PROXY")
    ]


def _keep(path: Path, secret: str) -> None:
    """As a secret is to be kept: what others may read is a warning of its own."""
    path.touch(mode=0o600)
    path.write_text(secret)
