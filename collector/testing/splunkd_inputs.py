"""The part of a fake splunkd that keeps inputs: data/inputs/<scheme>, and the conf endpoint beside it.

`Inputs.answer` takes what a request says and gives (status, JSON). As splunkd does it refuses arguments that
the scheme does not have, asks the program itself (`--validate-arguments`, on its stdin) before it saves, and
knows that one stanza may be written by several files: `outranking` are values that stand in one which no
write through REST reaches.
"""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Answer", "Inputs"]

#: (HTTP status, JSON body)
Answer = Tuple[int, Any]

_IMPLICIT = frozenset({"host", "index", "source", "sourcetype", "interval", "disabled"})


@dataclass
class Inputs:
    """The stanzas of one scheme in one app, by input name. `program` is the command of the modular input."""

    app: str
    scheme: str = "audit_s3"
    program: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stanzas: Dict[str, Dict[str, str]] = field(default_factory=dict)
    outranking: Dict[str, Dict[str, str]] = field(default_factory=dict)
    #: What the conf endpoint was told to write: (input, setting, value).
    written: List[Tuple[str, str, str]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _known: Set[str] = field(default_factory=set)

    def answer(
        self, method: str, path: Sequence[str], form: Dict[str, str], about: Mapping[str, str]
    ) -> Answer:
        """data/inputs/<scheme>: `path` is what follows. `about` is what splunkd tells a program of itself."""
        with self.lock:
            if not path:
                return self._create(form, about) if method == "POST" else (200, self._feed(self.stanzas))
            name = path[0]
            if name not in self.stanzas:
                return _message(404, f"Could not find object id={name}")
            if method == "DELETE":
                del self.stanzas[name]
                return 200, self._feed(self.stanzas)
            if path[1:] in (["enable"], ["disable"]):
                self.stanzas[name]["disabled"] = "0" if path[1] == "enable" else "1"
            elif method == "POST":
                return self._edit(name, form, about)
            return 200, self._feed([name])

    def conf(self, method: str, stanza: str, form: Mapping[str, str]) -> Answer:
        """configs/conf-inputs/<stanza>: written without validation and without a restart."""
        name = stanza.partition("://")[2]
        with self.lock:
            if name not in self.stanzas:
                return _message(404, f"Could not find object id={stanza}")
            if method == "POST":
                self.stanzas[name].update(form)
                self.written += [(name, setting, value) for setting, value in form.items()]
            return 200, self._feed([name])

    def effective(self, name: str) -> Dict[str, str]:
        """The settings of one input as its process is told them."""
        return {**self.stanzas[name], **self.outranking.get(name, {})}

    def _create(self, form: Dict[str, str], about: Mapping[str, str]) -> Answer:
        name = form.pop("name", "")
        if not name:
            return _message(400, "The following required arguments are missing: name.")
        if name in self.stanzas:
            return _message(409, f"An input with name={name} already exists")
        refusal = self._refusal(name, form, form, about)
        if refusal:
            return _message(400, refusal)
        self.stanzas[name] = {"disabled": "0", **form}
        return 201, self._feed([name])

    def _edit(self, name: str, form: Dict[str, str], about: Mapping[str, str]) -> Answer:
        refusal = self._refusal(name, form, {**self.stanzas[name], **form}, about)
        if refusal:
            return _message(400, refusal)
        self.stanzas[name].update(form)
        return 200, self._feed([name])

    def _refusal(
        self, name: str, form: Mapping[str, str], settings: Mapping[str, str], about: Mapping[str, str]
    ) -> str:
        """Why this cannot be saved; "" if it can."""
        if not self.program:
            return ""
        if not self._known:
            scheme = ElementTree.fromstring(self._run("--scheme"))
            self._known = {argument.get("name", "") for argument in scheme.iter("arg")}
        unknown = sorted(set(form) - self._known - _IMPLICIT)
        if unknown:
            return f'Argument "{unknown[0]}" is not supported by this handler.'
        answer = self._run("--validate-arguments", _items(name, settings, about))
        said: Optional[str] = ElementTree.fromstring(answer).findtext("message") if answer.strip() else None
        return f"Encountered the following error while trying to save: {said}" if said else ""

    def _run(self, argument: str, stdin: bytes = b"") -> bytes:
        finished = subprocess.run(
            [*self.program, argument], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=dict(self.environment), timeout=60, check=False,
        )
        return finished.stdout

    def _feed(self, names: Any) -> Any:
        return {"entry": [self._entry(name) for name in sorted(names)], "messages": []}

    def _entry(self, name: str) -> Any:
        content: Dict[str, Any] = {**self.effective(name), "eai:acl": None, "python.version": "python3"}
        content["disabled"] = content.get("disabled") == "1"
        return {"name": name, "acl": {"app": self.app, "owner": "nobody"}, "content": content}


def _message(status: int, text: str) -> Answer:
    return status, {"messages": [{"type": "ERROR", "text": text}]}


def _items(name: str, settings: Mapping[str, str], about: Mapping[str, str]) -> bytes:
    parameters = "".join(
        f"<param name={quoteattr(key)}>{escape(value)}</param>" for key, value in settings.items()
    )
    told = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in about.items())
    return f"<items>{told}<item name={quoteattr(name)}>{parameters}</item></items>".encode()
