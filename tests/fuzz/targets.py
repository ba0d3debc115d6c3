"""One function a parser: given bytes, it parses them and asserts its laws. Whatever it raises is a find."""

from __future__ import annotations

import json
import time
from fnmatch import fnmatchcase
from typing import Any, Callable, Dict, List, Mapping, Tuple

from collector.aws.client_side_envelope import is_marked, read_envelope
from collector.aws.cloudtrail_document import read_digest
from collector.aws.connections import _parsed
from collector.aws.sns import SnsVerifier
from collector.config import conf, load
from collector.config.problems import ConfigError
from collector.config.rules import parse_rules
from collector.config.settings import SETTINGS
from collector.config.table import Invalid
from collector.config.values import parse as parse_value
from collector.decode import decode, pgaudit
from collector.errors import CollectorError, Fatal, Poison, Retry
from collector.hosts.coverage.report import audit
from collector.model import CONTAINERS, Format
from collector.notifications import parse
from collector.sinks import hec_replies
from collector.sinks.wire import Reply
from collector.testing.twins import ManualClock

__all__ = ["TARGETS"]

NOW = 1_800_000_000.0
#: Of the processor, for an input of at most a few kilobytes, on a machine that does other things too.
MOST_SECONDS = 8.0

Target = Callable[[bytes], None]
TARGETS: Dict[str, Target] = {}


def target(law: Target) -> Target:
    """Under its name, and held to its time."""

    def timed(data: bytes) -> None:
        began = time.process_time()
        law(data)
        assert time.process_time() - began < MOST_SECONDS, "it takes too long"

    TARGETS[law.__name__] = timed
    return timed


def text_of(data: bytes) -> str:
    """Any text; what is no UTF-8 becomes lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


# -- what comes in messages


@target
def notifications(data: bytes) -> None:
    """A body means something, or is Poison; payloads are text, keys and etags fit for requests."""
    body = data.decode("utf-8", "replace")
    for audits in (True, False):
        try:
            found = parse(body, bodies_are_audits=audits)
        except Poison:
            continue
        assert found.refs or found.payloads or found.noop or found.problems
        for ref in found.refs:
            assert ref.etag is None or (ref.etag.isascii() and ref.etag.isprintable() and '"' not in ref.etag)
            assert ref.size is None or 0 <= ref.size < 2**63
        for payload in found.payloads:
            assert payload.producer_id
            payload.body.decode("utf-8")


TOPIC = "arn:aws:sns:us-east-1:111111111111:audit"


@target
def sns(data: bytes) -> None:
    """An envelope that nobody signed is refused, and nothing outside of SNS is asked for."""
    try:
        envelope = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(envelope, dict):
        return

    def fetch(url: str) -> bytes:
        host, _, path = url[len("https://") :].partition("/")
        assert url.startswith("https://sns.") and host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        assert path.startswith("SimpleNotificationService-") and "/" not in path and "@" not in host
        raise Retry("not here", code="sns_certificate_unreachable")

    for topics in ((), (TOPIC,)):
        verifier = SnsVerifier("enforce", fetch=fetch, clock=ManualClock(), topics=topics)
        try:
            verifier.check(envelope)
        except (Poison, Retry):
            continue
        raise AssertionError("an envelope was believed without a certificate")


# -- what stands in objects


def _decoded(data: bytes, step: int, accelerated: bool, form: Format) -> Tuple[List[Any], str]:
    rows: List[Any] = []
    chunks = (data[start : start + step] for start in range(0, len(data), step))
    try:
        for block in decode(chunks, format=form, now=NOW, accelerated=accelerated):
            assert block.first == len(rows)
            rows += [(event.body, event.time, event.is_json, event.note) for event in block]
    except CollectorError as error:
        assert isinstance(error, (Poison, Retry)), error
        return rows, error.code
    return rows, ""


def _decodes(data: bytes, form: Format) -> None:
    """The same events in any pieces, with accelerators and without; what is called JSON is JSON."""
    whole, code = _decoded(data, 1 << 20, True, form)
    pieces, again = _decoded(data, len(data) % 61 + 3, False, form)
    shorter = min(len(whole), len(pieces))
    assert whole[:shorter] == pieces[:shorter]
    assert _same_damage(code, again), (code, again)
    assert whole == pieces or code.startswith(("corrupt_", "truncated_", "bomb", "unsupported_")), code
    for body, _, is_json, _ in whole[:2000]:
        text = body.decode("utf-8")
        if is_json:
            json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)


_DAMAGES = ("corrupt_", "truncated_")


def _same_damage(code: str, again: str) -> bool:
    """Of a damaged stream the libraries give more or less before they say so.

    What is wrong with that may be seen first, or that it is also cut off. But what is sound is sound in any
    pieces.
    """
    damages = code.startswith(_DAMAGES) or again.startswith(_DAMAGES)
    return code == again or (damages and bool(code) and bool(again))


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is called JSON")


@target
def objects(data: bytes) -> None:
    """Whatever it looks like."""
    _decodes(data, Format())


@target
def small_events(data: bytes) -> None:
    """The same, where every event is larger than one may be."""
    _decodes(data, Format(max_event_bytes=64))


@target
def containers(data: bytes) -> None:
    """As what the first byte says, whatever it looks like: a route may name any decoder."""
    names = [name for name in CONTAINERS if name != "auto"]
    _decodes(data[1:], Format(container=names[data[0] % len(names)] if data else "json"))


def _packed(magic: bytes) -> Target:
    def law(data: bytes) -> None:
        _decodes(magic + data[len(magic) :], Format())

    return law


for _name, _magic in {
    "gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd",
    "zip": b"PK\x03\x04", "avro": b"Obj\x01", "parquet": b"PAR1",
}.items():
    _law = _packed(_magic)
    _law.__name__ = f"{_name}s" if _name in ("zip",) else _name
    target(_law)


@target
def tar(data: bytes) -> None:
    """A header that is taken for one, its checksum put right."""
    head = bytearray(data[:512].ljust(512, b"\0"))
    head[257:263] = b"ustar\0"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    _decodes(bytes(head) + data[512:], Format())


@target
def pgaudit_lines(data: bytes) -> None:
    pgaudit.event_line(data)
    ignores = pgaudit.ignoring(databases=("rdsadmin",), users=("rdsrepladmin",))
    assert ignores is not None
    ignores(data)


@target
def digests(data: bytes) -> None:
    try:
        found = read_digest(data, where="s3://b/k")
    except Poison:
        return
    assert found.signed_text
    assert all(isinstance(listed.key, str) for listed in found.logs)


@target
def envelopes(data: bytes) -> None:
    """An object's metadata, as header lines."""
    lines = data.decode("utf-8", "replace").split("\n")
    metadata: Mapping[str, str] = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if not is_marked(metadata):
        metadata = {**metadata, "x-amz-key-v2": metadata.get("x-amz-key-v2", "")}
    try:
        found = read_envelope(metadata, where="s3://b/k")
    except Poison:
        return
    assert 0 < len(found.wrapped_key) <= 6144
    assert all(isinstance(value, str) for value in found.context.values())


# -- what servers answer


@target
def hec_answers(data: bytes) -> None:
    status = int.from_bytes(data[:1], "big") * 4
    answer = hec_replies.read(Reply(status, data[1:], retry_after=text_of(data[1:40])))
    error = hec_replies.error_of(answer, where="https://hec", now=NOW, count=5, keeps_prefix=True)
    assert str(error).isprintable() and len(str(error)) < 2000


@target
def http_heads(data: bytes) -> None:
    try:
        status, headers = _parsed(data)
    except ValueError:
        return
    assert isinstance(status, int) and len(headers) <= 200


# -- what operators write


@target
def configurations(data: bytes) -> None:
    """A file is read whole, line by line; all that is wrong with it is one ConfigError."""
    text = text_of(data)
    found = conf.parse(text)
    assert all(value.line > 0 for stanza in found.stanzas.values() for value in stanza.values())
    try:
        load(config_path="audit-s3.conf", read=lambda path: text, environ={})
    except (ConfigError, Fatal) as error:
        assert str(error)


@target
def values(data: bytes) -> None:
    """The first byte chooses the setting."""
    names = sorted(SETTINGS)
    row = SETTINGS[names[data[0] % len(names)] if data else names[0]]
    try:
        parse_value(row, text_of(data[1:]))
    except Invalid as invalid:
        assert invalid.what


@target
def routes(data: bytes) -> None:
    """Rules are read, say themselves, and match the longest key soon."""
    try:
        rules = parse_rules(text_of(data))
    except Invalid:
        return
    assert parse_rules("; ".join(map(str, rules))) == rules
    for rule in rules:
        fnmatchcase("a" * 1024, rule.glob)
        fnmatchcase("ab/" * 341, rule.glob)


@target
def reports(data: bytes) -> None:
    """A coverage report that somebody hands in to be audited."""
    sound, said = audit(data.decode("utf-8", "replace"))
    assert said.isprintable() and isinstance(sound, bool)


@target
def splunkd_input(data: bytes) -> None:
    """What splunkd writes on stdin: one definition, or Fatal."""
    from collector.hosts.splunkd.definition import parse_items, parse_run

    for read in (parse_run, parse_items):
        try:
            found = read(data)
        except Fatal:
            continue
        assert found.name
        assert all(isinstance(value, str) for value in found.settings.values())
