"""What Splunk makes of an event: the part of props, transforms, eventtypes and tags that the app uses.

    fields = Knowledge(ROOT / "default").search(Seen("{...}", sourcetype="thrive:audit"))
    fields["user"], fields["eventtype"], fields["tag"]

In Splunk's order: EXTRACT, REPORT, KV_MODE, FIELDALIAS, EVAL (all at once), eventtypes, tags. A directive, a
function or a search term that is not known here is refused, so nothing ships that these tests do not run.
https://docs.splunk.com/Documentation/Splunk/latest/Knowledge/Searchtimeoperationssequence
"""

from __future__ import annotations

import json
import re
from calendar import timegm
from configparser import ConfigParser
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from tests.splunk.eval_language import Unknown, evaluate, pcre

__all__ = ["Knowledge", "Seen", "conf", "matches"]

#: What is done at index time, and says nothing about a search.
INDEX_TIME = frozenset(
    "SHOULD_LINEMERGE LINE_BREAKER TRUNCATE TIME_PREFIX TIME_FORMAT MAX_TIMESTAMP_LOOKAHEAD TZ".split()
)
#: limits.conf [spath] extraction_cutoff: what lies behind it has no automatic fields.
JSON_CUTOFF = 5000

Values = Dict[str, List[str]]


@dataclass(frozen=True)
class Seen:
    """An event as it lies in an index."""

    raw: str
    sourcetype: str
    source: str = "s3://example-logs/audits/a.json.gz"
    host: str = "collector.example.com"


def conf(path: Path) -> ConfigParser:
    """A conf file as Splunk reads it. A stanza or key that is there twice is refused."""
    parser = ConfigParser(interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",),
                          empty_lines_in_values=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    if path.exists():
        parser.read_string(path.read_text(encoding="utf-8"))
    return parser


class Knowledge:
    """The conf files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.props = conf(folder / "props.conf")
        self.transforms = conf(folder / "transforms.conf")
        self.eventtypes = conf(folder / "eventtypes.conf")
        self.tags = conf(folder / "tags.conf")

    def search(self, event: Seen) -> Values:
        """All fields of an event, with `eventtype` and `tag`."""
        fields: Values = {
            "_raw": [event.raw], "sourcetype": [event.sourcetype],
            "source": [event.source], "host": [event.host],
        }
        stanza = dict(self.props[event.sourcetype]) if event.sourcetype in self.props else {}
        _known(stanza)
        for name, value in _class(stanza, "EXTRACT-"):
            _add(fields, _captured(pcre(value), event.raw), where=name)
        for name, value in _class(stanza, "REPORT-"):
            for transform in re.split(r"\s*,\s*", value):
                _add(fields, self._transformed(transform, fields), where=name)
        _add(fields, _KV[stanza.get("KV_MODE", "auto")](event.raw), where="KV_MODE")
        for _, value in _class(stanza, "FIELDALIAS-"):
            _alias(fields, value)
        made = {name: evaluate(value, fields) for name, value in _class(stanza, "EVAL-")}
        for name, value in made.items():
            fields.pop(name, None)
            if value is not None:
                fields[name] = value if isinstance(value, list) else [_shown(value)]
        fields["eventtype"] = [name for name in self.eventtypes.sections() if self._is(name, fields)]
        tags = [tag for name in fields["eventtype"] for tag in self._tags(name)]
        fields["tag"] = sorted(set(tags))
        return fields

    def _transformed(self, name: str, fields: Values) -> Values:
        stanza = dict(self.transforms[name])
        unknown = set(stanza) - {"REGEX", "FORMAT", "SOURCE_KEY"}
        if unknown:
            raise Unknown(f"transforms.conf [{name}] {unknown}")
        pattern = pcre(stanza["REGEX"])
        found: Values = {}
        for value in fields.get(stanza.get("SOURCE_KEY", "_raw"), []):
            if stanza.get("FORMAT") == "$1::$2":
                for match in pattern.finditer(value):
                    found.setdefault(match[1], []).append(match[2])
            elif "FORMAT" in stanza:
                raise Unknown(f"transforms.conf [{name}] FORMAT = {stanza['FORMAT']}")
            else:
                found.update(_captured(pattern, value))
        return found

    def _is(self, eventtype: str, fields: Values) -> bool:
        stanza = dict(self.eventtypes[eventtype])
        search = stanza.pop("search")
        if stanza:
            raise Unknown(f"eventtypes.conf [{eventtype}] {set(stanza)}")
        return matches(search, fields)

    def _tags(self, eventtype: str) -> Iterator[str]:
        section = f"eventtype={eventtype}"
        for tag, state in dict(self.tags[section]).items() if section in self.tags else ():
            if state == "enabled":
                yield tag

    def time_of(self, event: Seen) -> Optional[float]:
        """What splunkd finds when it has to find the time itself; None: nothing there."""
        stanza = self.props[event.sourcetype]
        prefix = pcre(stanza["TIME_PREFIX"]).search(event.raw)
        if prefix is None:
            return None
        text = event.raw[prefix.end() : prefix.end() + int(stanza["MAX_TIMESTAMP_LOOKAHEAD"])]
        assert stanza["TZ"] == "UTC"
        return _strptime(text, stanza["TIME_FORMAT"]) if "TIME_FORMAT" in stanza else _recognised(text)


def _known(stanza: Mapping[str, str]) -> None:
    allowed = INDEX_TIME | {"KV_MODE", "AUTO_KV_JSON"}
    for name in stanza:
        if name not in allowed and not re.match(r"(EXTRACT|REPORT|FIELDALIAS|EVAL)-\w+$", name):
            raise Unknown(f"props.conf {name}")


def _class(stanza: Mapping[str, str], prefix: str) -> List[Tuple[str, str]]:
    """The directives of one kind without the kind, in the order in which Splunk runs them: by their class."""
    return sorted((name[len(prefix) :], value) for name, value in stanza.items() if name.startswith(prefix))


def _captured(pattern: re.Pattern[str], text: str) -> Values:
    """Named groups; an empty one makes no field (KEEP_EMPTY_VALS is false)."""
    match = pattern.search(text)
    return {name: [value] for name, value in match.groupdict().items() if value} if match else {}


def _add(fields: Values, found: Values, *, where: str) -> None:
    """Two extractions of one name would leave it to chance which one counts."""
    twice = [name for name in found if name in fields and fields[name] != found[name]]
    if twice:
        raise Unknown(f"{where} extracts {twice} again")
    fields.update(found)


def _json(raw: str) -> Values:
    """KV_MODE = json: `a.b` and `a{}.b`; null is the text "null"."""
    found: Values = {}
    if len(raw) > JSON_CUTOFF:
        raise Unknown("longer than what Splunk extracts fields of")
    try:
        whole = json.loads(raw, parse_int=str, parse_float=str, parse_constant=str)
    except ValueError:
        return found
    if isinstance(whole, dict):
        _flatten(whole, "", found)
    return found


def _flatten(value: Any, name: str, found: Values) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(inner, f"{name}.{key}" if name else key, found)
    elif isinstance(value, list):
        for inner in value:
            _flatten(inner, f"{name}{{}}", found)
    else:
        found.setdefault(name, []).append(_shown(value))


def _shown(value: Any) -> str:
    return (
        {None: "null", True: "true", False: "false"}.get(value) or str(value)
        if not isinstance(value, str)
        else value
    )


_KV: Mapping[str, Callable[[str], Values]] = {"json": _json, "none": lambda raw: {}, "auto": lambda raw: {}}


def _alias(fields: Values, value: str) -> None:
    """`a AS b`: without an a there is no b either, since 7.2."""
    match = re.fullmatch(r"(\S+) AS (\S+)", value)
    if match is None:
        raise Unknown(f"FIELDALIAS {value}")
    fields.pop(match[2], None)
    if match[1] in fields:
        fields[match[2]] = list(fields[match[1]])


# -- what a search says of an event ---------------------------------------------------------------

_TERM = re.compile(r'\s*(?:([()])|(OR|AND|NOT)\b|([\w{}.]+)=(?:"([^"]*)"|([^\s()"]+)))')


def matches(search: str, fields: Mapping[str, Sequence[str]]) -> bool:
    """`name=value` with `*`, parentheses, NOT, OR, and AND between what stands side by side."""
    tokens, at = [], 0
    search = search.strip()
    while at < len(search):
        term = _TERM.match(search, at)
        if term is None:
            raise Unknown(f"search: {search[at:]}")
        tokens.append(term.groups())
        at = term.end()
    value, rest = _any(tokens, fields)
    if rest:
        raise Unknown(f"search: {rest}")
    return value


def _any(tokens: List[Any], fields: Mapping[str, Sequence[str]]) -> Tuple[bool, List[Any]]:
    """OR binds tighter than what stands side by side, as in Splunk."""
    value, tokens = _alternatives(tokens, fields)
    while tokens and tokens[0][0] != ")":
        if tokens[0][1] == "AND":
            tokens = tokens[1:]
        other, tokens = _alternatives(tokens, fields)
        value = value and other
    return value, tokens


def _alternatives(tokens: List[Any], fields: Mapping[str, Sequence[str]]) -> Tuple[bool, List[Any]]:
    value, tokens = _term(tokens, fields)
    while tokens and tokens[0][1] == "OR":
        other, tokens = _term(tokens[1:], fields)
        value = value or other
    return value, tokens


def _term(tokens: List[Any], fields: Mapping[str, Sequence[str]]) -> Tuple[bool, List[Any]]:
    (sign, word, name, quoted, plain), *rest = tokens
    if word == "NOT":
        value, rest = _term(rest, fields)
        return not value, rest
    if sign == "(":
        value, rest = _any(rest, fields)
        assert rest[0][0] == ")"
        return value, rest[1:]
    if name is None:
        raise Unknown(f"search: {tokens[0]}")
    wanted = (plain if quoted is None else quoted).lower()
    return any(fnmatchcase(one.lower(), wanted.replace("[", "[[]")) for one in fields.get(name, [])), rest


# -- time -----------------------------------------------------------------------------------------

_STRPTIME = {
    "%Y": r"(?P<Y>\d{4})", "%m": r"(?P<m>\d\d)", "%d": r"(?P<d>\d\d)", "%H": r"(?P<H>\d\d)",
    "%M": r"(?P<M>\d\d)", "%S": r"(?P<S>\d\d)", "%3N": r"(?P<N>\d{3})", "%Z": r"(?:UTC|GMT|Z)",
    "%:z": r"\+00:00",
}


def _strptime(text: str, form: str) -> Optional[float]:
    """TIME_FORMAT from the beginning of the text on, in UTC."""
    parts = re.findall(r"%3N|%:z|%\w|[^%]+", form)
    pattern = "".join(_STRPTIME[part] if part.startswith("%") else re.escape(part) for part in parts)
    return _epoch(re.match(pattern, text))


def _recognised(text: str) -> Optional[float]:
    """As much of datetime.xml as our provider's times need: ISO 8601 in UTC, and epoch milliseconds."""
    number = re.match(r"(1\d{9})(\d{3})\b", text)
    if number:
        return int(number[1]) + int(number[2]) / 1000
    iso = (r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)[T ](?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
           r"(?:\.(?P<N>\d{3})\d*)?(?:Z|\+00:?00| ?UTC|$|(?=[\",]))")
    return _epoch(re.match(iso, text))


def _epoch(match: Optional[re.Match[str]]) -> Optional[float]:
    if match is None:
        return None
    parts = match.groupdict()
    numbers = [int(parts[name]) for name in "YmdHMS"]
    return timegm((*numbers, 0, 0, 0)) + int(parts.get("N") or 0) / 1000
