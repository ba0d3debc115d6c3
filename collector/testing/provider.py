"""The other side of the contract: a provider of audit logs, played on a local AWS.

    with LocalAws.ministack() as aws:
        provider = Provider(aws, "thrive")
        provider.upload("audits/2026/05/04/a.json.gz", body)
        settings = provider.handover()      # what the customer writes into the config

In the provider's account: a KMS key, a bucket that encrypts with it, a topic, a queue with a dead
letter queue, and an access role that trusts one user of the customer's account, under an external id,
and may do exactly what a collector needs. In the customer's account: that user and its access key.
Several providers may share one LocalAws under different names.
"""

from __future__ import annotations

import json
import time
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import quote_plus

from collector.testing.local_aws import CUSTOMER, PROVIDER, LocalAws

__all__ = ["DELIVERIES", "Provider"]

#: How word of a new object reaches the queue: through SNS (wrapped in its envelope, or raw), from S3
#: directly, or not at all (queue-only providers, FIFO queues, and tests that call `notify`).
DELIVERIES = ("sns", "sns-raw", "s3", "none")


class Provider:
    """One provider with one customer. Names of all its resources begin with `name`.

    `delivery` is one of DELIVERIES; a FIFO queue implies "none", as S3 cannot notify one. Without
    `bucket` there is only the queue. Without `role` the user itself, made in the provider's account,
    holds the rights. The queue gives a message up to its DLQ after `max_receive_count` receives;
    `queue_name` is for providers whose queues have names of a form of their own.
    """

    def __init__(
        self,
        aws: LocalAws,
        name: str = "provider",
        *,
        delivery: str = "sns",
        fifo: bool = False,
        bucket: bool = True,
        role: bool = True,
        versioned: bool = False,
        max_receive_count: int = 5,
        visibility_timeout_seconds: int = 30,
        queue_name: str = "",
    ) -> None:
        if delivery not in DELIVERIES:
            raise ValueError(f"delivery is one of {', '.join(DELIVERIES)}, not {delivery!r}")
        self.aws, self.name, self.fifo = aws, name, fifo
        self.external_id = f"{name}-external-id"
        self.bucket = self.kms_key_arn = self.role_arn = ""
        self._queue_name = queue_name or f"{name}-audit-queue{'.fifo' if fifo else ''}"
        self._create_queue(max_receive_count, visibility_timeout_seconds=visibility_timeout_seconds)
        if bucket:
            self._create_bucket(versioned=versioned)
            self._connect("none" if fifo else delivery)
        self._create_customer(with_role=role)

    # What the customer is told, and what happens afterwards.

    def handover(self) -> Dict[str, str]:
        """The handed-over values under the names of the settings; empty ones are left out."""
        values = {
            "role_arn": self.role_arn,
            "external_id": self.external_id if self.role_arn else "",
            "bucket": self.bucket,
            "queue_url": self.queue_url,
            "kms_key_arn": self.kms_key_arn,
            "region": self.aws.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "endpoint_url": self.aws.endpoint_url,
        }
        return {name: value for name, value in values.items() if value}

    def upload(self, key: str, body: bytes, **put_object: Any) -> str:
        """PutObject (`ContentEncoding=`, `Metadata=` and so on are passed on); returns its etag."""
        answer = self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body, **put_object)
        return str(answer["ETag"]).strip('"')

    def notify(self, *keys: str) -> str:
        """Send the S3 event of existing objects once more, all in one message; returns its id."""
        return self.send_body(json.dumps({"Records": [self.event_record(key) for key in keys]}))

    def send_body(self, body: str, *, group_id: str = "audits") -> str:
        """Put any text into the queue; returns the message id. `group_id` counts on FIFO queues only."""
        extra: Dict[str, str] = {"MessageGroupId": group_id} if self.fifo else {}
        answer = self.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body, **extra)
        return str(answer["MessageId"])

    def event_record(self, key: str) -> Dict[str, Any]:
        """The S3 event record of an existing object, as AWS words it (key form-encoded, `/` kept)."""
        head = self.client("s3").head_object(Bucket=self.bucket, Key=key)
        entity = {"key": quote_plus(key, safe="/"), "size": head["ContentLength"]}
        entity.update(eTag=head["ETag"].strip('"'), sequencer=f"{time.time_ns():018X}")
        if head.get("VersionId"):
            entity["versionId"] = head["VersionId"]
        bucket = {"name": self.bucket, "arn": f"arn:aws:s3:::{self.bucket}"}
        return {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": self.aws.region,
            "eventTime": head["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "eventName": "ObjectCreated:Put",
            "s3": {"s3SchemaVersion": "1.0", "bucket": bucket, "object": entity},
        }

    def keys(self) -> List[str]:
        """Every key in the bucket, in order."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def queue_depth(self) -> int:
        """Messages in the queue: waiting, in flight and delayed."""
        return self._depth(self.queue_url)

    def dlq_depth(self) -> int:
        """Messages that the queue gave up to its DLQ."""
        return self._depth(self.dlq_url)

    def client(self, service: str) -> Any:
        """A boto3 client with every right in the provider's account."""
        return self.aws.client(service, account=PROVIDER)

    # How it is built.

    def _create_queue(self, max_receive_count: int, *, visibility_timeout_seconds: int) -> None:
        suffix = ".fifo" if self.fifo else ""
        common = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if self.fifo else {}
        longest = {"MessageRetentionPeriod": "1209600"}  # a DLQ has to outlast its queue
        self.dlq_url = self._queue(f"{self.name}-audit-dlq{suffix}", {**common, **longest})
        redrive = {
            "deadLetterTargetArn": self._queue_arn(self.dlq_url),
            "maxReceiveCount": max_receive_count,
        }
        attributes = {
            **common,
            "RedrivePolicy": json.dumps(redrive),
            "VisibilityTimeout": str(visibility_timeout_seconds),
        }
        self.queue_url = self._queue(self._queue_name, attributes)
        self.queue_arn = self._queue_arn(self.queue_url)

    def _create_bucket(self, *, versioned: bool) -> None:
        s3, self.bucket = self.client("s3"), f"{self.name}-audit-logs"
        key = self.client("kms").create_key(Description=f"{self.name} audit logs")
        self.kms_key_arn = key["KeyMetadata"]["Arn"]
        s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": self.aws.region}
        )
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.kms_key_arn}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
        s3.put_bucket_encryption(Bucket=self.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        if versioned:
            s3.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": "Enabled"})

    def _connect(self, delivery: str) -> None:
        """Tell the bucket where to send its events; S3 then sends an `s3:TestEvent`."""
        events = {"Events": ["s3:ObjectCreated:*"]}
        if delivery in ("sns", "sns-raw"):
            topic = self._create_topic(raw=delivery == "sns-raw")
            configuration: Dict[str, Any] = {
                "TopicConfigurations": [{"TopicArn": topic, **events}],
            }
        elif delivery == "s3":
            self._let_send("s3.amazonaws.com", source_arn=f"arn:aws:s3:::{self.bucket}")
            configuration = {"QueueConfigurations": [{"QueueArn": self.queue_arn, **events}]}
        else:
            return
        self.client("s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration
        )

    def _create_topic(self, *, raw: bool) -> str:
        sns = self.client("sns")
        topic = str(sns.create_topic(Name=f"{self.name}-audit-topic")["TopicArn"])
        publish = _allow("sns:Publish", topic, principal={"Service": "s3.amazonaws.com"})
        publish["Condition"] = {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{self.bucket}"}}
        sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=_policy(publish))
        self._let_send("sns.amazonaws.com", source_arn=topic)
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=self.queue_arn,
            Attributes={"RawMessageDelivery": "true" if raw else "false"},
        )
        return topic

    def _let_send(self, service: str, *, source_arn: str) -> None:
        send = _allow("sqs:SendMessage", self.queue_arn, principal={"Service": service})
        send["Condition"] = {"ArnEquals": {"aws:SourceArn": source_arn}}
        self.client("sqs").set_queue_attributes(QueueUrl=self.queue_url, Attributes={"Policy": _policy(send)})

    def _create_customer(self, *, with_role: bool) -> None:
        account = CUSTOMER if with_role else PROVIDER
        iam, user = self.aws.client("iam", account=account), f"{self.name}-collector"
        user_arn = iam.create_user(UserName=user)["User"]["Arn"]
        if with_role:
            self._create_role(trusted_arn=user_arn)
            rights = _policy(_allow("sts:AssumeRole", self.role_arn))
        else:
            rights = self.least_privilege()
        iam.put_user_policy(UserName=user, PolicyName="collect", PolicyDocument=rights)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        self.access_key_id, self.secret_access_key = key["AccessKeyId"], key["SecretAccessKey"]

    def _create_role(self, *, trusted_arn: str) -> None:
        trust = _allow("sts:AssumeRole", "", principal={"AWS": trusted_arn})
        trust["Condition"] = {"StringEquals": {"sts:ExternalId": self.external_id}}
        iam, name = self.client("iam"), f"{self.name}-audit-access"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))
        self.role_arn = role["Role"]["Arn"]
        self.set_rights(self.least_privilege())

    def set_rights(self, policy: str) -> None:
        """Replace the access role's policy (JSON text): for playing a provider who made a mistake."""
        self.client("iam").put_role_policy(
            RoleName=self.role_arn.rpartition("/")[2], PolicyName="collect", PolicyDocument=policy
        )

    def least_privilege(self, *, without: str = "") -> str:
        """The policy a collector needs, as JSON text; `without` leaves one action out."""
        queue = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
        queue += ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
        # AWS checks batches under the singular actions; ministack wants them named.
        queue += ["sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"]
        rights = {self.queue_arn: queue}
        if self.bucket:
            objects = ["s3:GetObject", "s3:GetObjectVersion"]
            rights[f"arn:aws:s3:::{self.bucket}/*"] = objects
            rights[f"arn:aws:s3:::{self.bucket}"] = ["s3:ListBucket", "s3:GetBucketLocation"]
            rights[self.kms_key_arn] = ["kms:Decrypt"]
        kept = {arn: [a for a in actions if a != without] for arn, actions in rights.items()}
        return _policy(*(_allow(actions, arn) for arn, actions in kept.items() if actions))

    def _queue(self, name: str, attributes: Mapping[str, str]) -> str:
        answer = self.client("sqs").create_queue(QueueName=name, Attributes=attributes)
        return str(answer["QueueUrl"])

    def _queue_arn(self, url: str) -> str:
        return f"arn:aws:sqs:{self.aws.region}:{PROVIDER}:{url.rpartition('/')[2]}"

    def _depth(self, url: str) -> int:
        answer = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        counts = ("", "NotVisible", "Delayed")
        return sum(int(answer["Attributes"][f"ApproximateNumberOfMessages{of}"]) for of in counts)


def _allow(action: Any, resource: str, *, principal: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
    statement: Dict[str, Any] = {"Effect": "Allow", "Action": action}
    if resource:
        statement["Resource"] = resource
    if principal:
        statement["Principal"] = principal
    return statement


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
