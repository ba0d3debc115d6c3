"""The one table of settings, from which parser, flags, environment, Splunk spec, scheme and documents come.

`everyday` settings are what a newcomer needs, at most 14; `tuning` is the rest. A sentence of help says
what the setting does; `default_text` says what comes of leaving it out. `generate.py` writes the
generated files anew after a change here (`python -m collector.hosts.documents`).
"""

# ruff: noqa: RUF009  (the defaults of secrets are immutable, which the linter cannot know)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from collector.config import addresses as shape
from collector.config.providers import PROVIDERS
from collector.config.rules import Rule
from collector.config.secret import Secret, mask_userinfo
from collector.config.table import Setting, rows, setting
from collector.config.values import starts

__all__ = ["SETTINGS", "SPLUNK_KEYS", "Settings", "shown"]

#: Keys of Splunk's own in an input's stanza: accepted, and of no effect here but for `disabled`.
SPLUNK_KEYS = (
    "disabled", "interval", "python.version", "python.required", "start_by_shell", "validate_online",
)

_E, _T = "everyday", "tuning"
_ACCESS, _SOURCE, _OUTPUT = "Access", "Queue and bucket", "Output"
_NETWORK, _WINDOW, _RUN = "Network", "Retention and checkpoints", "Running"


@dataclass(frozen=True, repr=False)
class Settings:
    """The effective settings of one input. Text that is not set is ""; a list that is not set is ().

    After `load`, whatever can be derived is filled in: regions, the expected bucket owner, the queue's
    role, the output, the SQS endpoint of a private queue URL, and the checkpoint directory.
    """

    # fmt: off
    provider: str = setting(_E, _SOURCE, "Whose audits these are: sets sourcetype, times and markers.",
        default="custom", choices=tuple(PROVIDERS), example="thrive")

    # Access
    role_arn: str = setting(_E, _ACCESS,
        "The access role that the provider made for you, assumed through STS.", shape=shape.role_arn,
        default_text="no role: the credentials themselves",
        example="arn:aws:iam::111111111111:role/audit-access")
    external_id: str = setting(_E, _ACCESS, "The external id that the role's trust policy demands.",
        shape=shape.external_id, example="5f2c9e0a")
    role_session_name: str = setting(_T, _ACCESS,
        "The session name that CloudTrail shows to the role's owner.", default="audit-s3",
        shape=shape.session_name)
    role_duration_seconds: int = setting(_T, _ACCESS,
        "How long one assumed session lasts before it is renewed.", default=3600, minimum=900, maximum=43_200,
        unit="seconds")
    session_policy: bool = setting(_T, _ACCESS, "Narrow the assumed session to what this input needs.",
        default=True)
    aws_access_key_id: str = setting(_E, _ACCESS, "Access key id of your IAM user.", reference=True,
        default_text="boto3's own chain: environment, profile, container, instance",
        example="AKIAIOSFODNN7EXAMPLE")
    aws_secret_access_key: Secret = setting(_E, _ACCESS, "Secret access key of your IAM user.",
        default=Secret(), example="file:/etc/audit-s3/aws-secret")
    aws_session_token: Secret = setting(_T, _ACCESS, "Session token, where the key is a temporary one.",
        default=Secret(), example="env:TOKEN")
    aws_profile: str = setting(_T, _ACCESS,
        "Profile of the shared AWS configuration files to take credentials from.", example="audit")
    account: str = setting(_T, _ACCESS, "The provider's AWS account id.", shape=shape.account,
        default_text="the account of role_arn", example="111111111111")
    queue_role_arn: str = setting(_T, _ACCESS, "The role for the queue, where it differs; none uses no role.",
        shape=shape.queue_role_arn, default_text="role_arn", example="none")
    expected_bucket_owner: str = setting(_T, _ACCESS,
        "The account that must own the bucket (ExpectedBucketOwner); none does not ask.", shape=shape.owner,
        default_text="account, else the account of role_arn", example="111111111111")
    kms_key_arn: Tuple[str, ...] = setting(_E, _ACCESS,
        "The KMS keys that objects may be encrypted with, comma-separated; unset allows any.", default=(),
        shape=shape.kms_key_arn, default_text="any key",
        example="arn:aws:kms:eu-west-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    allow_unauthenticated_cbc: bool = setting(_T, _ACCESS,
        "Decrypt objects that their writer encrypted in AES-CBC, which cannot show that they were changed.",
        default=False)
    sns_signature: str = setting(_T, _ACCESS, "What a missing or wrong SNS signature leads to.",
        default="warn", choices=("off", "warn", "enforce"))
    sns_topic_arn: Tuple[str, ...] = setting(_T, _ACCESS,
        "The SNS topics that may send, comma-separated; judged as sns_signature says.", default=(),
        shape=shape.topic_arn, default_text="any topic",
        example="arn:aws:sns:eu-west-1:111111111111:audit-topic")

    # Queue and bucket
    region: str = setting(_E, _SOURCE, "The AWS region, where nothing more exact says it.",
        shape=shape.region, default_text="the queue's region, else $AWS_REGION, else the profile's",
        example="eu-west-1")
    queue_url: str = setting(_E, _SOURCE, "The SQS queue: its URL, its ARN, or its name.", shape=shape.queue,
        example="https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue")
    queue_region: str = setting(_T, _SOURCE, "The queue's region.", shape=shape.region,
        default_text="as the queue's URL or ARN says, else region", example="us-east-1")
    bucket: Tuple[str, ...] = setting(_E, _SOURCE,
        "The buckets that may be read, comma-separated; no other is.", default=(), shape=shape.bucket,
        example="thrive-audit-logs")
    bucket_region: str = setting(_T, _SOURCE, "The bucket's region; S3's answer corrects it.",
        shape=shape.region, default_text="that of kms_key_arn, else region, else the queue's",
        example="us-west-2")
    prefix: str = setting(_T, _SOURCE, "Only keys that begin so are read and listed.", example="AWSLogs/")
    include: Tuple[str, ...] = setting(_T, _SOURCE, "Globs of keys to read, comma-separated.", default=(),
        default_text="all", example="*.json, *.json.gz")
    exclude: Tuple[str, ...] = setting(_T, _SOURCE, "Globs of keys to leave out, comma-separated.",
        default=(), default_text="none", example="*.tmp")
    ignore_databases: Tuple[str, ...] = setting(_T, _SOURCE,
        "PostgreSQL databases whose log lines are left out: exact names, comma-separated.", default=(),
        default_text="none", example="rdsadmin")
    ignore_users: Tuple[str, ...] = setting(_T, _SOURCE,
        "PostgreSQL users whose log lines are left out: exact names, comma-separated.", default=(),
        default_text="none", example="rdsadmin, privacera_sync")
    routes: Tuple[Rule, ...] = setting(_T, _SOURCE,
        "Rules by key, parted by ;: a glob, then sourcetype=, index=, decoder=, or drop; first match wins.",
        default=(), default_text="none",
        example="*/CloudTrail/* sourcetype=aws:cloudtrail index=aws; *-Digest/* drop")

    # Output
    output: Tuple[str, ...] = setting(_E, _OUTPUT,
        "Where events go; with several, each must take every event.", default=(),
        choices=("hec", "stdout", "splunkd"),
        default_text="splunkd under splunkd, else hec if hec_url is set, else stdout", example="hec")
    hec_url: Tuple[str, ...] = setting(_E, _OUTPUT,
        "HEC endpoints, comma-separated; one is enough.", default=(), shape=shape.hec_url,
        example="https://splunk.example.com:8088")
    hec_token: Secret = setting(_E, _OUTPUT, "The HEC token.", default=Secret(),
        example="file:/etc/audit-s3/hec-token")
    hec_ack: str = setting(_T, _OUTPUT, "Wait for indexer acknowledgement; auto asks the endpoint.",
        default="auto", choices=("auto", "on", "off"))
    hec_gzip: str = setting(_T, _OUTPUT, "Compress requests to HEC; auto does unless HEC is on this host.",
        default="auto", choices=("auto", "on", "off"))
    hec_ca_file: str = setting(_T, _OUTPUT, "PEM file of the authority that signed HEC's certificate.",
        default_text="the system's authorities", example="/etc/audit-s3/splunk-ca.pem")
    hec_tls_verify: bool = setting(_T, _OUTPUT, "Verify HEC's certificate.", default=True)
    batch_max_bytes: int = setting(_T, _OUTPUT, "The rendered size at which a batch is sent.",
        default=1_000_000, minimum=10_000, maximum=100_000_000, unit="bytes")
    batch_linger_seconds: float = setting(_T, _OUTPUT, "How long a batch waits for more.", default=1.0,
        minimum=0, maximum=60, unit="seconds")
    max_event_bytes: int = setting(_T, _OUTPUT, "The size beyond which one event is cut into marked parts.",
        default=5_000_000, minimum=1_000, maximum=100_000_000, unit="bytes")
    event_identity: bool = setting(_T, _OUTPUT,
        "Send the fields s3_oid and s3_seq, by which repeats can be told.", default=True)
    stdout_format: str = setting(_T, _OUTPUT, "How stdout shows an event.", default="raw",
        choices=("raw", "json", "hec"))
    index: str = setting(_E, _OUTPUT, "The Splunk index; `default` is the same as unset.",
        default_text="the output's own", example="audit")
    host: str = setting(_T, _OUTPUT, "The host that events are said to come from.",
        default_text="the database instance for privacera-pgaudit, else the output's own", example="db-1")
    source: str = setting(_T, _OUTPUT, "The source of all events.", default_text="s3://BUCKET/KEY",
        example="audit")
    sourcetype: str = setting(_T, _OUTPUT, "The sourcetype of all events that no route names one for.",
        default_text="the provider's, else the output's own", example="example:audit")

    # Network
    endpoint_url: str = setting(_T, _NETWORK, "One endpoint for all AWS services.", shape=shape.endpoint,
        default_text="AWS's own", example="https://aws.example.com")
    s3_endpoint_url: str = setting(_T, _NETWORK, "The endpoint of S3; wins over endpoint_url.",
        shape=shape.endpoint, default_text="endpoint_url",
        example="https://bucket.vpce-1.s3.eu-west-1.vpce.amazonaws.com")
    sqs_endpoint_url: str = setting(_T, _NETWORK, "The endpoint of SQS; wins over endpoint_url.",
        shape=shape.endpoint, default_text="endpoint_url, else the host of a private queue_url",
        example="https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com")
    sts_endpoint_url: str = setting(_T, _NETWORK, "The endpoint of STS; wins over endpoint_url.",
        shape=shape.endpoint, default_text="endpoint_url",
        example="https://vpce-1.sts.eu-west-1.vpce.amazonaws.com")
    kms_endpoint_url: str = setting(_T, _NETWORK, "The endpoint of KMS; wins over endpoint_url.",
        shape=shape.endpoint, default_text="endpoint_url",
        example="https://vpce-1.kms.eu-west-1.vpce.amazonaws.com")
    dynamodb_endpoint_url: str = setting(_T, _NETWORK, "The endpoint of DynamoDB; wins over endpoint_url.",
        shape=shape.endpoint, default_text="endpoint_url", example="http://127.0.0.1:8000")
    proxy_url: str = setting(_T, _NETWORK, "The proxy of all outgoing connections.", shape=shape.proxy,
        default_text="HTTPS_PROXY and NO_PROXY of the environment", example="http://proxy.example.com:3128")
    aws_ca_file: str = setting(_T, _NETWORK, "PEM file of the authorities to trust for AWS.",
        default_text="botocore's own", example="/etc/audit-s3/aws-ca.pem")
    use_fips_endpoint: bool = setting(_T, _NETWORK, "Use AWS's FIPS 140 endpoints.", default=False)

    # Retention and checkpoints
    start_from: str = setting(_E, _WINDOW,
        "Where an empty ledger starts: now, retention (everything still kept), or an ISO time.",
        default="now", shape=starts, example="2026-05-04T00:00:00Z")
    retention_days: int = setting(_T, _WINDOW, "How long the provider keeps objects in the bucket.",
        default=30, minimum=1, maximum=3650, unit="days")
    reconcile_interval_seconds: int = setting(_T, _WINDOW,
        "How often the bucket is listed for what the queue forgot; 0 never.", default=21_600, minimum=0,
        unit="seconds")
    reconcile_grace_seconds: int = setting(_T, _WINDOW,
        "How old a listed object must be to count as forgotten.", default=1_800, minimum=0, unit="seconds")
    expected_interval_seconds: int = setting(_T, _WINDOW,
        "After this long without a message the bucket is looked into for the reason; 0 never.", default=0,
        minimum=0, unit="seconds", default_text="as the provider writes; 0 where that is not known",
        example="3600")
    checkpoint_dir: str = setting(_T, _WINDOW, "The directory of the checkpoint files.",
        default_text="$STATE_DIRECTORY, splunkd's own, else ~/.local/state/audit-s3",
        example="/var/lib/audit-s3")
    checkpoint_store: str = setting(_T, _WINDOW,
        "Where checkpoints live; dynamodb is shared by several hosts.", default="sqlite",
        choices=("sqlite", "dynamodb"))
    checkpoint_table: str = setting(_T, _WINDOW, "The DynamoDB table.", example="audit-s3")
    checkpoint_region: str = setting(_T, _WINDOW, "The DynamoDB table's region.", shape=shape.region,
        default_text="region", example="eu-west-1")

    # Running
    wait_time_seconds: int = setting(_T, _RUN, "How long one receive waits for messages (long poll).",
        default=20, minimum=0, maximum=20, unit="seconds")
    max_number_of_messages: int = setting(_T, _RUN, "How many messages one receive may take.", default=10,
        minimum=1, maximum=10)
    visibility_timeout_seconds: int = setting(_T, _RUN,
        "For how long a received message is ours until renewed.", default=300, minimum=30, maximum=43_200,
        unit="seconds")
    workers: int = setting(_T, _RUN, "How many objects are read at the same time.", default=32, minimum=1,
        maximum=256)
    processes: int = setting(_T, _RUN, "How many collectors share the work, each on a core of its own.",
        default=1, minimum=1, maximum=64, scope="process")
    http_listen: str = setting(_T, _RUN, "PORT (on loopback) or HOST:PORT of the status page and metrics.",
        shape=shape.listen, default_text="off", example="127.0.0.1:9090", scope="process")
    log_level: str = setting(_T, _RUN, "How much is logged.", default="info",
        choices=("debug", "info", "warning", "error"), scope="process")
    log_format: str = setting(_T, _RUN, "How log lines look.", default="text", choices=("text", "json"),
        scope="process")

    # fmt: on

    def endpoint_for(self, service: str) -> str:
        """The endpoint of "s3", "sqs", "sts", "kms" or "dynamodb", or "" for AWS's own."""
        own: str = getattr(self, f"{service}_endpoint_url")
        return own or self.endpoint_url

    @property
    def retention_seconds(self) -> float:
        return self.retention_days * 86400.0

    def __repr__(self) -> str:
        changed = (name for name, row in SETTINGS.items() if getattr(self, name) != row.default)
        return f"Settings({', '.join(f'{name}={shown(getattr(self, name))!r}' for name in changed)})"


#: Every setting by name, in the order of the documents.
SETTINGS: Mapping[str, Setting] = rows(Settings)


def shown(value: Any) -> str:
    """A value as a conf file would hold it, fit to be seen: secrets as stars, passwords cut from URLs."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        separator = "; " if value and isinstance(value[0], Rule) else ", "
        return mask_userinfo(separator.join(str(element) for element in value))
    return mask_userinfo(str(value))
