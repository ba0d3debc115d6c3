"""What only `audit-s3 check` asks of AWS: who we are, how a queue is set up, where a bucket lies.

Nothing here changes anything, and every refusal is one of the fates in `errors`.
"""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional
from urllib.parse import unquote, urlsplit

from collector.aws.errors import Call, translated
from collector.aws.fates import clock_offset_seconds
from collector.model import ObjectRef

__all__ = ["BucketQuestions", "Caller", "caller", "issuer_of", "queue_attributes"]

_TLS_SECONDS = 10.0


@dataclass(frozen=True)
class Caller:
    """Who AWS says we are, and by how many seconds this host's clock is ahead of AWS's, where it says so."""

    arn: str
    ahead_seconds: Optional[float]


def caller(sts: Any, *, role: str = "") -> Caller:
    """sts:GetCallerIdentity, which needs no permission."""
    where = str(sts.meta.endpoint_url)
    with translated(Call("sts:GetCallerIdentity", where=where, resource="*", scope="role", role=role)):
        answer = sts.get_caller_identity()
    headers = answer["ResponseMetadata"].get("HTTPHeaders", {})
    return Caller(str(answer["Arn"]), clock_offset_seconds(headers))


def queue_attributes(sqs: Any, url: str, *, arn: str, role: str = "") -> Mapping[str, str]:
    """Every attribute of a queue."""
    with translated(Call("sqs:GetQueueAttributes", where=url, resource=arn, scope="queue", role=role)):
        answer: Mapping[str, Any] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    return dict(answer.get("Attributes", {}))


class BucketQuestions:
    """About buckets and single versions, on boto3 S3 clients by region."""

    def __init__(
        self, client_for_region: Callable[[str], Any], *, region: str, role: str = "", owner: str = ""
    ) -> None:
        self._client = client_for_region
        self._region = region
        self._role = role
        self._owner = {"ExpectedBucketOwner": owner} if owner else {}

    def region_of(self, bucket: str) -> str:
        """GetBucketLocation."""
        call = Call("s3:GetBucketLocation", f"s3://{bucket}", f"arn:aws:s3:::{bucket}", "object", self._role)
        with translated(call):
            answer = self._client(self._region).get_bucket_location(Bucket=bucket, **self._owner)
        told = str(answer.get("LocationConstraint") or "us-east-1")
        return {"EU": "eu-west-1"}.get(told, told)

    def read_version(self, ref: ObjectRef, *, region: str) -> None:
        """GetObject by version, which is a permission of its own; the answer's body is not read."""
        call = Call("s3:GetObjectVersion", ref.url, f"arn:aws:s3:::{ref.bucket}/*", "object", self._role)
        request = {"Bucket": ref.bucket, "Key": ref.key, "VersionId": ref.version_id, **self._owner}
        with translated(call):
            self._client(region).get_object(**request)["Body"].close()


def issuer_of(url: str, *, proxy_url: str = "") -> str:
    """Who signed the certificate that an https URL shows, trusted or not; "" if that cannot be learnt."""
    try:
        from cryptography import x509
    except ImportError:
        return ""
    try:
        shown = _certificate(urlsplit(url), urlsplit(proxy_url) if proxy_url else None)
        return str(x509.load_der_x509_certificate(shown).issuer.rfc4514_string())
    except (OSError, ValueError, http.client.HTTPException):
        return ""


def _certificate(url: Any, proxy: Any) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # it is looked at, and nothing is sent
    host, port = str(url.hostname), url.port or 443
    first = (str(proxy.hostname), proxy.port or 80) if proxy else (host, port)
    connection = http.client.HTTPSConnection(*first, timeout=_TLS_SECONDS, context=context)
    if proxy:
        connection.set_tunnel(host, port, headers=_login(proxy))
    try:
        connection.connect()
        return connection.sock.getpeercert(binary_form=True) or b""
    finally:
        connection.close()


def _login(proxy: Any) -> Mapping[str, str]:
    from base64 import b64encode

    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": "Basic " + b64encode(login).decode("ascii")}
