"""The laws of ports.CheckpointStore again, held by DynamoDB in two emulators; and what is its own."""

from __future__ import annotations

import dataclasses
import threading
from itertools import count
from types import FunctionType
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.errors import Fatal
from collector.model import Span
from collector.ports import (
    Advance,
    Change,
    CheckpointStore,
    DropReceipts,
    Finish,
    Forget,
    SaveReceipt,
    Spool,
)
from collector.stores.dynamodb import DynamoStore, create_table
from collector.testing.local_aws import CUSTOMER, LocalAws
from collector.testing.memory_store import MemoryCheckpointStore, MemoryTable
from tests.contract import test_checkpoint_store as laws
from tests.contract.test_checkpoint_store import DAY, NOW, HandClock, World, quarantined, receipt, wanted

TABLE = "audit-s3"
_inputs = count(1)

#: A thousand rows take moto half a minute, and nothing that DynamoDB does depends on which of the two asks.
_LONG = (
    "test_more_rows_than_one_statement_takes_are_claimed_in_one_call",
    "test_pruning_goes_through_more_than_a_page",
    "test_a_window_goes_through_more_than_a_page",
)

#: Hundreds of rows: the first leg has them, and they say the same on every Python.
_MANY = (
    "test_a_bucket_is_named_by_a_row_of_its_objects_behind_any_number_of_others",
    "test_more_keys_than_one_statement_takes_are_looked_up_in_one_call",
    "test_a_long_quarantine_is_listed_whole_while_it_shrinks",
)

# Every law that asks for a `world` finds the one below.
globals().update(
    {
        name: law
        for name, law in vars(laws).items()
        if name.startswith("test_") and "world" in law.__code__.co_varnames and name not in _LONG
    }
)

for name in _MANY:
    law = globals()[name]  # a function of its own: SQLite's is run everywhere
    globals()[name] = pytest.mark.once(FunctionType(law.__code__, law.__globals__, name))


@pytest.fixture(params=["ministack", pytest.param("moto", marks=pytest.mark.exhaustive)])
def emulator(request: pytest.FixtureRequest) -> LocalAws:
    """Either emulator with the table in it; tests share it, each under an input of its own."""
    aws: LocalAws = request.getfixturevalue(request.param)
    make_table(aws)
    return aws


def make_table(aws: LocalAws, table: str = TABLE) -> None:
    """Nothing expires in it: the tests' clock is not the emulator's."""
    client = client_of(aws)
    if table not in client.list_tables()["TableNames"]:
        create_table(client, table)
        never = {"Enabled": False, "AttributeName": "expires"}
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=never)


def client_of(aws: LocalAws) -> Any:
    return aws.client("dynamodb", account=CUSTOMER)


def dynamo_world(aws: LocalAws) -> World:
    client, name = client_of(aws), f"thrive #{next(_inputs)}"
    return World(lambda owner, clock: DynamoStore(client, TABLE, input_name=name, owner=owner, clock=clock))


@pytest.fixture
def world(emulator: LocalAws) -> Iterator[World]:
    made = dynamo_world(emulator)
    yield made
    made.close()


@pytest.mark.exhaustive
@pytest.mark.parametrize("law", _LONG)
def test_a_law_of_many_rows_holds_too(law: str, ministack: LocalAws) -> None:
    make_table(ministack)
    world = dynamo_world(ministack)
    getattr(laws, law)(world)
    world.close()


# -- several hosts


def test_each_row_is_won_by_one_owner_however_many_ask_at_once(world: World) -> None:
    stores = [world.store("a"), world.store("b")]
    rows = [wanted(f"o{number}") for number in range(50)]
    won: List[Tuple[str, str, int]] = []
    ready = threading.Barrier(4)

    def claim(store: CheckpointStore, some: Sequence[Any]) -> None:
        ready.wait(10)
        for start in range(0, len(some), 10):
            for answer in store.claim(some[start : start + 10]):
                if answer.verdict == "yours":
                    won.append((answer.row.oid, store.owner, answer.row.epoch))

    halves = [rows[:25], rows[25:]]  # of one owner's threads each asks for its own rows
    threads = [threading.Thread(target=claim, args=[store, half]) for store in stores for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(oid for oid, _, _ in won) == sorted(row.oid for row in rows)
    assert {epoch for _, _, epoch in won} == {1}


def test_a_dead_owners_rows_are_taken_over_once_each(world: World) -> None:
    world.store("dead").claim([wanted(f"o{number}") for number in range(20)])
    world.clock.time += 100
    stores = [world.store("a"), world.store("b")]
    verdicts: Dict[str, List[str]] = {"a": [], "b": []}

    def take(store: CheckpointStore) -> None:
        claims = store.claim([wanted(f"o{number}") for number in range(20)])
        assert {answer.row.epoch for answer in claims} == {2}
        verdicts[store.owner] = [answer.verdict for answer in claims]

    threads = [threading.Thread(target=take, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {tuple(sorted(pair)) for pair in zip(verdicts["a"], verdicts["b"])} == {("held", "yours")}
    assert len(verdicts["a"]) == 20


def test_inputs_of_one_table_know_nothing_of_each_other(emulator: LocalAws) -> None:
    one, two = dynamo_world(emulator), dynamo_world(emulator)
    store = one.store()
    store.claim([wanted()])
    store.apply([Finish("o1", 1, "done"), quarantined("q")])
    assert store.start_from(5.0) == 5.0
    other = two.store()
    assert (other.counts(), list(other.quarantine()), other.start_from(6.0)) == ({}, [], 6.0)
    assert other.claim([wanted()])[0].verdict == "yours"
    assert other.prune(object_time_before=NOW + DAY) == 0
    assert store.counts() == {"done": 1}


# -- what does not fit into one item


@pytest.mark.parametrize("length", [4096, 4097, 300 * 1024, 300 * 1024 + 1, 1024 * 1024 + 17])
def test_bodies_of_any_length_come_back_whole(world: World, length: int) -> None:
    body = (bytes(range(256)) * (length // 256 + 1))[:length]
    store = world.store()
    message = dataclasses.replace(laws.spooled(1), body="\u00fc" * (length // 2))
    assert store.apply([quarantined("q", body=body), Spool(message)]) == [True, True]
    assert [entry.body for entry in world.store("b").quarantine()] == [body]
    assert list(world.store("b").spooled()) == [message]
    assert store.quarantine_bytes() >= length


def test_a_long_body_leaves_nothing_behind(emulator: LocalAws) -> None:
    client, table = client_of(emulator), f"bodies{next(_inputs)}"
    make_table(emulator, table)
    store = DynamoStore(client, table, input_name="i", owner="a", clock=HandClock())

    def parts() -> int:
        items = client.get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk")
        return sum("#body#" in item["pk"]["S"] for page in items for item in page["Items"])

    store.apply([quarantined("q", body=b"x" * 700_000)])
    assert parts() == 3
    store.apply([quarantined("q", body=b"y" * 400_000)])
    assert parts() == 2
    store.apply([quarantined("q", body=b"y" * 400_000)])
    assert [len(entry.body) for entry in store.quarantine()] == [400_000]
    assert store.unquarantine(["q"]) == 1
    assert parts() == 0
    client.delete_table(TableName=table)


@pytest.mark.once
def test_a_receipt_may_name_ten_thousand_objects(ministack: LocalAws) -> None:
    make_table(ministack)
    world = dynamo_world(ministack)
    store = world.store()
    store.claim([wanted("o7")])
    large = receipt(*(Span(f"o{number}", 0, 3) for number in range(10_000)))
    store.apply([SaveReceipt("large", large)])
    (found,) = store.claim([wanted("o7")])[0].receipts
    assert (found.spans, found.id) == (large.spans, "large")
    world.close()


# -- the table itself


def test_the_table_is_made_once_and_lets_old_rows_expire(emulator: LocalAws) -> None:
    client, table = client_of(emulator), f"made{next(_inputs)}"
    create_table(client, table)
    create_table(client, table)
    made = client.describe_table(TableName=table)["Table"]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [index["IndexName"] for index in made["GlobalSecondaryIndexes"]] == ["ledger"]
    expiry = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires")
    client.delete_table(TableName=table)


def test_a_missing_table_is_answered_with_the_command_that_makes_it(emulator: LocalAws) -> None:
    store = DynamoStore(client_of(emulator), "absent", input_name="i", owner="a", clock=HandClock())
    with pytest.raises(Fatal) as caught:
        store.alive(NOW)
    assert (caught.value.code, caught.value.scope) == ("store_no_table", "config")
    assert "aws dynamodb create-table --table-name absent --region eu-west-1" in caught.value.hint


def test_a_table_of_a_newer_version_is_refused(emulator: LocalAws) -> None:
    client = client_of(emulator)
    make_table(emulator, "newer")
    client.put_item(
        TableName="newer", Item={"pk": {"S": "audit-s3"}, "sk": {"S": "schema"}, "version": {"N": "2"}}
    )
    store = DynamoStore(client, "newer", input_name="i", owner="a", clock=HandClock())
    with pytest.raises(Fatal) as caught:
        store.claim([wanted()])
    assert caught.value.code == "store_newer"


def test_a_table_without_the_index_fails_the_check(emulator: LocalAws) -> None:
    client, keys = client_of(emulator), (("pk", "HASH"), ("sk", "RANGE"))
    client.create_table(
        TableName=f"foreign{next(_inputs)}",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )
    (table,) = [name for name in client.list_tables()["TableNames"] if name.startswith("foreign")]
    store = DynamoStore(client, table, input_name="i", owner="a", clock=HandClock())
    with pytest.raises(Fatal) as caught:
        store.check()
    client.delete_table(TableName=table)
    assert caught.value.code == "store_wrong_table"


def test_a_user_without_rights_is_told_which_is_missing(ministack: LocalAws) -> None:
    import boto3

    make_table(ministack)
    iam, name = ministack.client("iam", account=CUSTOMER), f"reader{next(_inputs)}"
    iam.create_user(UserName=name)
    iam.put_user_policy(
        UserName=name,
        PolicyName="read",
        PolicyDocument='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*",'
        '"Action":["dynamodb:GetItem","dynamodb:BatchGetItem","dynamodb:Query"]}]}',
    )
    made = iam.create_access_key(UserName=name)["AccessKey"]
    client = boto3.client(
        "dynamodb", region_name=ministack.region, endpoint_url=ministack.endpoint_url,
        aws_access_key_id=made["AccessKeyId"], aws_secret_access_key=made["SecretAccessKey"],
    )
    store = DynamoStore(client, TABLE, input_name="i", owner="a", clock=HandClock())
    with pytest.raises(Fatal) as caught:
        store.alive(NOW)
    assert (caught.value.code, caught.value.scope) == ("store_denied", "config")
    assert caught.value.hint.startswith("Attach dynamodb:PutItem on arn:aws:dynamodb:eu-west-1:")


def test_a_reader_writes_nothing(world: World, emulator: LocalAws) -> None:
    name = f"thrive #{next(_inputs)}"
    reader = DynamoStore(
        client_of(emulator), TABLE, input_name=name, owner="a", clock=HandClock(), read_only=True
    )
    assert reader.start_from(7.0) == 7.0
    assert reader.start_from(8.0) == 8.0
    with pytest.raises(Fatal) as caught:
        reader.claim([wanted()])
    assert caught.value.code == "store_read_only"
    assert reader.counts() == {}


def test_rows_expire_a_week_after_the_providers_copy_and_never_in_work(emulator: LocalAws) -> None:
    name = f"thrive{next(_inputs)}"
    store = DynamoStore(
        client_of(emulator), TABLE, input_name=name, owner="a", clock=HandClock(), retention_seconds=30 * DAY
    )
    store.claim([wanted("young", object_time=NOW - DAY), wanted("old", object_time=NOW - 90 * DAY)])

    def expires(oid: str) -> float:
        key = {"pk": {"S": f"{name}#object#{oid}"}, "sk": {"S": "row"}}
        return float(client_of(emulator).get_item(TableName=TABLE, Key=key)["Item"]["expires"]["N"])

    assert expires("young") == NOW - DAY + 37 * DAY
    assert expires("old") == NOW + 14 * DAY


# -- both at once: what happens to the twin happens to the table


def adapted(changes: Sequence[Change], rows: Dict[str, Any], forgets: int) -> List[Change]:
    """Without what no engine does: receipts of objects that nobody claimed, or saved across a Forget."""
    kept: List[Change] = []
    for change in changes:
        if isinstance(change, SaveReceipt):
            if change.receipt.spans[0].oid not in rows:
                continue
            change = SaveReceipt(f"{change.id}{forgets}", change.receipt)
        elif isinstance(change, DropReceipts):
            change = DropReceipts([f"{id_}{forgets}" for id_ in change.ids])
        elif isinstance(change, Forget):
            forgets += 1
        kept.append(change)
    return kept


@pytest.mark.exhaustive
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(laws.STEPS, max_size=20))
def test_the_twin_answers_as_dynamodb_does(ministack: LocalAws, steps: List[Tuple[str, str, Any]]) -> None:
    make_table(ministack)
    table = MemoryTable()
    memory = World(lambda owner, clock: MemoryCheckpointStore(table, owner=owner, clock=clock))
    dynamo, forgets = dynamo_world(ministack), 0
    try:
        stores = [{owner: world.store(owner) for owner in "abc"} for world in (dynamo, memory)]
        for verb, owner, argument in steps:
            if verb == "apply":
                argument = adapted(argument, table.rows, forgets)
                forgets += sum(isinstance(change, Forget) for change in argument)
            for world in (dynamo, memory):  # what owners spool at one instant has no order among hosts
                world.clock.time += 0.001
            step = (verb, owner, argument)
            assert laws.perform(dynamo, stores[0], step) == laws.perform(memory, stores[1], step)
    finally:
        dynamo.close()


def test_a_lower_offset_than_the_rows_own_is_no_news_and_no_refusal(world: World) -> None:
    store = world.store()
    store.claim([wanted()])
    store.apply([Advance("o1", 1, 30)])
    world.clock.time += 5
    assert store.apply([Advance("o1", 1, 10)]) == [True]
    (claim,) = store.claim([wanted()])
    assert (claim.row.offset, claim.row.updated) == (30, NOW + 5)
