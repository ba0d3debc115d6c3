"""Reads unit files as systemd does, as far as ours go."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[2]
SYSTEMD = ROOT / "packaging" / "systemd"
UNIT = SYSTEMD / "audit-s3.service"
TEMPLATE = SYSTEMD / "audit-s3@.service"

__all__ = ["ROOT", "SYSTEMD", "TEMPLATE", "UNIT", "directives"]


def directives(unit: Path = UNIT) -> Dict[str, List[str]]:
    """Every directive with its values; no two sections of ours share one."""
    values: Dict[str, List[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and line[:1] not in "#[ ":
            values.setdefault(key, []).append(value)
    return values
