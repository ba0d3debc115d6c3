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
    """The configuration cannot be used; `problems` holds every reason, str() is one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"{count} in the configuration", code="config_invalid", where=first.where, hint=first.hint
        )
        self.problems: Tuple[Problem, ...] = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"  {problem}" for problem in self.problems)])


class Problems:
    """Collects mistakes in the order in which they are found, each once."""

    def __init__(self) -> None:
        self._found: Dict[Problem, None] = {}

    def add(self, what: str, *, where: str, hint: str = "") -> None:
        self._found[Problem(what, where, hint)] = None

    def raise_any(self) -> None:
        """Raise ConfigError if anything was added."""
        if self._found:
            raise ConfigError(tuple(self._found))
