"""What an input changes in splunkd, which is little: it puts away its own plain secrets; and what it asks.

A secret that stands in inputs.conf in plain text, because a person or a deployment server wrote it there, is
stored in storage/passwords under `<input>:<setting>` when the input starts, and a mask takes its place in the
file. The write goes to the conf endpoint, which restarts nothing, so it cannot go round in circles: an input
that is handed a plain value again stores it again, the file is written only while it shows the value.

    https://docs.splunk.com/Documentation/Splunk/latest/RESTREF/RESTconf
"""

from __future__ import annotations

import logging
from typing import Any, Dict, FrozenSet, Mapping, Tuple
from urllib.parse import quote

from collector.config.secret import MASK, REFERENCES
from collector.errors import CollectorError
from collector.hosts.splunkd.rest import APP_ID, REALM, SECRETS, call, refusal, service_of

__all__ = ["plain_secrets", "put_away", "server_roles"]

_REFERENCES = (*REFERENCES, "storage:")

log = logging.getLogger(__name__)


def plain_secrets(settings: Mapping[str, str]) -> Dict[str, str]:
    """The secret settings whose value stands there itself: neither empty, nor masked, nor a reference."""
    values = {name: settings.get(name, "").strip() for name in SECRETS}
    return {
        name: value
        for name, value in values.items()
        if value not in ("", MASK) and not value.startswith(_REFERENCES)
    }


def put_away(
    settings: Mapping[str, str], *, stanza: str, app: str, server_uri: str, session_key: str
) -> Dict[str, str]:
    """The settings with every plain secret stored and masked. What cannot be stays plain, with a warning.

    `stanza` is the whole header, `audit_s3://<input>`; `app` is where the input lives. Never raises.
    """
    plain, masked = plain_secrets(settings), dict(settings)
    if not (plain and server_uri and session_key):
        return masked
    service = service_of(server_uri, session_key)
    input_name = stanza.partition("://")[2]
    for name, value in plain.items():
        try:
            _store(service, server_uri, f"{input_name}:{name}", value)
        except CollectorError as error:
            log.warning("%s stays in inputs.conf in plain text: %s", name, error)
            continue
        masked[name] = MASK
    stored = {name: value for name, value in plain.items() if masked[name] == MASK}
    if stored:
        _mask(service, server_uri, stanza, app=app or APP_ID, stored=stored)
    return masked


def server_roles(server_uri: str, session_key: str) -> FrozenSet[str]:
    """What this splunkd is, in its own words, such as "shc_member". Empty where it does not say."""
    if not (server_uri and session_key):
        return frozenset()
    try:
        status, answer = call(service_of(server_uri, session_key), server_uri, "GET", "server/info")
        return frozenset(answer["entry"][0]["content"]["server_roles"]) if status == 200 else frozenset()
    except (CollectorError, ValueError, LookupError, TypeError) as error:
        log.debug("splunkd does not say what it is: %s", error)
        return frozenset()


def _store(service: Any, server_uri: str, username: str, value: str) -> None:
    """Create the password, or change the one that is there."""
    status, _ = call(
        service, server_uri, "POST", "storage/passwords", name=username, realm=REALM, password=value
    )
    if status == 409:
        title = ":".join(part.replace(":", "\\:") for part in (REALM, username)) + ":"
        status, _ = call(
            service, server_uri, "POST", f"storage/passwords/{quote(title, safe='')}", password=value
        )
    if status >= 400:
        raise refusal(status, server_uri, capability="edit_storage_passwords")


def _mask(service: Any, server_uri: str, stanza: str, *, app: str, stored: Mapping[str, str]) -> None:
    """Write the mask where the file shows a value, and look whether it holds."""
    path = f"configs/conf-inputs/{quote(stanza, safe='')}"
    names = ", ".join(sorted(stored))
    try:
        shown = _shown(call(service, server_uri, "GET", path, app=app), stored)
        if shown:
            call(service, server_uri, "POST", path, app=app, **dict.fromkeys(shown, MASK))
            shown = _shown(call(service, server_uri, "GET", path, app=app), stored)
    except CollectorError as error:
        log.warning("%s: stored, but not masked in inputs.conf of app %s: %s", names, app, error)
        return
    if shown:
        log.warning(
            "%s: stored, but a file that outranks local/inputs.conf of app %s still shows it in plain text; "
            "write %s there. stanza=%s", ", ".join(shown), app, MASK, stanza,
        )
    else:
        log.info("Moved into storage/passwords: %s. stanza=%s", names, stanza)


def _shown(answer: Tuple[int, Any], stored: Mapping[str, str]) -> Tuple[str, ...]:
    """Which of the stored values the conf files show."""
    status, body = answer
    if status >= 400:
        raise refusal(status, "configs/conf-inputs", capability="admin_all_objects")
    content = body["entry"][0]["content"] if body.get("entry") else {}
    shown = (name for name, value in stored.items() if str(content.get(name, "")).strip() == value)
    return tuple(sorted(shown))
