"""The chain of a report: whatever is done to it shows, at the entry where it was done."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any, Callable, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.retention.coverage_chain import chained, first_fault, seal

VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
ENTRIES = st.lists(st.dictionaries(st.sampled_from(["kind", "day", "objects"]), VALUES), max_size=8)


def report(count: int = 4) -> List[Dict[str, Any]]:
    return chained({"kind": "window", "day": f"2026-05-0{n}", "objects": n} for n in range(count))


@given(entries=ENTRIES)
def test_what_was_written_is_unchanged_also_after_json(entries: List[Dict[str, Any]]) -> None:
    chain = chained(entries)
    assert first_fault(chain) is None
    assert first_fault(json.loads(json.dumps(chain))) is None
    assert len(chain) == len(entries) + 1


@given(entries=ENTRIES, place=st.data(), value=VALUES)
def test_any_change_of_any_member_shows_at_its_entry(entries: Any, place: Any, value: Any) -> None:
    chain = chained(entries)
    number = place.draw(st.integers(0, len(chain) - 1))
    name = place.draw(st.sampled_from([*chain[number], "extra"]))
    changed = copy.deepcopy(chain)
    changed[number][name] = value
    fault = first_fault(changed)
    if json.dumps(changed) == json.dumps(chain):
        assert fault is None
    else:
        assert fault is not None and fault.number == number + 1


@pytest.mark.parametrize(
    ("tamper", "number", "said"),
    [
        (lambda chain: chain.pop(1), 2, "does not follow"),
        (lambda chain: chain.insert(1, {**chain[1]}), 3, "does not follow"),
        (lambda chain: chain.reverse(), 1, "does not follow"),
        (lambda chain: chain.pop(), 5, "cut off"),
        (lambda chain: chain.clear(), 1, "cut off"),
        (lambda chain: chain.append({}), 6, "no entry"),
        (lambda chain: chain.__setitem__(2, "text"), 3, "no entry"),
        (lambda chain: chain[2].update(objects=float("nan")), 3, "was changed"),
        (lambda chain: chain[2].pop("sha256"), 3, "no entry"),
    ],
)
def test_what_is_left_out_put_in_or_moved_shows_where(
    tamper: Callable[[List[Any]], Any], number: int, said: str
) -> None:
    chain: List[Any] = list(report())
    tamper(chain)
    fault = first_fault(chain)
    assert fault is not None
    assert (fault.number, said in fault.what) == (number, True)


def test_a_shorter_report_cannot_be_closed_again() -> None:
    chain = report()
    chain[3:4] = []
    assert first_fault(chain) is not None


def test_a_chain_made_anew_is_sound_and_has_another_seal() -> None:
    chain = report()
    forged = chained({"kind": "window", "day": "2026-05-00", "objects": 99} for _ in range(4))
    assert first_fault(forged) is None
    assert seal(forged) != seal(chain)


def test_an_entrys_hash_is_that_of_its_canonical_json() -> None:
    (entry, _) = chained([{"b": "\u00fc", "a": 1}])
    text = '{"a":1,"b":"\\u00fc","previous":""}'
    assert entry["sha256"] == hashlib.sha256(text.encode()).hexdigest()
