"""A value that may be used but not shown, and the references by which it is found.

    hec_token = file:/etc/audit-s3/hec-token     the file's text, without its trailing newline
    hec_token = env:SPLUNK_HEC_TOKEN             an environment variable
    hec_token = credential:hec-token             a systemd credential ($CREDENTIALS_DIRECTORY/hec-token)

Everything that prints a Secret prints eight stars; `reveal()` is the one way to the value.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import Callable, Iterable, List, Mapping

from collector.config.table import Invalid

__all__ = [
    "Held",
    "MASK",
    "REFERENCES",
    "ReadText",
    "Secret",
    "is_reference",
    "longest_first",
    "mask_userinfo",
    "open_to_all",
    "read_text",
    "resolve",
    "starred",
]

MASK = "********"
REFERENCES = ("file:", "env:", "credential:")
#: Far more than a person writes; /dev/zero and a log file named by mistake end here.
MAX_FILE_CHARACTERS = 4_000_000

#: Reads one text file, by path; raises OSError or UnicodeDecodeError as open() does.
ReadText = Callable[[str], str]


class Secret:
    """Text that never shows itself: not by str, repr, format, a traceback's locals or a dataclass.

    Not a str on purpose: joining, encoding or logging one by mistake is a type error or shows stars.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __repr__(self) -> str:
        return f"Secret({MASK})" if self._value else "Secret()"

    def __str__(self) -> str:
        return MASK if self._value else ""


class Held:
    """What a setting says now, which is `value` until the reference is read again. Thread safe."""

    def __init__(self, value: str, reference: str = "") -> None:
        self._value = value
        self._reference = reference

    def __call__(self) -> str:
        return self._value

    def renew(self) -> bool:
        """Whether what it refers to says something else now. What cannot be read stays as it was."""
        before = self._value
        try:
            if self._reference:
                self._value = resolve(self._reference, environ=os.environ, read=read_text)
        except Invalid:
            return False
        return self._value != before


def is_reference(text: str) -> bool:
    return text.startswith(REFERENCES)


def resolve(text: str, *, environ: Mapping[str, str], read: ReadText) -> str:
    """The value that `text` refers to; a text that is no reference is the value itself.

    Raises Invalid, whose text names the reference and never the value.
    """
    kind, _, name = text.partition(":")
    if kind == "env" and name:
        return _from_environment(name, environ)
    if kind == "credential" and name:
        return _from_file(_credential_path(name, environ), read)
    if kind == "file" and name:
        return _from_file(name, read)
    if is_reference(text):
        raise Invalid(f"{text} names nothing", f"write {kind}: and a name, without a space")
    return text


def open_to_all(text: str) -> str:
    """What any user of this host may do to the file that `text` names: "read", "write", both or "".

    On Windows always "".
    """
    kind, _, path = text.partition(":")
    if kind != "file" or os.name != "posix":
        return ""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    return " and ".join(word for word, bit in (("read", stat.S_IROTH), ("write", stat.S_IWOTH)) if mode & bit)


def read_text(path: str) -> str:
    """A file of UTF-8 text, with or without a byte order mark; OSError if it is of no end."""
    with open(path, encoding="utf-8-sig") as file:
        text = file.read(MAX_FILE_CHARACTERS + 1)
    if len(text) > MAX_FILE_CHARACTERS:
        raise OSError(errno.EFBIG, f"it is longer than {MAX_FILE_CHARACTERS:,} characters")
    return text


def longest_first(secrets: Iterable[str]) -> List[str]:
    """Each once, as `starred` wants them: one may be a part of another. Short ones would hide words."""
    return sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)


def starred(text: str, secrets: Iterable[str]) -> str:
    """`text` with stars in place of each of these secrets, in their order."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text


def mask_userinfo(text: str) -> str:
    """`text` with the user and password of any URL in it hidden."""
    return re.sub(r"//[^/?#\s]*@", f"//{MASK}@", text)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name, "")
    if not value:
        raise Invalid(f"the environment variable {name} is not set", "set it for the service, or use file:")
    return value


def _credential_path(name: str, environ: Mapping[str, str]) -> str:
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if not directory:
        raise Invalid(
            f"credential:{name} needs systemd, and $CREDENTIALS_DIRECTORY is not set",
            f"add LoadCredential={name}:/path to the unit, or use file:",
        )
    return os.path.join(directory, name)


def _from_file(path: str, read: ReadText) -> str:
    try:
        value = read(path).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise Invalid(
            f"the secret's file {path} cannot be read: {reason}", "create it, readable by the service's user"
        ) from None
    if not value:
        raise Invalid(f"the secret's file {path} is empty", "write the value into it")
    return value
