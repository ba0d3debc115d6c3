"""What needs no network: the settings, what is made of them, and this host."""

from __future__ import annotations

import os
from pathlib import Path

from collector.config.inputs import Input
from collector.errors import CollectorError
from collector.onboarding.checks.asked import Asked
from collector.onboarding.checks.codes import CHECKPOINTS, CONFIGURATION, NARROWING
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.troubles import CAUTION, CHECKPOINT_DIR, CHECKPOINTS_BAD, NARROWING_LONG

__all__ = ["check_local"]


def check_local(notes: Notes, found: Input, asked: Asked, *, offline: bool = False) -> None:
    for warning in found.warnings:
        notes.found(CONFIGURATION, CAUTION, warning)
    if not found.warnings:
        written = sum(1 for source in found.sources.values() if source != "default")
        notes.ok(CONFIGURATION, f"sound; {written} of them set, shown by audit-s3 config")
    _check_narrowing(notes, found, asked)
    _check_checkpoints(notes, found, asked, offline=offline)


def _check_narrowing(notes: Notes, found: Input, asked: Asked) -> None:
    if not found.settings.session_policy or not asked.account.role:
        notes.skipped(NARROWING, "none is sent: there is no role, or session_policy = false")
    elif asked.session_policy_is_too_long:
        notes.found(NARROWING, NARROWING_LONG, "it has more than the 2,048 characters that STS takes")
    else:
        notes.ok(NARROWING, "it is within the 2,048 characters that STS takes")


def _check_checkpoints(notes: Notes, found: Input, asked: Asked, *, offline: bool) -> None:
    if found.settings.checkpoint_store == "sqlite":
        if not _is_writable(asked.checkpoint_dir):
            where = f"{asked.checkpoint_dir} is not this user's to write"
            notes.found(CHECKPOINTS, CHECKPOINT_DIR, where)
            return
        answer = f"{asked.checkpoint_dir} can be written"
    elif offline:
        notes.skipped(CHECKPOINTS, "--offline: it needs the network")
        return
    else:
        answer = f"the table {found.settings.checkpoint_table} answers; only run writes to it"
    try:
        known = asked.read_checkpoints()
    except CollectorError as error:
        notes.refused(CHECKPOINTS, error, trouble=CHECKPOINTS_BAD, owner="you")
    else:
        notes.ok(CHECKPOINTS, answer + ("" if known else "; nothing is remembered yet"))


def _is_writable(folder: str) -> bool:
    """By this user, where it is or where it would be made."""
    there = Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
