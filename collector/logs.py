"""Log lines: one line each, to stderr, as text or JSON, and without anything secret.

A message is a sentence followed by key=value pairs. Control characters are escaped, because keys and
bodies come from outside and a terminal is not to obey them. The same line comes at most five times a minute;
what was left out is counted in one more, which ends in "... repeated 57 times". What stations say that is no
trouble is gathered for 50 ms: a system call for the line of each object, and the turn that it gives to other
threads, would be a twentieth of what small objects cost.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Optional, TextIO, Tuple

from collector.config.secret import longest_first, starred
from collector.errors import CollectorError, Fatal, Poison
from collector.retention.moves import mover
from collector.wording import plain

__all__ = ["Lines", "install", "mask", "masked", "move", "spare", "verdict"]

#: Longer lines are cut: a key may have 1,024 bytes and an answer from a proxy any number.
_LONGEST_LINE = 4000
#: The same line is written so often within so long, and then counted.
MOST_ALIKE = 5
ALIKE_SECONDS = 60.0
#: Lines are gathered for so long, but not more than so many.
_GATHER_SECONDS = 0.05
_MOST_GATHERED = 500
#: So many different lines are remembered at once.
_MOST_LINES = 500
_QUIET = ("boto3", "botocore", "urllib3", "s3transfer", "apscheduler")


#: Whatever was ever a secret, the longest first: a rotated token is still one.
_secrets: List[str] = []


def mask(secrets: Iterable[str]) -> None:
    """Show stars in place of these from now on, in every log line and wherever else `masked` is asked."""
    _secrets[:] = longest_first([*_secrets, *secrets])


def masked(text: str) -> str:
    """The text without anything that was ever said to be a secret."""
    return starred(text, _secrets)


class _Formatter(logging.Formatter, ABC):
    """What both forms share: the text of a record with secrets masked and control characters escaped."""

    def __init__(self) -> None:
        super().__init__()
        self._second, self._shown = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        return self.line(record, self.text(record))

    @abstractmethod
    def line(self, record: logging.LogRecord, text: str) -> str:
        """The whole line of a record whose `text` is known."""

    def text(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text} {self.formatException(record.exc_info)}"
        return plain(masked(text)[:_LONGEST_LINE]) + move(record)

    def moment(self, record: logging.LogRecord) -> str:
        """Under the handler's lock, as all of formatting: most lines are of the same second."""
        second = int(record.created)
        if second != self._second:
            self._second, self._shown = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._shown}.{int(record.msecs):03d}Z"


class _Text(_Formatter):
    def line(self, record: logging.LogRecord, text: str) -> str:
        name = f" [{record.threadName}]" if record.threadName and "/" in record.threadName else ""
        return f"{self.moment(record)} {record.levelname}{name} {text}"


class _Json(_Formatter):
    def line(self, record: logging.LogRecord, text: str) -> str:
        line = {"time": self.moment(record), "level": record.levelname.lower(), "message": text}
        if record.threadName and "/" in record.threadName:
            line["input"], line["station"] = record.threadName.split("/", 1)
        return json.dumps({**line, **verdict(record)}, ensure_ascii=False)


if TYPE_CHECKING:
    _Stream = logging.StreamHandler[TextIO]
else:
    _Stream = logging.StreamHandler


class Lines(_Stream):
    """Writes records to a stream, the same one at most MOST_ALIKE times in ALIKE_SECONDS.

    How often it was left out is said with the first record after that time, and when the program ends. Lines
    of stations below WARNING are gathered; any other is written at once, and before it what was gathered.
    """

    def __init__(
        self, stream: TextIO, form: _Formatter, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self.setFormatter(form)
        self._form, self._clock = form, clock
        #: By level, thread and text: when it came first, and how often.
        self._seen: OrderedDict[Tuple[int, str, str], Tuple[float, int]] = OrderedDict()
        self._gathered: List[str] = []
        self._news = threading.Event()
        self._writer: Optional[threading.Thread] = None
        self._is_closed = False

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's own lock."""
        now = self._clock()
        self._catch_up(now)
        text = self._form.text(record)
        said = (record.levelno, record.threadName or "", text)
        began, count = self._seen.get(said, (now, 0))
        self._seen[said] = (began, count + 1)
        if count < MOST_ALIKE:
            self._write(record, text)

    def close(self) -> None:
        self.acquire()
        try:
            self._catch_up(float("inf"))
            self._is_closed = True
        finally:
            self.release()
        self._news.set()
        self._write_gathered()
        super().close()

    def flush(self) -> None:
        """Write what was gathered."""
        self.acquire()
        try:
            gathered, self._gathered = self._gathered, []
            if gathered:
                self.stream.write("".join(gathered))
            super().flush()
        finally:
            self.release()

    def _catch_up(self, now: float) -> None:
        """Say what was left out of lines whose time is over, or that are too many to remember."""
        while self._seen:
            (level, thread, text), (began, count) = next(iter(self._seen.items()))
            if now - began < ALIKE_SECONDS and len(self._seen) < _MOST_LINES:
                return
            del self._seen[level, thread, text]
            if count > MOST_ALIKE:
                repeated = _repeated(level, thread, text, times=count - MOST_ALIKE)
                self._write(repeated, self._form.text(repeated))

    def _write(self, record: logging.LogRecord, text: str) -> None:
        is_urgent = record.levelno >= logging.WARNING or "/" not in (record.threadName or "")
        try:
            self._gathered.append(self._form.line(record, text) + "\n")
            if is_urgent or self._is_closed or len(self._gathered) >= _MOST_GATHERED:
                self.flush()
            elif not self._news.is_set():
                self._call_writer()
        except Exception:
            self.handleError(record)

    def _call_writer(self) -> None:
        self._news.set()
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_on, name="log", daemon=True)
            self._writer.start()

    def _write_on(self) -> None:
        while not self._is_closed:
            self._news.wait()
            time.sleep(_GATHER_SECONDS)
            self._news.clear()
            self._write_gathered()

    def _write_gathered(self) -> None:
        try:
            self.flush()
        except (OSError, ValueError) as error:
            # Whoever reads the stream has gone, which is nobody's trouble but the log's.
            self.handleError(_failed(error))


def _failed(error: Exception) -> logging.LogRecord:
    return logging.LogRecord("collector", logging.ERROR, "", 0, "%s", (error,), None)


def _repeated(level: int, thread: str, text: str, *, times: int) -> logging.LogRecord:
    told = (text[: _LONGEST_LINE - 100], times)
    record = logging.LogRecord("collector", level, "", 0, "%s ... repeated %d times", told, None)
    record.threadName = thread
    return record


def install(
    *, level: str = "info", form: str = "text", secrets: Iterable[str] = (), stream: Optional[TextIO] = None
) -> None:
    """Send every record of the program to `stream` (stderr), in place of what was installed before."""
    mask(secrets)
    spare()
    handler = Lines(stream if stream is not None else sys.stderr, _Json() if form == "json" else _Text())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
        if isinstance(old, Lines):
            old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("collector").setLevel(level.upper())
    for name in _QUIET:
        # Their debug output holds headers and bodies, and so credentials: never below WARNING.
        logging.getLogger(name).setLevel(logging.WARNING)
    # It shows a refused AssumeRole as a traceback; our own error says the same with its hint.
    logging.getLogger("botocore.credentials").setLevel(logging.CRITICAL)


def spare() -> None:
    """Have records made without what no line of ours shows: the place in the code, process and task.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None
    for name in ("logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, name, False)


def verdict(record: logging.LogRecord) -> Dict[str, str]:
    """The `fate` and `code` of the error that a record tells of, for both JSON forms; {} if of none.

    The fate is retry, poison or fatal, and bug for what is none of these.
    """
    error = _told(record)
    if error is None:
        return {"fate": "bug", "code": "bug"} if record.exc_info else {}
    fate = "fatal" if isinstance(error, Fatal) else "poison" if isinstance(error, Poison) else "retry"
    return {"fate": fate, "code": error.code}


def move(record: logging.LogRecord) -> str:
    """Whose move it is, as the end of a line of level ERROR that tells of an error; "" of any other.

    Such a line says that something stands until somebody acts: receiving stops, or an input cannot start.
    """
    error = _told(record)
    if error is None or record.levelno < logging.ERROR:
        return ""
    return f" move={mover(error.code, error.hint)}"


def _told(record: logging.LogRecord) -> Optional[CollectorError]:
    told = record.args if isinstance(record.args, tuple) else ()
    return next((one for one in told if isinstance(one, CollectorError)), None)
