"""The one Splunk REST client: secrets that splunkd keeps in storage/passwords, and how to reach splunkd.

splunkd hands every modular input its management URI and a session key. With those, through splunklib,
`SecretStore` reads the credentials of realm `audit_s3`: one request at start, none later, because how
long a session key lives is not promised by any page of Splunk's. `stored_settings` puts them where
inputs.conf leaves a gap.

What is stored where (Splunk REST API Reference, "storage/passwords"):

- username `<input>:<setting>`, password: the value of that one setting of that one input;
- username `<account>`, password: compact JSON such as `{"access_key_id": "...", "secret_access_key":
  "..."}` (also `session_token`, `hec_token`, `external_id`), for inputs that share keys; an input's
  own name is an account too.

A secret setting is looked up when it is empty or masked (`********`): first under `<input>:<setting>`,
then in the account `<input>`. `storage:NAME` looks up exactly NAME, an account or a plain password.
Masked and `storage:` settings must be found; an empty one may stay empty, for keys that come from
the machine. Nothing here logs, and no error repeats a password.
"""

from __future__ import annotations

import http.client
import json
import ssl
from io import BytesIO
from typing import Any, Callable, Dict, Mapping, Optional, Protocol, Tuple, TypeVar
from urllib.parse import urlsplit

from collector.config.secret import MASK
from collector.errors import CollectorError, Fatal, Retry
from collector.loopback import is_loopback

__all__ = [
    "APP_ID", "REALM", "SECRETS", "SecretStore", "answer_of", "call", "connect", "refusal",
    "service_of", "stored_settings", "tls_context",
]

T = TypeVar("T")

#: The folder under etc/apps, and the namespace in which splunkd looks for the credentials.
APP_ID = "audit_s3_collector"
#: Keeps our credentials apart from those of other apps, whose realms are visible in the same listing.
REALM = "audit_s3"

#: Settings that may live in storage/passwords, and the member of a JSON account that holds each.
SECRETS = {
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "hec_token": "hec_token",
}
#: What else an account may bring along, for settings left empty.
_COMPANIONS = {"aws_access_key_id": "access_key_id", "external_id": "external_id"}
_STORED = "storage:"

_TIMEOUT_SECONDS = 10.0
#: A listing of credentials is a few KiB; more than this is not an answer from splunkd.
_ANSWER_MAX_BYTES = 4 * 1024 * 1024


def stored_settings(settings: Mapping[str, str], *, input_name: str, store: Passwords) -> Dict[str, str]:
    """The settings that `store` has for the gaps in `settings`, and nothing else.

    Asks nothing when no secret is empty, masked or `storage:`. Raises Fatal "secret_missing" for one
    that had to be there, and what `store` raises.
    """
    found: Dict[str, str] = {}
    for setting, member in SECRETS.items():
        value = settings.get(setting, "").strip()
        if value.startswith(_STORED):
            account = value[len(_STORED) :].strip()
            secret = store.account(account).get(member) or _plain(store.password(account))
        elif value in ("", MASK):
            account = input_name
            own = store.password(f"{input_name}:{setting}")
            secret = own or store.account(input_name).get(member)
        else:
            continue
        if secret:
            found.update({setting: secret, **_companions(settings, store.account(account))})
        elif value:
            raise _missing(setting, value, input_name)
    return found


def _plain(password: Optional[str]) -> Optional[str]:
    """A password that is no JSON account: then it is the secret itself."""
    return None if password is None or password.lstrip().startswith("{") else password


def _companions(settings: Mapping[str, str], account: Mapping[str, str]) -> Dict[str, str]:
    return {
        setting: account[member]
        for setting, member in _COMPANIONS.items()
        if member in account and not settings.get(setting, "").strip()
    }


def _missing(setting: str, value: str, input_name: str) -> Fatal:
    wanted = value[len(_STORED) :].strip() if value.startswith(_STORED) else f"{input_name}:{setting}"
    return Fatal(
        f"{setting} is not in storage/passwords",
        code="secret_missing",
        where=f"storage/passwords, realm {REALM}, username {wanted}",
        hint=f"store it there, or set {setting} again in the input",
    )


class Passwords(Protocol):
    """What `stored_settings` asks of a store."""

    def password(self, username: str) -> Optional[str]:
        """The password as it was stored, or None."""

    def account(self, username: str) -> Mapping[str, str]:
        """The members of a JSON account; empty when there is none."""


class SecretStore:
    """The credentials of realm `audit_s3`, read once when first asked for.

    `server_uri` and `session_key` are those of the input definition; without them it is empty. The
    certificate is verified unless splunkd is on this host: there it shows Splunk's self-signed default.
    Raises Retry when splunkd does not answer, Fatal when it refuses. Used by one thread.
    """

    def __init__(self, server_uri: str, session_key: str) -> None:
        self._server_uri = server_uri
        self._session_key = session_key
        self._passwords: Optional[Dict[str, str]] = None

    def password(self, username: str) -> Optional[str]:
        """The password as it was stored, or None."""
        return self._all().get(username)

    def account(self, username: str) -> Mapping[str, str]:
        """The members of a JSON account; empty when there is none, or when the password is no JSON object."""
        stored = (self.password(username) or "").strip()
        if not stored.startswith("{"):
            return {}
        try:
            members = json.loads(stored)
        except ValueError as error:
            raise Fatal(
                "a stored account is not valid JSON",
                code="secret_malformed",
                where=f"storage/passwords {REALM}:{username}",
                hint='store {"access_key_id": "...", "secret_access_key": "..."} as its password',
            ) from error
        return {str(name): str(value) for name, value in members.items() if value}

    def _all(self) -> Dict[str, str]:
        if self._passwords is None:
            known = self._server_uri and self._session_key
            self._passwords = _read_passwords(self._server_uri, self._session_key) if known else {}
        return self._passwords


def _read_passwords(server_uri: str, session_key: str) -> Dict[str, str]:
    def ask() -> Dict[str, str]:
        service = service_of(server_uri, session_key)
        # The search only narrows the answer; which of them are ours is compared exactly.
        entries = service.storage_passwords.list(count=-1, search=f"realm={REALM}")
        return {entry.username: entry.clear_password or "" for entry in entries if entry.realm == REALM}

    where = f"{server_uri} storage/passwords"
    return answer_of(ask, lambda status: refusal(status, where), where=server_uri)


def refusal(status: int, where: str, *, capability: str = "list_storage_passwords") -> CollectorError:
    """The table of splunkd's answers that are not an answer. `capability` is what a 403 lacks."""
    if status == 401:
        what, hint = "splunkd no longer knows the session key", "restart the input to be given a new one"
        return Retry(what, code="splunkd_session_expired", where=where, hint=hint)
    if status == 403:
        what = "splunkd does not let this input at stored passwords"
        hint = f"give its user the capability {capability}"
        return Fatal(what, code="splunkd_denied", where=where, hint=hint)
    what = f"splunkd answered {status}"
    if status == 429 or status >= 500:
        return Retry(what, code="splunkd_busy", where=where)
    hint = f"is the app {APP_ID} installed under that name?"
    return Fatal(what, code="splunkd_refused", where=where, hint=hint)


def service_of(server_uri: str, session_key: str) -> Any:
    """splunklib's Service in the name of the input, in our own app. Asks nothing yet."""
    return connect(server_uri, token=session_key, owner="nobody", app=APP_ID, sharing="app")


def call(
    service: Any, server_uri: str, method: str, path: str, *, app: str = APP_ID, **form: str
) -> Tuple[int, Any]:
    """(status, JSON) of one GET or POST, whatever the status; Retry when splunkd is not to be reached.

    `path` is relative to nobody's namespace in `app`, each part of it quoted.
    """
    from splunklib.binding import HTTPError, UrlEncoded

    def ask() -> Tuple[int, Any]:
        send = service.get if method == "GET" else service.post
        encoded = UrlEncoded(path, skip_encode=True)
        try:
            response = send(encoded, owner="nobody", app=app, sharing="app", output_mode="json", **form)
        except HTTPError as error:
            return error.status, {}
        return response.status, json.loads(response.body.read() or b"{}")

    return answer_of(ask, lambda status: refusal(status, server_uri), where=server_uri)


def connect(
    server_uri: str,
    *,
    context: Optional[ssl.SSLContext] = None,
    timeout_seconds: float = _TIMEOUT_SECONDS,
    **about: str,
) -> Any:
    """splunklib's Service at this address. Asks nothing yet.

    `about` is splunklib's own: `token` is a session key, `splunkToken` a token that Splunk has issued.
    """
    from splunklib import client

    target = urlsplit(server_uri)
    return client.Service(
        handler=_https(context or tls_context(target.hostname or ""), timeout_seconds),
        scheme=target.scheme,
        host=target.hostname,
        port=target.port or 8089,
        **about,
    )


def answer_of(call: Callable[[], T], refusal: Callable[[int], CollectorError], *, where: str) -> T:
    """What a call through splunklib answers; an HTTP status other than success becomes `refusal` of it."""
    from splunklib.binding import HTTPError

    try:
        return call()
    except HTTPError as error:
        raise refusal(error.status) from error
    except ssl.SSLCertVerificationError as error:
        raise Fatal(
            f"the certificate of splunkd is not trusted ({error.verify_message})",
            code="splunkd_certificate",
            where=where,
            hint="name the certificate of its CA",
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise Retry(
            f"splunkd did not answer ({type(error).__name__})", code="splunkd_unreachable", where=where,
            hint="is this its management port, and may we reach it? An input is started again by splunkd",
        ) from error


def tls_context(host: str, *, ca_file: str = "", verify: bool = True) -> ssl.SSLContext:
    """Verifies splunkd's certificate, by `ca_file` alone where that is given. TLS 1.2 at least.

    Without one, on this host, where Splunk's default certificate vouches for nobody, it verifies nothing.
    Raises Fatal "splunkd_certificate" if the file cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Fatal(
            f"the CA file cannot be read ({error})", code="splunkd_certificate", where=ca_file,
            hint="hec_ca_file names a PEM file that the collector's user may read",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify or (not ca_file and is_loopback(host)):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _https(context: ssl.SSLContext, timeout_seconds: float) -> Callable[..., Dict[str, Any]]:
    """A request handler for splunklib, which lets one be brought along.

    Its own has no time-out through `Service`, reads nothing from a kept-alive connection, and asks
    importlib.metadata for splunk-sdk's version, which an app with a vendored `lib/` does not have.
    """

    def request(url: str, message: Mapping[str, Any], **_: Any) -> Dict[str, Any]:
        from splunklib.binding import ResponseReader

        target = urlsplit(url)
        connection = _connection(target.scheme, target.hostname or "", target.port, context, timeout_seconds)
        try:
            headers = {**dict(message["headers"]), "Connection": "close"}
            path = f"{target.path}?{target.query}" if target.query else target.path
            connection.request(message.get("method", "GET"), path, message.get("body") or None, headers)
            response = connection.getresponse()
            body = response.read(_ANSWER_MAX_BYTES)
        finally:
            connection.close()
        return {
            "status": response.status,
            "reason": response.reason,
            "headers": response.getheaders(),
            "body": ResponseReader(BytesIO(body)),
        }

    return request


def _connection(
    scheme: str, host: str, port: Optional[int], context: ssl.SSLContext, timeout_seconds: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_seconds)
