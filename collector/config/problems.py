"""What is wrong with a configuration: collected, so that all of it is reported at once."""

from __future__ import annotations

from typing import Dict, NamedTuple, Sequence, Tuple

from collector.errors import Fatal

__all__ = ["ConfigError", "Problem", "Problems"]


class Problem(NamedTuple):
    """One mistake: what it is, where it was made, and the operator's next step."""

    what: str
    where: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" + (f" - {self.hint}" if self.hint else "")
        return " ".join(line.split())


class ConfigError(Fatal):
    """The configuration cannot be used; `problems` holds every reason, str() is one line for each.

    `code` is "config_missing", "config_denied" or "config_malformed" where the text itself is the trouble,
    else "config_invalid".
    """

    def __init__(self, problems: Sequence[Problem], *, code: str = "config_invalid") -> None:
        first = problems[0]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"{count} in the configuration", code=code, where=first.where, hint=first.hint
        )
        self.problems: Tuple[Problem, ...] = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([f"{self.what} [{self.code}]:", *(f"  {problem}" for problem in self.problems)])


class Problems:
    """Collects mistakes in the order in which they are found, each once."""

    def __init__(self) -> None:
        self._found: Dict[Problem, None] = {}
        self._code = "config_invalid"

    def add(self, what: str, *, where: str, hint: str = "", code: str = "") -> None:
        """Note a mistake; the last `code` that is given names them all."""
        self._found[Problem(what, where, hint)] = None
        self._code = code or self._code

    def raise_any(self) -> None:
        """Raise ConfigError if anything was added."""
        if self._found:
            raise ConfigError(tuple(self._found), code=self._code)
