"""GETs signed here are the ones that botocore would have signed."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime, timezone
from typing import Any, Dict, Optional
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from collector.aws.signed_get import SignedGet, signature_headers

AT = datetime(2026, 5, 4, 10, 15, 2, tzinfo=timezone.utc)
HOST = "audit-logs.s3.eu-west-1.amazonaws.com"
KEYS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


def _by_botocore(path: str, query: str, headers: Dict[str, str], token: Optional[str]) -> str:
    """The Authorization that botocore makes of the same request at the same time."""
    url = f"https://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest("GET", url, headers=dict(headers))
    # What boto3 sends of a body that is not there.
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    with mock.patch("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None)):
        S3SigV4Auth(Credentials("AKIDEXAMPLE", "secret", token), "s3", "eu-west-1").add_auth(request)
    return str(request.headers["Authorization"])


@given(
    key=KEYS,
    version=st.sampled_from(["", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY+MTRCxf3vjVBH40"]),
    token=st.sampled_from([None, "FwoGZXIvYXdzEJr//////////wEaD+token=="]),
)
def test_the_signature_is_botocores_for_every_key(key: str, version: str, token: Optional[str]) -> None:
    path = "/" + quote(key, safe="/~")
    query = f"versionId={quote(version, safe='~')}" if version else ""
    headers = {"host": HOST, "if-match": '"0123"', "x-amz-checksum-mode": "ENABLED"}
    credentials = ReadOnlyCredentials("AKIDEXAMPLE", "secret", token)
    made = signature_headers(
        credentials, path, query, headers, region="eu-west-1", at=AT.timetuple(), day_keys={}
    )
    assert made["authorization"] == _by_botocore(path, query, headers, token)


def test_the_key_of_the_day_is_made_once_and_anew_for_another_secret_or_day() -> None:
    keys: Dict[Any, bytes] = {}
    for secret, at in (("one", 0), ("one", 60), ("two", 60), ("two", 86_400)):
        credentials = ReadOnlyCredentials("AKIDEXAMPLE", secret, None)
        args = (credentials, "/k", "", {"host": HOST})
        made = signature_headers(*args, region="eu-west-1", at=time.gmtime(at), day_keys=keys)
        fresh = signature_headers(*args, region="eu-west-1", at=time.gmtime(at), day_keys={})
        assert made == fresh
        assert len(keys) == 1


@pytest.mark.parametrize("url", ["https://other.example.com/", "https://audit-logs.example.com/not-the-key"])
def test_nothing_is_learnt_from_a_request_for_something_else(url: str) -> None:
    getter = _getter()
    authorization = "AWS4-HMAC-SHA256 Credential=A/20260504/r/s3/aws4_request,"
    getter._seen.request = (url, {"Authorization": authorization})
    getter.learn("audit-logs", "the/key")
    assert getter.get("audit-logs", "the/key", etag=None) is None
    assert not getter._patterns


def _getter() -> SignedGet:
    def no_credentials() -> Any:
        raise AssertionError("nothing is to be signed")

    return SignedGet(no_credentials, ca_file=lambda: "", is_proxied=lambda url: False, user_agent="test")
