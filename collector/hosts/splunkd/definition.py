"""One input as splunkd describes it on the stdin of a modular input: XML to a Definition.

    definition = parse_run(read_document(sys.stdin.buffer))
    definition.settings["bucket"]

splunkd writes `<input>` for a run and `<items>` for a validation (Splunk docs: "Create modular inputs").
splunklib reads both, after they have been seen to be plain XML of a decent length.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO, Dict, Optional
from xml.etree import ElementTree
from xml.parsers import expat

from collector.errors import Fatal

__all__ = ["SCHEME", "Definition", "parse_items", "parse_run", "read_document"]

SCHEME = "audit_s3"
_DEFINITION_MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Definition:
    """One input as splunkd described it: its name without scheme, its settings as text, and the way back.

    `checkpoint_dir` is splunkd's folder for this scheme, `app` the one whose inputs.conf has the stanza.
    `repr` shows neither settings nor session key.
    """

    name: str
    settings: Dict[str, str] = field(repr=False)
    server_host: str = ""
    server_uri: str = ""
    session_key: str = field(default="", repr=False)
    checkpoint_dir: str = ""
    app: str = ""


def read_document(stdin: BinaryIO) -> bytes:
    """All that splunkd says, which ends with its stdin. Raises Fatal "input_definition_malformed"."""
    document = stdin.read(_DEFINITION_MAX_BYTES + 1)
    if len(document) > _DEFINITION_MAX_BYTES:
        raise _malformed(f"it is longer than {_DEFINITION_MAX_BYTES} bytes")
    return document


def parse_run(document: bytes) -> Definition:
    """The `<input>` of a run, which has exactly one stanza. Raises Fatal "input_definition_malformed"."""
    from splunklib.modularinput import InputDefinition

    parsed = _parse(InputDefinition, document)
    if len(parsed.inputs) != 1:
        raise _malformed(f"expected one stanza, found {len(parsed.inputs)}")
    ((stanza, parameters),) = parsed.inputs.items()
    return _definition(stanza, parameters, parsed.metadata)


def parse_items(document: bytes) -> Definition:
    """The `<items>` of a validation, which has exactly one item. Raises as `parse_run` does."""
    from splunklib.modularinput import ValidationDefinition

    parsed = _parse(ValidationDefinition, document)
    return _definition(parsed.metadata.get("name"), parsed.parameters, parsed.metadata)


def _definition(stanza: Optional[str], parameters: Dict[str, Any], about: Dict[str, Any]) -> Definition:
    name = (stanza or "").removeprefix(f"{SCHEME}://")
    if not name:
        raise _malformed("the input has no name")
    settings = {key: _text(value) for key, value in parameters.items() if key and key != "__app"}
    if settings.get("host") == "$decideOnStartup":
        del settings["host"]  # splunkd's way of saying: its own host name, which it knows better
    return Definition(
        name=name,
        settings=settings,
        server_host=about.get("server_host") or "",
        server_uri=about.get("server_uri") or "",
        session_key=about.get("session_key") or "",
        checkpoint_dir=about.get("checkpoint_dir") or "",
        app=_text(parameters.get("__app")),
    )


def _text(value: Any) -> str:
    """A `param_list` is the settings table's comma-separated list."""
    return ",".join(item or "" for item in value) if isinstance(value, list) else value or ""


def _parse(definition: Any, document: bytes) -> Any:
    """splunklib's reading of a document that has been seen to be plain XML."""
    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = _refuse_doctype
    try:
        guard.Parse(document, True)
        return definition.parse(BytesIO(document))
    except (expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise _malformed(str(error)) from error


def _refuse_doctype(*_: object) -> None:
    """splunkd sends no DTD; the entities that one declares can fill the memory of who reads them."""
    raise _malformed("it declares a document type")


def _malformed(what: str) -> Fatal:
    return Fatal(
        f"what came on stdin is no input definition: {what}",
        code="input_definition_malformed",
        where="stdin",
        hint="splunkd writes it; by hand, use the program audit-s3 instead",
    )
