"""A write reads its item once, whether it is made or refused: charging for it needs no second read."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from atoll import errors
from atoll.database.region import Settings
from atoll.database.schema import Index, Table
from atoll.errors.capacity import THROTTLED
from atoll.errors.multi import Cancelled
from atoll.storage.buffer import Buffer
from atoll.storage.engine import Engine, Snapshot, T, Transaction
from tests.api.conftest import Service


class Counted:
    """A snapshot, or a transaction, that notes which rows it is asked for."""

    def __init__(self, base: Any, asked: Counter[bytes]) -> None:
        self._base, self._asked = base, asked

    def __getattr__(self, name: str) -> Any:
        return getattr(self._base, name)

    def get(self, key: bytes) -> Any:
        self._asked[key] += 1
        return self._base.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Any:
        self._asked.update(keys)
        return self._base.get_many(keys)


class Counting:
    """The engine below, with the number of times that each row was asked for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.lease, self.close, self.size, self.give_back = engine.lease, engine.close, engine.size, engine.give_back
        self.asked: Counter[bytes] = Counter()

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        return await self._engine.read(lambda snapshot: fn(Counted(snapshot, self.asked)))

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        return await self._engine.transact(lambda tx: fn(Counted(tx, self.asked)))


def limited(units: int) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": units, "WriteCapacityUnits": units}}


def item(name: str, kilobytes: int = 0, **more: Any) -> dict[str, Any]:
    return {"pk": {"S": name}, "x": {"S": "x" * kilobytes * 1024}, **more}


def key(name: str) -> dict[str, Any]:
    return {"TableName": "Things", "Key": {"pk": {"S": name}}}


def put(name: str, **more: Any) -> dict[str, Any]:
    return {"TableName": "Things", "Item": item(name, **more)}


ABSENT = {"ConditionExpression": "attribute_not_exists(pk)"}


class Twice(Counting):
    """Runs each function twice, as an engine may do."""

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        def both(tx: Transaction) -> T:
            with contextlib.suppress(errors.ApiError, Cancelled):
                fn(Buffer(tx))
            return fn(tx)

        return await self._engine.transact(both)


class Throttled:
    """An observer that lists the keys of throttled requests."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def throttled(self, table: Table, index: Index | None, key: bytes) -> None:
        self.keys.append(key)

    def conditional(self, table: Table, key: bytes, *, failed: bool) -> None:
        pass


class CountedThings:
    """The table `Things` with the item `there` and an index by g, which is exhausted if anything limits it."""

    def __init__(self, *, is_limited: bool) -> None:
        self.service = Service(Settings())
        self.engine = self.service.region.engine = Counting(self.service.region.engine)
        keys = [{"AttributeName": "g", "KeyType": "HASH"}]
        index = {"IndexName": "by-g", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
        if is_limited:
            index |= limited(1)
        table = {"BillingMode": "PROVISIONED", **limited(3)} if is_limited else {}
        self.service.table(types={"g": "S"}, GlobalSecondaryIndexes=[index], **table)
        self.service.put_item(**put("large", kilobytes=300, g={"S": "g"}))
        self.service.put_item(**put("there"))

    def looks(self, operation: str, **body: Any) -> tuple[str | None, list[int]]:
        """The code of the refusal, if there is one, and how often each row that was asked for was asked for."""
        self.engine.asked.clear()
        try:
            self.service.request(operation, body)
            code = None
        except errors.ApiError as refusal:
            code = refusal.code
        return code, list(self.engine.asked.values())


@pytest.fixture(params=[False, True], ids=["on demand", "limited"])
def world(request: pytest.FixtureRequest) -> CountedThings:
    return CountedThings(is_limited=request.param)


@pytest.fixture
def limited_world() -> CountedThings:
    return CountedThings(is_limited=True)


class TestSingleWrites:
    @pytest.mark.parametrize(
        ("operation", "body", "code"),
        [
            ("PutItem", {**put("there"), **ABSENT}, "ConditionalCheckFailedException"),
            ("PutItem", {**put("there", g={"S": "h"}), **ABSENT}, "ConditionalCheckFailedException"),
            ("DeleteItem", {**key("large"), **ABSENT}, "ConditionalCheckFailedException"),
            ("UpdateItem", {**key("there"), **ABSENT}, "ConditionalCheckFailedException"),
            ("ExecuteStatement", {"Statement": "INSERT INTO Things VALUE {'pk': 'there'}"}, "DuplicateItemException"),
            ("ExecuteStatement", {"Statement": "DELETE FROM Things WHERE pk = 'there' AND x = 1"},
             "ConditionalCheckFailedException"),
        ],
    )  # fmt: skip
    def test_write_that_its_condition_refuses(self, world: CountedThings, operation: str, body: Any, code: str) -> None:
        assert world.looks(operation, **body) == (code, [1])

    def test_write_that_is_made(self, world: CountedThings) -> None:
        assert world.looks("PutItem", **put("there", kilobytes=1)) == (None, [1])
        assert world.looks("DeleteItem", **key("none"), **ABSENT) == (None, [1])

    def test_write_to_an_exhausted_index(self, limited_world: CountedThings) -> None:
        code = "ProvisionedThroughputExceededException"
        assert limited_world.looks("DeleteItem", **key("large")) == (code, [1])

    def test_write_to_an_exhausted_table_reads_nothing(self, limited_world: CountedThings) -> None:
        limited_world.service.put_item(**put("last", kilobytes=390))
        limited_world.service.put_item(**put("last"))
        code = "ProvisionedThroughputExceededException"
        assert limited_world.looks("PutItem", **put("there")) == (code, [])


class TestTransactions:
    def test_write_that_a_condition_cancels(self, world: CountedThings) -> None:
        actions = [
            {"Put": {**put("new"), **ABSENT}},
            {"Put": {**put("there"), **ABSENT}},
            {"ConditionCheck": {**key("none"), "ConditionExpression": "attribute_exists(pk)"}},
            {"Update": {**key("large"), "UpdateExpression": "SET y = pk", **ABSENT}},
        ]
        assert world.looks("TransactWriteItems", TransactItems=actions) == ("TransactionCanceledException", [1] * 4)

    def test_write_that_is_made(self, world: CountedThings) -> None:
        actions = [{"Put": put("new")}, {"Delete": key("there")}]
        assert world.looks("TransactWriteItems", TransactItems=actions) == (None, [1, 1])

    def test_write_to_an_exhausted_index(self, limited_world: CountedThings) -> None:
        actions = [{"Put": {**put("there"), **ABSENT}}, {"Delete": key("large")}]
        looks = limited_world.looks("TransactWriteItems", TransactItems=actions)
        assert looks == ("TransactionCanceledException", [1, 1])


def test_a_batch_of_which_not_all_is_admitted(limited_world: CountedThings) -> None:
    requests = [{"PutRequest": {"Item": item("new")}}, {"DeleteRequest": {"Key": {"pk": {"S": "large"}}}}]
    assert limited_world.looks("BatchWriteItem", RequestItems={"Things": requests}) == (None, [1, 1])


def test_throttled_writes_are_observed_once_though_their_functions_run_twice() -> None:
    service = Service(Settings())
    service.region.engine = Twice(service.region.engine)
    observer = service.region.observer = Throttled()
    service.table(BillingMode="PROVISIONED", **limited(1))
    for _ in range(3):  # the whole burst
        service.put_item(**put("a", kilobytes=99))
    assert service.refused("PutItem", **put("a")).code in THROTTLED
    assert service.refused("DeleteItem", **key("b")).code in THROTTLED
    transaction = [{"Put": put("c")}, {"Put": put("d")}]
    assert service.refused("TransactWriteItems", TransactItems=transaction).code == "TransactionCanceledException"
    requests = {"Things": [{"PutRequest": {"Item": item("e")}}, {"DeleteRequest": {"Key": key("f")["Key"]}}]}
    assert service.refused("BatchWriteItem", RequestItems=requests).code in THROTTLED
    assert service.refused("ExecuteStatement", Statement="DELETE FROM Things WHERE pk='g'").code in THROTTLED
    found = {name: sum(f"{name}\0".encode() in one for one in observer.keys) for name in "abcdefg"}
    assert found == dict.fromkeys("abcdefg", 1)
