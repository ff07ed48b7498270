"""Clients of one region, which record their operations. Each region has its own items: only its clients write them, so
their history must be serializable in the region, whatever replication does. Other items are shared by all regions, and
the greatest version of each must survive.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from atoll.testing.histories import Operation, Read, Write
from atoll.testing.histories.operations import Outcome
from tests.processes.world import TABLE

OWN, SHARED = 4, 30
FRESH_NS = 1_000_000_000

Body = dict[str, Any]
Chain = tuple[str, ...]
REFUSED = {"ConditionalCheckFailedException", "TransactionCanceledException"}


def key(pk: str) -> Body:
    return {"pk": {"S": pk}}


@dataclass
class Session:
    """One client, one request at a time."""

    region: str
    name: str
    client: Any
    random: random.Random
    history: list[Operation] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)
    """The item and value of each acknowledged write of a shared item."""
    count: int = 0

    def run(self, until_ns: int) -> None:
        kinds: list[Callable[[], object]] = [
            self._append,
            self._append,
            self._put_if,
            self._delete,
            self._get,
            self._transact,
            self._read_both,
        ]
        shared: list[Callable[[], object]] = [
            self._put_shared,
            self._put_shared,
            self._update_shared,
            self._delete_shared,
        ]
        while time.monotonic_ns() < until_ns:
            self.random.choice(kinds if self.random.random() < 0.5 else shared)()

    def _value(self) -> str:
        self.count += 1
        return f"{self.name}.{self.count}"

    def _own(self, count: int = 1) -> list[str]:
        turn = time.monotonic_ns() // FRESH_NS % 100_000
        return self.random.sample([f"{self.region}/{turn}/{n}" for n in range(OWN)], count)

    # Items of the region

    def _append_to(self, item: str, value: str) -> Body:
        return {
            "TableName": TABLE,
            "Key": key(item),
            "UpdateExpression": "SET chain = list_append(if_not_exists(chain, :none), :value)",
            "ExpressionAttributeValues": {":none": {"L": []}, ":value": {"L": [{"S": value}]}},
        }

    def _append(self) -> None:
        (item,), value = self._own(), self._value()
        self._call("update_item", self._append_to(item, value), writes=[Write(item, value)])

    def _put_if(self) -> None:
        """A put on condition that the item is as it was read."""
        (item,), value = self._own(), self._value()
        chain = self._get(item)
        if chain is None:
            return
        image = {**key(item), "chain": {"L": [{"S": one} for one in (*chain, value)]}}
        body: Body = {"TableName": TABLE, "Item": image, "ConditionExpression": "attribute_not_exists(pk)"}
        if chain:
            body["ConditionExpression"] = "chain = :seen"
            body["ExpressionAttributeValues"] = {":seen": {"L": [{"S": one} for one in chain]}}
        self._call("put_item", body, writes=[Write(item, value)], held={item: chain})

    def _delete(self) -> None:
        (item,) = self._own()
        body = {"TableName": TABLE, "Key": key(item), "ReturnValues": "ALL_OLD"}
        self._call("delete_item", body, writes=[Write(item, None)], shows=[(item, "Attributes")])

    def _get(self, item: str = "") -> Chain | None:
        item = item or self._own()[0]
        body = {"TableName": TABLE, "Key": key(item), "ConsistentRead": True}
        answer = self._call("get_item", body, shows=[(item, "Item")])
        return None if answer is None else chain_of(answer.get("Item"))

    def _transact(self) -> None:
        items, value = self._own(2), self._value()
        actions = [{"Update": self._append_to(item, value + part)} for item, part in zip(items, "ab", strict=True)]
        writes = [Write(item, value + part) for item, part in zip(items, "ab", strict=True)]
        self._call("transact_write_items", {"TransactItems": actions}, writes=writes)

    def _read_both(self) -> None:
        items = self._own(2)
        body = {"TransactItems": [{"Get": {"TableName": TABLE, "Key": key(item)}} for item in items]}
        self._call("transact_get_items", body, gets=items)

    def _call(
        self,
        name: str,
        body: Body,
        *,
        writes: list[Write] | None = None,
        held: dict[str, Chain] | None = None,
        shows: list[tuple[str, str]] | None = None,
        gets: list[str] | None = None,
    ) -> Body | None:
        invoked = time.monotonic_ns()
        outcome, answer = self._send(name, body)
        completed = None if outcome == "unknown" else time.monotonic_ns()
        reads = dict(held or {}) if outcome == "ok" else {}
        if answer is not None:
            reads |= {item: chain_of(answer.get(member)) for item, member in shows or ()}
            pairs = zip(gets or (), answer.get("Responses", ()), strict=False)
            reads |= {item: chain_of(one.get("Item")) for item, one in pairs}
        recorded = tuple(Read(item, chain) for item, chain in reads.items())
        self.history.append(Operation(name, self.name, invoked, completed, outcome, recorded, tuple(writes or ())))
        return answer

    def _send(self, name: str, body: Body) -> tuple[Outcome, Body | None]:
        try:
            return "ok", getattr(self.client, name)(**body)
        except ClientError as error:
            if error.response["Error"]["Code"] in REFUSED:
                return "failed", None
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500:
                raise
        except BotoCoreError:
            time.sleep(0.02)  # the server is down
        return "unknown", None

    # Items of all regions

    def _put_shared(self) -> None:
        item, value = self._shared_item(), self._value()
        self._write_shared("put_item", item, value, {"TableName": TABLE, "Item": {**key(item), "v": {"S": value}}})

    def _update_shared(self) -> None:
        item, value = self._shared_item(), self._value()
        body = {
            "TableName": TABLE,
            "Key": key(item),
            "UpdateExpression": "SET v = :new ADD n :one",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {":new": {"S": value}, ":one": {"N": "1"}},
        }
        self._write_shared("update_item", item, value, body)

    def _delete_shared(self) -> None:
        self._send("delete_item", {"TableName": TABLE, "Key": key(self._shared_item())})

    def _shared_item(self) -> str:
        return f"shared/{self.random.randrange(SHARED)}"

    def _write_shared(self, name: str, item: str, value: str, body: Body) -> None:
        if self._send(name, body)[0] == "ok":
            self.shared.append((item, value))


def chain_of(row: Body | None) -> Chain:
    return tuple([value["S"] for value in row["chain"]["L"]]) if row else ()
