"""A splunkd of one's own: stored passwords, inputs and oneshot searches, over TLS with a self-signed
certificate.

    with FakeSplunkd() as splunkd:
        splunkd.store("audit_s3", "thrive:hec_token", "secret")
        SecretStore(splunkd.server_uri, splunkd.session_key)

        splunkd.events += hec.events      # what a HEC of it has indexed
        SearchHead(splunkd.server_uri, splunkd.token).rows("| tstats count where index=* by source")

    splunkd.inputs.stanzas["thrive"] = {"provider": "thrive", "hec_token": "plain"}

It answers as Splunk Enterprise does where a client can tell the difference: Atom feeds, titles with
escaped colons, a page of 30 unless `count` says otherwise, 401 for a foreign session key, 201 for a
creation, JSON where `output_mode` asks for it, and `Connection: Close` on everything. A search gives its
first 100 rows unless `count` says otherwise, and of what was until now unless `latest_time` does;
splunkd_search.py answers it, splunkd_inputs.py what concerns inputs. It listens on 127.0.0.1, on a free port.
"""

from __future__ import annotations

import json
import re
import ssl
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from collector.testing.certificate import self_signed
from collector.testing.loopback import Loopback
from collector.testing.splunkd_inputs import Inputs
from collector.testing.splunkd_search import Event, Unsearchable, tstats

__all__ = ["FakeSplunkd"]

_PASSWORDS = "storage/passwords"
_JOBS = "/services/search/v2/jobs"
_KNOWN = re.compile(
    r"(storage/passwords|data/inputs/audit_s3|configs/conf-inputs/[^/]+|apps/local/[^/]+|server/info)(/|$)"
)
_FEED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:s="http://dev.splunk.com/ns/rest"'
    ' xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">\n<title>passwords</title>\n'
    "<id>{uri}</id>\n<opensearch:totalResults>{total}</opensearch:totalResults>\n{entries}</feed>\n"
)
_ENTRY = (
    '<entry><title>{title}</title><id>{uri}</id><link href="{href}" rel="alternate"/>'
    '<link href="{href}" rel="edit"/><author><name>nobody</name></author>'
    '<content type="text/xml"><s:dict><s:key name="clear_password">{password}</s:key>'
    '<s:key name="eai:acl"><s:dict><s:key name="app">{app}</s:key></s:dict></s:key>'
    '<s:key name="encr_password">$7$bm90IGEgcmVhbCBvbmU=</s:key>'
    '<s:key name="password">********</s:key><s:key name="realm">{realm}</s:key>'
    '<s:key name="username">{username}</s:key></s:dict></content></entry>\n'
)
_SERVER_INFO = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom"'
    ' xmlns:s="http://dev.splunk.com/ns/rest"><title>server-info</title>'
    '<entry><title>server-info</title><id>server-info</id><content type="text/xml"><s:dict>'
    '<s:key name="version">9.4.1</s:key><s:key name="product_type">enterprise</s:key></s:dict></content>'
    "</entry></feed>\n"
)
_MESSAGE = (
    '<?xml version="1.0"?>\n<response><messages><msg type="{kind}">{text}</msg></messages></response>\n'
)


class FakeSplunkd(Loopback):
    """Runs from `start` to `close`, or as a context manager. Thread safe.

    `fail_with`, when set, is the status of every answer; `complaint`, the message that comes with the rows of
    a search. `requests` are (method, path) in order, `searches` what was searched for. `token` is one that it
    has issued; `events` are what is indexed, as a fake HEC shows them. `inputs` are the scheme's stanzas;
    `server_roles` is what it says of itself, `is_configured` whether the app was set up.
    """

    def __init__(self, *, session_key: str = "fake-session-key", app: str = "audit_s3_collector") -> None:
        super().__init__(_Rest, tls=_tls())
        self.session_key = session_key
        self.app = app
        self.token = "fake.splunk.token"
        self.events: List[Event] = []
        self.searches: List[str] = []
        self.fail_with: Optional[int] = None
        self.complaint = ""
        self.requests: List[Tuple[str, str]] = []
        self.passwords: Dict[Tuple[str, str], str] = {}
        self.inputs = Inputs(app)
        self.server_roles: List[str] = ["indexer", "search_head"]
        self.is_configured = False
        self.lock = threading.Lock()

    @property
    def server_uri(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> Tuple[str, str]:
        return f"Splunk {self.session_key}", f"Bearer {self.token}"

    @property
    def about(self) -> Mapping[str, str]:
        """What it tells a program that it starts of itself."""
        return {
            "server_host": "splunk.example.com",
            "server_uri": self.server_uri,
            "session_key": self.session_key,
            "checkpoint_dir": "/nonexistent",
        }

    def store(self, realm: str, username: str, password: str) -> None:
        """What the set-up page, or an administrator with curl, would have stored."""
        with self.lock:
            self.passwords[(realm, username)] = password


class _Rest(BaseHTTPRequestHandler):
    """storage/passwords, data/inputs, configs/conf-inputs, server/info, apps/local, and searches."""

    protocol_version = "HTTP/1.1"
    server_version = "Splunkd"
    _said_json = False

    def do_GET(self) -> None:
        if self._admitted():
            self._dispatch({})

    def do_POST(self) -> None:
        form = self._form()
        if self._admitted():
            self._dispatch(form)

    def do_DELETE(self) -> None:
        if self._admitted():
            self._dispatch({})

    def _dispatch(self, form: Dict[str, str]) -> None:
        """By what stands behind /services or /servicesNS/<owner>/<app>."""
        splunkd = self._splunkd
        form.pop("output_mode", None) if self._path != _JOBS else None
        head, kind, *rest = [unquote(part) for part in self._relative.split("/")]
        if self._path == _JOBS:
            self._search(form)
        elif (head, kind) == ("storage", "passwords"):
            self._passwords(form, rest)
        elif (head, kind, rest[:1]) == ("data", "inputs", [splunkd.inputs.scheme]):
            self._say(*splunkd.inputs.answer(self.command, rest[1:], form, splunkd.about))
        elif (head, kind) == ("configs", "conf-inputs") and rest:
            self._say(*splunkd.inputs.conf(self.command, rest[0], form))
        elif (head, kind, rest) == ("apps", "local", [splunkd.app]):
            splunkd.is_configured = form.get("configured") in ("1", "true") or splunkd.is_configured
            content = {"configured": splunkd.is_configured}
            self._say(200, {"entry": [{"name": splunkd.app, "content": content}]})
        else:
            self._info()

    def _passwords(self, form: Dict[str, str], title: List[str]) -> None:
        if self.command == "GET":
            self._list()
        elif self.command == "DELETE":
            self._delete()
        elif not form.get("password"):
            self._message(400, "The following required arguments are missing: password.")
        elif title:
            self._change(title[0], form["password"])
        else:
            self._create(form)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the test's own output is what counts."""

    @property
    def _splunkd(self) -> FakeSplunkd:
        return self.server.fake  # type: ignore[attr-defined, no-any-return]

    @property
    def _path(self) -> str:
        return urlsplit(self.path).path.rstrip("/")

    def _form(self) -> Dict[str, str]:
        """As splunkd does, it takes arguments from the body."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
        self._said_json = form.get("output_mode") == "json"
        return form

    @property
    def _fields(self) -> List[str]:
        return parse_qs(urlsplit(self.path).query).get("f", [])

    def _admitted(self) -> bool:
        splunkd = self._splunkd
        path = urlsplit(self.path).path
        with splunkd.lock:
            splunkd.requests.append((self.command, path))
        status = splunkd.fail_with
        if status is not None:
            self._message(status, "injected failure")
        elif self.headers.get("Authorization") not in splunkd.credentials:
            self._message(401, "call not properly authenticated")
        elif self._path == _JOBS or _KNOWN.match(self._relative):
            return True
        else:
            self._message(404, "Not Found")
        return False

    @property
    def _relative(self) -> str:
        """The path without its namespace, if that is none or ours."""
        spaces = f"/services/|/servicesNS/(nobody|-)/({re.escape(self._splunkd.app)}|-)/"
        return re.sub(spaces, "", self._path, count=1)

    def _list(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        field, _, wanted = query.get("search", "").partition("=")
        with self._splunkd.lock:
            rows = sorted(self._splunkd.passwords.items())
        if field == "realm":
            rows = [row for row in rows if row[0][0] == wanted]
        offset, count = int(query.get("offset", 0)), int(query.get("count", 30))
        page = rows[offset:] if count < 1 else rows[offset : offset + count]
        self._feed(200, page, total=len(rows))

    def _create(self, form: Dict[str, str]) -> None:
        key = (form.get("realm", ""), form.get("name", ""))
        with self._splunkd.lock:
            taken = key in self._splunkd.passwords
            if not taken:
                self._splunkd.passwords[key] = form.get("password", "")
        if taken:
            self._message(409, "An object with name=... already exists")
        else:
            self._feed(201, [(key, form.get("password", ""))], total=1)

    def _change(self, title: str, password: str) -> None:
        with self._splunkd.lock:
            found = [key for key in self._splunkd.passwords if _title(*key) == title]
            self._splunkd.passwords.update(dict.fromkeys(found, password))
        if found:
            self._feed(200, [(found[0], password)], total=1)
        else:
            self._message(404, f"Could not find object id={title}")

    def _delete(self) -> None:
        title = unquote(urlsplit(self.path).path.rpartition("/")[2])
        with self._splunkd.lock:
            found = [key for key in self._splunkd.passwords if _title(*key) == title]
            for key in found:
                del self._splunkd.passwords[key]
        if found:
            self._feed(200, [], total=0)
        else:
            self._message(404, f"Could not find object id={title}")

    def _info(self) -> None:
        if self._wants_json:
            content = {"server_roles": self._splunkd.server_roles, "version": "9.4.1"}
            self._say(200, {"entry": [{"name": "server-info", "content": content}]})
        else:
            self._answer(200, _SERVER_INFO)

    @property
    def _wants_json(self) -> bool:
        return "output_mode=json" in urlsplit(self.path).query or self._said_json

    def _say(self, status: int, body: Any) -> None:
        self._answer(status, json.dumps(body), kind="application/json")

    def _search(self, form: Dict[str, str]) -> None:
        """exec_mode=oneshot with output_mode=json: the rows come with the answer."""
        splunkd, search = self._splunkd, form.get("search", "")
        if (form.get("exec_mode"), form.get("output_mode")) != ("oneshot", "json"):
            self._message(400, "only oneshot searches in JSON are answered here")
            return
        with splunkd.lock:
            splunkd.searches.append(search)
            events = [event for event in splunkd.events if _is_within(event, form)]
        try:
            rows = tstats(search, events)
        except Unsearchable as error:
            said = {"messages": [{"type": "FATAL", "text": str(error)}]}
            self._answer(400, json.dumps(said), kind="application/json")
            return
        count = int(form.get("count", 100))
        messages = [{"type": "ERROR", "text": splunkd.complaint}] if splunkd.complaint else []
        answer = {"preview": False, "init_offset": 0, "messages": messages, "results": rows[: count or None]}
        self._answer(200, json.dumps(answer), kind="application/json")

    def _feed(self, status: int, rows: List[Tuple[Tuple[str, str], str]], *, total: int) -> None:
        base = f"/servicesNS/nobody/{self._splunkd.app}/{_PASSWORDS}"
        if self._wants_json:
            self._say(status, {"entry": [_json_entry(key, password, self._fields) for key, password in rows]})
            return
        entries = "".join(_entry(base, self._splunkd.app, key, password) for key, password in rows)
        self._answer(status, _FEED.format(uri=base, total=total, entries=entries))

    def _message(self, status: int, text: str) -> None:
        if self._wants_json:
            self._say(status, {"messages": [{"type": "ERROR", "text": text}]})
            return
        self._answer(status, _MESSAGE.format(kind="WARN" if status == 401 else "ERROR", text=text))

    def _answer(self, status: int, text: str, *, kind: str = "text/xml") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        # splunklib keeps the body of a kept-alive answer unread; splunkd closes when asked to.
        self.send_header("Connection", "Close")
        self.end_headers()
        self.wfile.write(body)


def _is_within(event: Event, form: Dict[str, str]) -> bool:
    """Whether a search of these times meets the event."""
    earliest = float(form.get("earliest_time") or 0)
    latest = float(form.get("latest_time") or time.time())
    return earliest <= float(event.get("time") or time.time()) < latest


def _entry(base: str, app: str, key: Tuple[str, str], password: str) -> str:
    title = _title(*key)
    href = f"{base}/{quote(title, safe='')}"
    return _ENTRY.format(
        title=escape(title), uri=escape(href), href=escape(href), app=app, password=escape(password),
        realm=escape(key[0]), username=escape(key[1]),
    )


def _json_entry(key: Tuple[str, str], password: str, fields: List[str]) -> Any:
    """`f=realm&f=username` leaves everything else out, the password too."""
    content = {
        "clear_password": password, "encr_password": "$7$bm90IGEgcmVhbCBvbmU=", "password": "********",
        "realm": key[0], "username": key[1],
    }
    shown = {name: value for name, value in content.items() if not fields or name in fields}
    return {"name": _title(*key), "content": shown}


def _title(realm: str, username: str) -> str:
    return ":".join(part.replace(":", "\\:") for part in (realm, username)) + ":"


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "splunkd.pem"
        pem.write_bytes(self_signed("SplunkServerDefaultCert"))
        context.load_cert_chain(str(pem))
    return context
