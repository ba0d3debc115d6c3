"""What needs no network: the settings, what is made of them, and this host."""

from __future__ import annotations

import os
from pathlib import Path

from collector.config.inputs import Input
from collector.onboarding.checks.asked import Asked
from collector.onboarding.checks.codes import CHECKPOINTS, CONFIGURATION, NARROWING
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.troubles import CAUTION, CHECKPOINT_DIR, NARROWING_LONG

__all__ = ["check_local"]


def check_local(notes: Notes, found: Input, asked: Asked) -> None:
    for warning in found.warnings:
        notes.found(CONFIGURATION, CAUTION, warning)
    if not found.warnings:
        written = sum(1 for source in found.sources.values() if source != "default")
        notes.ok(CONFIGURATION, f"sound; {written} of them set, shown by audit-s3 config")
    _check_narrowing(notes, found, asked)
    _check_checkpoints(notes, found, asked.checkpoint_dir)


def _check_narrowing(notes: Notes, found: Input, asked: Asked) -> None:
    if not found.settings.session_policy or not asked.account.role:
        notes.skipped(NARROWING, "none is sent: there is no role, or session_policy = false")
    elif asked.session_policy_is_too_long:
        notes.found(NARROWING, NARROWING_LONG, "it has more than the 2,048 characters that STS takes")
    else:
        notes.ok(NARROWING, "it is short enough for STS")


def _check_checkpoints(notes: Notes, found: Input, folder: str) -> None:
    if found.settings.checkpoint_store != "sqlite":
        notes.skipped(CHECKPOINTS, "a table of DynamoDB can only be tried by writing to it")
        return
    there = Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        notes.ok(CHECKPOINTS, f"{folder} can be written")
    else:
        notes.found(CHECKPOINTS, CHECKPOINT_DIR, f"{there} is not this user's to write, for {folder}")
