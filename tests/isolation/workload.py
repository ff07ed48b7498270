"""Clients that record what they do: `workload.py PORT NAME SEED FILE` runs the connections of one process.

It prints a line when it is ready, and reads from its standard input when to stop, in nanoseconds.

All of them work on the same few items, others every second: lists, to which values are appended (by updates, or by puts
of the whole list on condition of its last value), and registers, which are put without asking. Now and then one is
deleted, with or without asking, and the next write makes it anew. Items of a partition can be queried together, also by
their last value, through a local index. Times are those of the machine's monotonic
clock, which all processes share. When the connection breaks a transaction with a token may be sent again; everything
else that was not answered is unknown.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from atoll.testing.histories import Operation, Outcome, Read, Write, dump, load
from benchmarks.client import Answer, Client

TABLE = "isolation"
CONNECTIONS = 3
PARTITIONS = 3
LISTS, REGISTERS = range(4), range(4, 6)
FRESH_NS = 1_000_000_000
REQUESTS_PER_CONNECTION = 100  # the next one may lead to another worker

Body = dict[str, Any]
Chain = tuple[str, ...]

DEFINITION = {
    "TableName": TABLE,
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": type_} for name, type_ in (("pk", "S"), ("sk", "N"), ("tip", "S"))
    ],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "LocalSecondaryIndexes": [
        {
            "IndexName": "by-tip",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "tip", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


# Requests. An item is named "partition/sort"; `chain` is its list, `tip` the last value of that.


def key(item: str) -> Body:
    partition, _, sort = item.rpartition("/")
    return {"pk": {"S": partition}, "sk": {"N": sort}}


def image(item: str, chain: Chain) -> Body:
    return key(item) | {"chain": {"L": [{"S": value} for value in chain]}, "tip": {"S": chain[-1]}}


def chain_of(row: Body | None) -> Chain:
    return tuple([value["S"] for value in row["chain"]["L"]]) if row else ()


def append(item: str, value: str) -> Body:
    return {
        "TableName": TABLE,
        "Key": key(item),
        "UpdateExpression": "SET chain = list_append(if_not_exists(chain, :none), :value), tip = :tip",
        "ExpressionAttributeValues": {":none": {"L": []}, ":value": {"L": [{"S": value}]}, ":tip": {"S": value}},
    }


def put(item: str, chain: Chain) -> Body:
    return {"TableName": TABLE, "Item": image(item, chain)}


def only_if(request: Body, chain: Chain) -> Body:
    """On condition that the item is what was seen. Who refuses has to show what it is instead."""
    condition = {"ConditionExpression": "tip = :seen" if chain else "attribute_not_exists(pk)"}
    values = request.get("ExpressionAttributeValues", {}) | ({":seen": {"S": chain[-1]}} if chain else {})
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return request | condition | shown | ({"ExpressionAttributeValues": values} if values else {})


def is_register(item: str) -> bool:
    return int(item.rpartition("/")[2]) in REGISTERS


class Session:
    """One connection at a time, one request at a time."""

    def __init__(self, port: int, name: str, round_: str, seed: object, until_ns: int) -> None:
        self.history: list[Operation] = []
        self._port, self._name, self._round, self._until_ns = port, name, round_, until_ns
        self._random = random.Random(f"{seed}/{round_}/{name}")
        self._client: Client | None = None
        self._count = 0
        self._seen: dict[str, Chain] = {}
        kinds: dict[Callable[[], None], int] = {
            self._get: 2, self._transact_get: 3, self._query: 2, self._batch_get: 1,
            self._append: 3, self._append_if: 2, self._put_if: 2, self._put_register: 1, self._batch_write: 2,
            self._transact: 6, self._delete: 1, self._delete_if: 1, self._create: 1,
        }  # fmt: skip
        self._kinds, self._weights = list(kinds), list(kinds.values())

    def run(self) -> list[Operation]:
        while time.monotonic_ns() < self._until_ns:
            self._random.choices(self._kinds, self._weights)[0]()
        if self._client is not None:
            self._client.close()
        return self.history

    # Which items and values

    def _partition(self) -> str:
        generation = time.monotonic_ns() // FRESH_NS % 1000
        return f"{self._round}.{generation}.{self._random.randrange(PARTITIONS)}"

    def _items(self, count: int, *, among: Iterable[int] = (*LISTS, *REGISTERS)) -> list[str]:
        partitions = {self._partition() for _ in range(2)}
        return self._random.sample([f"{p}/{sort}" for p in sorted(partitions) for sort in among], count)

    def _value(self) -> str:
        self._count += 1
        return f"{self._name}.{self._count}"

    def _fresh(self, *items: str) -> None:
        """Conditions on what was seen long ago seldom hold, so have a look, most times."""
        if self._random.random() < 0.7:
            self._transact_get(*items)

    # Reads. DynamoDB promises a moment to each item of a Query and of a BatchGetItem; Atoll reads all at the same one.

    def _get(self) -> None:
        item = self._items(1)[0]
        body = {"TableName": TABLE, "Key": key(item), "ConsistentRead": True}
        self._call("GetItem", body, shown=lambda answer: {item: chain_of(answer.get("Item"))})

    def _transact_get(self, *given: str) -> None:
        items = list(given) or self._items(self._random.randint(2, 5))
        body = {"TransactItems": [{"Get": {"TableName": TABLE, "Key": key(item)}} for item in items]}

        def shown(answer: Body) -> dict[str, Chain]:
            rows = [response.get("Item") for response in answer["Responses"]]
            return {item: chain_of(row) for item, row in zip(items, rows, strict=True)}

        self._call("TransactGetItems", body, shown=shown)

    def _query(self) -> None:
        partition = self._partition()
        body = {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": partition}},
            "ConsistentRead": True,
            "ScanIndexForward": self._random.random() < 0.5,
        } | ({"IndexName": "by-tip"} if self._random.random() < 0.5 else {})

        def shown(answer: Body) -> dict[str, Chain]:
            rows = {f"{partition}/{row['sk']['N']}": chain_of(row) for row in answer["Items"]}
            return {name: rows.get(name, ()) for sort in (*LISTS, *REGISTERS) if (name := f"{partition}/{sort}")}

        self._call("Query", body, shown=shown)

    def _batch_get(self) -> None:
        items = self._items(self._random.randint(2, 5))
        body = {"RequestItems": {TABLE: {"Keys": [key(item) for item in items], "ConsistentRead": True}}}

        def shown(answer: Body) -> dict[str, Chain]:
            rows = {f"{row['pk']['S']}/{row['sk']['N']}": chain_of(row) for row in answer["Responses"][TABLE]}
            return {item: rows.get(item, ()) for item in items}

        self._call("BatchGetItem", body, shown=shown)

    # Writes

    def _append(self) -> None:
        item, value = self._items(1, among=LISTS)[0], self._value()
        if self._random.random() < 0.5:
            self._call("UpdateItem", append(item, value), writes=[Write(item, value)])
            return
        body = append(item, value) | {"ReturnValues": "ALL_NEW"}
        writes = [Write(item, value)]
        self._call("UpdateItem", body, writes=writes, shown=lambda answer: {item: chain_of(answer["Attributes"])})

    def _append_if(self) -> None:
        item, value = self._items(1, among=LISTS)[0], self._value()
        self._fresh(item)
        seen = self._seen.get(item, ())
        self._call("UpdateItem", only_if(append(item, value), seen), writes=[Write(item, value)], held={item: seen})

    def _put_if(self) -> None:
        item, value = self._items(1, among=LISTS)[0], self._value()
        self._fresh(item)
        seen = self._seen.get(item, ())
        body = only_if(put(item, (*seen, value)), seen)
        self._call("PutItem", body, writes=[Write(item, value)], held={item: seen})

    def _put_register(self) -> None:
        item, value = self._items(1, among=REGISTERS)[0], self._value()
        self._call("PutItem", put(item, (value,)), writes=[Write(item, value, replaces=True)])

    def _delete(self) -> None:
        item = self._items(1)[0]
        body = {"TableName": TABLE, "Key": key(item)}
        if self._random.random() < 0.3:
            self._call("DeleteItem", body, writes=[Write(item, None)])
            return
        body["ReturnValues"] = "ALL_OLD"
        writes = [Write(item, None)]
        self._call("DeleteItem", body, writes=writes, shown=lambda answer: {item: chain_of(answer.get("Attributes"))})

    def _delete_if(self) -> None:
        item = self._items(1)[0]
        self._fresh(item)
        seen = self._seen.get(item, ())
        body = only_if({"TableName": TABLE, "Key": key(item)}, seen)
        self._call("DeleteItem", body, writes=[Write(item, None)], held={item: seen})

    def _create(self) -> None:
        """Refused where the item is there, most times; so look for one that is not."""
        items, value = self._items(3, among=LISTS), self._value()
        self._fresh(*items)
        item = next((item for item in items if not self._seen.get(item)), items[0])
        self._call("PutItem", only_if(put(item, (value,)), ()), writes=[Write(item, value)], held={item: ()})

    def _batch_write(self) -> None:
        writes, requests = [], []
        for item in self._items(2, among=REGISTERS):
            if self._random.random() < 0.1:
                writes.append(Write(item, None))
                requests.append({"DeleteRequest": {"Key": key(item)}})
            else:
                value = self._value()
                writes.append(Write(item, value, replaces=True))
                requests.append({"PutRequest": {"Item": image(item, (value,))}})
        self._call("BatchWriteItem", {"RequestItems": {TABLE: requests}}, writes=writes, atomic=False)

    def _transact(self) -> None:
        items = self._items(self._random.randint(2, 4))
        self._fresh(*items)
        actions: list[Body] = []
        writes: list[Write] = []
        held: dict[str, Chain] = {}
        for item in items:
            kind = self._kind_of_action(item)
            action, write = self._action(kind, item)
            actions.append(action)
            if write is not None:
                writes.append(write)
            if kind in ("check", "append if", "put if", "delete if"):
                held[item] = self._seen.get(item, ())
        token = {"ClientRequestToken": f"{self._round}.{self._value()}"} if self._random.random() < 0.7 else {}
        body = {"TransactItems": actions, **token}
        self._call("TransactWriteItems", body, writes=writes, held=held, again=bool(token), items=items)

    def _kind_of_action(self, item: str) -> str:
        if self._random.random() < 0.1:
            return self._random.choice(["delete", "delete if"])
        if is_register(item):
            return self._random.choice(["check", "put"])
        return self._random.choices(["check", "append", "append if", "put if"], [2, 4, 1, 1])[0]

    def _action(self, kind: str, item: str) -> tuple[Body, Write | None]:
        at, value, seen = {"TableName": TABLE, "Key": key(item)}, self._value(), self._seen.get(item, ())
        if kind == "check":
            return {"ConditionCheck": only_if(at, seen)}, None
        if kind == "put":
            return {"Put": put(item, (value,))}, Write(item, value, replaces=True)
        if kind == "append":
            return {"Update": append(item, value)}, Write(item, value)
        if kind == "append if":
            return {"Update": only_if(append(item, value), seen)}, Write(item, value)
        if kind == "put if":
            return {"Put": only_if(put(item, (*seen, value)), seen)}, Write(item, value)
        return {"Delete": only_if(at, seen) if kind == "delete if" else at}, Write(item, None)

    # Sending and recording

    def _call(
        self,
        name: str,
        body: Body,
        *,
        writes: Iterable[Write] = (),
        held: dict[str, Chain] | None = None,
        shown: Callable[[Body], dict[str, Chain]] = lambda answer: {},
        items: list[str] | None = None,
        atomic: bool = True,
        again: bool = False,
    ) -> None:
        """`held` is what conditions say about items, `shown` tells what the answer does, `items` are those of the
        actions of a transaction. A request that may be sent `again` is, until it is answered."""
        if not self._connect():
            return
        invoked = time.monotonic_ns()
        answer = self._send(name, body)
        while answer is None and again and self._connect():
            answer = self._send(name, body)
        completed = time.monotonic_ns() if answer is not None else None
        outcome: Outcome = "unknown" if answer is None else "ok" if answer.ok else "failed"
        reads = held or {}
        if answer is not None:
            reads = reads | shown(answer.body) if answer.ok else refusals(answer, items or list(reads))
            self._seen |= reads
        recorded = tuple([Read(item, chain) for item, chain in reads.items()])
        self.history.append(Operation(name, self._name, invoked, completed, outcome, recorded, tuple(writes), atomic))
        if len(self.history) % REQUESTS_PER_CONNECTION == 0:
            self._disconnect()

    def _send(self, name: str, body: Body) -> Answer | None:
        """None if the connection broke before there was an answer."""
        assert self._client is not None
        try:
            return self._client.call(name, body)
        except OSError:
            self._disconnect()
            return None

    def _connect(self) -> bool:
        """Whether there is a connection. While the server restarts this takes a while."""
        while self._client is None and time.monotonic_ns() < self._until_ns:
            try:
                self._client = Client(self._port)
            except OSError:
                time.sleep(0.005)
        return self._client is not None

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def refusals(answer: Answer, items: list[str]) -> dict[str, Chain]:
    """The items that a refused write returned: those whose conditions failed."""
    if answer.code == "ConditionalCheckFailedException":
        return {item: chain_of(answer.body.get("Item")) for item in items[:1]}
    if answer.code != "TransactionCanceledException":
        raise RuntimeError(f"unexpected answer: {answer}")
    reasons = zip(items, answer.body["CancellationReasons"], strict=True)
    codes = {reason["Code"] for reason in answer.body["CancellationReasons"]}
    if not codes <= {"None", "ConditionalCheckFailed"}:
        raise RuntimeError(f"unexpected answer: {answer}")
    return {item: chain_of(reason.get("Item")) for item, reason in reasons if reason["Code"] != "None"}


# Processes


def sessions(port: int, name: str, seed: object, until_ns: int) -> list[Operation]:
    """The connections of one process; `name` is "round-process"."""
    round_, _, process = name.partition("-")
    made = [Session(port, f"{process}{thread}", round_, seed, until_ns) for thread in range(CONNECTIONS)]
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return [operation for history in pool.map(Session.run, made) for operation in history]


class Processes:
    """The same in several processes."""

    def __init__(self, port: int, count: int, round_: str, seed: object, directory: Path) -> None:
        self._files = [directory / f"{round_}-{number}.jsonl" for number in range(count)]
        self._processes = [
            subprocess.Popen(
                [sys.executable, __file__, str(port), f"{round_}-{letter}", str(seed), str(file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            for letter, file in zip("abcdefgh", self._files, strict=False)
        ]

    def start(self, seconds: float) -> None:
        """When all are ready, so that they work at the same time."""
        for process in self._processes:
            assert process.stdout and process.stdout.readline(), "a client process did not start"
        until_ns = time.monotonic_ns() + int(seconds * 1e9)
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{until_ns}\n".encode())
            process.stdin.flush()

    def wait(self, seconds: float) -> bool:
        """Whether the load continues after this time."""
        try:
            self._processes[0].wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def history(self) -> list[Operation]:
        codes = [process.wait(60) for process in self._processes]
        assert not any(codes), "a client process failed"
        return [operation for file in self._files for operation in load(file.read_bytes())]

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


if __name__ == "__main__":
    port, name, seed, file = sys.argv[1:]
    print("ready", flush=True)
    Path(file).write_bytes(dump(sessions(int(port), name, seed, int(sys.stdin.readline()))))
