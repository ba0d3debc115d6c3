"""The Splunk modular input: what splunkd starts, tells its settings by XML, and reads events from.

splunkd calls it in three ways (Splunk docs: "Create modular inputs"):

    --scheme               print which settings there are; at every start of splunkd, so it is quick
    --validate-arguments   read one input's settings, print what is wrong with them
    (no argument)          read one input's settings, write events until told to stop

One process serves one stanza (multi-instance mode). stdout carries XML and nothing else: whatever a
library prints goes to stderr, whose lines splunkd copies into splunkd.log. Everything heavy is imported
when it is needed: splunkd asks for the scheme while an administrator waits for it to start.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, Callable, List, NoReturn, Sequence
from xml.etree import ElementTree

from collector.errors import CollectorError
from collector.hosts.exit_codes import code_of
from collector.hosts.splunkd.definition import SCHEME, Definition, parse_items, parse_run, read_document
from collector.hosts.splunkd.log import log_to_file, log_to_splunkd, printable, set_level
from collector.logs import mask

if TYPE_CHECKING:
    from collector.config.inputs import Input

__all__ = ["claim_stdout", "drive", "leave", "main"]

#: The engine needs 8 s at most to stop, unless stdout is blocked; splunkd kills after about 10.
_GRACE_SECONDS = 9.0
_LOOK_SECONDS = 0.25
_LISTING = "reconcile_interval_seconds"
_CLUSTERED = {"shc_member", "shc_captain"}
_TRUE = ("1", "true", "t", "yes", "y", "on")

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    """Do what splunkd asks; returns the exit code. Errors become one line on stderr each."""
    parent = os.getppid()  # before anything that takes time: splunkd may be gone by the end of it
    events = claim_stdout()
    log_to_splunkd()
    try:
        if not argv:
            return _run(sys.stdin.buffer, events, parent=parent)
        if argv[0] == "--validate-arguments":
            return _validate(sys.stdin.buffer, events)
        if argv[0] == "--scheme":
            return _print_scheme(events)
    except Exception as error:
        return _exit_code(error)
    _log.error("unknown argument %r: splunkd calls --scheme, --validate-arguments or nothing", argv[0])
    return 2


def leave(code: int) -> NoReturn:
    """End the process now. An interpreter that ends by itself waits for a blocked stdout forever."""
    logging.shutdown()
    sys.stdout.flush()  # by now the same as stderr
    os._exit(code)


def claim_stdout() -> BinaryIO:
    """The stdout that splunkd reads, kept from everybody else: a stray print would break the XML."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events


# --scheme


_ABOUT = {
    "title": "Audit logs from S3",
    "description": "Collects what a provider writes to an S3 bucket and announces on an SQS queue.",
    "use_external_validation": "true",
    "use_single_instance": "false",
    "streaming_mode": "xml",
}


def _print_scheme(stdout: BinaryIO) -> int:
    """Written here and not by splunklib, whose import brings its whole client and half as much time again."""
    from collector.config.generate import scheme_arguments

    scheme = ElementTree.Element("scheme")
    for name, text in _ABOUT.items():
        ElementTree.SubElement(scheme, name).text = text
    arguments = ElementTree.SubElement(ElementTree.SubElement(scheme, "endpoint"), "args")
    for said in scheme_arguments():
        argument = ElementTree.SubElement(arguments, "arg", name=said.pop("name"))
        for name, value in said.items():
            text = str(value).lower() if isinstance(value, bool) else value
            ElementTree.SubElement(argument, name).text = text
    _write_xml(stdout, scheme)
    return 0


# --validate-arguments


def _validate(stdin: BinaryIO, stdout: BinaryIO) -> int:
    try:
        definition = parse_items(read_document(stdin))
        mask([definition.session_key, *_plain(definition)])
        configured = _load(definition)
        if definition.settings.get("validate_online", "").strip().lower() in _TRUE:
            from collector.hosts.splunkd.validation import try_online

            try_online(configured)
    except CollectorError as error:
        root = ElementTree.Element("error")
        ElementTree.SubElement(root, "message").text = printable(str(error))
        _write_xml(stdout, root)
        return 1
    return 0


def _write_xml(stdout: BinaryIO, root: Any) -> None:
    stdout.write(ElementTree.tostring(root) + b"\n")
    stdout.flush()


def _load(definition: Definition) -> Input:
    """The valid input, its secrets found. Raises ConfigError with all problems, and what splunkd answers."""
    from collector.config.load import from_stanza
    from collector.hosts.splunkd.rest import SecretStore, stored_settings

    store = SecretStore(definition.server_uri, definition.session_key)
    return from_stanza(
        definition.name,
        definition.settings,
        secrets=stored_settings(definition.settings, input_name=definition.name, store=store),
        server_host=definition.server_host,
        checkpoint_dir=definition.checkpoint_dir,
    )


# A run


def _run(stdin: BinaryIO, events: BinaryIO, *, parent: int) -> int:
    definition = parse_run(read_document(stdin))
    log_to_file(definition.name)
    mask([definition.session_key, *_plain(definition)])
    configured = _load(_with_one_lister(_with_secrets_put_away(definition)))
    from collector.config.inputs import secrets_of

    set_level(configured.settings.log_level)
    mask(secrets_of([configured]))
    for warning in configured.warnings:
        _log.warning("%s input=%s", warning, definition.name)
    return drive(lambda stop: _collect(configured, events, stop), events, parent=parent)


def _plain(definition: Definition) -> List[str]:
    from collector.hosts.splunkd.upkeep import plain_secrets

    return list(plain_secrets(definition.settings).values())


def _with_secrets_put_away(definition: Definition) -> Definition:
    from collector.hosts.splunkd.upkeep import put_away

    settings = put_away(
        definition.settings, stanza=f"{SCHEME}://{definition.name}", app=definition.app,
        server_uri=definition.server_uri, session_key=definition.session_key,
    )
    return replace(definition, settings=settings)


def _with_one_lister(definition: Definition) -> Definition:
    """Members of a search head cluster all run the same inputs, each with checkpoints of its own.

    They share the queue, but a listing by each would find missing what the others have delivered.
    """
    from collector.hosts.splunkd.upkeep import server_roles

    settings = definition.settings
    said = settings.get(_LISTING, "").strip() or os.environ.get(f"AUDIT_S3_{_LISTING.upper()}")
    if said or settings.get("checkpoint_store", "").strip() == "dynamodb":
        return definition
    if not server_roles(definition.server_uri, definition.session_key) & _CLUSTERED:
        return definition
    _log.warning(
        "The bucket is not listed for what the queue forgot: this search head is one of a cluster, and each "
        "would send again what the others have delivered. With checkpoint_store = dynamodb one of them "
        "lists; %s says otherwise. input=%s", _LISTING, definition.name,
    )
    return replace(definition, settings={**settings, _LISTING: "0"})


def _collect(configured: Input, events: BinaryIO, stop: threading.Event) -> int:
    """The one call into the engine. Checkpoints go where splunkd said, unless the input says otherwise."""
    from collector.runtime import service

    return service.run([configured], stop=stop, stdout=events)


def drive(
    collect: Callable[[threading.Event], int], events: BinaryIO, *, parent: int,
    grace_seconds: float = _GRACE_SECONDS,
) -> int:
    """Run `collect` beside a look-out, so that a signal is heard even while stdout is blocked.

    Told to stop, without its `parent` (a process id), or without a reader, the engine gets `grace_seconds`.
    The exit code is `collect`'s own, but 0 after a signal and where it did not come back in time: splunkd
    gets what it asked for, the log says what was left behind, and the queue still has it.
    """
    stop = threading.Event()
    asked: List[str] = []
    outcome: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only a note: the handler may interrupt anything, the setting of an Event included.
        signal.signal(number, lambda number, _: asked.append(signal.Signals(number).name))
    engine = threading.Thread(target=lambda: outcome.append(_outcome(collect, stop)), daemon=True)
    deadline = float("inf")
    engine.start()
    while engine.is_alive() and time.monotonic() < deadline:
        engine.join(_LOOK_SECONDS)
        reason = asked[0] if asked else _abandoned(parent, events)
        if reason and not stop.is_set():
            _log.info("stopping: %s", reason)
            stop.set()
            deadline = time.monotonic() + grace_seconds
    ended = outcome[:1]  # it may still come back while we say that it did not
    if not ended:
        _log.warning("stdout is blocked: left what was in hand to the queue")
    return ended[0] if ended and not asked else 0


def _outcome(collect: Callable[[threading.Event], int], stop: threading.Event) -> int:
    try:
        return collect(stop)
    except Exception as error:
        return _exit_code(error)


def _exit_code(error: Exception) -> int:
    """Say why the input ends; splunkd starts it again after its interval, whatever the code."""
    if isinstance(error, CollectorError):
        _log.critical("%s", error)
        return code_of(error)
    _log.error("a bug ended the input: %r", error, exc_info=error)
    return 1


def _abandoned(parent: int, events: BinaryIO) -> str:
    """Why nobody wants our events any more; empty while somebody does."""
    from collector.sinks.stream import is_reader_gone

    if os.getppid() != parent:
        return "splunkd is gone"
    if is_reader_gone(events):
        return "nobody reads stdout"
    return ""
