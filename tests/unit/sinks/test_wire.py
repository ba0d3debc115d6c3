"""Which addresses are HEC's, and what a broken conversation means."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Type

import pytest

from collector.errors import CollectorError, Fatal, Retry
from collector.sinks.wire import Endpoint, Wire, translate

WHERE = "https://splunk.example.com:8088"


@pytest.mark.parametrize(
    ("url", "address", "port"),
    [
        ("https://splunk.example.com:8088", "https://splunk.example.com:8088", 8088),
        (" https://splunk.example.com:8088/ ", "https://splunk.example.com:8088", 8088),
        ("https://splunk.example.com/services/collector/event", "https://splunk.example.com", 443),
        ("https://splunk.example.com/services/collector", "https://splunk.example.com", 443),
        ("http://[::1]:8088", "http://[::1]:8088", 8088),
        ("https://gate.example.com/splunk/services/collector/", "https://gate.example.com/splunk", 443),
    ],
)
def test_an_hec_url_may_or_may_not_name_the_collector(url: str, address: str, port: int) -> None:
    endpoint = Endpoint.parse(url)
    assert (endpoint.url, endpoint.port) == (address, port)


@pytest.mark.parametrize(
    "url",
    [
        "splunk.example.com:8088", "", "ftp://splunk.example.com", "https://", "https://h:port",
        "https://h:99999", "https://h?token=x", "https://user:hidden@splunk.example.com", "https://a..b:8088",
    ],
)
def test_another_url_is_a_configuration_error_that_shows_no_password(url: str) -> None:
    with pytest.raises(Fatal) as caught:
        Endpoint.parse(url)
    assert (caught.value.code, caught.value.scope) == ("hec_url", "config")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "sent", "fate", "code"),
    [
        (ConnectionRefusedError(111, "refused"), False, Retry, "hec_unreachable"),
        (socket.gaierror(-2, "Name or service not known"), False, Retry, "hec_unreachable"),
        (socket.timeout("timed out"), False, Retry, "hec_unreachable"),
        (socket.timeout("timed out"), True, Retry, "hec_timeout"),
        (ConnectionResetError(104, "reset"), True, Retry, "hec_connection_lost"),
        (http.client.RemoteDisconnected("closed"), True, Retry, "hec_connection_lost"),
        (http.client.IncompleteRead(b"x"), True, Retry, "hec_connection_lost"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), False, Fatal, "hec_not_tls"),
        (ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] no shared cipher"), False, Fatal, "hec_tls"),
        (OSError("Tunnel connection failed: 407 Proxy Authentication Required"), False, Fatal, "hec_proxy"),
        (OSError("Tunnel connection failed: 403 Forbidden"), False, Fatal, "hec_proxy"),
        (OSError("Tunnel connection failed: 503 Busy"), False, Retry, "hec_unreachable"),
    ],
)
def test_a_broken_conversation_has_its_fate(
    error: Exception, sent: bool, fate: Type[CollectorError], code: str
) -> None:
    translated = translate(error, where=WHERE, sent=sent)
    assert (type(translated), translated.code) == (fate, code)


@pytest.mark.parametrize("proxy", ["https://proxy.example.com", "socks5://proxy.example.com", "http://h:p"])
def test_a_proxy_that_is_not_http_is_a_configuration_error(proxy: str) -> None:
    with pytest.raises(Fatal, match="hec_proxy"):
        Wire(proxy_url=proxy)
