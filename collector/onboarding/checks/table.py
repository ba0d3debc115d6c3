"""The checkpoints' table in DynamoDB, which the collector's own credentials ask, never the access role.

Every action that the store ever calls is tried: one that is missing may show first when an object is to be
finished, hours after the start.
"""

from __future__ import annotations

from typing import Mapping

from collector.config.addresses import arn_account
from collector.config.settings import Settings
from collector.errors import CollectorError
from collector.onboarding.checks.asked import Asked
from collector.onboarding.checks.codes import CHECKPOINT_TABLE
from collector.onboarding.checks.findings import Notes
from collector.onboarding.checks.fixes import table_text
from collector.onboarding.checks.troubles import TABLE_DENIED, TABLE_MISSING, TABLE_UNUSABLE, TROUBLES

__all__ = ["check_table"]


def check_table(notes: Notes, settings: Settings, asked: Asked, *, own: str) -> None:
    """`own` is whom a policy has to name."""
    try:
        refused = asked.try_table()
    except CollectorError as error:
        _unusable(notes, error, of=settings.checkpoint_table)
        return
    if refused:
        _denied(notes, settings, refused, own=own)
        return
    try:
        known = asked.read_checkpoints()
    except CollectorError as error:
        _unusable(notes, error, of=settings.checkpoint_table)
    else:
        yet = "" if known else "; nothing is remembered yet"
        notes.ok(CHECKPOINT_TABLE, f"it is there, and may be used{yet}", of=settings.checkpoint_table)


def _unusable(notes: Notes, error: CollectorError, *, of: str) -> None:
    trouble = TROUBLES.get(error.code, TABLE_MISSING if error.code == "store_no_table" else TABLE_UNUSABLE)
    notes.refused(CHECKPOINT_TABLE, error, trouble=trouble, of=of)


def _denied(notes: Notes, settings: Settings, refused: Mapping[str, CollectorError], *, own: str) -> None:
    error = next(iter(refused.values()))
    said, actions = error.what, [f"dynamodb:{action}" for action in refused]
    table = _arn(settings, own)
    owner = "network" if "VPC endpoint policy" in said else "you"
    fix = table_text(actions, table=table, identity=own)
    if "kms" in said.lower():
        fix = ""  # the hint names the key's own policy
    elif owner == "network":
        fix = f"The policy of the VPC endpoint on the way has to allow {', '.join(actions)} on {table}"
    elif "explicit deny" in said or ("because no" in said and "identity-based" not in said):
        fix = f"Have {', '.join(actions)} on {table} allowed in the policy of which AWS speaks"
    notes.refused(
        CHECKPOINT_TABLE, error, trouble=TABLE_DENIED, fix=fix, owner=owner, of=settings.checkpoint_table
    )


def _arn(settings: Settings, own: str) -> str:
    partition = own.split(":")[1] if own.startswith("arn:") else "aws"
    place = f"{settings.checkpoint_region}:{arn_account(own) or '*'}"
    return f"arn:{partition}:dynamodb:{place}:table/{settings.checkpoint_table}"
