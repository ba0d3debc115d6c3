"""What must be true when everything has come to its end."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.world import BUCKET

__all__ = ["Report", "judge"]

#: Whole objects go to quarantine for these reasons only, and not before so many tries.
BY_REFERENCE = {"forbidden": 24, "exhausted": 10}


@dataclass
class Report:
    """What a seed led to: `problems` is empty, or the engine is wrong. `calls` counts port calls."""

    seed: int
    problems: list
    events: int
    repeated: int
    kills: int
    steps: int
    calls: int
    dead: int
    seconds: float

    def again(self, commit):
        """How to see it once more."""
        return f"make simulate SEEDS=1 FIRST={self.seed} (commit {commit})"


def judge(play, seed, *, is_unfinished):
    world = play.world
    problems = list(world.violations)
    repeated = sum(n - 1 for output in world.outputs for n in output.indexed.values() if n > 1)
    if not problems:
        if is_unfinished:
            problems.append(f"not finished: queue={len(world.queue)}")
        if repeated and play.conditions.is_quiet:
            problems.append(f"{repeated} repeats without a fault")
        for oid, texts in world.texts_of.items():
            problems += _lost(world, oid, texts)
        problems += _left_open(world) + _badly_quarantined(world) + _left_behind(play)
    return Report(
        seed, problems, events=sum(sum(output.indexed.values()) for output in world.outputs),
        repeated=repeated, kills=play.kills, steps=play.steps, calls=sum(world.calls.values()),
        dead=len(world.dead), seconds=world.seconds,
    )


def _lost(world, oid, texts):
    """What an object owes: all its events, unless it was taken away before it could be read."""
    row, place = world.table.rows.get(oid), world.place_of[oid]
    reconcile = world.conditions.reconcile
    ends = ("gone", "expired") if reconcile else ("gone", "expired", "open")
    if place in world.taken_away and (row is None or row.state in ends):
        return []
    if place in world.unheard and not reconcile:
        return []
    lost = [text for text in texts if not world.is_safe(text)]
    state = row.state if row else "unknown"
    return [f"{place[0] or 'payload'} ({state}) lost {len(lost)} of {len(texts)}"] if lost else []


def _left_open(world):
    """Without a listing nobody comes back to what was taken away or never heard of, nor without an etag."""
    rows = [row for row in world.table.rows.values() if row.state == "open"]
    if not world.conditions.reconcile:
        nobodys = world.taken_away | world.unheard
        rows = [row for row in rows if not row.key or (row.etag and (row.key, row.etag) not in nobodys)]
    return [f"row left open: {row.url}" for row in rows]


def _badly_quarantined(world):
    """Good events, and objects that could have been read, have no business there."""
    problems = [f"good event in quarantine: {one[:30]}" for one in world.quarantined if one[:5] == "event"]
    for oid, (key, _) in world.place_of.items():
        reason = world.quarantined.get(oid, world.quarantined.get(f"s3://{BUCKET}/{key}"))
        if reason is not None and world.tries[key] < BY_REFERENCE.get(reason, 1 << 30):
            problems.append(f"{key} in quarantine as {reason} after {world.tries[key]} tries")
    return problems


def _left_behind(play):
    """Nothing stays in memory but what is still asked about, and no receipt outlives a prune."""
    problems = []
    for one in play.running:
        ledger = one.engine.ledger
        tracked = [one for output in ledger.outputs.values() for one in output.receipts.values()]
        kept = [one.id for one in tracked if one.confirmed]
        if kept or ledger.held_bytes or ledger.reading:
            problems.append(f"{one.owner} keeps {kept[:3]} and {ledger.held_bytes} bytes")
        one.inner.prune(object_time_before=0.0)
    if play.world.table.receipts and not play.world.table.open:
        problems.append(f"receipts left: {len(play.world.table.receipts)}")
    return problems
