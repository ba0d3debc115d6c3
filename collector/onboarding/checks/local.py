"""What needs no network: the settings, what is made of them, and this host."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from collector.config.inputs import Input
from collector.errors import CollectorError, Fatal
from collector.onboarding.checks.asked import Asked
from collector.onboarding.checks.codes import CHECKPOINTS, CONFIGURATION, NARROWING, STATUS_PAGE
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.troubles import (
    CAUTION,
    CHECKPOINT_DIR,
    CHECKPOINT_PLACE,
    CHECKPOINTS_BAD,
    NARROWING_LONG,
)

__all__ = ["check_local"]


def check_local(notes: Notes, found: Input, asked: Asked) -> None:
    for warning in found.warnings:
        notes.found(CONFIGURATION, CAUTION, warning)
    if not found.warnings:
        written = sum(1 for source in found.sources.values() if source != "default")
        notes.ok(CONFIGURATION, f"sound; {written} of them set, shown by audit-s3 config")
    _check_narrowing(notes, found, asked)
    if found.settings.checkpoint_store == "sqlite":
        _check_checkpoints(notes, asked)
    _check_status_page(notes, found, asked)


def _check_narrowing(notes: Notes, found: Input, asked: Asked) -> None:
    if not found.settings.session_policy or not asked.account.role:
        notes.skipped(NARROWING, "none is sent: there is no role, or session_policy = false")
    elif asked.session_policy_is_too_long:
        notes.found(NARROWING, NARROWING_LONG, "it has more than the 2,048 characters that STS takes")
    else:
        notes.ok(NARROWING, "it is within the 2,048 characters that STS takes")


def _check_checkpoints(notes: Notes, asked: Asked) -> None:
    try:
        _try_to_write(Path(asked.checkpoint_dir))
    except OSError as error:
        _say_not_written(notes, asked.checkpoint_dir, error)
        return
    try:
        known = asked.read_checkpoints()
    except CollectorError as error:
        notes.refused(CHECKPOINTS, error, trouble=CHECKPOINTS_BAD, owner="you")
    else:
        yet = "" if known else "; nothing is remembered yet"
        notes.ok(CHECKPOINTS, f"{asked.checkpoint_dir} can be written{yet}")


def _try_to_write(folder: Path) -> None:
    """What run does, undone at once: a file in the folder, or a folder where it would be made."""
    if folder.exists():
        tempfile.TemporaryFile(dir=folder).close()
        return
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    os.rmdir(tempfile.mkdtemp(dir=there))


def _say_not_written(notes: Notes, folder: str, error: OSError) -> None:
    """Whoever is no root may ask for a service that runs as somebody else."""
    why = f"nothing can be written at {folder}: {error.strerror or error}"
    if isinstance(error, PermissionError) and getattr(os, "geteuid", int)():
        notes.found(CHECKPOINTS, CHECKPOINT_DIR, why)
    else:
        refused = Fatal(why, code=CHECKPOINT_PLACE.code, hint=CHECKPOINT_PLACE.hint)
        notes.refused(CHECKPOINTS, refused, trouble=CHECKPOINT_PLACE, owner="you")


def _check_status_page(notes: Notes, found: Input, asked: Asked) -> None:
    if not found.settings.http_listen:
        return
    try:
        notes.ok(STATUS_PAGE, asked.listen(), of=found.settings.http_listen)
    except CollectorError as error:
        notes.refused(STATUS_PAGE, error, of=found.settings.http_listen)
