"""Which ordinals count: a model of sets says what the ranges must say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.engine.progress import Progress, Ranges

ENDS = st.tuples(st.integers(0, 30), st.integers(0, 30)).map(sorted).map(tuple)
STEPS = st.lists(st.tuples(st.sampled_from(["pend", "accept", "give_up"]), ENDS), max_size=25)


@given(st.lists(st.tuples(st.booleans(), ENDS), max_size=25), ENDS)
def test_ranges_are_a_set_of_ordinals(changes, asked):
    ranges, model = Ranges(), set()
    for adds, (first, end) in changes:
        (ranges.add if adds else ranges.discard)(first, end)
        model = model | set(range(first, end)) if adds else model - set(range(first, end))
    kept = list(ranges)
    assert {one for low, high in kept for one in range(low, high)} == model
    assert kept == sorted(kept)
    assert all(high < low for (_, high), (low, _) in zip(kept, kept[1:])), "neighbours are joined"
    gaps = {one for low, high in ranges.gaps(*asked) for one in range(low, high)}
    assert gaps == set(range(*asked)) - model
    assert bool(ranges) == bool(model)


@given(st.integers(0, 10), STEPS)
def test_only_the_contiguous_accepted_prefix_counts_and_nothing_is_sent_twice(offset, steps):
    progress = Progress(offset)
    accepted, pending = set(range(offset)), set()
    for step, (first, end) in steps:
        span = set(range(first, end))
        getattr(progress, step)(first, end)
        if step == "pend":
            pending |= span - accepted
        elif step == "accept":
            accepted, pending = accepted | span, pending - span
        else:
            pending -= span
    expected = next(at for at in range(len(accepted) + 1) if at not in accepted)
    assert progress.prefix == expected
    missing = {one for low, high in progress.missing(0, 40) for one in range(low, high)}
    assert missing == set(range(40)) - accepted - pending


def test_what_was_accepted_stays_accepted_when_the_rest_is_given_up():
    progress = Progress(0)
    progress.pend(0, 10)
    progress.accept(3, 5)
    progress.give_up(0, 10)
    assert progress.missing(0, 10) == [(0, 3), (5, 10)]
    assert progress.prefix == 0
