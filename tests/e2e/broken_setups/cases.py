"""The broken set-ups: what is broken, and what check must say of it.

Each breaks one thing of a set-up that works. The report must have exactly one trouble, with this code, this
owner, and these words in its fix.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Callable, List, Mapping, Sequence

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """`provider` and `flags` are for the set-up and for check; `exit_code` is 1 for a failure, else 0."""

    name: str
    code: str
    owner: str
    fix: Sequence[str]
    breaks: Callable[[Any], None]
    status: str = "failed"
    flags: Sequence[str] = ()
    provider: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    configuration: bool = False

    @property
    def exit_code(self) -> int:
        return 0 if self.status == "warning" else 78 if self.configuration else 1


CASES: List[Case] = []


def broken(
    code: str, owner: str, *fix: str, status: str = "failed", flags: Sequence[str] = (),
    configuration: bool = False, environ: Mapping[str, str] = {}, **provider: Any,
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Add the function as a case under its own name."""

    def add(breaks: Callable[[Any], None]) -> Callable[[Any], None]:
        CASES.append(
            Case(breaks.__name__, code, owner, fix, breaks, status, flags, provider, environ, configuration)
        )
        return breaks

    return add


PEEK = ("--peek",)
USER = "arn:aws:sts::111111111111:assumed-role/p/audit-s3"


def denial(action: str, resource: str, why: str) -> str:
    """AWS's words."""
    return f"User: {USER} is not authorized to perform: {action} on resource: {resource} {why}"


# -- credentials and clock


@broken("credentials_invalid", "you", "aws_access_key_id")
def unknown_access_key(stage: Any) -> None:
    stage.settings["aws_access_key_id"] = "AKIAIOSFODNN7EXAMPLE"


@broken("credentials_invalid", "you", "aws_secret_access_key")
def wrong_secret(stage: Any) -> None:
    stage.settings["aws_secret_access_key"] = "not-the-secret-of-this-key"


@broken("no_credentials", "you", "aws_access_key_id", environ={"HOME": "/nonexistent"})
def no_credentials(stage: Any) -> None:
    stage.settings.update(aws_access_key_id=None, aws_secret_access_key=None)


@broken("no_profile", "you", "aws_profile", configuration=True, environ={"HOME": "/nonexistent"})
def unknown_profile(stage: Any) -> None:
    stage.settings.update(aws_access_key_id=None, aws_secret_access_key=None, aws_profile="nobody")


@broken("credentials_expired", "you", "Renew aws_session_token")
def expired_session_token(stage: Any) -> None:
    stage.alter().refuse("sts", "GetCallerIdentity", "ExpiredToken", "The security token has expired")


@broken("clock_skew", "you", "Synchronise", "clock")
def clock_far_off(stage: Any) -> None:
    message = "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"
    stage.alter().refuse(
        "sts", "GetCallerIdentity", "SignatureDoesNotMatch", message,
        headers={"date": "Thu, 01 Jan 2026 00:00:00 GMT"},
    )


@broken("clock_drift", "you", "chrony", status="warning")
def clock_drifting(stage: Any) -> None:
    from email.utils import formatdate
    from time import time

    stage.alter().say("sts", "GetCallerIdentity", date=formatdate(time() - 240, usegmt=True))


# -- the role


@broken("role_denied", "you", '"sts:AssumeRole"', "role/p")
def user_may_not_assume(stage: Any) -> None:
    user = f"{stage.provider.name}-collector"
    stage.customer_iam().delete_user_policy(UserName=user, PolicyName="collect")


@broken("role_denied", "you", "trust policy", "user/p", "sts:ExternalId")
def trust_names_somebody_else(stage: Any) -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "333333333333"}}
    stage.provider.client("iam").update_assume_role_policy(
        RoleName=stage.provider.role_arn.rpartition("/")[2],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )


@broken("role_denied", "you", "set external_id")
def no_external_id(stage: Any) -> None:
    stage.settings["external_id"] = None


@broken("role_denied", "you", "You first, then the provider", "Compare external_id")
def wrong_external_id(stage: Any) -> None:
    # AWS answers as for a trust policy that names somebody else: the fix names both, and comparing is first.
    stage.settings["external_id"] = "another-id"


@broken("role_denied", "you", "trust policy", '"AWS": "arn:aws:iam::222222222222:user/p-collector"')
def trust_policy_denies_in_aws_words(stage: Any) -> None:
    message = "User: x is not authorized to perform: sts:AssumeRole because no role trust policy allows it"
    stage.alter().refuse("sts", "AssumeRole", "AccessDenied", message)


@broken("role_refused", "you", "role_duration_seconds")
def session_longer_than_the_role_allows(stage: Any) -> None:
    message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    stage.alter().refuse("sts", "AssumeRole", "ValidationError", message, status=400)


@broken("role_denied", "you", "service control policy")
def organization_denies_the_role(stage: Any) -> None:
    why = "with an explicit deny in a service control policy"
    message = denial("sts:AssumeRole", stage.provider.role_arn, why)
    stage.alter().refuse("sts", "AssumeRole", "AccessDenied", message)


@broken("session_policy", "you", "session_policy")
def session_policy_refused(stage: Any) -> None:
    stage.alter().refuse("sts", "AssumeRole", "PackedPolicyTooLarge", "Packed size exceeds", status=400)


# -- the queue


@broken("queue_missing", "you", "queue_url")
def no_such_queue(stage: Any) -> None:
    stage.settings["queue_url"] += "-of-another-name"
    stage.also("sqs:*", "*")


@broken("queue_denied", "you", "First compare queue_url", "is right: Send to the provider")
def no_such_queue_and_rights_to_the_right_one_only(stage: Any) -> None:
    stage.settings["queue_url"] += "-of-another-name"


@broken("queue_receive_denied", "provider", '"sqs:ReceiveMessage"', "p-audit-queue", "role/p", flags=PEEK)
def no_receive(stage: Any) -> None:
    stage.without("sqs:ReceiveMessage")


@broken("queue_delete_denied", "provider", '"sqs:DeleteMessage"', "role/p")
def no_delete(stage: Any) -> None:
    stage.without("sqs:DeleteMessage", "sqs:DeleteMessageBatch")


@broken("queue_visibility_denied", "provider", '"sqs:ChangeMessageVisibility"', status="warning", flags=PEEK)
def no_visibility(stage: Any) -> None:
    stage.without("sqs:ChangeMessageVisibility", "sqs:ChangeMessageVisibilityBatch")


@broken("queue_attributes_denied", "provider", '"sqs:GetQueueAttributes"', status="warning")
def no_attributes(stage: Any) -> None:
    stage.without("sqs:GetQueueAttributes")


@broken("queue_denied", "you", "Send to the provider", "sqs:ReceiveMessage", "p-audit-queue")
def nothing_of_the_queue(stage: Any) -> None:
    policy = json.loads(stage.provider.least_privilege())
    policy["Statement"] = [each for each in policy["Statement"] if ":sqs:" not in str(each["Resource"])]
    stage.provider.set_rights(json.dumps(policy))


@broken("queue_denied", "provider", "Send to the provider: an explicit deny", "role/p-audit-access; remove")
def queue_denies_explicitly(stage: Any) -> None:
    stage.also("sqs:*", stage.provider.queue_arn, "Deny")


@broken("queue_denied", "you", "Add to the policy of", "user/p-collector", '"sqs:GetQueueUrl"',
        "arn:aws:sqs:eu-west-1:111111111111:p-audit-queue", role=False)
def queue_by_name_alone(stage: Any) -> None:
    stage.settings["queue_url"] = stage.provider.queue_url.rpartition("/")[2]
    stage.without("sqs:GetQueueUrl")


@broken("kms_denied", "provider", '"kms:Decrypt"', "key/of-the-queue", flags=PEEK)
def key_of_the_queue_denied(stage: Any) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/of-the-queue"
    message = denial("kms:Decrypt", key, "because no identity-based policy allows the kms:Decrypt action")
    stage.alter().refuse("sqs", "ReceiveMessage", "KmsAccessDenied", message, status=400)


@broken("queue_retention_short", "provider", "MessageRetentionPeriod=1209600", status="warning")
def queue_forgets_within_the_hour(stage: Any) -> None:
    stage.queue(MessageRetentionPeriod="3600")


@broken("dlq_retention_short", "provider", "p-audit-dlq", "MessageRetentionPeriod=1209600", status="warning")
def dlq_forgets_with_the_queue(stage: Any) -> None:
    stage.also("sqs:GetQueueAttributes", stage.provider.queue_arn.replace("-queue", "-dlq"))
    stage.provider.client("sqs").set_queue_attributes(
        QueueUrl=stage.provider.dlq_url, Attributes={"MessageRetentionPeriod": "345600"}
    )


@broken("queue_redrive_low", "provider", '"maxReceiveCount": 5', status="warning", flags=PEEK,
        max_receive_count=1)
def one_receive_a_message(stage: Any) -> None:
    pass


@broken("queue_message_size_small", "provider", "MaximumMessageSize=262144")
def queue_takes_small_messages(stage: Any) -> None:
    stage.queue(MaximumMessageSize="1024")


@broken("queue_open", "provider", "aws:SourceArn", "arn:aws:s3:::p-audit-logs", status="warning")
def queue_open_to_the_world(stage: Any) -> None:
    arn = stage.provider.queue_arn
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    stage.queue(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


@broken("queue_other_reader", "you", "queue of your own", status="warning")
def somebody_else_reads(stage: Any) -> None:
    queue_url = stage.provider.queue_url
    taken = stage.provider.client("sqs").receive_message(QueueUrl=queue_url, VisibilityTimeout=600)
    assert taken["Messages"]


@broken("foreign_bucket", "you", "bucket = another-bucket", status="warning", flags=PEEK)
def messages_name_another_bucket(stage: Any) -> None:
    stage.provider.client("sqs").purge_queue(QueueUrl=stage.provider.queue_url)
    record = stage.provider.event_record("k/one")
    record["s3"]["bucket"]["name"] = "another-bucket"
    stage.provider.send_body(json.dumps({"Records": [record]}))


@broken("queue_delete_denied", "you", "Add to the policy of arn:aws:iam::111111111111:user/p-collector",
        '"sqs:DeleteMessage"', role=False)
def no_delete_by_our_own_user(stage: Any) -> None:
    stage.without("sqs:DeleteMessage", "sqs:DeleteMessageBatch")


@broken("queue_delete_denied", "you", "user/p-collector", "is of another account, send to whoever owns it",
        role=False)
def no_delete_and_aws_does_not_say_whose_policy(stage: Any) -> None:
    stage.alter().refuse("sqs", "DeleteMessageBatch", "AccessDenied", "Access to the resource is denied.")


@broken("queue_delete_denied", "provider", "111111111111:p-audit-queue itself", '"Principal"',
        "user/p-collector", role=False)
def queue_policy_leaves_our_own_user_out(stage: Any) -> None:
    queue = "arn:aws:sqs:eu-west-1:111111111111:p-audit-queue"
    message = denial("sqs:deletemessage", queue, "because no resource-based policy allows the action")
    stage.alter().refuse("sqs", "DeleteMessageBatch", "AccessDenied", message)


@broken("sns_unconfirmed", "provider", "please confirm the subscription of arn:aws:sqs",
        "--topic-arn arn:aws:sns:eu-west-1:111111111111:audit", status="warning", flags=PEEK)
def subscription_that_nobody_confirmed(stage: Any) -> None:
    stage.say_of_topic("SubscriptionConfirmation")


@broken("sns_unsubscribed", "provider", "subscribe it again", status="warning", flags=PEEK)
def subscription_that_was_ended(stage: Any) -> None:
    stage.say_of_topic("UnsubscribeConfirmation")


@broken("unknown_body", "you", "provider", status="warning", flags=PEEK)
def messages_of_no_known_shape(stage: Any) -> None:
    stage.provider.client("sqs").purge_queue(QueueUrl=stage.provider.queue_url)
    stage.provider.send_body("what is this?")


# -- the bucket


@broken("bucket_missing", "you", "bucket setting")
def no_such_bucket(stage: Any) -> None:
    stage.settings.update(bucket="p-audit-loks", session_policy="false")
    stage.also("s3:*", "arn:aws:s3:::p-audit-loks")


@broken("bucket_missing", "you", "bucket setting")
def no_such_bucket_and_rights_to_the_right_one_only(stage: Any) -> None:
    stage.settings["bucket"] = "p-audit-loks"


@broken("object_denied", "provider", "Compare bucket", '"s3:GetObject"')
def nothing_of_the_bucket(stage: Any) -> None:
    policy = json.loads(stage.provider.least_privilege())
    policy["Statement"] = [each for each in policy["Statement"] if ":s3:" not in str(each["Resource"])]
    stage.provider.set_rights(json.dumps(policy))


@broken("object_denied", "provider", '"s3:GetObject"', "arn:aws:s3:::p-audit-logs/*", "role/p")
def no_get_object(stage: Any) -> None:
    stage.without("s3:GetObject")


@broken("object_denied", "provider", '"s3:GetObject"')
def no_get_object_and_no_object(stage: Any) -> None:
    stage.provider.client("s3").delete_object(Bucket=stage.provider.bucket, Key="k/one")
    stage.without("s3:GetObject")


@broken("versions_denied", "provider", '"s3:GetObjectVersion"', status="warning", versioned=True)
def no_get_object_version(stage: Any) -> None:
    stage.without("s3:GetObjectVersion")


@broken("list_denied", "provider", '"s3:ListBucket"', 'arn:aws:s3:::p-audit-logs"', status="warning")
def no_listing(stage: Any) -> None:
    stage.without("s3:ListBucket")


@broken("list_denied", "provider", '"s3:ListBucket"', status="warning")
def no_listing_in_aws_words(stage: Any) -> None:
    # For a key that is not there, who may not list gets 403, in the name of s3:ListBucket.
    message = denial("s3:ListBucket", "arn:aws:s3:::p-audit-logs", "because no identity-based policy")
    altered = stage.alter()
    for operation in ("ListObjectsV2", "GetObject"):
        altered.refuse("s3", operation, "AccessDenied", message)


@broken("bucket_region_denied", "provider", '"s3:GetBucketLocation"', status="warning")
def no_bucket_location(stage: Any) -> None:
    stage.without("s3:GetBucketLocation")


@broken("bucket_region_differs", "you", "bucket_region = eu-west-1", status="warning")
def bucket_region_wrong(stage: Any) -> None:
    stage.settings["bucket_region"] = "us-east-2"


@broken("bucket_owner", "you", "expected_bucket_owner")
def bucket_of_another_account(stage: Any) -> None:
    stage.settings["expected_bucket_owner"] = "333333333333"
    altered = stage.alter()
    for operation in ("ListObjectsV2", "GetObject", "GetBucketLocation"):
        altered.refuse(
            "s3", operation, "AccessDenied", "Access Denied", only_with_header="x-amz-expected-bucket-owner"
        )


@broken("foreign_kms_key", "you", "kms_key_arn = ")
def key_not_on_the_list(stage: Any) -> None:
    stage.settings["kms_key_arn"] = "arn:aws:kms:eu-west-1:111111111111:key/another"


@broken("kms_denied", "provider", '"kms:Decrypt"', "key/k-1", "role/p", "key's own policy")
def key_denied(stage: Any) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/k-1"
    message = denial("kms:Decrypt", key, "because no identity-based policy allows the kms:Decrypt action")
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("kms_denied", "provider", '"kms:Decrypt"', "Without a kms:ViaService condition")
def key_denied_for_what_its_writer_encrypted(stage: Any) -> None:
    stage.upload_encrypted()
    stage.without("kms:Decrypt")


@broken("kms_denied", "provider", "the policy of arn:aws:kms", "key/k-1 itself", "Principal")
def key_policy_denies(stage: Any) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/k-1"
    message = denial("kms:Decrypt", key, "because no resource-based policy allows the kms:Decrypt action")
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("kms_denied", "you", "key/k-2", "kms_key_arn")
def key_outside_the_session_policy(stage: Any) -> None:
    key = "arn:aws:kms:eu-west-1:111111111111:key/k-2"
    message = denial("kms:Decrypt", key, "because no session policy allows the kms:Decrypt action")
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("kms_key_unusable", "provider", "please enable arn:aws:kms", "s3://p-audit-logs/k/one")
def key_disabled(stage: Any) -> None:
    message = "arn:aws:kms:eu-west-1:111111111111:key/k-1 is disabled."
    stage.alter().refuse("s3", "GetObject", "KMS.DisabledException", message, status=400)


@broken("object_denied", "provider", "Send to the provider", "service control policy denies")
def organization_denies_objects(stage: Any) -> None:
    why = "with an explicit deny in a service control policy"
    message = denial("s3:GetObject", "arn:aws:s3:::p-audit-logs/k/one", why)
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("object_denied", "provider", "Send to the provider", "permissions boundary", "has to change it")
def boundary_denies_objects(stage: Any) -> None:
    why = "because no permissions boundary allows the s3:GetObject action"
    message = denial("s3:GetObject", "arn:aws:s3:::p-audit-logs/k/one", why)
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("object_denied", "network", "VPC endpoint")
def endpoint_policy_denies_objects(stage: Any) -> None:
    why = "because no VPC endpoint policy allows the s3:GetObject action"
    message = denial("s3:GetObject", "arn:aws:s3:::p-audit-logs/k/one", why)
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("object_denied", "you", "session_policy")
def session_policy_denies_objects(stage: Any) -> None:
    why = "because no session policy allows the s3:GetObject action"
    message = denial("s3:GetObject", "arn:aws:s3:::p-audit-logs/k/one", why)
    stage.alter().refuse("s3", "GetObject", "AccessDenied", message)


@broken("object_denied", "provider", "explicit deny", "in the policy of arn:aws:s3:::p-audit-logs itself")
def bucket_policy_denies_objects(stage: Any) -> None:
    bucket = stage.provider.bucket
    statement = {
        "Effect": "Deny", "Principal": {"AWS": stage.provider.role_arn}, "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    stage.provider.client("s3").put_bucket_policy(Bucket=bucket, Policy=policy)


@broken("archived", "provider", "Send to the provider: please restore s3://p-audit-logs/k/one")
def objects_archived(stage: Any) -> None:
    message = "The operation is not valid for the object's storage class"
    stage.alter().refuse("s3", "GetObject", "InvalidObjectState", message)


@broken("customer_key", "provider", "SSE-C", "s3://p-audit-logs/k/one")
def objects_under_a_key_of_their_writer(stage: Any) -> None:
    message = "The object was stored using a form of Server Side Encryption."
    stage.alter().refuse("s3", "GetObject", "InvalidRequest", message, status=400)


# -- the checkpoints' table


@broken("checkpoint_table_missing", "you", "aws dynamodb create-table --table-name audit-s3-checkpoints",
        configuration=True)
def no_table(stage: Any) -> None:
    stage.checkpoints_in_dynamodb(is_made=False)


@broken("checkpoint_table_missing", "you", "checkpoint_region", configuration=True)
def table_in_another_region(stage: Any) -> None:
    stage.checkpoints_in_dynamodb()
    stage.settings["checkpoint_region"] = "us-east-2"


@broken("checkpoint_table_denied", "you", '"dynamodb:GetItem"', '"dynamodb:BatchWriteItem"',
        "arn:aws:dynamodb:eu-west-1:222222222222:table/audit-s3-checkpoints/index/*", configuration=True)
def nothing_of_the_table(stage: Any) -> None:
    stage.checkpoints_in_dynamodb(rights=())


@broken("checkpoint_table_denied", "network", "VPC endpoint", configuration=True)
def endpoint_policy_denies_the_table(stage: Any) -> None:
    stage.checkpoints_in_dynamodb()
    message = "because no VPC endpoint policy allows the dynamodb:UpdateItem action"
    stage.alter().refuse("dynamodb", "UpdateItem", "AccessDeniedException", message, status=400)


@broken("checkpoint_table_unusable", "you", "create another", configuration=True)
def table_of_something_else(stage: Any) -> None:
    stage.checkpoints_in_dynamodb(is_made=False)
    stage.aws.client("dynamodb", account="222222222222").create_table(
        TableName="audit-s3-checkpoints", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )


# -- the network


@broken("proxy_failed", "network", "proxy_url")
def proxy_out_of_reach(stage: Any) -> None:
    stage.settings["proxy_url"] = "http://127.0.0.1:9"
    stage.settings.update(output="stdout", hec_url=None)


@broken("proxy_refused", "network", "user:password@")
def proxy_wants_a_login(stage: Any) -> None:
    stage.settings["proxy_url"] = stage.proxy(login="me:pr0xy-passw0rd").url
    stage.settings.update(output="stdout", hec_url=None)


@broken("proxy_refused", "network", "allow this host")
def proxy_forbids_the_host(stage: Any) -> None:
    stage.settings["proxy_url"] = stage.proxy().url
    stage.lead_to("https://aws.example.com")
    stage.settings.update(output="stdout", hec_url=None)


@broken("tls_untrusted", "network", "aws_ca_file")
def certificate_of_an_unknown_authority(stage: Any) -> None:
    stage.lead_to(stage.tls(stage.aws.endpoint_url))


@broken("config_invalid", "you", "aws_ca_file", configuration=True)
def authority_for_aws_that_is_no_certificate(stage: Any) -> None:
    file = stage.folder / "aws-ca.pem"
    file.write_text("not a certificate")
    stage.settings["aws_ca_file"] = file
    stage.lead_to(stage.tls(stage.aws.endpoint_url))


@broken("dns_failed", "network", "DNS")
def name_that_nobody_knows(stage: Any) -> None:
    stage.lead_to("https://aws.invalid")


@broken("connection_failed", "network", "firewalls")
def nobody_listens(stage: Any) -> None:
    stage.lead_to("http://127.0.0.1:9")


@broken("timeout", "network", "firewalls that drop")
def nobody_answers(stage: Any) -> None:
    stage.lead_to(stage.silence())


@broken("timeout", "network", "firewalls that drop")
def packets_are_dropped(stage: Any) -> None:
    stage.lead_to(stage.silence(takes_connections=False))


# -- HEC


@broken("hec_timeout", "network", "what stands before HEC")
def hec_does_not_answer(stage: Any) -> None:
    stage.settings["hec_url"] = stage.silence()


@broken("hec_connection_lost", "network", "what stands before HEC")
def connection_to_hec_breaks(stage: Any) -> None:
    stage.hec.fail_next(reset=True, kind="health")


@broken("hec_token_invalid", "you", "HTTP Event Collector")
def wrong_token(stage: Any) -> None:
    stage.settings["hec_token"] = "99999999-2222-4333-8444-555555555555"


@broken("hec_token_disabled", "you", "HTTP Event Collector")
def disabled_token(stage: Any) -> None:
    stage.hec.fail_next(403, 1)


@broken("hec_token_missing", "network", "Authorization")
def token_stripped_on_the_way(stage: Any) -> None:
    stage.hec.fail_next(401, 2)


@broken("hec_wrong_url", "you", "8088")
def url_of_something_else(stage: Any) -> None:
    for kind in ("health", "event"):
        stage.hec.fail_next(404, kind=kind)


@broken("hec_unreachable", "network", "host name")
def hec_not_there(stage: Any) -> None:
    stage.settings["hec_url"] = "http://127.0.0.1:9"


@broken("hec_unreachable", "network", "host name")
def hec_of_an_unknown_name(stage: Any) -> None:
    stage.settings["hec_url"] = "https://hec.invalid:8088"


@broken("hec_tls", "network", "hec_ca_file")
def hec_of_an_unknown_authority(stage: Any) -> None:
    stage.settings["hec_url"] = stage.tls(stage.hec.url)


@broken("hec_not_tls", "you", "Enable SSL", "http://")
def hec_without_tls(stage: Any) -> None:
    stage.settings["hec_url"] = stage.hec.url.replace("http:", "https:")


@broken("hec_gateway", "network", "")
def hec_behind_a_broken_gateway(stage: Any) -> None:
    stage.hec.fail_next(502)


@broken("hec_ack_disabled", "you", "acknowledgement")
def acknowledgement_demanded_and_off(stage: Any) -> None:
    stage.settings["hec_ack"] = "on"


@broken("hec_queues_full", "you", "queues")
def splunk_is_full(stage: Any) -> None:
    stage.hec.busy = True


# -- this host


@broken("config_invalid", "you", "queue_url", configuration=True)
def unknown_setting(stage: Any) -> None:
    stage.settings["queue_ulr"] = "x"


@broken("config_invalid", "you", "readable", configuration=True)
def secret_without_its_file(stage: Any) -> None:
    stage.settings["aws_session_token"] = f"file:{stage.folder}/nothing"


@broken("config_invalid", "you", "PEM", configuration=True)
def authority_that_is_no_certificate(stage: Any) -> None:
    file = stage.folder / "ca.pem"
    file.write_text("not a certificate")
    stage.settings.update(hec_ca_file=file, hec_url=stage.hec.url.replace("http:", "https:"))


@broken("checkpoint_dir_unusable", "you", "checkpoint_dir", configuration=True)
def checkpoints_beneath_a_file(stage: Any) -> None:
    stage.settings["checkpoint_dir"] = "/dev/null/state"


@broken("checkpoint_dir_unusable", "you", "checkpoint_dir", configuration=True)
def checkpoints_in_a_file(stage: Any) -> None:
    stage.settings["checkpoint_dir"] = stage.folder / "state"
    (stage.folder / "state").write_text("")


@broken("http_listen", "you", "address", configuration=True)
def status_page_where_somebody_listens(stage: Any) -> None:
    stage.settings["http_listen"] = stage.hec.url.partition("//")[2]


@broken("checkpoints_unreadable", "you", "Restart", status="warning")
def checkpoints_damaged(stage: Any) -> None:
    folder = stage.settings["checkpoint_dir"]
    folder.mkdir()
    (folder / "it.sqlite3").write_bytes(b"this was a database " * 500)


@broken("setting_caution", "you", "", status="warning")
def certificate_not_verified(stage: Any) -> None:
    stage.settings["hec_tls_verify"] = "false"
