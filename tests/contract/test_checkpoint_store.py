"""The laws of ports.CheckpointStore, held by SQLite and by its twin in memory."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.model import Message, Receipt, Span
from collector.ports import (
    FINAL,
    Advance,
    Checkpoint,
    CheckpointStore,
    DropReceipts,
    Finish,
    Forget,
    Quarantined,
    Release,
    SaveReceipt,
    Spool,
    Unspool,
)
from collector.stores.sqlite import SqliteStore
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable

NOW = 1_790_000_000.0
DAY = 86400.0


class HandClock:
    """Time moves when the test says so."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class World:
    """One ledger, and as many owners as a test wants on it."""

    def __init__(self, opener: Callable[[str, HandClock], CheckpointStore]) -> None:
        self.clock = HandClock()
        self._opener = opener
        self._opened: List[CheckpointStore] = []

    def store(self, owner: str = "a", *, alive: bool = True) -> CheckpointStore:
        store = self._opener(owner, self.clock)
        self._opened.append(store)
        if alive:
            store.alive(self.clock.now() + 60)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


def sqlite_world(path: Path) -> World:
    return World(lambda owner, clock: SqliteStore(path, input_name="thrive", owner=owner, clock=clock))


def memory_world() -> World:
    table = MemoryTable()
    return World(lambda owner, clock: MemoryCheckpointStore(table, owner=owner, clock=clock))


@pytest.fixture(params=["sqlite", "memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = sqlite_world(tmp_path / "thrive.sqlite") if request.param == "sqlite" else memory_world()
    yield made
    made.close()


def wanted(oid: str = "o1", **fields: object) -> Checkpoint:
    row = Checkpoint(
        oid=oid,
        url=f"s3://example-audits/2026/{oid}.gz",
        object_time=NOW - 60,
        bucket="example-audits",
        key=f"2026/{oid}.gz",
        etag="e" * 32,
    )
    return dataclasses.replace(row, **fields)  # type: ignore[arg-type]


def receipt(*spans: Span, id: str = "r1", sent_at: float = NOW, ack_id: int = 7) -> Receipt:
    return Receipt(
        output="hec", spans=spans, sent_at=sent_at, endpoint="https://splunk.example.com:8088",
        channel="c1", ack_id=ack_id, cookies={"AWSALB": "x"}, id=id,
    )


# -- claims


def test_an_unknown_object_is_ours_from_its_first_claim(world: World) -> None:
    (claim,) = world.store().claim([wanted()])
    assert claim.verdict == "yours"
    assert claim.row == dataclasses.replace(wanted(), epoch=1, owner="a", updated=NOW)


def test_claiming_again_what_is_ours_changes_nothing(world: World) -> None:
    store = world.store()
    (first,) = store.claim([wanted()])
    world.clock.time += 5
    again, twice = store.claim([wanted(), wanted()])
    assert again == twice == first


def test_a_row_of_a_living_owner_is_held(world: World) -> None:
    world.store("a").claim([wanted()])
    (claim,) = world.store("b").claim([wanted()])
    assert (claim.verdict, claim.row.owner, claim.row.epoch) == ("held", "a", 1)


def test_answers_come_in_the_order_of_the_question(world: World) -> None:
    store = world.store()
    (done,) = store.claim([wanted("done")])
    store.apply([Finish("done", done.row.epoch, "done")])
    world.store("b").claim([wanted("held")])
    oids = ["new2", "held", "done", "new1"]
    claims = store.claim([wanted(oid) for oid in oids])
    assert [claim.row.oid for claim in claims] == oids
    assert [claim.verdict for claim in claims] == ["yours", "held", "final", "yours"]


def test_more_rows_than_one_statement_takes_are_claimed_in_one_call(world: World) -> None:
    store = world.store()
    rows = [wanted(f"o{number}") for number in range(1201)]
    assert {claim.verdict for claim in store.claim(rows)} == {"yours"}
    assert store.counts() == {"open": 1201}


@pytest.mark.parametrize(("late_seconds", "verdict"), [(69.0, "held"), (70.0, "held"), (70.1, "yours")])
def test_an_owner_is_dead_ten_seconds_after_its_last_word(
    world: World, late_seconds: float, verdict: str
) -> None:
    world.store("a").claim([wanted()])  # alive until NOW + 60
    world.clock.time += late_seconds
    (claim,) = world.store("b").claim([wanted()])
    assert claim.verdict == verdict


def test_a_takeover_raises_the_epoch_and_keeps_the_progress(world: World) -> None:
    (mine,) = world.store("a").claim([wanted()])
    world.store("a").apply([Advance("o1", mine.row.epoch, 40)])
    world.clock.time += 100
    (claim,) = world.store("b").claim([wanted()])
    assert (claim.row.epoch, claim.row.owner, claim.row.offset) == (2, "b", 40)


def test_who_leaves_frees_his_rows_at_once(world: World) -> None:
    a = world.store("a")
    a.claim([wanted()])
    a.leave()
    (claim,) = world.store("b").claim([wanted()])
    assert (claim.verdict, claim.row.epoch) == ("yours", 2)


def test_an_owner_who_never_said_alive_holds_nothing(world: World) -> None:
    world.store("a", alive=False).claim([wanted()])
    assert world.store("b").claim([wanted()])[0].verdict == "yours"


def test_the_others_are_the_living_owners_besides_us(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    world.store("never", alive=False)
    assert (a.others(), b.others()) == (["b"], ["a"])
    world.clock.time += 60
    a.alive(world.clock.time + 60)
    world.clock.time += 11
    assert (a.others(), b.others()) == ([], ["a"])
    a.leave()
    assert b.others() == []


# -- who leads


def test_a_role_has_one_owner_at_a_time_who_may_renew_it(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.lead("reconciler", NOW + 50)
    assert not b.lead("reconciler", NOW + 50)
    assert a.lead("reconciler", NOW + 55)
    world.clock.time += 52
    assert not b.lead("reconciler", NOW + 100)


def test_two_roles_have_nothing_to_do_with_each_other(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.lead("reconciler", NOW + 50)
    assert b.lead("prune", NOW + 50)


def test_a_role_is_free_once_its_time_is_over(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.lead("reconciler", NOW + 50)
    world.clock.time += 51
    assert b.lead("reconciler", NOW + 200)
    assert not a.lead("reconciler", NOW + 200)


def test_a_role_is_free_once_its_owner_is_dead_by_ten_seconds(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.lead("reconciler", NOW + 3600)
    world.clock.time += 69
    b.alive(NOW + 600)
    assert not b.lead("reconciler", NOW + 3600)
    world.clock.time += 2
    assert b.lead("reconciler", NOW + 3600)


def test_who_leaves_frees_his_role_at_once(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    assert a.lead("reconciler", NOW + 3600)
    a.leave()
    assert b.lead("reconciler", NOW + 3600)


def test_of_many_who_ask_at_once_one_leads(world: World) -> None:
    stores = [world.store(f"owner{number}") for number in range(4)]
    answers: List[bool] = []
    threads = [
        threading.Thread(target=lambda store=store: answers.append(store.lead("prune", NOW + 50)))
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [False, False, False, True]


def test_a_claim_brings_back_everything_the_row_says(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    release = Release("o1", 1, attempts=3, first_failed=NOW - 9, not_before=NOW + 60, reason="throttled")
    store.apply([Advance("o1", 1, 25), release])
    (claim,) = store.claim([wanted()])
    assert claim.verdict == "yours", "not_before is the engine's to obey"
    assert claim.row == dataclasses.replace(
        wanted(), epoch=2, owner="a", updated=NOW, offset=25, attempts=3, first_failed=NOW - 9,
        not_before=NOW + 60, reason="throttled",
    )


def test_a_claim_fills_in_version_and_size_and_overwrites_neither(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    assert store.claim([wanted(version_id="v1", size=10)])[0].row.version_id == "v1"
    (claim,) = store.claim([wanted(version_id="v2", size=20)])
    assert (claim.row.version_id, claim.row.size) == ("v1", 10)


def test_what_a_caller_wants_cannot_smuggle_in_progress(world: World) -> None:
    (claim,) = world.store().claim([wanted(state="done", offset=9, epoch=8, owner="x", attempts=2)])
    assert (claim.verdict, claim.row.state, claim.row.offset, claim.row.epoch) == ("yours", "open", 0, 1)
    assert claim.row.attempts == 0


def test_payloads_and_odd_keys_come_back_as_they_were(world: World) -> None:
    store = world.store()
    payload = wanted("p", url="sqs://audit-queue/1", bucket="", key="", etag="producer-1")
    odd = wanted("q", key="a\0b/\ud800\u00fc\U0001f600'\"", url="s3://example-audits/elsewhere\udcff")
    store.claim([payload, odd])
    for want, claim in zip([payload, odd], store.claim([payload, odd])):
        assert (claim.row.url, claim.row.key, claim.row.etag) == (want.url, want.key, want.etag)


def test_only_one_of_many_claimants_gets_a_row(world: World) -> None:
    stores = [world.store(f"owner{number}") for number in range(6)]
    verdicts: List[List[str]] = []

    def claim(store: CheckpointStore) -> None:
        verdicts.append([claim.verdict for claim in store.claim([wanted(f"o{n}") for n in range(20)])])

    threads = [threading.Thread(target=claim, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for per_row in zip(*verdicts):
        assert sorted(per_row) == ["held"] * 5 + ["yours"]


# -- changes


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_finished_object_is_final_for_everybody(world: World, state: str) -> None:
    store = world.store("a")
    store.claim([wanted()])
    assert store.apply([Finish("o1", 1, state, events=12, reason="why")]) == [True]
    (claim,) = world.store("b").claim([wanted()])
    assert claim.verdict == "final"
    assert (claim.row.state, claim.row.events, claim.row.reason) == (state, 12, "why")


def test_saying_the_same_end_twice_is_accepted_and_another_end_is_not(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    changes = [Finish("o1", 1, "done"), Finish("o1", 1, "done"), Finish("o1", 1, "gone")]
    assert store.apply(changes) == [True, True, False]


def test_a_state_that_is_not_final_is_nobodys_end(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    with pytest.raises(ValueError, match="open"):
        store.apply([Finish("o1", 1, "open")])


def test_an_offset_never_goes_back(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    assert store.apply([Advance("o1", 1, 30), Advance("o1", 1, 10)]) == [True, True]
    assert store.claim([wanted()])[0].row.offset == 30


@pytest.mark.parametrize("change", [Advance("o1", 1, 9), Finish("o1", 1, "done"), Release("o1", 1)])
def test_what_a_paused_owner_writes_after_a_takeover_is_refused(world: World, change: object) -> None:
    a = world.store("a")
    a.claim([wanted()])
    world.clock.time += 100
    (taken,) = world.store("b").claim([wanted()])
    assert a.apply([change]) == [False]  # type: ignore[list-item]
    assert world.store("b").claim([wanted()])[0] == taken


@pytest.mark.parametrize(
    "change",
    [
        Advance("o1", 2, 9),
        Finish("o1", 2, "done"),
        Release("o1", 2),
        Advance("absent", 1, 9),
        Finish("absent", 1, "done"),
        Release("absent", 1),
    ],
)
def test_a_write_with_another_epoch_or_without_a_row_is_refused(world: World, change: object) -> None:
    store = world.store()
    store.claim([wanted()])
    assert store.apply([change]) == [False]  # type: ignore[list-item]


@pytest.mark.parametrize("change", [Advance("o1", 1, 9), Release("o1", 1)])
def test_what_is_finished_stays_finished(world: World, change: object) -> None:
    store = world.store()
    store.claim([wanted()])
    store.apply([Finish("o1", 1, "done")])
    assert store.apply([change]) == [False]  # type: ignore[list-item]
    assert store.claim([wanted()])[0].verdict == "final"


def test_a_refused_change_does_not_stop_its_neighbours(world: World) -> None:
    store = world.store()
    store.claim([wanted("o1"), wanted("o2")])
    changes = [Advance("o1", 9, 5), Advance("o2", 1, 5), Finish("absent", 1, "done"), Advance("o1", 1, 3)]
    assert store.apply(changes) == [False, True, False, True]


def test_a_released_object_is_free_for_anybody(world: World) -> None:
    a = world.store("a")
    a.claim([wanted()])
    a.apply([Release("o1", 1)])
    (claim,) = world.store("b").claim([wanted()])
    assert (claim.verdict, claim.row.epoch) == ("yours", 2)


def test_a_forgotten_object_begins_again_under_a_new_epoch(world: World) -> None:
    a = world.store("a")
    a.claim([wanted()])
    a.apply([SaveReceipt("r1", receipt(Span("o1", 0, 50))), Advance("o1", 1, 50)])
    a.apply([Finish("o1", 1, "done", events=50, reason="x")])
    assert a.apply([Forget("o1"), Forget("absent")]) == [True, True]
    (claim,) = world.store("b").claim([wanted()])
    assert claim.verdict == "yours"
    assert claim.row == dataclasses.replace(wanted(), epoch=3, owner="b", updated=NOW)
    assert list(claim.receipts) == [], "what was confirmed before does not count any more"


def test_forgetting_an_object_in_work_fences_its_worker(world: World) -> None:
    a = world.store("a")
    a.claim([wanted()])
    a.apply([Forget("o1")])
    assert a.apply([Finish("o1", 1, "done")]) == [False]


def test_nothing_to_do_is_done_at_once(world: World) -> None:
    store = world.store()
    assert (list(store.apply([])), list(store.claim([])), list(store.missing([]))) == ([], [], [])


# -- receipts


def test_a_claim_returns_the_open_receipts_that_reach_beyond_its_offset(world: World) -> None:
    a = world.store("a")
    a.claim([wanted("o1"), wanted("o2")])
    early = receipt(Span("o1", 0, 10), sent_at=NOW)
    late = receipt(Span("o1", 20, 30), Span("o2", 0, 5), id="r3", sent_at=NOW + 2, ack_id=9)
    split = receipt(Span("o1", 10, 15), Span("o1", 15, 20), id="r2", sent_at=NOW + 1, ack_id=8)
    a.apply([SaveReceipt("r3", late), SaveReceipt("r1", early), SaveReceipt("r2", split)])
    a.apply([Advance("o1", 1, 10)])
    a.leave()
    one, two, three = world.store("b").claim([wanted("o1"), wanted("o2"), wanted("o3")])
    assert list(one.receipts) == [split, late]
    assert list(two.receipts) == [late]
    assert list(three.receipts) == []


def test_a_dropped_receipt_is_not_asked_about_again(world: World) -> None:
    store = world.store()
    store.claim([wanted("o1"), wanted("o2")])
    kept = receipt(Span("o1", 10, 20), id="r2")
    store.apply([SaveReceipt("r1", receipt(Span("o1", 0, 10), Span("o2", 0, 1))), SaveReceipt("r2", kept)])
    assert store.apply([DropReceipts(["r1", "never-saved"])]) == [True]
    one, two = store.claim([wanted("o1"), wanted("o2")])
    assert (list(one.receipts), list(two.receipts)) == ([kept], [])


def test_a_receipt_saved_again_replaces_the_first(world: World) -> None:
    store = world.store()
    store.claim([wanted("o1"), wanted("o2")])
    again = receipt(Span("o2", 0, 10), ack_id=8)
    store.apply([SaveReceipt("r1", receipt(Span("o1", 0, 10))), SaveReceipt("r1", again)])
    one, two = store.claim([wanted("o1"), wanted("o2")])
    assert (list(one.receipts), list(two.receipts)) == ([], [again])


def test_a_held_or_final_object_brings_no_receipts(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    a.claim([wanted("o1"), wanted("o2")])
    a.apply([SaveReceipt("r1", receipt(Span("o1", 0, 10), Span("o2", 0, 10))), Finish("o2", 1, "done")])
    assert [list(claim.receipts) for claim in b.claim([wanted("o1"), wanted("o2")])] == [[], []]


def test_a_receipt_comes_back_under_the_id_it_was_saved_by(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    store.apply([SaveReceipt("saved-as", receipt(Span("o1", 0, 10), id=""))])
    (found,) = store.claim([wanted()])[0].receipts
    assert found == receipt(Span("o1", 0, 10), id="saved-as")
    store.apply([DropReceipts([found.id])])
    assert list(store.claim([wanted()])[0].receipts) == []


def test_a_receipt_known_to_be_final_says_so_after_a_restart(world: World) -> None:
    store = world.store("a")
    store.claim([wanted()])
    final = dataclasses.replace(receipt(Span("o1", 0, 10)), ack_id=None)
    store.apply([SaveReceipt("r1", receipt(Span("o1", 0, 10))), SaveReceipt("r1", final)])
    store.leave()
    assert list(world.store("b").claim([wanted()])[0].receipts) == [final]


# -- questions


def test_missing_is_what_has_no_final_row(world: World) -> None:
    store = world.store()
    store.claim([wanted("open"), wanted("done")])
    store.apply([Finish("done", 1, "done")])
    assert list(store.missing(["never", "done", "open", "never"])) == ["never", "open", "never"]


def test_rows_are_those_there_are_and_nobody_holds_them_for_being_read(world: World) -> None:
    store = world.store("a")
    store.claim([wanted("open"), wanted("done", key="odd \udcff")])
    store.apply([Finish("done", 1, "done", events=3)])
    found = world.store("b").rows(["done", "never", "open", "done"])
    assert {oid: (row.state, row.owner, row.events) for oid, row in found.items()} == {
        "done": ("done", "a", 3), "open": ("open", "a", 0),
    }
    assert found["done"].key == "odd \udcff"
    assert dict(store.rows([])) == {}


def test_a_window_holds_each_row_of_its_time_once_in_whatever_state(world: World) -> None:
    store = world.store("a")
    times = {"early": 10.0, "first": 20.0, "open": 25.0, "done": 29.5, "last": 30.0}
    store.claim([wanted(oid, object_time=NOW + time) for oid, time in times.items()])
    store.apply([Finish(oid, 1, "done", events=2) for oid in ("early", "first", "done", "last")])
    found = list(world.store("b").window(NOW + 20, NOW + 30))
    assert sorted((row.oid, row.state, row.events) for row in found) == [
        ("done", "done", 2), ("first", "done", 2), ("open", "open", 0),
    ]
    assert list(store.window(NOW + 40, NOW + 50)) == []
    assert sorted(row.oid for row in store.window(0.0, float("inf"))) == sorted(times)


def test_a_window_goes_through_more_than_a_page(world: World) -> None:
    store = world.store()
    oids = [f"o{number}" for number in range(1201)]
    store.claim([wanted(oid, object_time=NOW + number % 3) for number, oid in enumerate(oids)])
    found = [row.oid for row in store.window(NOW, NOW + 2)]
    assert sorted(found) == sorted(oid for number, oid in enumerate(oids) if number % 3 < 2)


def test_a_bucket_is_named_by_a_row_of_its_objects_behind_any_number_of_others(world: World) -> None:
    store = world.store()
    assert not store.names({"example-audits"})
    store.claim([wanted(f"p{number}", bucket="", key="", url=f"queue:p{number}") for number in range(1201)])
    assert not store.names({"example-audits", "another-bucket"})
    finished(store, "zz", "1" * 64, bucket="another-bucket")
    assert world.store("b").names({"example-audits", "another-bucket"})
    assert not store.names({"example-audits"})


# -- content hashes


def finished(store: CheckpointStore, oid: str, sha256: str, **fields: object) -> None:
    (claim,) = store.claim([wanted(oid, **fields)])
    assert store.apply([Finish(oid, claim.row.epoch, "done", events=3, sha256=sha256)]) == [True]


def test_the_hash_of_a_finished_content_is_found_by_its_key(world: World) -> None:
    store = world.store()
    finished(store, "a", "1" * 64, key="logs/a \udcff+.gz")
    finished(store, "b", "2" * 64, key="logs/b.gz")
    finished(store, "elsewhere", "3" * 64, key="logs/b.gz", bucket="another-bucket")
    finished(store, "plain", "", key="logs/plain.gz")
    store.claim([wanted("open", key="logs/open.gz")])
    keys = ["logs/a \udcff+.gz", "logs/b.gz", "logs/plain.gz", "logs/open.gz", "logs/never.gz"]
    found = {key: list(some) for key, some in world.store("b").hashes("example-audits", keys).items()}
    assert found == {"logs/a \udcff+.gz": ["1" * 64], "logs/b.gz": ["2" * 64]}
    assert dict(store.hashes("example-audits", [])) == {}


def test_a_key_that_held_two_contents_has_two_hashes(world: World) -> None:
    store = world.store()
    finished(store, "first", "1" * 64, key="logs/a.gz")
    finished(store, "second", "2" * 64, key="logs/a.gz")
    assert list(store.hashes("example-audits", ["logs/a.gz"])["logs/a.gz"]) == ["1" * 64, "2" * 64]


def test_a_refused_end_leaves_no_hash(world: World) -> None:
    store = world.store()
    store.claim([wanted("o1", key="logs/a.gz")])
    assert store.apply([Finish("o1", 7, "done", sha256="1" * 64)]) == [False]
    assert dict(store.hashes("example-audits", ["logs/a.gz"])) == {}


def test_a_forgotten_object_has_no_hash_until_it_is_read_again(world: World) -> None:
    store = world.store()
    finished(store, "o1", "1" * 64, key="logs/a.gz")
    store.apply([Forget("o1")])
    assert dict(store.hashes("example-audits", ["logs/a.gz"])) == {}
    finished(store, "o1", "2" * 64, key="logs/a.gz")
    assert list(store.hashes("example-audits", ["logs/a.gz"])["logs/a.gz"]) == ["2" * 64]


def test_a_pruned_object_takes_its_hash_with_it(world: World) -> None:
    store = world.store()
    finished(store, "old", "1" * 64, key="logs/a.gz", object_time=NOW - 40 * DAY)
    finished(store, "young", "2" * 64, key="logs/a.gz")
    assert store.prune(object_time_before=NOW - 30 * DAY) == 1
    assert list(store.hashes("example-audits", ["logs/a.gz"])["logs/a.gz"]) == ["2" * 64]


def test_more_keys_than_one_statement_takes_are_looked_up_in_one_call(world: World) -> None:
    store = world.store()
    finished(store, "o1", "1" * 64, key="logs/7.gz")
    found = store.hashes("example-audits", [f"logs/{number}.gz" for number in range(1201)])
    assert list(found) == ["logs/7.gz"]


def test_unfinished_are_due_open_rows_that_nobody_living_holds(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    a.claim([wanted(oid) for oid in ("working", "later", "due2", "due1", "done")])
    a.apply([Release("later", 1, not_before=NOW + 1), Release("due2", 1, not_before=NOW)])
    a.apply([Release("due1", 1, not_before=NOW - 5), Finish("done", 1, "done")])
    assert [row.oid for row in b.unfinished()] == ["due1", "due2"]
    assert [row.oid for row in a.unfinished(limit=1)] == ["due1"]
    world.clock.time += 100
    b.alive(NOW + 200)
    assert [row.oid for row in b.unfinished()] == ["working", "due1", "due2", "later"]


def test_start_from_is_written_once(world: World) -> None:
    assert world.store("a").start_from(1234.5) == 1234.5
    assert world.store("b").start_from(9.0) == 1234.5


def test_counts_say_how_many_rows_are_in_each_state(world: World) -> None:
    store = world.store()
    assert store.counts() == {}
    store.claim([wanted(oid) for oid in "abcd"])
    store.apply([Finish("a", 1, "done"), Finish("b", 1, "done"), Finish("c", 1, "gone")])
    assert store.counts() == {"done": 2, "gone": 1, "open": 1}


def test_a_healthy_store_passes_its_check(world: World) -> None:
    world.store().check()


# -- pruning


def test_old_rows_go_when_they_are_final_or_abandoned(world: World) -> None:
    a, b = world.store("a"), world.store("b")
    old = NOW - 40 * DAY
    for oid in ("done", "released", "worked-on"):
        a.claim([wanted(oid, object_time=old)])
    a.apply([Finish("done", 1, "done"), Release("released", 1)])
    a.claim([wanted("young")])
    a.apply([Finish("young", 1, "done")])
    assert b.prune(object_time_before=NOW - 37 * DAY) == 2
    assert b.counts() == {"done": 1, "open": 1}
    assert a.prune(object_time_before=NOW - 37 * DAY) == 0, "nobody prunes his own work"
    a.leave()
    assert b.prune(object_time_before=NOW - 37 * DAY) == 1
    assert b.counts() == {"done": 1}


def test_pruning_goes_through_more_than_a_page(world: World) -> None:
    store = world.store()
    store.claim([wanted(f"o{n}", object_time=NOW - 40 * DAY) for n in range(1100)])
    store.apply([Finish(f"o{n}", 1, "done") for n in range(1100)])
    assert store.prune(object_time_before=NOW - 37 * DAY) == 1100
    assert store.counts() == {}


def test_pruning_keeps_receipts_of_open_rows_and_the_quarantine(world: World) -> None:
    a = world.store("a")
    a.claim([wanted("o1"), wanted("o2", object_time=NOW - 40 * DAY)])
    shared = receipt(Span("o1", 0, 5), Span("o2", 0, 5))
    a.apply([SaveReceipt("r1", shared), SaveReceipt("r2", receipt(Span("o2", 5, 9)))])
    a.apply([Finish("o2", 1, "quarantined"), Quarantined("q", "object", "x", "", "s3://b/k", NOW - 90 * DAY)])
    assert a.prune(object_time_before=NOW - 37 * DAY) == 1
    one, two = a.claim([wanted("o1"), wanted("o2")])
    assert (list(one.receipts), list(two.receipts)) == ([shared], [])
    assert [entry.id for entry in a.quarantine()] == ["q"]


# -- spool and quarantine


def spooled(number: int, body: str = "{}") -> Message:
    return Message(f"m{number}", body, f"h{number}", 2, NOW + number, "group-1")


def test_spooled_bodies_come_back_oldest_first_until_they_are_done(world: World) -> None:
    a = world.store("a")
    bodies = [spooled(3, "\ud800"), spooled(1, "b\0c" * 100), spooled(2)]
    assert a.apply([Spool(message) for message in bodies]) == [True] * 3
    assert list(world.store("b").spooled()) == bodies
    assert a.apply([Unspool("m1"), Unspool("never")]) == [True, True]
    assert [message.message_id for message in a.spooled()] == ["m3", "m2"]


def test_a_message_spooled_again_keeps_its_place_with_the_newest_handle(world: World) -> None:
    store = world.store()
    store.apply([Spool(spooled(1)), Spool(spooled(2))])
    newest = dataclasses.replace(spooled(1), receipt_handle="newest", receive_count=5)
    store.apply([Spool(newest)])
    assert list(store.spooled()) == [newest, spooled(2)]


def quarantined(id: str, *, created: float = NOW, body: bytes = b"") -> Quarantined:
    return Quarantined(
        id, "event", "hec_invalid", "code 6 \udcff", "s3://example-audits/\ud800", created, body,
        oid="o1", ordinal=4, row=wanted(key="\ud800", reason="ü"),
    )


def test_quarantine_keeps_every_byte_and_lists_oldest_first(world: World) -> None:
    store = world.store()
    entries = [
        quarantined("b", created=NOW + 1, body=bytes(range(256))),
        quarantined("c", created=NOW),
        quarantined("a", created=NOW + 1),
        Quarantined("d", "message", "unknown_shape", "", "", NOW + 2, b"body"),
    ]
    assert store.apply(entries) == [True] * 4
    assert list(store.quarantine()) == [entries[1], entries[2], entries[0], entries[3]]
    assert list(store.quarantine(id="b")) == [entries[0]]
    assert list(store.quarantine(id="never")) == []


def test_an_entry_written_again_replaces_itself(world: World) -> None:
    store = world.store()
    store.apply([quarantined("a", body=b"old"), quarantined("a", body=b"new")])
    assert [entry.body for entry in store.quarantine()] == [b"new"]


def test_a_long_quarantine_is_listed_whole_while_it_shrinks(world: World) -> None:
    store = world.store()
    store.apply([quarantined(f"q{n:04}", created=NOW + n // 7) for n in range(450)])
    seen = []
    for entry in store.quarantine():
        seen.append(entry.id)
        store.unquarantine([entry.id])
    assert seen == [f"q{n:04}" for n in range(450)]
    assert list(store.quarantine()) == []


def test_quarantine_bytes_count_what_unquarantine_frees(world: World) -> None:
    store = world.store()
    assert store.quarantine_bytes() == 0
    store.apply([quarantined("a", body=b"x" * 1000), quarantined("b", body=b"y" * 10)])
    assert store.quarantine_bytes() >= 1010
    both = store.quarantine_bytes()
    assert store.unquarantine(["a", "never"]) == 1
    assert both - store.quarantine_bytes() >= 1000
    assert store.unquarantine(["b"]) == 1
    assert store.quarantine_bytes() == 0


# -- both at once: whatever happens to one happens to the other

OIDS = st.sampled_from(["o1", "o2", "o3"])
KEYS = [f"2026/{oid}.gz" for oid in ("o1", "o2", "o3")]
EPOCHS = st.integers(1, 3)
SMALL = st.integers(0, 30)
CHANGES = st.one_of(
    st.builds(Advance, OIDS, EPOCHS, SMALL),
    st.builds(
        Finish, OIDS, EPOCHS, st.sampled_from(sorted(FINAL)), SMALL, st.text(max_size=3),
        st.sampled_from(["", "1" * 64, "2" * 64]),
    ),
    st.builds(Release, OIDS, EPOCHS, SMALL, st.just(1.0), st.sampled_from([0.0, NOW, NOW + 40])),
    st.builds(Forget, OIDS, st.integers(0, 3)),
    st.builds(
        lambda id_, oid, first, count: SaveReceipt(id_, receipt(Span(oid, first, first + count))),
        st.sampled_from("rst"), OIDS, SMALL, SMALL,
    ),
    st.builds(lambda id_: DropReceipts([id_]), st.sampled_from("rst")),
    st.builds(lambda id_, body: quarantined(id_, body=body), st.sampled_from("xy"), st.binary(max_size=3)),
    st.builds(lambda n: Spool(spooled(n)), st.integers(1, 3)),
    st.builds(lambda n: Unspool(f"m{n}"), st.integers(1, 3)),
)
WANTED = st.builds(
    lambda oid, version, size, age: wanted(oid, version_id=version, size=size, object_time=NOW - age),
    OIDS, st.sampled_from(["", "v1", "v2"]), st.sampled_from([None, 1, 2]), st.sampled_from([0.0, 40 * DAY]),
)
OWNERS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("claim"), OWNERS, st.lists(WANTED, max_size=4)),
    st.tuples(st.just("claim"), OWNERS, st.lists(WANTED, max_size=4)),
    st.tuples(st.just("apply"), OWNERS, st.lists(CHANGES, max_size=4)),
    st.tuples(st.just("apply"), OWNERS, st.lists(CHANGES, max_size=4)),
    st.tuples(st.just("alive"), OWNERS, st.none()),
    st.tuples(st.just("leave"), OWNERS, st.none()),
    st.tuples(st.just("prune"), OWNERS, st.none()),
    st.tuples(st.just("pass"), OWNERS, st.sampled_from([5.0, 45.0])),
)


def perform(world: World, stores: dict[str, CheckpointStore], step: tuple[str, str, object]) -> object:
    """The answer to one step, and afterwards all that the ledger tells of itself."""
    verb, owner, argument = step
    store = stores[owner]
    answer: object = None
    if verb == "claim":
        claims = store.claim(argument)  # type: ignore[arg-type]
        answer = [dataclasses.replace(claim, receipts=tuple(claim.receipts)) for claim in claims]
    elif verb == "apply":
        answer = list(store.apply(argument))  # type: ignore[arg-type]
    elif verb == "alive":
        store.alive(world.clock.now() + 60)
    elif verb == "leave":
        store.leave()
    elif verb == "prune":
        answer = store.prune(object_time_before=NOW - 30 * DAY)
    else:
        world.clock.time += argument  # type: ignore[operator]
    seen = [list(one.unfinished()) for one in stores.values()]
    hashes = {key: list(some) for key, some in store.hashes("example-audits", KEYS).items()}
    told = (store.counts(), list(store.missing(["o1", "o2", "o3"])), store.quarantine_bytes(), hashes)
    window = sorted(store.window(NOW - 90, NOW + 1), key=lambda row: row.oid)
    told += (dict(store.rows(["o1", "o3", "o4"])), window)
    return answer, seen, told, list(store.spooled()), list(store.quarantine())


@pytest.mark.once
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=25))
def test_the_twin_answers_as_sqlite_does(
    steps: list[tuple[str, str, object]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    sqlite = sqlite_world(tmp_path_factory.mktemp("twin") / "s.sqlite")
    memory = memory_world()
    try:
        stores = [{owner: world.store(owner) for owner in "abc"} for world in (sqlite, memory)]
        for step in steps:
            assert perform(sqlite, stores[0], step) == perform(memory, stores[1], step)
    finally:
        sqlite.close()
