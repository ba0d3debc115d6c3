"""The way out: proxies, private authorities and private endpoints, honoured by every connection.

The names used here lead nowhere but through the proxy: what arrives has come the way that the settings say.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, Iterator
from urllib.parse import urlsplit

import pytest

from collector.testing.certificate import Authority
from collector.testing.fake_hec import FakeHec
from collector.testing.provider import Provider
from collector.testing.proxy import Proxy
from tests.e2e.collector_process import ndjson

LOGIN = "audit:s3cr%et/word"
LOGIN_IN_URL = "audit:s3cr%25et%2Fword"
AWS = "https://aws.example.com"
HEC = "https://hec.example.com:8088"


@pytest.fixture
def provider(ministack: Any) -> Provider:
    """With one object of two events, announced."""
    ministack.reset()
    provider = Provider(ministack, "thrive", delivery="none")
    provider.upload("k/one", ndjson("one", 2))
    provider.notify("k/one")
    return provider


@pytest.fixture
def hec() -> Iterator[FakeHec]:
    with FakeHec() as hec:
        yield hec


class Private:
    """The local AWS and HEC behind TLS, with certificates of an authority that nobody knows."""

    def __init__(self, stack: ExitStack, folder: Path, aws_url: str, hec_url: str) -> None:
        authority = Authority()
        names = ("aws.example.com", "hec.example.com", "127.0.0.1", "127.0.0.2")
        self.certificate = authority.certificate(*names)
        self.aws = stack.enter_context(Proxy(origin=aws_url, certificate=self.certificate))
        self.hec = stack.enter_context(Proxy(origin=hec_url, certificate=self.certificate))
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(authority.pem)

    @property
    def trusted(self) -> Dict[str, str]:
        return {"aws_ca_file": str(self.ca_file), "hec_ca_file": str(self.ca_file)}


@pytest.fixture
def private(tmp_path: Path, provider: Provider, hec: FakeHec) -> Iterator[Private]:
    with ExitStack() as stack:
        yield Private(stack, tmp_path, provider.aws.endpoint_url, hec.url)


def _settings(provider: Provider, hec: FakeHec, *, aws_url: str, hec_url: str = "") -> Dict[str, str]:
    """What was handed over, with another address of AWS (in the queue URL too) and of HEC."""
    told = provider.handover()
    queue_url = aws_url + urlsplit(told["queue_url"]).path
    output = {"hec_url": hec_url or hec.url, "hec_token": hec.token}
    return {**told, "endpoint_url": aws_url, "queue_url": queue_url, **output}


def _delivered(hec: FakeHec) -> Counter[str]:
    return Counter(event["event"]["eventId"] for event in hec.events)


ONE = Counter(["one-0", "one-1"])


def _told(done: Any, code: str) -> str:
    """The one line of the log that tells of a problem with this code, before the last ones sum up."""
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    said = done.stderr.decode().splitlines()
    lines = [line for line in said if f"[{code}]" in line and "Not all is well" not in line]
    assert len(lines) == 1, done.stderr.decode()
    return lines[0]


# The proxy.


def test_every_request_goes_through_the_proxy_and_none_around_it(provider, hec, collector):
    with Proxy({"aws.example.com:80": provider.aws.endpoint_url}, login=LOGIN) as proxy:
        settings = _settings(provider, hec, aws_url="http://aws.example.com")
        proxy_url = proxy.url.replace("://", f"://{LOGIN_IN_URL}@")
        collector({**settings, "proxy_url": proxy_url}).once()
        passed = proxy.passed
    assert _delivered(hec) == ONE
    assert {each.service for each in passed if each.host == "aws.example.com:80"} == {"sts", "sqs", "s3"}
    # Even to our own host: the setting says so.
    through = [each.path for each in passed if each.host == urlsplit(hec.url).netloc]
    assert through == [request.path for request in hec.requests]
    assert len(through) > 0


def test_with_tls_the_proxy_is_asked_for_tunnels_alone(provider, hec, private, collector):
    routes = {"aws.example.com:443": private.aws.url, "hec.example.com:8088": private.hec.url}
    with Proxy(routes, login=LOGIN) as proxy:
        settings = {**_settings(provider, hec, aws_url=AWS, hec_url=HEC), **private.trusted}
        collector({**settings, "proxy_url": proxy.url.replace("://", f"://{LOGIN_IN_URL}@")}).once()
        assert {each.method for each in proxy.passed} == {"CONNECT"}
        assert proxy.hosts == set(routes)
    assert _delivered(hec) == ONE
    assert private.aws.services == {"sts", "sqs", "s3"}
    assert len(private.hec.passed) == len(hec.requests)
    assert provider.queue_depth() == 0


@pytest.mark.exhaustive
def test_what_a_profile_asks_of_sts_by_itself_goes_the_same_way(
    provider, hec, private, collector, tmp_path, monkeypatch
):
    """The profile's role is assumed by botocore alone, with a client of its own making."""
    settings = {**_settings(provider, hec, aws_url=AWS), **private.trusted, "aws_profile": "audit"}
    names = ("aws_access_key_id", "aws_secret_access_key", "role_arn", "external_id")
    key, secret, role_arn, external_id = (settings.pop(name) for name in names)
    role = f"role_arn = {role_arn}\nexternal_id = {external_id}\nsource_profile = keys\nregion = eu-west-1\n"
    keys = f"aws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[profile audit]\n{role}[profile keys]\n{keys}")
    monkeypatch.setenv("HOME", str(tmp_path))
    with Proxy({"aws.example.com:443": private.aws.url}) as proxy:
        collector({**settings, "proxy_url": proxy.url}).once()
    assert private.aws.services == {"sts", "sqs", "s3"}
    assert _delivered(hec) == ONE


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_that_does_not_know_us_is_named_and_nothing_is_deleted(
    provider, hec, private, collector, tls
):
    routes = {"aws.example.com:443": private.aws.url, "aws.example.com:80": provider.aws.endpoint_url}
    with Proxy(routes, login=LOGIN) as proxy:
        aws_url = AWS if tls else "http://aws.example.com"
        settings = {**_settings(provider, hec, aws_url=aws_url), **private.trusted}
        wrong = proxy.url.replace("://", "://audit:wr0ng-password@")
        done = collector({**settings, "proxy_url": wrong}).run("--once")
        assert {each.status for each in proxy.passed} == {407}
    assert done.returncode == 1
    told = _told(done, "proxy_refused")
    assert "407" in told
    assert "user:password@ into proxy_url" in told
    assert b"wr0ng-password" not in done.stderr
    assert provider.queue_depth() == 1
    assert hec.events == []


def test_the_environment_names_the_proxy_where_the_setting_does_not(
    provider, hec, private, collector, monkeypatch
):
    routes = {"aws.example.com:443": private.aws.url, "hec.example.com:8088": private.hec.url}
    settings = {**_settings(provider, hec, aws_url=AWS, hec_url=HEC), **private.trusted}
    with Proxy(routes) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        collector(settings).once()
        assert proxy.hosts == set(routes)
    assert _delivered(hec) == ONE


@pytest.mark.parametrize("direct", ["hec", "aws"])
def test_what_no_proxy_names_is_reached_directly(
    provider, hec, private, collector, monkeypatch, direct
):
    """The proxy has a way to the other only, and is the only way to that."""
    routes = {"aws.example.com:443": private.aws.url, "hec.example.com:8088": private.hec.url}
    origin = {"aws": provider.aws.endpoint_url, "hec": hec.url}[direct]
    own = Proxy(origin=origin, certificate=private.certificate, address="127.0.0.2")
    with Proxy(routes) as proxy, own:
        urls = {"aws_url": AWS, "hec_url": HEC, f"{direct}_url": own.url}
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "example.org,127.0.0.2")
        collector({**_settings(provider, hec, **urls), **private.trusted}).once()
        assert proxy.hosts == {"aws.example.com:443" if direct == "hec" else "hec.example.com:8088"}
    assert _delivered(hec) == ONE


@pytest.mark.exhaustive
def test_a_proxy_of_the_environment_is_not_asked_for_our_own_host(provider, hec, collector, monkeypatch):
    with Proxy() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        collector({**provider.handover(), "hec_url": hec.url, "hec_token": hec.token}).once()
        assert proxy.passed == []
    assert _delivered(hec) == ONE


# Certificates of a private authority.


def test_the_authorities_named_are_trusted_on_every_connection(provider, hec, private, collector):
    settings = _settings(provider, hec, aws_url=private.aws.url, hec_url=private.hec.url)
    collector({**settings, **private.trusted}).once()
    assert _delivered(hec) == ONE
    assert private.aws.services == {"sts", "sqs", "s3"}
    assert provider.queue_depth() == 0


@pytest.mark.parametrize(("unnamed", "code"), [("aws_ca_file", "tls_untrusted"), ("hec_ca_file", "hec_tls")])
def test_an_unknown_authority_is_refused_with_the_setting_that_names_it(
    provider, hec, private, collector, unnamed, code
):
    settings = _settings(provider, hec, aws_url=private.aws.url, hec_url=private.hec.url)
    trusted = {name: path for name, path in private.trusted.items() if name != unnamed}
    done = collector({**settings, **trusted}).run("--once")
    assert done.returncode == 1
    assert unnamed in _told(done, code)
    assert provider.queue_depth() == 1
    assert hec.events == []


def test_an_unknown_authority_of_s3_alone_costs_no_object(provider, hec, private, collector):
    told = {**provider.handover(), "hec_url": hec.url, "hec_token": hec.token}
    ours = collector({**told, "s3_endpoint_url": private.aws.url})
    done = ours.run("--once")
    assert done.returncode == 1
    assert "aws_ca_file" in done.stderr.decode()
    assert provider.queue_depth() == 1
    assert ours.verb("quarantine", "list", "--format", "json").stdout.strip() == b""


# Endpoints of one's own.


@pytest.mark.exhaustive
def test_the_endpoint_of_a_service_wins_over_the_one_for_all(provider, hec, collector):
    aws = provider.aws.endpoint_url
    with Proxy(origin=aws) as for_all, Proxy(origin=aws) as s3, Proxy(origin=aws) as sqs:
        settings = _settings(provider, hec, aws_url=for_all.url)
        collector({**settings, "s3_endpoint_url": s3.url, "sqs_endpoint_url": sqs.url}).once()
        assert (for_all.services, s3.services, sqs.services) == ({"sts"}, {"s3"}, {"sqs"})
    assert _delivered(hec) == ONE


@pytest.mark.exhaustive
def test_a_queue_url_of_a_private_endpoint_is_where_sqs_is_asked(provider, hec, collector):
    vpce = "vpce-0123456789abcdef0-abcdefgh.sqs.eu-west-1.vpce.amazonaws.com"
    aws = provider.aws.endpoint_url
    with Proxy({f"{vpce}:80": aws, "aws.example.com:80": aws}) as proxy:
        settings = _settings(provider, hec, aws_url=f"http://{vpce}")
        settings.pop("endpoint_url")
        own = {f"{name}_endpoint_url": "http://aws.example.com" for name in ("s3", "sts")}
        collector({**settings, **own, "proxy_url": proxy.url}).once()
        asked = {(each.service, each.host) for each in proxy.passed if each.service}
    hosts = {("sqs", f"{vpce}:80"), ("sts", "aws.example.com:80"), ("s3", "aws.example.com:80")}
    assert asked == hosts
    assert _delivered(hec) == ONE
