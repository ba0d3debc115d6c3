"""The recording proxy: what it passes on, what it refuses, and where it leads. Loopback only."""

from __future__ import annotations

import http.client
import ssl
from pathlib import Path
from typing import Dict, Iterator, Tuple
from urllib.parse import urlsplit

import pytest

from collector.testing.certificate import Authority
from collector.testing.fake_hec import FakeHec
from collector.testing.proxy import Passed, Proxy

HEALTH = "/services/collector/health"
#: The beginning of a signature by AWS's SigV4, as far as it says which service is meant.
SIGNED = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260504/eu-west-1/s3/aws4_request, Signature=0"


@pytest.fixture
def hec() -> Iterator[FakeHec]:
    with FakeHec() as hec:
        yield hec


def _get(url: str, target: str, headers: Dict[str, str]) -> Tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", target, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_a_request_with_an_absolute_uri_arrives_as_it_was_but_for_what_was_the_proxys(hec: FakeHec) -> None:
    with Proxy({"hec.example.com:80": hec.url}, login="me:secret") as proxy:
        headers = {"Proxy-Authorization": "Basic bWU6c2VjcmV0", "Authorization": SIGNED, "X-Own": "1"}
        status, _ = _get(proxy.url, f"http://hec.example.com{HEALTH}?a=%2F", headers)
        assert proxy.passed == [Passed("GET", "hec.example.com:80", f"{HEALTH}?a=%2F", "s3", 200)]
    assert status == 200
    (request,) = hec.requests
    assert request.path == f"{HEALTH}?a=%2F"
    assert (request.headers["host"], request.headers["x-own"]) == ("hec.example.com", "1")
    assert "proxy-authorization" not in request.headers


def test_whoever_has_no_login_is_told_so_and_gets_no_further(hec: FakeHec) -> None:
    with Proxy(login="me:secret") as proxy:
        for headers in ({}, {"Proxy-Authorization": "Basic d3Jvbmc="}):
            assert _get(proxy.url, hec.url + HEALTH, headers)[0] == 407
        connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=10)
        connection.set_tunnel("127.0.0.1", hec.port)
        with pytest.raises(OSError, match="407"):
            connection.connect()
        assert [each.status for each in proxy.passed] == [407] * 3
    assert hec.requests == []


def test_the_world_outside_loopback_is_out_of_reach() -> None:
    with Proxy() as proxy:
        assert _get(proxy.url, "http://outside.example.com/", {})[0] == 403
        assert proxy.hosts == {"outside.example.com:80"}


def test_a_tunnel_shows_the_proxy_nothing_but_its_end(hec: FakeHec, tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    behind = Proxy(origin=hec.url, certificate=authority.certificate("hec.example.com"))
    with behind, Proxy({"hec.example.com:443": behind.url}) as proxy:
        connection = http.client.HTTPSConnection(urlsplit(proxy.url).netloc, timeout=10, context=context)
        connection.set_tunnel("hec.example.com", 443)
        for _ in range(2):  # the tunnel is kept
            connection.request("GET", HEALTH)
            assert b"HEC is healthy" in connection.getresponse().read()
        connection.close()
        assert proxy.passed == [Passed("CONNECT", "hec.example.com:443", "", "", 200)]
        assert [each.path for each in behind.passed] == [HEALTH] * 2


def test_a_certificate_is_good_for_its_names_and_under_its_authority_alone(
    hec: FakeHec, tmp_path: Path
) -> None:
    authority, stranger = Authority(), Authority()
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    for certificate, why in (
        (authority.certificate("elsewhere.example.com"), "IP address mismatch"),
        (stranger.certificate("127.0.0.1"), "CERTIFICATE_VERIFY_FAILED"),
    ):
        with Proxy(origin=hec.url, certificate=certificate) as endpoint:
            address = urlsplit(endpoint.url).netloc
            connection = http.client.HTTPSConnection(address, timeout=10, context=context)
            with pytest.raises(ssl.SSLCertVerificationError, match=why):
                connection.connect()
