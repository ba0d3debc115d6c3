"""Every code that a log line, a quarantine entry or a metric may carry: what it means, and what to do.

    for code in codes_of("foreign_bucket"):
        code.fate, code.meaning, code.step

docs/operations.md is written from this table, `audit-s3 explain CODE` reads it, and a test holds it to what
the program raises. The findings of `audit-s3 check` have tables of their own (onboarding/checks).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Mapping, Tuple

from collector.onboarding.checks import CHECKS, TROUBLES
from collector.retention.moves import MOVES

__all__ = ["AREAS", "FATES", "Area", "Code", "all_codes", "codes_of"]

#: What becomes of the work, by the fate of the error that stopped it.
FATES: Mapping[str, str] = {
    "retry": "tried again by itself, as later may be better",
    "poison": "the same input will always fail: it ends in quarantine, or as gone, and the rest goes on",
    "refused": "an output refused it for its content: the event goes to quarantine, its neighbours are sent",
    "fatal": "somebody has to act: nothing is quarantined and nothing is deleted for it",
    "notice": "said once when it begins and once when it ends, and shown meanwhile; collecting goes on",
    "check": "`audit-s3 check` tries it",
    "found": "`audit-s3 check` finds it, and says whose move it is",
}


@dataclass(frozen=True)
class Code:
    """One code. `fate` is one of FATES; `step` is "" where nobody has to do anything.

    `owner` is whose move it is, "" where that is only known from what was answered, or is nobody's.
    """

    code: str
    fate: str
    meaning: str
    step: str = ""
    owner: str = ""


@dataclass(frozen=True)
class Area:
    """Codes that an operator meets together, under the symptom by which they are looked for."""

    symptom: str
    about: str
    codes: Tuple[Code, ...]


def codes_of(code: str) -> List[Code]:
    """Everything that the program may mean by `code`; empty if it says no such thing."""
    return [one for one in _all() if one.code == code]


def all_codes() -> List[str]:
    """Every code that the program may say, each once."""
    return list(dict.fromkeys(one.code for one in _all()))


def _all() -> Iterator[Code]:
    for area in AREAS:
        yield from area.codes
    for check in CHECKS:
        yield Code(check.code, "check", check.what, check.hint)
    for trouble in TROUBLES.values():
        yield Code(trouble.code, "found", trouble.what, trouble.hint, trouble.owner)


def _area(symptom: str, about: str, **fates: Mapping[str, Tuple[str, ...]]) -> Area:
    codes = [
        Code(code, fate, meaning, step, MOVES.get(code, ""))
        for fate, rows in fates.items()
        for code, (meaning, step) in rows.items()
    ]
    return Area(symptom, about, tuple(codes))


_OPEN_BREAKER = (
    "Receiving stops, messages in hand go back at once except one, which is tried again every minute; work "
    "goes on by itself when it is mended. `audit-s3 check` says whose move it is, and what to send them."
)
_HEC_WAITS = "Splunk's queues are full or it restarts; if it lasts, its administrators look at the indexers"
_HEC_PLACE = "look at Settings > Data inputs > HTTP Event Collector in Splunk, and at hec_token"
_HEC_URL = "hec_url is https://HOST:8088, where HEC listens; not Splunk Web (8000), not splunkd (8089)"
_HEC_PLAIN = "enable SSL in HEC's Global Settings; http:// in hec_url only where HEC is on this host"
_CHECKPOINT_DISK = "look at the disk of checkpoint_dir and at the kernel log"
_TELL = "look at it with `audit-s3 quarantine show`"
_CRYPTOGRAPHY = "install the package cryptography into the collector's Python"

# fmt: off
AREAS: Tuple[Area, ...] = (
    _area(
        "Nothing arrives: credentials or role", _OPEN_BREAKER,
        fatal={
            "no_credentials": ("boto3 finds no credentials",
                "set aws_access_key_id and aws_secret_access_key, or aws_profile, or run under an AWS role"),
            "no_profile": ("the AWS config file of this user has no such profile", "compare aws_profile"),
            "credentials_invalid": ("AWS does not know the keys, or they are no pair, or it refuses the "
                "token of a web identity",
                "aws_access_key_id and aws_secret_access_key must be a pair that is active in IAM; a token's "
                "issuer and audience those of an identity provider there"),
            "role_denied": ("AssumeRole is denied",
                "compare external_id with what was handed over; then the provider's trust policy must name "
                "who we are. For a web identity: compare AWS_ROLE_ARN, and your own role's trust policy"),
            "role_refused": ("AssumeRole is refused for its own terms",
                "role_duration_seconds may not exceed the role's MaxSessionDuration"),
            "session_policy": ("STS does not take the session policy",
                "set session_policy = off; a policy of your own there must be valid JSON of at most 2,048 "
                "characters"),
            "clock_skew": ("this host's clock differs too much from AWS's for its signatures",
                "synchronise it (chrony, timesyncd): AWS allows 15 minutes, KMS 5"),
            "bad_aws_setting": ("boto3 cannot use a setting",
                "compare region, endpoint_url, use_fips_endpoint, aws_ca_file and the AWS config files"),
            "bad_parameter": ("AWS refuses what a setting says",
                "correct the setting that the message names"),
        },
        retry={
            "credentials_expired": ("the session has ended early",
                "nothing: it is made anew before the next try"),
            "credentials_unavailable": ("the source of the credentials did not answer",
                "if it lasts: look at the metadata service, the credential process or SSO"),
        },
    ),
    _area(
        "Nothing arrives: the queue", _OPEN_BREAKER,
        fatal={
            "queue_denied": ("the queue may not be read, or a message may not be deleted",
                "the access role needs sqs:ReceiveMessage and sqs:DeleteMessage on the queue"),
            "queue_missing": ("there is no such queue",
                "compare queue_url and queue_region with what was handed over"),
            "wrong_bucket": ("the queue tells only of buckets that this input does not have",
                "compare bucket with what was handed over; messages are kept meanwhile"),
            "sqs": ("SQS refuses a call in words that are not known", "the message has AWS's own words"),
            "sts": ("STS refuses a call in words that are not known", "the message has AWS's own words"),
        },
        retry={
            "in_flight_full": ("the queue has its most messages in flight",
                "nothing: they come back as they are finished or lapse"),
            "not_confirmed": ("SQS did not say whether a message was deleted",
                "nothing: it is deleted again"),
        },
        poison={
            "lease_lost": ("a message was taken by another reader while it was ours",
                "if it recurs: does another program read this queue?"),
            "lease_limit": ("a message was held for 12 hours, the most that SQS allows",
                "nothing: it comes back"),
        },
    ),
    _area(
        "Objects cannot be read",
        "A denial of objects stops receiving when ten in a row fail alike, or a fifth of the last fifty; a "
        "single object is tried for a day and then kept in quarantine by its name.",
        fatal={
            "object_denied": ("an object may not be read",
                "the access role needs s3:GetObject on the bucket's objects"),
            "list_denied": ("the bucket may not be listed, so what the queue forgets is not found",
                "ask for s3:ListBucket; everything else works without it"),
            "bucket_missing": ("there is no such bucket",
                "compare the bucket setting with what was handed over"),
            "wrong_region": ("the bucket lies in another region",
                "set bucket_region to what the message says"),
            "customer_key": ("the object needs a key that only its writer has (SSE-C)",
                "the provider must write with SSE-KMS or SSE-S3"),
            "kms_denied": ("the key may not be used to decrypt",
                "kms:Decrypt must be allowed to the access role by its own policy and by the key's"),
            "kms_key_unusable": ("the key is disabled or is being deleted", "the provider must enable it"),
        },
        poison={
            "gone": ("the object was deleted before it was read, within its retention",
                "ask the provider who deleted it; `audit-s3 coverage` names all such objects"),
            "expired": ("the object was deleted after its retention, unread",
                "see that the collector never pauses as long as that"),
            "forbidden": ("it was denied for a day while others were read",
                "ask for the right to it, then `audit-s3 quarantine retry`"),
            "exhausted": ("it failed ten times over at least an hour",
                "find out what its log lines name, then retry it"),
            "archived": ("the object lies in an archive storage class",
                "the provider restores it; then `audit-s3 quarantine retry`"),
            "superseded": ("the key holds another object by now, which is read by itself", ""),
            "bad_key": ("S3 does not take the key", "ask who names objects so"),
            "foreign_kms_key": ("the object is encrypted with a key that kms_key_arn does not allow",
                "if the provider uses another key by now add it to kms_key_arn, then retry it"),
        },
        retry={
            "truncated": ("the body ended early, or is not what was asked for",
                "if it recurs: something between S3 and here cuts bodies, a proxy most often"),
            "checksum_mismatch": ("the body does not have the checksum that S3 says",
                "if it recurs: something between S3 and here changes bodies"),
        },
    ),
    _area(
        "AWS or the network fails",
        "Each is tried again with growing pauses, and nothing is lost meanwhile.",
        retry={
            "throttled": ("AWS wants fewer calls",
                "if it lasts: fewer workers, or ask AWS for a higher quota"),
            "aws_unavailable": ("AWS has trouble of its own", "see AWS's health page"),
            "aws_unexpected": ("AWS answered in words that are not known", "the message has AWS's own words"),
            "timeout": ("no answer came in time", "look at proxy, firewall and the load of this host"),
            "connection_failed": ("the connection failed or broke", "look at proxy and firewall"),
            "dns_failed": ("DNS here does not know the name",
                "compare region and endpoint settings; look at the resolver"),
            "proxy_failed": ("the proxy cannot be reached", "compare proxy_url"),
        },
        fatal={
            "proxy_refused": ("the proxy refuses us",
                "put user:password@ into proxy_url, or have it allow this host"),
            "tls_untrusted": ("the certificate shown is signed by an authority that is not trusted",
                "name that authority in aws_ca_file, if it is your own proxy's"),
        },
    ),
    _area(
        "Objects that are read but not understood",
        "The events before the damage are delivered; the rest is in quarantine by its name.",
        poison={
            "corrupt_json": ("the document is no JSON from a point on",
                "fetch the object and look; ask its producer"),
            "truncated_json": ("the document ends before it is closed",
                "its producer stored only a part of it"),
            "not_gzip": ("the object is not gzip, though what writes here writes gzip", "who wrote it?"),
            "trailing_junk": ("something follows the end of a compressed stream",
                "look at the end of the object"),
            "encrypted_zip": ("the archive has a password", "ask for one without: S3 encrypts it at rest"),
            "unsupported_container": ("the object is packed in a way not read here, or needs an extra",
                "the message names what to install, or what to ask the producer for; then retry it"),
            "nested_too_deep": ("it is wrapped more often than anybody genuine does",
                "look at it; ask its producer"),
            "bomb": ("it unpacks to far more than it should",
                "look at it; if it is genuine ask for smaller objects"),
            **{f"{damage}_{kind}": (f"the {kind} stream {what}, as seen more than once",
                "fetch the object by hand; if that copy is damaged too, ask the provider for it")
               for damage, what in (("truncated", "ends too early"), ("corrupt", "is damaged"))
               for kind in ("gzip", "bzip2", "xz", "zstd", "tar", "zip", "parquet", "avro")},
        },
        retry={
            "spool_failed": ("an archive could not be put on disk to be read",
                "make room in the temporary directory, or name another in TMPDIR"),
        },
    ),
    _area(
        "Objects that their writer encrypted",
        "No byte is released before its tag is verified. What has to do with forgery is said as `Security:`.",
        fatal={
            "client_side_encrypted": ("nothing here decrypts what the writer encrypted", _CRYPTOGRAPHY),
            "client_side_needs_cryptography": ("the object waits for the package that decrypts it",
                _CRYPTOGRAPHY),
        },
        poison={
            "ciphertext_tampered": ("the body is not what its writer encrypted",
                "ask the provider; somebody changed it"),
            "key_commitment_failed": ("the key is not the one that the object is committed to",
                "ask the provider"),
            "data_key_refused": ("KMS does not open the object's key",
                "its envelope is not what its writer stored"),
            "encryption_context_mismatch": ("the encryption context is for another object",
                "ask the provider"),
            "bad_encryption_metadata": ("the envelope cannot be read", "ask the provider"),
            "mixed_encryption_metadata": ("the object has keys of several formats", "ask the provider"),
            "unknown_content_cipher": ("no sound client encrypts so", "ask the provider"),
            "unknown_key_wrap": ("no sound client wraps keys so", "ask the provider"),
            "instruction_file_needed": ("the key is not with the object; instruction files are never used",
                "the provider stores the envelope in the object's metadata"),
            "local_key_needed": ("only its writer has the key", "the provider encrypts with a KMS key"),
            "unauthenticated_cbc": ("AES-CBC cannot tell whether it was changed",
                "the provider uses AES-GCM; or set allow_unauthenticated_cbc and retry it"),
        },
        retry={"ciphertext_changed": ("S3 gave other bytes under the same etag", "a proxy changes bodies")},
    ),
    _area(
        "Messages that are not understood",
        "A copy is in quarantine before it is deleted; `audit-s3 explain FILE` tells how one is read.",
        poison={
            "unknown_body": ("the body is in no known shape",
                f"{_TELL}; if such bodies are audits, choose a provider for them"),
            "empty_body": ("the body is empty", "ask who writes to the queue"),
            "body_too_large": ("the body that is pointed to is too large", "ask for such audits as objects"),
            "foreign_bucket": ("it names a bucket that is none of this input's; nothing was asked of it",
                "if the provider moved, add the bucket to the bucket setting and retry it"),
            "key_undecodable": ("the object's key is not UTF-8",
                "S3 cannot be asked for it; ask for another name"),
            "unknown_event_version": ("S3 writes its notifications in a new way", "upgrade"),
            "sns_unconfirmed": ("the queue's subscription to a topic is not confirmed: nothing comes of it",
                "the provider confirms it with the token in the body, within 3 days, or subscribes the queue "
                "again; the body stays in quarantine until it is dropped"),
            "sns_unsubscribed": ("the queue's subscription to a topic was ended: nothing more comes of it",
                "the provider subscribes the queue again, if nobody meant to end it; the body stays in "
                "quarantine until it is dropped"),
            "parser_bug": ("a mistake of ours met this body", f"report it; {_TELL}"),
        },
    ),
    _area(
        "SNS messages that are not genuine",
        "Only with sns_signature = warn or enforce. Who may send to the queue is said by its policy.",
        poison={
            "sns_forged": ("SNS did not sign it",
                "the queue's policy should allow only the provider's topic"),
            "sns_cert_url": ("its certificate lies where SNS keeps none", "it was not sent by SNS"),
            "sns_certificate_missing": ("SNS has no such certificate",
                "it was not signed by SNS, or very long ago"),
            "sns_certificate_invalid": ("its certificate is not valid now",
                "look whether this host's clock is right"),
            "foreign_topic": ("its topic is none of sns_topic_arn", "if it is your provider's, add it there"),
        },
        retry={
            "sns_certificate_unreachable": ("the certificate cannot be fetched",
                "allow HTTPS to sns.REGION.amazonaws.com"),
            "sns_hash_unsupported": ("this host forbids SHA-1",
                "the provider sets the topic's SignatureVersion to 2"),
        },
        fatal={"sns_needs_cryptography": ("signatures cannot be checked", _CRYPTOGRAPHY)},
    ),
    _area(
        "Splunk does not take events: HEC",
        "Nothing is deleted and nothing is sent twice for it. Errors of configuration stop receiving.",
        fatal={
            "hec_token_invalid": ("HEC does not know the token", _HEC_PLACE),
            "hec_token_disabled": ("the token is disabled", _HEC_PLACE),
            "hec_token_missing": ("HEC saw no token", f"a proxy may strip Authorization; {_HEC_PLACE}"),
            "hec_index": ("the token may not write to the index of an event",
                "add the index to the token's allowed indexes, or correct index and routes"),
            "hec_denied": ("something before HEC denies us", "ask who runs that proxy"),
            "hec_ack": ("hec_ack has no such value", "use auto, on or off"),
            "hec_ack_disabled": ("the token has no indexer acknowledgement",
                "enable it, or set hec_ack = auto"),
            "hec_channel_missing": ("HEC saw no channel", "a proxy strips X-Splunk-Request-Channel"),
            "hec_channel_invalid": ("HEC does not know the channel", "a load balancer needs sticky sessions"),
            "hec_encoding": ("HEC does not take gzip", "set hec_gzip = off"),
            "hec_no_data": ("HEC saw an empty request", "look whether a proxy drops bodies or gzip"),
            "hec_query_token": ("HEC takes no token in the URL", "take the query out of hec_url"),
            "hec_url": ("hec_url cannot be used", _HEC_URL),
            "hec_wrong_url": ("something else than HEC answers", _HEC_URL),
            "hec_unexpected": ("HEC gave an answer that is not known", _HEC_URL),
            "hec_proxy": ("the proxy does not let us through",
                "compare proxy_url; user:password@ if it wants them"),
            "hec_ca_file": ("hec_ca_file is no file of certificates", "a PEM file with Splunk's authority"),
            "hec_not_tls": ("HEC there speaks plain http", _HEC_PLAIN),
            "hec_tls": ("Splunk's certificate is not trusted", "name its authority in hec_ca_file"),
        },
        retry={
            "hec_busy": ("HEC is busy", _HEC_WAITS),
            "hec_at_capacity": ("HEC's queue or channel is full", _HEC_WAITS),
            "hec_near_capacity": ("HEC's queue or channel is almost full", _HEC_WAITS),
            "hec_queues_full": ("HEC's queues are full", _HEC_WAITS),
            "hec_unhealthy": ("HEC's queues are full and acknowledgement is off", _HEC_WAITS),
            "hec_ack_unavailable": ("HEC cannot acknowledge now", _HEC_WAITS),
            "hec_unavailable": ("HEC is unavailable", _HEC_WAITS),
            "hec_shutting_down": ("Splunk is shutting down", _HEC_WAITS),
            "hec_server_error": ("HEC failed", _HEC_WAITS),
            "hec_internal_error": ("HEC had an internal error", "see splunkd.log on the indexer"),
            "hec_gateway": ("what stands before HEC cannot reach it", _HEC_WAITS),
            "hec_timeout": ("HEC did not answer in time; it may have taken the events", _HEC_WAITS),
            "hec_connection_lost": ("the connection broke; HEC may have taken the events",
                "look at what lies between"),
            "hec_unreachable": ("HEC cannot be reached",
                "look at the name, the port (8088), firewalls and proxy_url"),
        },
        refused={
            "hec_event_blank": ("HEC takes no blank event", "see `audit-s3 quarantine list`"),
            "hec_event_missing": ("HEC found an envelope without an event", "see `audit-s3 quarantine list`"),
            "hec_fields": ("HEC cannot handle the indexed fields", "see `audit-s3 quarantine list`"),
            "hec_invalid_format": ("HEC cannot read an event", "see `audit-s3 quarantine list`"),
            "hec_too_large": ("HEC finds a single event too large",
                "raise HEC's max_content_length, then retry it"),
        },
    ),
    _area(
        "stdout or splunkd does not take events", "What was not taken is sent when somebody reads again.",
        fatal={
            "stdout_closed": ("nobody reads stdout",
                "start the program with a stdout; /dev/null where nobody reads"),
            "splunkd_closed": ("splunkd does not read any more", "splunkd starts the input again"),
            "stdout_format": ("stdout has no such format", "use raw, json or hec"),
            "input_definition_malformed": ("what came on stdin is no input definition",
                "splunkd writes it; by hand use `audit-s3 run`"),
        },
        retry={
            "stdout_write_failed": ("stdout cannot be written", "is the disk that it is redirected to full?"),
            "splunkd_write_failed": ("splunkd's pipe cannot be written", "see splunkd.log"),
        },
    ),
    _area(
        "Inside Splunk: secrets and searches", "",
        fatal={
            "secret_missing": ("a secret is not in storage/passwords",
                "store it in the set-up page of the app"),
            "secret_malformed": ("a stored account is not valid JSON", "store it again"),
            "splunkd_denied": ("splunkd does not let the input at stored passwords",
                "give its user the capability list_storage_passwords"),
            "splunkd_refused": ("splunkd refuses a request", "is the app installed under its own name?"),
            "splunkd_certificate": ("splunkd's certificate is not trusted",
                "name its authority in hec_ca_file"),
            "splunk_token_refused": ("the search head does not take the token",
                "is it valid, are tokens enabled?"),
            "splunk_token_unread": ("the token cannot be read", "give it by file: or env:"),
            "splunk_search_denied": ("the user of the token may not search",
                "give its role the capability search"),
            "splunk_search_refused": ("the search head refuses the search",
                "is it the management port (8089)?"),
            "splunk_not_an_output": ("this input does not deliver to Splunk", "leave --splunk out"),
            "splunk_not_comparable": ("Splunk cannot tell the objects of this input apart",
                "leave source unset, or deliver by HEC with event_identity"),
        },
        retry={
            "splunkd_busy": ("splunkd is busy", ""),
            "splunkd_unreachable": ("splunkd does not answer", "is this its management port?"),
            "splunkd_session_expired": ("splunkd no longer knows the session",
                "the input is given a new one at its start"),
            "splunk_search_failed": ("the search failed", "look at the search head's own messages"),
        },
    ),
    _area(
        "Checkpoints",
        "Without its ledger the collector receives nothing: it could not remember what it did.",
        fatal={
            "store_unwritable": ("checkpoint_dir may not be written", "let the service's user write there"),
            "store_needs_local_disk": ("the file system cannot hold a write-ahead log",
                "put checkpoint_dir on a local disk, not on a network file system"),
            "store_newer": ("a newer version wrote the store", "run that version, or name another place"),
            "store_older": ("the store is to be brought up to date first", "start the collector once"),
            "store_of_another_input": ("the store belongs to another input", "restore the input's old name"),
            "store_missing": ("there is no store yet",
                "nothing has run here, or checkpoint_dir names another place"),
            "store_unreadable": ("this user may not look into checkpoint_dir",
                "run the command as root, or as the service's user"),
            "ledger_elsewhere": ("backfill would begin a ledger of its own beside that of the service",
                "set checkpoint_dir to where the service keeps it: /var/lib/audit-s3"),
            "store_read_only": ("the store was opened for reading only", "report it"),
            "store_damaged": ("the store is damaged",
                "restart: a damaged file is set aside, and the log says what to fetch again"),
            "store_denied": ("the table may not be used",
                "the message has the statement for the collector's own keys"),
            "store_credentials": ("DynamoDB does not know the keys",
                "they are the base credentials, not the role's"),
            "store_no_table": ("there is no such table", "the message has the command that makes it"),
            "store_wrong_table": ("the table was not made for audit-s3", "make another"),
            "quarantine_full": ("the quarantine has reached its cap, and nothing is received",
                "`audit-s3 quarantine list`, then retry or drop"),
        },
        retry={
            "disk_low": ("the disk of checkpoint_dir is almost full, and nothing is received",
                "free space on it"),
            "disk_full": ("the disk of checkpoint_dir is full", "free space on it"),
            "store_io": ("the store cannot be read or written", _CHECKPOINT_DISK),
            "store_busy": ("another process is writing, or the table is throttled",
                "if it lasts: more capacity"),
            "store_closed": ("the store is closing", ""),
            "store_interrupted": ("a commit was interrupted", ""),
            "store_unreachable": ("DynamoDB does not answer", "look at network and checkpoint_region"),
            "store_unexpected": ("DynamoDB answered in words that are not known", "the message has them"),
        },
    ),
    _area(
        "Something is about to be lost, or it is silent", "docs/watching.md and docs/retention.md say more.",
        notice={
            "bucket_deadline": ("an object that is not collected nears the end of its retention",
                "see what holds it up; raise workers or processes"),
            "queue_deadline": ("a message nears the end of the queue's retention", "see what holds it up"),
            "backlog_rising": ("more comes than is collected",
                "is the output slow? raise workers or processes"),
            "queue_stalled": ("the queue holds messages and gives none",
                "find who receives and does not delete"),
            "notifications_broken": ("objects came that no message told of",
                "the provider looks at the bucket's notifications, at topic, subscription and queue policy"),
            "access_broken": ("nothing comes, and we are refused", "run `audit-s3 check`"),
            "provider_quiet": ("nothing comes because nothing was written", "nobody has to move"),
            "silent": ("nothing comes, and why cannot be told", "allow s3:ListBucket, or ask the provider"),
        },
    ),
    _area(
        "CloudTrail's digests", "docs/digests.md says what each result means. Audits flow whatever they say.",
        fatal={
            "keys_denied": ("the public keys may not be asked for", "allow cloudtrail:ListPublicKeys"),
            "cloudtrail": ("CloudTrail refuses a call in words that are not known", "the message has them"),
            "digest_needs_cryptography": ("signatures cannot be checked", _CRYPTOGRAPHY),
        },
        poison={
            "digest_format": ("what lies beside the digests is none", "who wrote it?"),
            "digest_too_large": ("no genuine digest is so large", "look at the object"),
        },
        retry={"keys_unreadable": ("what came as a public key is none", "if it recurs: report it")},
    ),
    _area(
        "The program does not start, or a command refuses", "",
        fatal={
            "config_invalid": ("the configuration cannot be used", "each of its lines says what to write"),
            "config_malformed": ("the configuration is not of the grammar", "the message has the line"),
            "config_missing": ("there is no such file", "name it with --config or AUDIT_S3_CONFIG"),
            "config_denied": ("the file may not be read", "let the service's user read it"),
            "http_listen": ("it is not possible to listen there",
                "choose another address, or unset http_listen"),
            "exists": ("there is such a file already", "--force overwrites it, --output names another"),
            "online_validation": ("Splunk's validation of an input found something",
                "the message has the first finding of `audit-s3 check`"),
            "not_writable": ("the file cannot be written", "choose another place"),
        },
        poison={"no_such_entry": ("quarantine has no such entry", "`audit-s3 quarantine list`")},
        retry={
            "online_validation_timeout": ("AWS or the output did not answer while an input was validated",
                "look at firewall and proxy, or save it without validate_online"),
            "bug": ("a mistake of ours, with its traceback in the log", "report it; the work is tried again"),
        },
    ),
)
# fmt: on
