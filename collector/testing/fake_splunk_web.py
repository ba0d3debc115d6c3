"""Splunk Web as an app's own page meets it, in front of a FakeSplunkd: the page, its files, and the proxy.

    with FakeSplunkd() as splunkd, FakeSplunkWeb(splunkd, app_root) as web:
        browser.get(web.page("setup"))

A Simple XML view is shown as Splunk Web shows one: the HTML of its panels, put there by a script after the
page has come, then the script and the stylesheet that the view names, from /static/app/<app>/. What goes to
/splunkd/__raw/ reaches splunkd in the name of who is signed in; without a session it is sent to the sign-in
page, and a change without the form key of the cookie is refused, which is what keeps other sites out.
"""

from __future__ import annotations

import json
import mimetypes
import secrets
import ssl
from http.client import HTTPSConnection
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Dict, List, Tuple
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from collector.testing.fake_splunkd import FakeSplunkd
from collector.testing.loopback import Loopback

__all__ = ["FakeSplunkWeb"]

_LOCALE = "/en-US"
_PROXY = f"{_LOCALE}/splunkd/__raw"
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><link rel="stylesheet" href="{static}/{stylesheet}">
<style>body {{ margin: 0; background: {ground}; font-family: sans-serif; }} .panel {{ padding: 16px; }}
input[type=text], select {{ width: 180px; height: 20px; }} label {{ color: #999; }}</style></head>
<body><div class="dashboard-body"></div><script>
setTimeout(() => {{
  const panel = document.createElement("div");
  panel.className = "panel";
  panel.innerHTML = {panel};
  document.querySelector(".dashboard-body").append(panel);
}}, 50);
</script><script src="{static}/{script}"></script></body></html>
"""
_GROUNDS = {"light": "#f2f4f5", "dark": "#101317"}


class FakeSplunkWeb(Loopback):
    """Runs from `start` to `close`, or as a context manager; listens on 127.0.0.1, on a free port.

    `app_root` holds `default/data/ui/views` and `appserver/static`. `theme` is "light" or "dark".
    `refused` are the requests that came without form key or session. `requests` are (method, path, body) of
    what went to splunkd.
    """

    def __init__(self, splunkd: FakeSplunkd, app_root: Path) -> None:
        super().__init__(_Pages)
        self.splunkd = splunkd
        self.app_root = app_root
        self.theme = "light"
        self.refused: List[str] = []
        self.requests: List[Tuple[str, str, str]] = []
        self.session = secrets.token_hex(8)
        self.form_key = str(secrets.randbits(62))

    def page(self, view: str) -> str:
        """The address of a view of the app."""
        return f"http://127.0.0.1:{self.port}{_LOCALE}/app/{self.splunkd.app}/{view}"


class _Pages(BaseHTTPRequestHandler):
    server_version = "Splunkd"

    def do_GET(self) -> None:
        app, path = self._web.splunkd.app, urlsplit(self.path).path
        if path.startswith(f"{_PROXY}/"):
            self._forward(b"")
        elif path.startswith(f"{_LOCALE}/app/{app}/"):
            self._view(path.rpartition("/")[2])
        elif path.startswith(f"{_LOCALE}/static/app/{app}/"):
            self._static(unquote(path.rpartition("/")[2]))
        elif path == "/favicon.ico":
            self._answer(200, b"", "image/x-icon")
        else:
            self._answer(404, b"not found", "text/plain")

    def do_POST(self) -> None:
        self._forward(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_DELETE(self) -> None:
        self._forward(b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the test's own output is what counts."""

    @property
    def _web(self) -> FakeSplunkWeb:
        return self.server.fake  # type: ignore[attr-defined, no-any-return]

    def _view(self, name: str) -> None:
        web = self._web
        view = web.app_root / "default" / "data" / "ui" / "views" / f"{name}.xml"
        if not view.exists():
            self._answer(404, b"no such view", "text/plain")
            return
        root = ElementTree.parse(view).getroot()
        panel = "".join(
            ElementTree.tostring(child, encoding="unicode", method="html")
            for html in root.iter("html")
            for child in html
        )
        page = _PAGE.format(
            title=root.findtext("label"), panel=json.dumps(panel), script=root.get("script"),
            stylesheet=root.get("stylesheet"), static=f"{_LOCALE}/static/app/{web.splunkd.app}",
            ground=_GROUNDS[web.theme],
        )
        cookies = {f"splunkd_{web.port}": web.session, f"splunkweb_csrf_token_{web.port}": web.form_key}
        self._answer(200, page.encode(), "text/html", cookies)

    def _static(self, name: str) -> None:
        path = self._web.app_root / "appserver" / "static" / name
        if path.is_file():
            self._answer(200, path.read_bytes(), mimetypes.guess_type(name)[0] or "application/octet-stream")
        else:
            self._answer(404, b"not found", "text/plain")

    def _forward(self, body: bytes) -> None:
        web, cookies = self._web, SimpleCookie(self.headers.get("Cookie", ""))
        session = cookies.get(f"splunkd_{web.port}")
        if session is None or session.value != web.session:
            web.refused.append(self.path)
            self._answer(401, b"<html>sign in</html>", "text/html")
            return
        has_key = self.command == "GET" or self.headers.get("X-Splunk-Form-Key") == web.form_key
        if not has_key or self.headers.get("X-Requested-With") != "XMLHttpRequest":
            web.refused.append(self.path)
            self._answer(401, b"<html>CSRF validation failed</html>", "text/html")
            return
        target = self.path[len(_PROXY) :]
        web.requests.append((self.command, unquote(urlsplit(target).path), body.decode()))
        status, answer, kind = self._ask(target, body)
        self._answer(status, answer, kind)

    def _ask(self, target: str, body: bytes) -> Tuple[int, bytes, str]:
        splunkd = self._web.splunkd
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        host = urlsplit(splunkd.server_uri).netloc
        connection = HTTPSConnection(host, context=context, timeout=60)
        headers = {"Authorization": f"Splunk {splunkd.session_key}"}
        try:
            connection.request(self.command, target, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), response.headers.get("Content-Type", "")
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, kind: str, cookies: Dict[str, str] = {}) -> None:  # noqa: B006
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in cookies.items():
            self.send_header("Set-Cookie", f"{name}={value}; Path=/")
        self.end_headers()
        self.wfile.write(body)
