"""Flags, environment, file, preset and defaults -> Inputs, or one ConfigError with all that is wrong.

    flag  >  environment AUDIT_S3_<NAME>  >  [audit_s3://name]  >  [audit_s3]  >  provider preset  >  default

`load` reads a configuration file (or none: then the environment and flags make one input, "default");
`from_stanza` reads what splunkd hands to a modular input. Both gather layers of texts, and end in a
`Draft`, which reads each text once, judges them together, and fills in what follows from them.
"""

from __future__ import annotations

import dataclasses
import os
import re
from typing import Dict, List, Mapping, Optional, Tuple

from collector.config.draft import Draft
from collector.config.inputs import Input
from collector.config.layers import (
    ENVIRONMENT_PREFIX,
    Given,
    environment_layer,
    flag_layer,
    strange_variables,
)
from collector.config.problems import Problems
from collector.config.secret import MASK, ReadText, read_text
from collector.config.settings import SETTINGS, Settings
from collector.config.stanzas import SCHEME, Stanza, check_keys, check_name, stanzas_of

__all__ = ["bare_settings", "from_stanza", "load"]

#: What splunkd puts into every stanza of inputs.conf by itself.
_SPLUNK_OWN = re.compile(r"_.*|evt_.*|python\..*|run_only_one|passAuth")


def load(
    *,
    config_path: Optional[str] = None,
    flags: Optional[Mapping[str, object]] = None,
    environ: Optional[Mapping[str, str]] = None,
    only: Optional[str] = None,
    read: Optional[ReadText] = None,
) -> List[Input]:
    """The enabled inputs, in the file's order, each valid and complete. Raises ConfigError.

    `config_path` beats AUDIT_S3_CONFIG. `flags` are by setting name; None means not given. `only` takes
    one input of the file and judges no other. `read` fetches the file's text (OSError where it cannot); a
    text that is one JSON object is Okera's own form (see `okera`).
    """
    environ = os.environ if environ is None else environ
    path = config_path or environ.get(f"{ENVIRONMENT_PREFIX}CONFIG", "")
    problems, warnings = Problems(), list(strange_variables(environ))
    above = [environment_layer(environ, problems), flag_layer(flags or {}, problems)]
    stanzas = stanzas_of(path, read or read_text, problems=problems, warnings=warnings)
    is_told = bool(path) or any(name in layer for layer in above for name in ("queue_url", "bucket"))
    if only is not None and is_told:
        stanzas = _pick(only, stanzas, path, problems)
    drafts = [Draft(stanza, above, environ=environ, problems=problems) for stanza in stanzas]
    if not is_told:
        _miss_the_file(problems)
    _complete(stanzas, drafts, problems)
    _agree(drafts, problems)
    inputs = [draft.finish(() if number else warnings) for number, draft in enumerate(drafts)]
    _distinct_queues(inputs, problems)
    problems.raise_any()
    return [found for found in inputs if found is not None]


def bare_settings(
    flags: Optional[Mapping[str, object]] = None, environ: Optional[Mapping[str, str]] = None
) -> Settings:
    """What flags and environment say by themselves, for whoever has to fetch the file. Raises ConfigError."""
    environ = os.environ if environ is None else environ
    problems = Problems()
    above = [environment_layer(environ, problems), flag_layer(flags or {}, problems)]
    draft = Draft(Stanza("default", "environment and flags", {}), above, environ=environ, problems=problems)
    problems.raise_any()
    return Settings(**draft.values)


def from_stanza(
    name: str,
    mapping: Mapping[str, str],
    *,
    source: str = "",
    secrets: Optional[Mapping[str, str]] = None,
    server_host: str = "",
    checkpoint_dir: str = "",
    environ: Optional[Mapping[str, str]] = None,
) -> Input:
    """The Input of one stanza as splunkd hands it to the modular input. Raises ConfigError.

    `name` may carry its scheme. `secrets` come from storage/passwords and win over the stanza, where
    stars or nothing stand. Empty values are not set: the form of Splunk Web sends every field.
    `server_host` is splunkd's own name, which it fills in as `host` when nobody did; `checkpoint_dir` is
    the one that splunkd offers.
    """
    environ = os.environ if environ is None else environ
    name = name[len(f"{SCHEME}://"):] if name.startswith(f"{SCHEME}://") else name
    where = source or f"inputs.conf [{SCHEME}://{name}]"
    given = {key: Given(text, where) for key, text in mapping.items() if text.strip() not in ("", MASK)}
    given = {key: value for key, value in given.items() if not _SPLUNK_OWN.fullmatch(key)}
    if given.get("host", Given("", "")).text == server_host:
        given.pop("host", None)
    if checkpoint_dir:
        given.setdefault("checkpoint_dir", Given(checkpoint_dir, "splunkd"))
    stored = {key: Given(text, "storage/passwords") for key, text in (secrets or {}).items() if text}
    problems, warnings = Problems(), list(strange_variables(environ))
    check_name(name, where, problems)
    check_keys(given, problems)
    stanza = Stanza(name, where, {**given, **stored})
    draft = Draft(
        stanza, [environment_layer(environ, problems)], environ=environ, problems=problems, under_splunkd=True
    )
    found = draft.finish(warnings)
    problems.raise_any()
    assert found is not None  # finish gives None only after adding a problem
    return found


def _pick(only: str, stanzas: List[Stanza], path: str, problems: Problems) -> List[Stanza]:
    found = [stanza for stanza in stanzas if stanza.name == only]
    if not found:
        names = ", ".join(stanza.name for stanza in stanzas)
        problems.add(
            f"there is no enabled input {only!r}",
            where=path or "environment and flags",
            hint=f"there is {names}" if names else "",
        )
    return found


def _miss_the_file(problems: Problems) -> None:
    """Most often --config was left out, and what a file sets is not to be asked for."""
    problems.add(
        "no configuration file is named, and neither queue_url nor bucket is set: there is nothing to read",
        where="environment and flags",
        hint="name the file with --config or AUDIT_S3_CONFIG, or set what your provider handed over",
    )
    problems.raise_any()


def _complete(stanzas: List[Stanza], drafts: List[Draft], problems: Problems) -> None:
    for stanza, draft in zip(stanzas, drafts):
        for name, hint in stanza.needs.items():
            if name not in draft.given:
                problems.add(f"{name} is not set", where=stanza.where, hint=hint)


def _agree(drafts: List[Draft], problems: Problems) -> None:
    """What holds for the whole process may be written in any input, and no two may differ."""
    for name, row in SETTINGS.items():
        saying = [
            draft
            for draft in drafts
            if row.scope == "process" and name in draft.given and name not in draft.bad
        ]
        for draft in saying:
            if draft.values[name] != saying[0].values[name]:
                problems.add(
                    f"{name} holds for all inputs, and differs from {saying[0].given[name].where}",
                    where=draft.given[name].where,
                    hint=f"set it once, in [{SCHEME}]",
                )
        for draft in drafts:
            if saying and draft not in saying:
                draft.adopt(name, saying[0].values[name], saying[0].given[name])


def _distinct_queues(inputs: List[Optional[Input]], problems: Problems) -> None:
    """Two inputs on one queue would take each other's messages."""
    first: Dict[Tuple[str, ...], Input] = {}
    for found in inputs:
        if found is None or found.queue is None:
            continue
        key = dataclasses.astuple(found.queue)
        if first.setdefault(key, found) is not found:
            problems.add(
                f"input {found.name} reads the same queue as input {first[key].name}",
                where=found.sources["queue_url"],
                hint="one queue, one input: tell its objects apart by routes",
            )
