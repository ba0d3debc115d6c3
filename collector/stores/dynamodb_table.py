"""The calls on one table: conditions that answer False instead of raising, batches that finish, pages.

    old = table.update(key, {"offset": 40}, where=[("epoch", "=", 3)])     None: the condition refused it

Reads are strongly consistent, except on the index, which cannot be. What a batch left unprocessed is asked
for again as long as the table makes headway; a round without any is Retry "store_busy".
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
)

from collector.errors import Fatal, Retry
from collector.stores.dynamodb_errors import Place, error_code, translate
from collector.stores.dynamodb_items import INDEX, Item, attribute, chunked

__all__ = ["ABSENT", "Attribute", "Condition", "Table"]

_READ_AT_ONCE = 100
_WRITE_AT_ONCE = 25
#: (attribute, operator, value): "=", "<>", "<", "<=", "in" (value is a sequence), "absent", "present".
Condition = Tuple[str, str, Any]
ABSENT: Condition = ("pk", "absent", None)

T = TypeVar("T")


class Attribute(str):
    """Another attribute's name where a value is expected: SET place = aged."""


class Table:
    """One table through one boto3 client. Every method may be called from any thread.

    `foreign` are the exceptions that a call may raise. `threads` calls run at the same time at most, for
    all callers together.
    """

    def __init__(
        self,
        client: Any,
        place: Place,
        *,
        foreign: Tuple[Type[Exception], ...],
        threads: int,
        read_only: bool = False,
    ) -> None:
        self.place = place
        self._client = client
        self._foreign = foreign
        self._read_only = read_only
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dynamodb")
        self._inside = threading.local()
        self._closed = False

    def together(self, works: Sequence[Callable[[], T]]) -> List[T]:
        """The results in order. All are run, whatever happens to some; then the first error is raised."""
        if len(works) < 2 or getattr(self._inside, "pool", False):  # a pool that waits for itself never ends
            return [work() for work in works]
        self._refuse_if_closed()
        futures = [self._pool.submit(self._work_inside, work) for work in works]
        wait(futures)
        return [future.result() for future in futures]

    def get(self, key: Item) -> Optional[Item]:
        found: Optional[Item] = self._call("get_item", Key=key, ConsistentRead=True).get("Item")
        return found

    def get_many(self, keys: Sequence[Item], *, only: Sequence[str] = ()) -> List[Item]:
        """Those that exist, in any order; `only` these attributes and the keys. Keys may not repeat."""
        request: Dict[str, Any] = {"ConsistentRead": True}
        if only:
            names = {f"#{name}": name for name in ("pk", "sk", *only)}
            request.update(ProjectionExpression=", ".join(names), ExpressionAttributeNames=names)
        works = [self._read_work(request, some) for some in chunked(keys, _READ_AT_ONCE)]
        return [item for items in self.together(works) for item in items]

    def put(self, item: Item, *, where: Sequence[Condition] = ()) -> Optional[Item]:
        """The item that was replaced, {} if there was none; None if the condition refused it."""
        expression = _Expression()
        return self._write("put_item", expression, Item=item, **expression.condition(where))

    def update(
        self,
        key: Item,
        sets: Mapping[str, Any],
        *,
        adds: Optional[Mapping[str, int]] = None,
        where: Sequence[Condition] = (),
    ) -> Optional[Item]:
        """The item as it was, {} if it is new; None if the condition refused it."""
        expression = _Expression()
        return self._write(
            "update_item", expression, Key=key, UpdateExpression=expression.update(sets, adds or {}),
            **expression.condition(where),
        )

    def delete(self, key: Item, *, where: Sequence[Condition] = ()) -> Optional[Item]:
        """The item as it was, {} if there was none; None if the condition refused it."""
        expression = _Expression()
        return self._write("delete_item", expression, Key=key, **expression.condition(where))

    def put_many(self, items: Sequence[Item]) -> None:
        self._write_many([{"PutRequest": {"Item": item}} for item in items])

    def delete_many(self, keys: Sequence[Item]) -> None:
        self._write_many([{"DeleteRequest": {"Key": _key_of(key)}} for key in keys])

    def query(self, pk: str, *, prefix: str = "", only: Sequence[str] = ()) -> Iterator[Item]:
        """The items of one partition in order of `sk`, a page at a time."""
        expression = _Expression()
        terms = f"{expression.name('pk')} = {expression.value(pk)}"
        if prefix:
            terms += f" AND begins_with({expression.name('sk')}, {expression.value(prefix)})"
        return self._pages(expression, terms, only, ConsistentRead=True)

    def shelf(self, shelf: str, *, low: str, high: str) -> Iterator[Item]:
        """What stands on the index's partition `shelf` between the places `low` and `high`, in order."""
        expression = _Expression()
        terms = (
            f"{expression.name('shelf')} = {expression.value(shelf)} AND {expression.name('place')}"
            f" BETWEEN {expression.value(low)} AND {expression.value(high)}"
        )
        return self._pages(expression, terms, (), IndexName=INDEX)

    def shelf_count(self, shelf: str, *, low: str, high: str) -> int:
        expression = _Expression()
        terms = (
            f"{expression.name('shelf')} = {expression.value(shelf)} AND {expression.name('place')}"
            f" BETWEEN {expression.value(low)} AND {expression.value(high)}"
        )
        answers = self._answers(expression, terms, IndexName=INDEX, Select="COUNT")
        return sum(int(answer["Count"]) for answer in answers)

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=True)

    # -- one call

    def _call(self, operation: str, **request: Any) -> Dict[str, Any]:
        self._refuse_if_closed()
        with self._translated():
            answer: Dict[str, Any] = getattr(self._client, operation)(TableName=self.place.table, **request)
        return answer

    def _batch(self, operation: str, content: Any) -> Dict[str, Any]:
        self._refuse_if_closed()
        with self._translated():
            answer: Dict[str, Any] = getattr(self._client, operation)(
                RequestItems={self.place.table: content}
            )
        return answer

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._foreign as error:
            if error_code(error) == "ConditionalCheckFailedException":
                raise _RefusedByCondition from error
            raise translate(error, self.place) from error

    def _write(self, operation: str, expression: _Expression, **request: Any) -> Optional[Item]:
        self._refuse_if_reading()
        try:
            answer = self._call(operation, ReturnValues="ALL_OLD", **expression.meanings(), **request)
        except _RefusedByCondition:
            return None
        return dict(answer.get("Attributes") or {})

    def _write_many(self, requests: Sequence[Dict[str, Any]]) -> None:
        self._refuse_if_reading()
        self.together([self._write_work(some) for some in chunked(requests, _WRITE_AT_ONCE)])

    def _write_work(self, requests: Sequence[Dict[str, Any]]) -> Callable[[], None]:
        def work() -> None:
            left = requests
            while left:
                answer = self._batch("batch_write_item", left)
                still = answer.get("UnprocessedItems", {}).get(self.place.table, [])
                self._refuse_standstill(len(still), len(left))
                left = still

        return work

    def _read_work(self, request: Mapping[str, Any], keys: Sequence[Item]) -> Callable[[], List[Item]]:
        def work() -> List[Item]:
            found: List[Item] = []
            left = keys
            while left:
                answer = self._batch("batch_get_item", {**request, "Keys": left})
                found.extend(answer.get("Responses", {}).get(self.place.table, []))
                unread = answer.get("UnprocessedKeys", {}).get(self.place.table, {})
                still = unread.get("Keys", [])
                self._refuse_standstill(len(still), len(left))
                left = still
            return found

        return work

    def _pages(
        self, expression: _Expression, terms: str, only: Sequence[str], **request: Any
    ) -> Iterator[Item]:
        if only:
            request["ProjectionExpression"] = ", ".join(expression.name(name) for name in ("pk", "sk", *only))
        for answer in self._answers(expression, terms, **request):
            yield from answer["Items"]

    def _answers(self, expression: _Expression, terms: str, **request: Any) -> Iterable[Dict[str, Any]]:
        request.update(KeyConditionExpression=terms, **expression.meanings())
        while True:
            answer = self._call("query", **request)
            yield answer
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _work_inside(self, work: Callable[[], T]) -> T:
        self._inside.pool = True
        return work()

    def _refuse_standstill(self, left: int, asked: int) -> None:
        if left >= asked:
            raise Retry(
                f"DynamoDB left {left} of {asked} items unprocessed", code="store_busy",
                where=str(self.place),
            )

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Retry("The store is closed", code="store_closed", where=str(self.place))

    def _refuse_if_reading(self) -> None:
        if self._read_only:
            raise Fatal(
                "The store was opened for reading only", code="store_read_only", where=str(self.place)
            )


class _RefusedByCondition(Exception):
    """The condition did not hold: nothing was written."""


class _Expression:
    """Names and values of one request: every name is aliased, for many are reserved words."""

    def __init__(self) -> None:
        self._names: Dict[str, str] = {}
        self._values: Dict[str, Any] = {}

    def name(self, name: str) -> str:
        self._names[f"#{name}"] = name
        return f"#{name}"

    def value(self, value: Any) -> str:
        alias = f":v{len(self._values)}"
        self._values[alias] = attribute(value)
        return alias

    def meanings(self) -> Dict[str, Any]:
        held = {"ExpressionAttributeNames": self._names, "ExpressionAttributeValues": self._values}
        return {name: meaning for name, meaning in held.items() if meaning}

    def condition(self, where: Sequence[Condition]) -> Dict[str, str]:
        if not where:
            return {}
        return {"ConditionExpression": " AND ".join(self._term(*term) for term in where)}

    def update(self, sets: Mapping[str, Any], adds: Mapping[str, int]) -> str:
        settings = ", ".join(f"{self.name(name)} = {self._operand(value)}" for name, value in sets.items())
        additions = ", ".join(f"{self.name(name)} {self.value(value)}" for name, value in adds.items())
        clauses = (("SET", settings), ("ADD", additions))
        return " ".join(f"{verb} {clause}" for verb, clause in clauses if clause)

    def _operand(self, value: Any) -> str:
        return self.name(value) if isinstance(value, Attribute) else self.value(value)

    def _term(self, name: str, operator: str, value: Any) -> str:
        if operator == "absent":
            return f"attribute_not_exists({self.name(name)})"
        if operator == "present":
            return f"attribute_exists({self.name(name)})"
        if operator == "in":
            return f"{self.name(name)} IN ({', '.join(self.value(one) for one in value)})"
        return f"{self.name(name)} {operator} {self.value(value)}"


def _key_of(item: Item) -> Item:
    return {"pk": item["pk"], "sk": item["sk"]}
