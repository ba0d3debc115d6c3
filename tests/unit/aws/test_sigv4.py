"""Requests signed here are the ones that botocore would have signed."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timezone
from typing import Dict, Optional
from unittest import mock
from urllib.parse import quote

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from collector.aws.sigv4 import Signer, Unsigned

AT = datetime(2026, 5, 4, 10, 15, 2, tzinfo=timezone.utc)
HOST = "audit-logs.s3.eu-west-1.amazonaws.com"
KEYS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
TOKENS = st.sampled_from([None, "FwoGZXIvYXdzEJr//////////wEaD+token=="])


def _by_botocore(request: Unsigned, token: Optional[str], service: str) -> str:
    """The Authorization that botocore makes of the same request at the same time."""
    url = f"https://{request.headers['host']}{request.path}" + (f"?{request.query}" if request.query else "")
    theirs = AWSRequest(request.method, url, headers=dict(request.headers), data=request.body)
    kind = SigV4Auth
    if service == "s3":
        kind = S3SigV4Auth
        # What boto3 sends of a body that is not there.
        theirs.headers["X-Amz-Content-SHA256"] = hashlib.sha256(request.body).hexdigest()
    with mock.patch("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None)):
        kind(Credentials("AKIDEXAMPLE", "secret", token), service, "eu-west-1").add_auth(theirs)
    return str(theirs.headers["Authorization"])


def _ours(request: Unsigned, token: Optional[str], service: str) -> str:
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", token)
    made = Signer("eu-west-1", service).headers(request, credentials, at=AT.timetuple())
    return made["authorization"]


@given(
    key=KEYS, version=st.sampled_from(["", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40"]), token=TOKENS
)
def test_a_get_is_signed_as_botocore_signs_it_for_every_key(
    key: str, version: str, token: Optional[str]
) -> None:
    query = f"versionId={quote(version, safe='~')}" if version else ""
    headers = {"host": HOST, "if-match": '"0123"', "x-amz-checksum-mode": "ENABLED"}
    request = Unsigned("GET", "/" + quote(key, safe="/~"), query, headers)
    assert _ours(request, token, "s3") == _by_botocore(request, token, "s3")


@given(body=st.binary(max_size=100), token=TOKENS)
def test_a_post_is_signed_as_botocore_signs_it_for_every_body(body: bytes, token: Optional[str]) -> None:
    headers = {
        "host": "sqs.eu-west-1.amazonaws.com",
        "content-type": "application/x-amz-json-1.0",
        "x-amz-target": "AmazonSQS.ReceiveMessage",
    }
    request = Unsigned("POST", "/", "", headers, body)
    assert _ours(request, token, "sqs") == _by_botocore(request, token, "sqs")


def test_the_key_of_the_day_is_made_anew_for_another_secret_or_day() -> None:
    signer = Signer("eu-west-1", "s3")
    request = Unsigned("GET", "/k", "", {"host": HOST})
    made: Dict[str, None] = {}
    for secret, at in (("one", 0), ("one", 60), ("two", 60), ("two", 86_400)):
        credentials = ReadOnlyCredentials("AKIDEXAMPLE", secret, None)
        kept = signer.headers(request, credentials, at=time.gmtime(at))
        assert kept == Signer("eu-west-1", "s3").headers(request, credentials, at=time.gmtime(at))
        made[kept["authorization"]] = None
    assert len(made) == 4
