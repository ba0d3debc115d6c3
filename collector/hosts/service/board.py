"""All inputs of this host as they look now, for whoever shows them: status page, metrics, probes, systemd.

`Board.each` takes the pictures (observation.py), an input at a time; with `processes = N` the others' come
from their files (siblings.py). `Board.observe` is the sum over all processes.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Sequence, Tuple, Union

from collector.errors import CollectorError
from collector.hosts.service.history import History
from collector.hosts.service.observation import Observation, Problem, observe, together
from collector.logs import masked

if TYPE_CHECKING:
    from collector.retention.notice import Notice
    from collector.runtime.runner import Runner

__all__ = ["Board"]

#: An error may quote an answer of any length.
_LONGEST_TEXT = 2000


class Board:
    """All inputs that this process was asked to serve, started or not. May be used from several threads.

    What the log masks is masked in an error's text too. `number` is which of several processes this is;
    `siblings` gives what the others look like, by their numbers.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        number: int = 0,
        siblings: Callable[[], Mapping[int, Sequence[Observation]]] = dict,
    ) -> None:
        self.started = time.time()
        self.history = History()
        self._names = tuple(names)
        self._number, self._siblings = number, siblings
        self._runners: Mapping[str, Runner] = {}
        self._failures: Mapping[str, CollectorError] = {}

    def expect(self, names: Sequence[str]) -> None:
        """These are all inputs from now on."""
        self._names = tuple(names)

    def watch(self, runners: Sequence[Runner], failures: Mapping[str, CollectorError]) -> None:
        """From now on these are observed, and those could not be started; the others are "starting"."""
        self._failures = dict(failures)
        self._runners = {runner.name: runner for runner in runners}

    def tick(self) -> None:
        """Remember how far everything is: what rates and the chart of the last hour are made of."""
        self.history.note(self.each(), now=time.time())

    def each(self) -> List[Tuple[int, Observation]]:
        """One picture per input and process, in the order of the configuration."""
        names = self._names  # another thread may be told of others meanwhile
        found = [(self._number, self._observe(name)) for name in names]
        for number, seen in sorted(self._siblings().items()):
            found += [(number, one) for one in seen if one.name in names]
        return sorted(found, key=lambda one: names.index(one[1].name))

    def observe(self, each: Sequence[Tuple[int, Observation]] = ()) -> List[Observation]:
        """One picture per input, over all processes, in the order of the configuration."""
        found: Dict[str, List[Observation]] = {}
        for _, one in each or self.each():
            found.setdefault(one.name, []).append(one)
        return [together(ones) for ones in found.values()]

    def standstill(self) -> List[str]:
        """What no longer moves of the inputs of this process. Takes a while to say so, not to deny it."""
        found = ((runner.name, runner.standstill()) for runner in list(self._runners.values()))
        return [f"{name}: {stuck}" for name, stuck in found if stuck]

    def own(self) -> List[Observation]:
        """One picture per input, of this process."""
        return [self._observe(name) for name in self._names]

    def _observe(self, name: str) -> Observation:
        runners, failure = self._runners, self._failures.get(name)
        if name not in runners:
            if failure is None:
                return Observation(name, "starting")
            return Observation(name, "not_started", last_error=_problem(failure))
        runner = runners[name]
        seen = runner.observe(lambda engine: observe(name, engine, problem=_problem))
        return replace(seen, aws_calls=runner.aws_calls())


def _problem(error: Union[CollectorError, Notice]) -> Problem:
    what, code, where, hint = map(_shown, (error.what, error.code, error.where, error.hint))
    return Problem(what, code, where, hint, owner=getattr(error, "owner", ""))


def _shown(text: str) -> str:
    text = masked(text)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
