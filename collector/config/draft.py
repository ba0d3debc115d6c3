"""One input in the making: its texts are read once, judged together, and completed."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Set, Tuple

from collector.config.combinations import cautions, contradictions
from collector.config.derive import complete
from collector.config.inputs import Input
from collector.config.layers import Given, Layer
from collector.config.problems import Problems
from collector.config.providers import PROVIDERS
from collector.config.secret import is_reference, open_to_all, read_text, resolve
from collector.config.settings import SETTINGS, Settings, shown
from collector.config.stanzas import Stanza
from collector.config.table import Invalid, Setting
from collector.config.values import parse

__all__ = ["Draft"]

#: splunkd's words for "not set".
_UNSET = {"index": "default", "host": "$decideOnStartup"}


class Draft:
    """One input in the making: every text read, every mistake noted, nothing derived yet."""

    def __init__(
        self,
        stanza: Stanza,
        above: Iterable[Layer],
        *,
        environ: Mapping[str, str],
        problems: Problems,
        under_splunkd: bool = False,
    ) -> None:
        self.name, self.where = stanza.name, stanza.where
        self.bad: Set[str] = set()
        self.warnings: List[str] = []
        self.references: Dict[str, str] = {}
        self._environ, self._problems, self._under_splunkd = environ, problems, under_splunkd
        written: Dict[str, Given] = {name: given for name, given in stanza.layer.items() if name in SETTINGS}
        for layer in above:
            written.update(layer)
        self.given = {**_preset(written), **written}
        self.values = {name: self._read(SETTINGS[name], given) for name, given in self.given.items()}

    def finish(self, warnings: Iterable[str]) -> Optional[Input]:
        """The Input; None, with the problems added, where it cannot be."""
        settings = Settings(**{name: value for name, value in self.values.items() if name not in self.bad})
        sound = not self.bad
        for found in contradictions(settings, under_splunkd=self._under_splunkd):
            if self.bad.isdisjoint(found.about):  # else it would only repeat what is already said
                self._problems.add(found.what, where=self._where_of(found.about), hint=found.hint)
                sound = False
        if not sound:
            return None
        sources = {name: self.given[name].where if name in self.given else "default" for name in SETTINGS}
        complete_settings, sources_then, queue = complete(
            settings, sources, environ=self._environ, under_splunkd=self._under_splunkd
        )
        aloud = cautions(complete_settings, written=settings)
        said = (*warnings, *self.warnings, *(f"{self.where}: {text}" for text in aloud))
        return Input(self.name, complete_settings, sources_then, queue, said, self.references)

    def adopt(self, name: str, value: Any, given: Given) -> None:
        """Take over what another input says for the whole process."""
        self.values[name], self.given[name] = value, given

    def _read(self, row: Setting, given: Given) -> Any:
        text = given.text.strip()
        if text == _UNSET.get(row.name):
            text = ""
        try:
            if row.reference and text:
                self._warn_of_plain_text(row, text, given)
                if is_reference(text):
                    self.references[row.name] = text
                may = open_to_all(text) if row.secret else ""
                if may:
                    name = text.partition(":")[2]
                    self.warnings.append(
                        f"{given.where}: all users here may {may} {text}; chmod 600 it, or for the service "
                        f"chgrp audit-s3 {name} && chmod 640 {name}"
                    )
                text = resolve(text, environ=self._environ, read=read_text)
            return parse(row, text)
        except Invalid as invalid:
            self.bad.add(row.name)
            value = row.name if row.reference else f"{row.name} = {shown(text)}"
            self._problems.add(f"{value}: {invalid.what}", where=given.where, hint=invalid.hint)
            return row.default

    def _warn_of_plain_text(self, row: Setting, text: str, given: Given) -> None:
        """In the environment and in storage/passwords a plain value is where it should be; in a file not."""
        safe = given.where.startswith(("environment ", "storage/passwords"))
        if row.secret and not is_reference(text) and not safe:
            self.warnings.append(
                f"{given.where}: {row.name} is plain text; write file:, env: or credential: instead"
            )

    def _where_of(self, about: Tuple[str, ...]) -> str:
        """The line to look at: that of the first setting involved that somebody wrote."""
        written = [self.given[name].where for name in about if name in self.given]
        return written[0] if written else self.where


def _preset(written: Mapping[str, Given]) -> Layer:
    name = written["provider"].text.strip().lower() if "provider" in written else ""
    provider = PROVIDERS.get(name)
    if provider is None:
        return {}
    return {key: Given(text, f"provider preset {name}") for key, text in provider.settings.items()}
