"""A load whose every outcome is known: the data that a killed server must still have afterwards.

Each writer owns its keys and has one request in flight, so after a kill an item is what the writer's last answer said,
or what the one unanswered request would have made of it; nothing else and nothing in between. Two things are shared by
all writers: a counter, incremented on condition of its version, and pairs of items written by transactions.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.client import Answer, Client

TABLE = "crash"
KEYS = 24  # of each writer
Item = dict[str, Any]
State = Item | None

DEFINITION = {
    "TableName": TABLE,
    "AttributeDefinitions": [
        {"AttributeName": n, "AttributeType": t} for n, t in (("pk", "S"), ("sk", "N"), ("a", "S"), ("b", "S"))
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-a",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "a", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-b",
            "KeySchema": [{"AttributeName": "b", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
COUNTER = {"pk": {"S": "counter"}, "sk": {"N": "0"}}


@dataclass
class Writer:
    """One connection's keys: `known` is what answers said, `doubtful` what the unanswered request may have done."""

    name: str
    random: random.Random
    known: dict[str, State] = field(default_factory=dict)
    doubtful: dict[str, State] = field(default_factory=dict)
    versions: list[int] = field(default_factory=list)  # of the counter, those that this writer was told it wrote
    acknowledged: int = 0

    def run(self, port: int, progress: Callable[[], None]) -> None:
        """Write until the server is gone."""
        try:
            with Client(port) as client:
                while True:
                    self._one(client)
                    self.acknowledged += 1
                    progress()
        except (ConnectionError, TimeoutError, OSError):
            return

    def _one(self, client: Client) -> None:
        kind = self.random.choice(["put", "put", "update", "update", "delete", "pair", "counter"])
        if kind == "counter":
            self._increment(client)
        elif kind == "pair":
            self._pair(client)
        else:
            sort = str(self.random.randrange(KEYS))
            old = self.known.get(sort)
            operation, body, new = getattr(self, f"_{kind}")(sort, old)
            self._write(client, operation, body, {sort: new})

    def _write(self, client: Client, operation: str, body: Any, after: dict[str, State]) -> None:
        self.doubtful = after
        expect(client.call(operation, body))
        self.known |= after
        self.doubtful = {}

    def key(self, sort: str) -> Item:
        return {"pk": {"S": self.name}, "sk": {"N": sort}}

    def _new(self, sort: str) -> Item:
        item = self.key(sort) | {
            "v": {"N": str(self.random.randrange(10**9))},
            "pad": {"S": "x" * self.random.randrange(900)},
        }
        for attribute in ("a", "b"):
            if self.random.random() < 0.8:
                item[attribute] = {"S": self.random.choice("pqrst")}
        return item

    def _put(self, sort: str, old: State) -> tuple[str, Any, State]:
        new = self._new(sort)
        return "PutItem", {"TableName": TABLE, "Item": new}, new

    def _delete(self, sort: str, old: State) -> tuple[str, Any, State]:
        return "DeleteItem", {"TableName": TABLE, "Key": self.key(sort)}, None

    def _update(self, sort: str, old: State) -> tuple[str, Any, State]:
        """Moves the item in one index, drops it from the other."""
        letter, count = {"S": self.random.choice("pqrst")}, {"N": str(int((old or {}).get("n", {"N": "0"})["N"]) + 1)}
        body = {
            "TableName": TABLE,
            "Key": self.key(sort),
            "UpdateExpression": "SET a = :a, n = if_not_exists(n, :zero) + :one REMOVE b",
            "ExpressionAttributeValues": {":a": letter, ":zero": {"N": "0"}, ":one": {"N": "1"}},
        }
        kept = {name: value for name, value in (old or self.key(sort)).items() if name != "b"}
        return "UpdateItem", body, kept | {"a": letter, "n": count}

    def _pair(self, client: Client) -> None:
        """Two items in one transaction: both are there or neither."""
        first, second = self.random.sample(range(KEYS), 2)
        new = {str(sort): self._new(str(sort)) for sort in (first, second)}
        actions = [{"Put": {"TableName": TABLE, "Item": item}} for item in new.values()]
        self._write(client, "TransactWriteItems", {"TransactItems": actions}, dict(new))

    def _increment(self, client: Client) -> None:
        read = expect(client.call("GetItem", {"TableName": TABLE, "Key": COUNTER, "ConsistentRead": True}))
        version = int(read.body.get("Item", {}).get("version", {"N": "0"})["N"])
        body = {
            "TableName": TABLE,
            "Key": COUNTER,
            "UpdateExpression": "SET version = :new",
            "ConditionExpression": "version = :old" if version else "attribute_not_exists(version)",
            "ExpressionAttributeValues": {":new": {"N": str(version + 1)}}
            | ({":old": {"N": str(version)}} if version else {}),
        }
        answer = client.call("UpdateItem", body)
        if answer.code != "ConditionalCheckFailedException":
            expect(answer)
            self.versions.append(version + 1)

    def agree(self, found: dict[str, Item]) -> None:
        """The store has what this writer knows; from here on that is known which was doubtful."""
        if self.doubtful and all(found.get(sort) == item for sort, item in self.doubtful.items()):
            self.known |= self.doubtful
        self.doubtful = {}
        expected = {sort: item for sort, item in self.known.items() if item is not None}
        assert found == expected, difference(expected, found)


def difference(expected: dict[str, Item], found: dict[str, Item]) -> str:
    lines = ["an acknowledged write is not what the store has:"]
    for sort in sorted(expected.keys() | found.keys()):
        if expected.get(sort) != found.get(sort):
            lines.append(f"  {sort}: expected {expected.get(sort)}\n      found    {found.get(sort)}")
    return "\n".join(lines)


def expect(answer: Answer) -> Answer:
    assert answer.ok, answer
    return answer


def run_until(writers: list[Writer], port: int, acknowledged: int, kill: Callable[[], None]) -> None:
    """All writers at once; kill the server when so many more writes have been answered."""
    target = sum(writer.acknowledged for writer in writers) + acknowledged
    reached = threading.Event()

    def progress() -> None:
        if sum(writer.acknowledged for writer in writers) >= target:
            reached.set()

    failures: list[BaseException] = []

    def run(writer: Writer) -> None:
        try:
            writer.run(port, progress)
        except BaseException as failure:
            failures.append(failure)
            reached.set()

    threads = [threading.Thread(target=run, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    in_time = reached.wait(timeout=60)
    kill()
    for thread in threads:
        thread.join(timeout=60)
    if failures:
        raise failures[0]
    assert in_time, "the load made no progress"


def scan(client: Client, index: str | None = None) -> list[Item]:
    body: Item = {"TableName": TABLE} | ({"IndexName": index} if index else {"ConsistentRead": True})
    items: list[Item] = []
    while True:
        page = expect(client.call("Scan", body)).body
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        body["ExclusiveStartKey"] = page["LastEvaluatedKey"]
