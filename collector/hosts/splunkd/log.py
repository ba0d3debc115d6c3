"""Where a modular input says how it goes: splunkd.log for trouble, a file of its own for everything.

splunkd copies stderr, line by line, into splunkd.log and reads the level from the first word. The file is
`$SPLUNK_HOME/var/log/splunk/audit_s3_<input>.log`, one JSON object a line; Splunk indexes that folder
into `_internal` by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
from datetime import datetime, timezone
from pathlib import Path

from collector.logs import masked, move, spare, verdict

__all__ = [
    "JsonLines",
    "SplunkdLines",
    "log_file",
    "log_to_file",
    "log_to_splunkd",
    "printable",
    "set_level",
]

#: As splunkd rotates its own logs.
_FILE_MAX_BYTES = 25_000_000
_FILES_KEPT = 5
#: What XML 1.0 cannot carry in any form, so that one strange byte spoils no answer.
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_SPLUNKD_LEVELS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


def log_to_splunkd() -> None:
    """Send WARNING and above to stderr, and nothing anywhere else yet."""
    spare()
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(SplunkdLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    set_level("info")


def set_level(name: str) -> None:
    """How much of our own is logged. Of libraries only warnings: botocore's debug lines hold credentials."""
    logging.getLogger("collector").setLevel(name.upper())


def log_to_file(input_name: str) -> None:
    """Send everything to the input's own file too; without Splunk's log folder, nowhere else."""
    from logging.handlers import RotatingFileHandler

    root = logging.getLogger()
    path = log_file(os.environ.get("SPLUNK_HOME", ""), input_name)
    if not path.parent.is_dir():
        return
    try:
        handler = RotatingFileHandler(
            str(path), maxBytes=_FILE_MAX_BYTES, backupCount=_FILES_KEPT, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        root.warning("cannot write %s (%s); only warnings are kept, in splunkd.log", path, error.strerror)
        return
    handler.setFormatter(JsonLines(input_name))
    root.addHandler(handler)


def log_file(splunk_home: str, input_name: str) -> Path:
    """The file of one input. Names that only differ in characters no file has stay apart."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", input_name)[:100]
    if plain != input_name:
        plain += "-" + hashlib.sha256(input_name.encode("utf-8", "replace")).hexdigest()[:8]
    return Path(splunk_home) / "var" / "log" / "splunk" / f"audit_s3_{plain}.log"


def printable(text: str) -> str:
    """The text with what XML cannot carry replaced."""
    return _NOT_XML.sub("\ufffd", text)


class _Lines(logging.Formatter):
    """What both forms share: the text of a record, with every secret in it masked."""

    def text(self, record: logging.LogRecord) -> str:
        text = record.getMessage() + move(record)
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return masked(text)

    def level(self, record: logging.LogRecord) -> str:
        return _SPLUNKD_LEVELS.get(record.levelname, record.levelname)


class SplunkdLines(_Lines):
    """`LEVEL message`, always one line: splunkd takes a second one for another record."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(self.text(record)).replace("\r", " ").replace("\n", " | ")
        return f"{self.level(record)} {text}"


class JsonLines(_Lines):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, thread, input, message.

    A line that tells of an error has its `fate` and `code` too.
    """

    def __init__(self, input_name: str) -> None:
        super().__init__()
        self._input_name = input_name

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, timezone.utc)
        return json.dumps(
            {
                "time": moment.isoformat(timespec="milliseconds"),
                "level": self.level(record),
                "logger": record.name,
                "thread": record.threadName,
                "input": self._input_name,
                "message": self.text(record),
                **verdict(record),
            }
        )
