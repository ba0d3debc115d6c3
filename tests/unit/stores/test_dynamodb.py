"""What DynamoStore makes of answers that emulators do not give: throttling, half batches, lost answers."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Tuple, Type

import pytest

from collector.errors import CollectorError, Fatal, Retry
from collector.model import Message, Receipt, Span
from collector.ports import (
    Advance,
    Change,
    Checkpoint,
    DropReceipts,
    Finish,
    Forget,
    Quarantined,
    SaveReceipt,
    Spool,
    Unspool,
)
from collector.stores.dynamodb import DynamoStore
from collector.stores.dynamodb_changes import _stages
from collector.stores.dynamodb_items import Keys, checkpoint, row_attributes
from collector.stores.dynamodb_schema import create_command

botocore_errors = pytest.importorskip("botocore.exceptions")

NOW = 1_790_000_000.0
Answer = Callable[[Dict[str, Any]], Dict[str, Any]]


class Clock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return NOW


class Scripted:
    """A client that answers by operation, and remembers what it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.meta = SimpleNamespace(region_name="eu-west-1")
        self.asked: List[Tuple[str, Dict[str, Any]]] = []
        self._answers = {"get_item": schema_is_ours, **answers}
        self._lock = threading.Lock()

    def __getattr__(self, operation: str) -> Callable[..., Dict[str, Any]]:
        def call(**request: Any) -> Dict[str, Any]:
            with self._lock:
                self.asked.append((operation, request))
            return self._answers.get(operation, lambda _: {})(request)

        return call

    def operations(self) -> List[str]:
        return [operation for operation, _ in self.asked if operation != "get_item"]


def schema_is_ours(request: Dict[str, Any]) -> Dict[str, Any]:
    return {"Item": {"version": {"N": "1"}}} if request["Key"]["pk"]["S"] == "audit-s3" else {}


def refusing(code: str, *, status: int = 400, message: str = "no", operation: str = "PutItem") -> Answer:
    def answer(request: Dict[str, Any]) -> Dict[str, Any]:
        response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        raise botocore_errors.ClientError(response, operation)

    return answer


def store_on(client: Scripted) -> DynamoStore:
    return DynamoStore(client, "audit-s3", input_name="thrive", owner="me", clock=Clock())


def wanted(oid: str) -> Checkpoint:
    return Checkpoint(oid=oid, url=f"s3://b/{oid}", object_time=NOW, bucket="b", key=oid, etag="e")


def entry(id_: str) -> Quarantined:
    return Quarantined(id_, "event", "hec_invalid", "", "s3://b/k", NOW, b"body")


# -- errors


@pytest.mark.parametrize(
    ("code", "status", "message", "kind", "fate"),
    [
        ("ProvisionedThroughputExceededException", 400, "slow down", Retry, "store_busy"),
        ("ThrottlingException", 400, "rate exceeded", Retry, "store_busy"),
        ("RequestLimitExceeded", 400, "", Retry, "store_busy"),
        ("InternalServerError", 500, "", Retry, "store_busy"),
        ("", 503, "", Retry, "store_busy"),
        ("ResourceNotFoundException", 400, "Requested resource not found", Fatal, "store_no_table"),
        ("AccessDeniedException", 400, "is not authorized", Fatal, "store_denied"),
        ("UnrecognizedClientException", 400, "token is invalid", Fatal, "store_credentials"),
        ("ExpiredTokenException", 400, "expired", Retry, "credentials_expired"),
        ("ValidationException", 400, "The provided key element does not match", Fatal, "store_wrong_table"),
        ("ValidationException", 400, "Item size has exceeded", Retry, "store_unexpected"),
        ("com.amazonaws.dynamodb#ThrottlingException", 400, "", Retry, "store_busy"),
        ("NeverHeardOf", 418, "", Retry, "store_unexpected"),
    ],
)
def test_each_answer_of_aws_has_its_fate(
    code: str, status: int, message: str, kind: Type[CollectorError], fate: str
) -> None:
    store = store_on(Scripted(put_item=refusing(code, status=status, message=message)))
    with pytest.raises(kind) as caught:
        store.alive(NOW)
    assert caught.value.code == fate
    assert caught.value.where == "DynamoDB table audit-s3 in eu-west-1"


def test_no_answer_is_worth_another_try_and_no_credentials_are_not() -> None:
    def unreachable(request: Dict[str, Any]) -> Dict[str, Any]:
        raise botocore_errors.EndpointConnectionError(endpoint_url="https://dynamodb.example.com")

    def nobody(request: Dict[str, Any]) -> Dict[str, Any]:
        raise botocore_errors.NoCredentialsError()

    with pytest.raises(Retry) as retry:
        store_on(Scripted(put_item=unreachable)).alive(NOW)
    with pytest.raises(Fatal) as fatal:
        store_on(Scripted(put_item=nobody)).alive(NOW)
    assert (retry.value.code, fatal.value.code) == ("store_unreachable", "no_credentials")


def test_a_denial_names_the_action_and_whose_credentials_lack_it() -> None:
    denied = refusing("AccessDeniedException", operation="UpdateItem")
    with pytest.raises(Fatal) as caught:
        store_on(Scripted(update_item=denied)).apply([Advance("o1", 1, 5)])
    assert caught.value.hint.startswith(
        "Attach dynamodb:UpdateItem on arn:aws:dynamodb:eu-west-1:*:table/audit-s3"
        " to the collector's own credentials, not to the access role"
    )


def test_a_bug_is_not_dressed_as_the_tables_fault() -> None:
    def bug(request: Dict[str, Any]) -> Dict[str, Any]:
        raise KeyError("x")

    with pytest.raises(KeyError):
        store_on(Scripted(put_item=bug)).alive(NOW)


def test_a_closed_store_is_retry() -> None:
    store = store_on(Scripted())
    store.close()
    with pytest.raises(Retry) as caught:
        store.alive(NOW)
    assert caught.value.code == "store_closed"


def test_building_a_store_makes_no_call() -> None:
    client = Scripted()
    store_on(client)
    assert client.asked == []


# -- batches


def test_what_a_batch_left_unread_is_read_again() -> None:
    def one_at_a_time(request: Dict[str, Any]) -> Dict[str, Any]:
        first, *rest = request["RequestItems"]["audit-s3"]["Keys"]
        unread = {"audit-s3": {"Keys": rest}} if rest else {}
        return {"Responses": {"audit-s3": [{**first, "state": {"S": "done"}}]}, "UnprocessedKeys": unread}

    client = Scripted(batch_get_item=one_at_a_time)
    assert store_on(client).missing(["a", "b", "c"]) == []
    assert client.operations() == ["batch_get_item"] * 3


def test_a_batch_without_headway_is_busy() -> None:
    def nothing(request: Dict[str, Any]) -> Dict[str, Any]:
        return {"UnprocessedKeys": request["RequestItems"]}

    with pytest.raises(Retry) as caught:
        store_on(Scripted(batch_get_item=nothing)).missing(["a", "b"])
    assert caught.value.code == "store_busy"


def test_a_listed_page_is_asked_for_in_ten_calls() -> None:
    client = Scripted()
    oids = [f"o{number}" for number in range(1000)]
    assert store_on(client).missing([*oids, *oids]) == [*oids, *oids]
    assert client.operations() == ["batch_get_item"] * 10


# -- writes whose order is the promise


def test_no_row_is_final_before_its_copy_is_durable() -> None:
    client = Scripted(put_item=refusing("ThrottlingException"))
    with pytest.raises(Retry):
        store_on(client).apply([Finish("o1", 1, "quarantined"), Finish("o2", 1, "quarantined"), entry("q")])
    assert "put_item" in client.operations()
    client = Scripted(put_item=refusing("ThrottlingException"))
    with pytest.raises(Retry):
        store_on(client).apply([entry("q"), Finish("o1", 1, "quarantined")])
    assert client.operations() == ["put_item"]


def test_a_long_body_is_durable_before_the_entry_that_names_it() -> None:
    client = Scripted()
    long = Quarantined("q", "event", "x", "", "s3://b/k", NOW, b"x" * 1_000_000)
    store_on(client).apply([long])
    assert client.operations() == ["batch_write_item", "put_item"]
    requests = client.asked[1][1]["RequestItems"]["audit-s3"]
    sizes = [len(request["PutRequest"]["Item"]["body"]["B"]) for request in requests]
    assert sum(sizes) == 1_000_000
    assert max(sizes) < 400 * 1000


def test_an_object_costs_two_writes_and_one_read() -> None:
    client = Scripted(update_item=lambda _: {"Attributes": {"state": {"S": "done"}}})
    store = store_on(client)
    store.claim([wanted("o1")])
    store.apply([Finish("o1", 1, "done")])
    assert client.operations() == ["batch_get_item", "put_item", "update_item"]


def test_a_receipt_confirmed_is_saved_again_without_naming_its_objects_again() -> None:
    client = Scripted()
    store = store_on(client)
    sent = Receipt("hec", (Span("o1", 0, 5), Span("o2", 0, 5)), NOW, ack_id=3)
    store.apply([SaveReceipt("r", sent)])
    store.apply([SaveReceipt("r", Receipt("hec", sent.spans, NOW))])
    assert client.operations() == ["batch_write_item", "put_item", "put_item"]


def test_a_claim_whose_answer_was_lost_is_ours_all_the_same() -> None:
    """botocore asks again after a lost answer; the row it then finds in its way is the one it wrote."""
    rows: List[Dict[str, Any]] = []

    def written_and_refused(request: Dict[str, Any]) -> Dict[str, Any]:
        rows.append(request["Item"])
        return refusing("ConditionalCheckFailedException")(request)

    client = Scripted(
        put_item=written_and_refused,
        batch_get_item=lambda _: {"Responses": {"audit-s3": list(rows)}},
        query=lambda _: {"Items": []},
    )
    (claim,) = store_on(client).claim([wanted("o1")])
    assert (claim.verdict, claim.row.epoch, claim.row.owner) == ("yours", 1, "me")


def test_a_row_that_changes_under_every_claim_is_busy_in_the_end() -> None:
    with pytest.raises(Retry) as caught:
        store_on(Scripted(put_item=refusing("ConditionalCheckFailedException"))).claim([wanted("o1")])
    assert caught.value.code == "store_busy"


def test_a_count_that_cannot_be_written_waits_for_the_next() -> None:
    busy = [True]

    def answer(request: Dict[str, Any]) -> Dict[str, Any]:
        if "ADD" in request["UpdateExpression"]:
            if busy:
                busy.clear()
                return refusing("ThrottlingException")(request)
            added.append(request["ExpressionAttributeValues"])
        return {"Attributes": {"state": {"S": "open"}, "object_time": {"N": "86400"}}}

    added: List[Dict[str, Any]] = []
    store = store_on(Scripted(update_item=answer))
    assert store.apply([Finish("o1", 1, "done")]) == [True]
    assert store.apply([Finish("o2", 1, "done")]) == [True]
    assert [{"N": "2"} in values.values() for values in added] == [True]


def stages_of(*changes: Change) -> List[List[int]]:
    return _stages(changes)


def test_independent_changes_go_together_and_dependent_ones_in_order() -> None:
    saved = SaveReceipt("r", Receipt("hec", (Span("o1", 0, 5),), NOW))
    spooled = Spool(Message("m", "{}", "h"))
    assert stages_of(Advance("o1", 1, 5), Finish("o2", 1, "done")) == [[0, 1]]
    assert stages_of(Advance("o1", 1, 5), Finish("o1", 1, "done")) == [[0], [1]]
    assert stages_of(entry("a"), Finish("o1", 1, "quarantined"), entry("b"), Finish("o2", 1, "done")) == [
        [0, 2],
        [1, 3],
    ]
    assert stages_of(saved, DropReceipts(["r"]), saved) == [[0], [1], [2]]
    assert stages_of(spooled, Finish("o1", 1, "done"), Unspool("m")) == [[0], [1], [2]]
    assert stages_of(Advance("o1", 1, 5), saved, Forget("o1"), saved, Finish("o2", 1, "done")) == [
        [0, 1],
        [2],
        [3],
        [4],
    ]


# -- items


def test_a_row_is_small_and_comes_back_as_it_was() -> None:
    row = wanted("o1")
    item = row_attributes(row)
    assert "url" not in item and "version_id" not in item and "size" not in item
    assert checkpoint("o1", item) == row


def test_no_name_of_an_input_reaches_into_another() -> None:
    names = ["a", "a#object", "a/b", "a%23object"]
    partitions = {Keys(name).row("x#object#y")["pk"]["S"] for name in names}
    assert len(partitions) == len(names)
    assert Keys("a#object").oid(Keys("a#object").row("x#y")) == "x#y"


def test_the_command_that_makes_the_table_is_whole() -> None:
    command = create_command("audit-s3", "eu-west-1")
    assert command.startswith("aws dynamodb create-table --table-name audit-s3 --region eu-west-1")
    assert "update-time-to-live" in command and "IndexName=ledger" in command
