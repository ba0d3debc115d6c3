"""HTTP to HEC endpoints: kept-alive connections, TLS, the proxy, and what can go wrong before an answer.

A connection belongs to whoever holds it: `Wire.exchange` takes the idle one of its key, or opens one, and
puts it back if the answer leaves it usable. http.client because it costs a tenth of requests per POST
(benchmarks/); one TLS context per process, because making one costs more than thirty POSTs.
"""

from __future__ import annotations

import http.client
import re
import selectors
import socket
import ssl
import threading
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from typing import Dict, Mapping, Optional, Tuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from collector.errors import CollectorError, Fatal, Retry
from collector.loopback import is_loopback

__all__ = ["Endpoint", "Reply", "Wire", "translate"]

#: An answer longer than this did not come from HEC; its rest is not read.
_REPLY_MAX_BYTES = 1024 * 1024
#: After these answers the connection is closed, so that a load balancer can pick another indexer.
_LEAVE_AFTER = (429, 502, 503, 504)
_SUFFIX = re.compile(r"(/services/collector(/.*)?)?/*$")

Key = Tuple[str, int, str]


@dataclass(frozen=True)
class Endpoint:
    """One HEC endpoint. `prefix` is what a gateway puts before `/services/collector`."""

    url: str
    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def is_local(self) -> bool:
        """Whether it is on this host by its name: no network is between."""
        return is_loopback(self.host)

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """`https://host:8088`, with or without the path of a collector. Fatal "hec_url"."""
        parts = urlsplit(url.strip())
        try:
            port = parts.port
            (parts.hostname or "").encode("idna")
        except ValueError:
            port = 0
        if "@" in parts.netloc:
            raise _bad_url("an HEC URL with a user in it", "Put the token into hec_token, not into the URL")
        whole = parts.scheme in ("http", "https") and parts.hostname and port != 0
        if not whole or parts.query or parts.fragment:
            raise _bad_url(f"{url!r} is no HEC URL", "It looks like https://splunk.example.com:8088")
        prefix = _SUFFIX.sub("", parts.path)
        address = f"{parts.scheme}://{parts.netloc}{prefix}"
        known = port or (443 if parts.scheme == "https" else 80)
        return cls(address, parts.scheme, str(parts.hostname), known, prefix)


@dataclass(frozen=True)
class Reply:
    """One HTTP answer, read whole. `cookies` are its Set-Cookie headers."""

    status: int
    body: bytes
    retry_after: str = ""
    cookies: Tuple[str, ...] = ()


class Wire:
    """All connections of one output. Thread safe."""

    def __init__(
        self, *, ca_file: str = "", tls_verify: bool = True, proxy_url: str = "",
        connect_timeout_seconds: float = 10.0, reply_timeout_seconds: float = 60.0,
    ) -> None:
        self._ca_file, self._tls_verify = ca_file, tls_verify
        self._proxy = _Proxy.parse(proxy_url) if proxy_url else None
        self._connect_timeout = connect_timeout_seconds
        self._reply_timeout = reply_timeout_seconds
        self._idle: Dict[Key, http.client.HTTPConnection] = {}
        self._lock = threading.Lock()

    def exchange(
        self, endpoint: Endpoint, method: str, path: str,
        *, headers: Mapping[str, str], body: bytes = b"", lane: int = 0, errand: str = "send",
    ) -> Reply:
        """One request and its whole answer, whatever its status. Redirects are not followed.

        Retry "hec_unreachable": nothing was sent. Retry "hec_timeout" and "hec_connection_lost": the
        request may have been taken. Fatal "hec_tls", "hec_not_tls", "hec_proxy".
        """
        key = (endpoint.url, lane, errand)
        sending = False
        connection: Optional[http.client.HTTPConnection] = None
        try:
            connection = self._take(key) or self._connect(endpoint)
            sending = True
            reply, reusable = self._converse(connection, endpoint, method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            if connection is not None:
                connection.close()
            raise translate(error, where=endpoint.url, sent=sending) from error
        if reusable:
            self._put(key, connection)
        else:
            connection.close()
        return reply

    def close(self) -> None:
        with self._lock:
            idle, self._idle = list(self._idle.values()), {}
        for connection in idle:
            connection.close()

    def _converse(
        self, connection: http.client.HTTPConnection, endpoint: Endpoint, method: str, path: str,
        headers: Mapping[str, str], body: bytes,
    ) -> Tuple[Reply, bool]:
        target = endpoint.prefix + path
        sent = dict(headers)
        proxy = self._proxy_for(endpoint)
        if proxy and endpoint.scheme == "http":
            target = endpoint.url + path
            sent.update(proxy.headers)
        cut_off: Optional[OSError] = None
        try:
            connection.request(method, target, body=body, headers=sent)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError) as error:
            # A server that refuses a body by its size answers and closes before it has read it all.
            cut_off = error
        try:
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise cut_off or error from None
        whole = response.length is not None and response.length <= _REPLY_MAX_BYTES
        read = response.read() if whole else response.read(_REPLY_MAX_BYTES)
        reply = Reply(
            response.status, read, response.getheader("Retry-After") or "",
            tuple(response.headers.get_all("Set-Cookie") or ()),
        )
        usable = response.isclosed() and not response.will_close and cut_off is None
        return reply, usable and reply.status not in _LEAVE_AFTER

    def _connect(self, endpoint: Endpoint) -> http.client.HTTPConnection:
        proxy = self._proxy_for(endpoint)
        host, port = (proxy.host, proxy.port) if proxy else (endpoint.host, endpoint.port)
        connection: http.client.HTTPConnection
        if endpoint.scheme == "https":
            context = _tls_context(self._ca_file, self._tls_verify)
            connection = http.client.HTTPSConnection(
                host, port, timeout=self._connect_timeout, context=context
            )
            if proxy:
                connection.set_tunnel(endpoint.host, endpoint.port, headers=dict(proxy.headers))
        else:
            connection = http.client.HTTPConnection(host, port, timeout=self._connect_timeout)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException):
            connection.close()
            raise
        connection.sock.settimeout(self._reply_timeout)
        return connection

    def _proxy_for(self, endpoint: Endpoint) -> Optional[_Proxy]:
        """The proxy of the setting, else of the environment; that one never for our own host."""
        if self._proxy is not None:
            return self._proxy
        if endpoint.is_local:
            return None
        url = getproxies().get(endpoint.scheme, "")
        bypassed = proxy_bypass(f"{endpoint.host}:{endpoint.port}")
        return None if not url or bypassed else _Proxy.parse(url)

    def _take(self, key: Key) -> Optional[http.client.HTTPConnection]:
        with self._lock:
            connection = self._idle.pop(key, None)
        if connection is None or not _has_news(connection.sock):
            return connection
        connection.close()
        return None

    def _put(self, key: Key, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            other = self._idle.pop(key, None)
            self._idle[key] = connection
        if other is not None:
            other.close()


@dataclass(frozen=True)
class _Proxy:
    host: str
    port: int
    headers: Mapping[str, str]

    @classmethod
    def parse(cls, url: str) -> _Proxy:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            port = parts.port or 80
        except ValueError:
            port = 0
        if parts.scheme != "http" or not parts.hostname or not port:
            raise Fatal(
                "proxy_url is not the URL of an HTTP proxy", code="hec_proxy", where="proxy_url",
                hint="It looks like http://proxy.example.com:3128, with user:password@ if it wants them",
            )
        if parts.username is None:
            return cls(parts.hostname, port, {})
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        basic = "Basic " + b64encode(user.encode()).decode("ascii")
        return cls(parts.hostname, port, {"Proxy-Authorization": basic})


@cache
def _tls_context(ca_file: str, verify: bool) -> ssl.SSLContext:
    """TLS 1.2 at least; `ca_file` alone is trusted where it is given."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Fatal(
            f"hec_ca_file cannot be read: {error}", code="hec_ca_file", where=ca_file,
            hint="It must be a PEM file with the certificate of the authority that signed Splunk's",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _has_news(sock: Optional[socket.socket]) -> bool:
    """Whether an idle connection has something to read: that can only be its end.

    Splunk closes after 12 idle seconds (busyKeepAliveIdleTimeout). Looking first turns what would be an
    ambiguous failure, and a repeat, into a new connection.
    """
    if sock is None:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _bad_url(what: str, hint: str) -> Fatal:
    return Fatal(what, code="hec_url", where="hec_url", hint=hint)


#: What OpenSSL says of an answer that is no TLS: plain HTTP. Its newer versions have the last name for it.
_PLAIN = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
#: TLS failures that no waiting mends: one side does not speak the other's kind.
_OTHER_TLS = ("UNSUPPORTED_PROTOCOL", "HANDSHAKE_FAILURE", "UNKNOWN_CA")
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


def translate(error: Exception, *, where: str, sent: bool) -> CollectorError:
    """What a broken conversation means. `sent` says that the request was on its way."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _tls_error(
            f"the certificate of HEC is not trusted: {error.verify_message}", where,
            "Set hec_ca_file to the PEM file of the authority that signed Splunk's certificate",
        )
    if isinstance(error, ssl.SSLError) and any(name in str(error) for name in _PLAIN):
        return _tls_error(
            f"HEC there speaks plain http, no TLS: {_reason(error)}", where,
            "Enable SSL in Splunk, Settings > Data inputs > HTTP Event Collector > Global Settings; only "
            "where HEC is on this host may hec_url begin with http://",
            code="hec_not_tls",
        )
    if isinstance(error, ssl.SSLError) and any(name in str(error) for name in _OTHER_TLS):
        return _tls_error(f"TLS fails: {_reason(error)}", where, "Look whether HEC there speaks TLS 1.2")
    tunnel = _TUNNEL.search(str(error))
    if tunnel:
        return _tunnel_error(int(tunnel.group(1)), where)
    if not sent:
        return Retry(
            f"HEC cannot be reached: {_reason(error)}", code="hec_unreachable", where=where,
            hint="Look at the host name, the port (8088 by default), firewalls and proxy_url",
        )
    late = isinstance(error, (TimeoutError, socket.timeout))  # two classes until 3.10
    return Retry(
        f"HEC did not answer: {_reason(error)}", where=where,
        code="hec_timeout" if late else "hec_connection_lost",
        hint="It may have taken the events, so some may come twice",
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _tls_error(what: str, where: str, hint: str, *, code: str = "hec_tls") -> Fatal:
    return Fatal(what, code=code, where=where, hint=hint, scope="output")


def _tunnel_error(status: int, where: str) -> CollectorError:
    if status in (408, 429) or status >= 500:
        return Retry(f"the proxy answers {status} to CONNECT", code="hec_unreachable", where=where)
    hint = "Put user:password@ into proxy_url" if status == 407 else "The proxy must allow this host and port"
    return Fatal(
        f"the proxy answers {status} to CONNECT", code="hec_proxy", where=where, hint=hint, scope="output"
    )
