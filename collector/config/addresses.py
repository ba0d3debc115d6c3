"""The shapes of names that AWS, Splunk and the network give: ARNs, queues, buckets, URLs, listen addresses.

Each function takes the operator's text and gives its normal form, or raises Invalid with what to write
instead. A queue may be named in three ways; `queue_address` makes one of them:

    https://sqs.eu-west-1.amazonaws.com/111111111111/audit-queue     a URL, also of an endpoint of one's own
    arn:aws:sqs:eu-west-1:111111111111:audit-queue                   an ARN
    audit-queue                                                      a name; region and account are settings
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional, Tuple
from urllib.parse import SplitResult, urlsplit

from collector.config.table import Invalid
from collector.loopback import is_loopback

__all__ = [
    "QueueAddress", "account", "arn_account", "arn_region", "bucket", "endpoint", "external_id", "hec_url",
    "kms_key_arn", "listen", "owner", "proxy", "queue", "queue_address", "queue_role_arn", "region",
    "role_arn", "session_name", "topic_arn", "without_session",
]

# Compiled at first use: this module is imported by every `--help` and `--scheme`.
_QUEUE_NAME = r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo"
_QUEUE_ARN = r"arn:aws[a-z-]*:sqs:([a-z0-9-]+):([0-9]{12}):(.+)"
#: Public hosts of SQS in all partitions, and the legacy ones (docs: "Amazon SQS endpoints and quotas").
_SQS_HOST = (
    r"sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)"
)
_LEGACY_HOST = r"(?:([a-z0-9-]+)\.)?queue\.amazonaws\.com(?:\.cn)?"
_VPCE_HOST = r"[a-z0-9.-]*\.sqs\.([a-z0-9-]+)\.vpce\.amazonaws\.com(?:\.cn)?"
#: Where instances and pods find their credentials by IPv6.
_METADATA = "fd00:0ec2:"


@dataclass(frozen=True)
class QueueAddress:
    """One queue. Empty strings are not known: a bare name without an account has no `url`.

    `endpoint_url` is set where the URL's host is not SQS's public one (an interface endpoint, an
    emulator): the client must be told, because boto3 sends to its endpoint, not to the queue URL.
    """

    name: str
    url: str = ""
    region: str = ""
    account: str = ""
    endpoint_url: str = ""

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    @property
    def arn(self) -> str:
        """The queue's ARN as policies want it, or "" while region or account are not known."""
        known = self.region and self.account
        partition = _partition(self.region)
        return f"arn:{partition}:sqs:{self.region}:{self.account}:{self.name}" if known else ""


def queue_address(text: str, *, region: str = "", account: str = "", endpoint_url: str = "") -> QueueAddress:
    """The queue that `text` (a URL, an ARN or a name) means.

    `region` and `account` fill what the text does not say. `endpoint_url` is the SQS endpoint in use, if
    not AWS's own: URLs of ARNs and names are built on it. No call is made: GetQueueUrl is a permission
    that few providers grant.
    """
    if "://" in text:
        return _from_url(text, region, account)
    match = re.fullmatch(_QUEUE_ARN, text)
    if match:
        region, account, name = match.group(1), match.group(2), match.group(3)
    else:
        name = text
    _queue_name(name)
    base = endpoint_url.rstrip("/") or (f"https://sqs.{region}.{_suffix(region)}" if region else "")
    url = f"{base}/{account}/{name}" if base and account else ""
    return QueueAddress(name, url, region, account, endpoint_url.rstrip("/"))


def _from_url(text: str, region: str, account: str) -> QueueAddress:
    parts = _split(text, "the queue's URL")
    path = [part for part in parts.path.split("/") if part]
    if not path:
        raise Invalid(
            "the URL names no queue", "copy it whole: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
        )
    name = path[-1]
    _queue_name(name)
    if len(path) > 1 and re.fullmatch(r"\d{12}", path[-2]):
        account = path[-2]
    public, found = _host_region(parts.hostname or "")
    _refuse_link_local(parts.hostname or "")
    endpoint_url = "" if public else f"{parts.scheme}://{parts.netloc}"
    return QueueAddress(name, text, found or region, account, endpoint_url)


def _host_region(host: str) -> Tuple[bool, str]:
    """(is it SQS's public host, the region that it names or "")."""
    match = re.fullmatch(_SQS_HOST, host)
    if match:
        return True, match.group(1)
    match = re.fullmatch(_LEGACY_HOST, host)
    if match:
        return True, match.group(1) or "us-east-1"
    match = re.fullmatch(_VPCE_HOST, host)
    return False, match.group(1) if match else ""


def queue(text: str) -> str:
    queue_address(text)
    return text


def _queue_name(name: str) -> None:
    if name.startswith("arn:"):
        raise Invalid("it is not the ARN of an SQS queue", "arn:aws:sqs:REGION:ACCOUNT:NAME")
    if not re.fullmatch(_QUEUE_NAME, name):
        raise Invalid(
            f"{name!r} is no queue name",
            "up to 80 letters, digits, - and _, and .fifo at the end of a FIFO queue",
        )


def role_arn(text: str) -> str:
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}", text, re.ASCII):
        raise Invalid(
            "it is not the ARN of an IAM role", "arn:aws:iam::111111111111:role/NAME, from your provider"
        )
    return text


def queue_role_arn(text: str) -> str:
    return text if text == "none" else role_arn(text)


def kms_key_arn(text: str) -> str:
    if re.fullmatch(r"arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:alias/.+", text, re.ASCII):
        raise Invalid(
            "it is an alias, which may be moved to another key", "give the key's own ARN, ending in key/ID"
        )
    if not re.fullmatch(r"arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+", text, re.ASCII):
        raise Invalid(
            "it is not the ARN of a KMS key", "arn:aws:kms:REGION:ACCOUNT:key/ID, from your provider"
        )
    return text


def bucket(text: str) -> str:
    """A bucket's name (from arn:aws:s3:::NAME too), or the ARN of an access point."""
    if text.startswith("s3://"):
        raise Invalid(
            "it is a URL, not a bucket name", "give the name alone, and the rest of the path as prefix"
        )
    if re.fullmatch(r"arn:aws[\w-]*:s3:[a-z0-9-]+:\d{12}:accesspoint[/:][\w-]+", text, re.ASCII):
        return text
    name = re.sub(r"^arn:aws[\w-]*:s3:::", "", text)
    if not re.fullmatch(r"[\w.-]{3,255}", name, re.ASCII):
        raise Invalid("it is no bucket name", "3 to 63 letters, digits, dots and hyphens, without a path")
    return name


def topic_arn(text: str) -> str:
    if not re.fullmatch(r"arn:aws[\w-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,251}(\.fifo)?", text, re.ASCII):
        raise Invalid(
            "it is not the ARN of an SNS topic", "arn:aws:sns:REGION:ACCOUNT:NAME, from your provider"
        )
    return text


def account(text: str) -> str:
    if not re.fullmatch(r"\d{12}", text, re.ASCII):
        raise Invalid("it is not an AWS account id", "twelve digits, with leading zeros, without hyphens")
    return text


def owner(text: str) -> str:
    return text if text == "none" else account(text)


def region(text: str) -> str:
    if not re.fullmatch(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}", text, re.ASCII):
        raise Invalid("it is not an AWS region", "a name such as eu-west-1")
    return text


def session_name(text: str) -> str:
    """RoleSessionName as STS accepts it (AssumeRole: 2 to 64 characters)."""
    if not re.fullmatch(r"[\w+=,.@-]{2,64}", text, re.ASCII):
        raise Invalid("it is no role session name", "2 to 64 letters, digits and any of _ + = , . @ -")
    return text


def external_id(text: str) -> str:
    """ExternalId as STS accepts it (AssumeRole: 2 to 1224 characters)."""
    if not re.fullmatch(r"[\w+=,.@:/-]{2,1224}", text, re.ASCII):
        raise Invalid("it is no external id", "2 to 1224 letters, digits and any of _ + = , . @ : / -")
    return text


def hec_url(text: str) -> str:
    """https://host:port, without the path that some copy along; plain http on loopback only."""
    parts = _split(text, "the HEC URL")
    path = parts.path.rstrip("/")
    if path and not re.fullmatch(r"/services/collector(/(event|raw|ack|health)(/1\.0)?)?", path):
        raise Invalid(f"its path {path} is not HEC's", "give scheme, host and port alone: https://HOST:8088")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise Invalid("plain http would send the token and the audits unprotected", f"https://{parts.netloc}")
    return f"{parts.scheme}://{parts.netloc}"


def endpoint(text: str) -> str:
    parts = _split(text, "the endpoint")
    _refuse_link_local(parts.hostname or "")
    return text.rstrip("/")


def _refuse_link_local(host: str) -> None:
    """However it is spelt: 169.254.169.254 is also 0xa9fea9fe, 2852039166 and ::ffff:a9fe:a9fe."""
    import ipaddress
    import socket

    host = host.rstrip(".").partition("%")[0]
    try:
        found = ipaddress.ip_address(host if ":" in host else socket.inet_aton(host))
    except (OSError, ValueError):
        return  # a name
    inner = getattr(found, "ipv4_mapped", None) or found
    if inner.is_link_local or found.exploded.startswith(_METADATA):
        raise Invalid(
            "it is a link-local address, where instances keep their credentials", "give the service's own URL"
        )


def proxy(text: str) -> str:
    if "://" not in text:
        text = f"http://{text}"
    _split(text, "the proxy", userinfo=True)
    return text.rstrip("/")


def listen(text: str) -> str:
    """HOST:PORT; a port alone is on loopback, so that all the world must be asked for by name."""
    if text.isdigit():
        text = f"127.0.0.1:{text}"
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", text, re.ASCII)
    if not match or int(match.group(2)) > 65535:
        raise Invalid(
            "it is no address to listen on", "PORT (on loopback) or HOST:PORT, such as 127.0.0.1:9090"
        )
    return text


def arn_account(arn: str) -> str:
    """The account that an ARN names, or ""."""
    return _arn_part(arn, 4)


def without_session(arn: str) -> str:
    """Whom a policy names: the role of an assumed role's session, else what was given. A path is lost."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[2] != "sts" or not parts[5].startswith("assumed-role/"):
        return arn
    return ":".join((*parts[:2], "iam", *parts[3:5], f"role/{parts[5].split('/')[1]}"))


def arn_region(arn: str) -> str:
    """The region that an ARN names, or ""."""
    return _arn_part(arn, 3)


def _arn_part(arn: str, index: int) -> str:
    parts = arn.split(":")
    return parts[index] if len(parts) > 5 and parts[0] == "arn" else ""


def _split(text: str, whose: str, *, userinfo: bool = False) -> SplitResult:
    """The parts of an http or https URL that names a host and nothing after its path."""
    try:
        parts = urlsplit(text)
        port: Optional[int] = parts.port
    except ValueError:
        raise Invalid("it is not a URL", "https://HOST:PORT") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"\s", text):
        raise Invalid("it is not a URL", "https://HOST:PORT")
    if parts.query or parts.fragment:
        raise Invalid(f"{whose} has something after its path", "leave out everything from ? or # on")
    if parts.username is not None and not userinfo:
        raise Invalid(f"{whose} carries a user or password", "leave out everything before @")
    return parts


def _partition(region: str) -> str:
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
