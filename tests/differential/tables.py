"""The tables that generated requests work on, and the few keys that their items have.

A scenario begins by `contents`: one batch that writes or deletes *every* key, so that no example sees what an earlier
one left and a shrunk example means the same as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from tests.differential.values import Value, attributes, chance

THROUGHPUT = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}


@dataclass(frozen=True)
class Step:
    """One request. `walk` follows its pages to the end and compares the whole; `unordered` ignores the order of items,
    `ties` only among items that are equal in that attribute; `within` compares it within equal values of that one."""

    operation: str
    body: Any
    walk: bool = False
    unordered: bool = False
    ties: str | None = None
    within: str | None = None


@dataclass(frozen=True)
class Index:
    name: str
    partition: str
    sort: str | None
    projection: dict[str, Any]
    is_local: bool = False


@dataclass(frozen=True)
class Table:
    name: str
    types: dict[str, str]  # of every key attribute
    partition: str
    sort: str | None
    partitions: list[str]
    sorts: list[str]
    indexes: tuple[Index, ...] = ()
    wild: int = 10  # percent of attributes that have another type than usual

    @property
    def keys(self) -> list[dict[str, Value]]:
        return [
            {self.partition: {self.types[self.partition]: partition}}
            | ({} if self.sort is None else {self.sort: {self.types[self.sort]: sort}})
            for partition in self.partitions
            for sort in (self.sorts or [""])
        ]

    @property
    def key_names(self) -> tuple[str, ...]:
        return (self.partition,) if self.sort is None else (self.partition, self.sort)

    def held(self, index: Index) -> frozenset[str]:
        """The attributes that an index projects; empty if it projects all."""
        if index.projection["ProjectionType"] == "ALL":
            return frozenset()
        names = (*self.key_names, index.partition, index.sort, *index.projection.get("NonKeyAttributes", []))
        return frozenset(name for name in names if name is not None)

    @property
    def definition(self) -> dict[str, Any]:
        """The body of CreateTable."""
        body: dict[str, Any] = {
            "TableName": self.name,
            "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in self.types.items()],
            "KeySchema": key_schema(self.partition, self.sort),
            "BillingMode": "PAY_PER_REQUEST",
        }
        for member, is_local in (("LocalSecondaryIndexes", True), ("GlobalSecondaryIndexes", False)):
            indexes = [
                {"IndexName": i.name, "KeySchema": key_schema(i.partition, i.sort), "Projection": i.projection}
                for i in self.indexes
                if i.is_local == is_local
            ]
            if indexes:
                body[member] = indexes
        return body

    def item(self, random: Random, *, most: int = 6) -> dict[str, Value]:
        return random.choice(self.keys) | attributes(random, wild=self.wild, most=most)

    def contents(self, random: Random, *, least: int = 0, most: int = 6) -> Step:
        requests = []
        taken: set[tuple[str, ...]] = set()
        for key in self.keys:
            if chance(random, 65):
                found = self.indexable(attributes(random, wild=self.wild, least=least, most=most))
                found = self.untied(key[self.partition], found, taken)
                requests.append({"PutRequest": {"Item": key | found}})
            else:
                requests.append({"DeleteRequest": {"Key": key}})
        return Step("BatchWriteItem", {"RequestItems": {self.name: requests}})

    def indexable(self, found: dict[str, Value]) -> dict[str, Value]:
        """Without what cannot be an index key: such a batch would be refused as a whole."""
        return {name: value for name, value in found.items() if name not in self.types or value.get(self.types[name])}

    def untied(self, partition: Value, found: dict[str, Value], taken: set[tuple[str, ...]]) -> dict[str, Value]:
        """Without what another item of the partition has in a local index, `taken`: DynamoDB Local orders equal ones by
        a hash."""
        left = dict(found)
        for name in {index.sort for index in self.indexes if index.is_local and index.sort} & found.keys():
            ((kind, content),) = found[name].items()
            place = (*partition.values(), name, str(Decimal(content).normalize()) if kind == "N" else content)
            if place in taken:
                del left[name]
            taken.add(place)
        return left


def key_schema(partition: str, sort: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": partition, "KeyType": "HASH"}]
    return schema if sort is None else [*schema, {"AttributeName": sort, "KeyType": "RANGE"}]


ALL = {"ProjectionType": "ALL"}
KEYS_ONLY = {"ProjectionType": "KEYS_ONLY"}

PLAIN = Table("plain", {"pk": "S"}, "pk", None, ["p", "q", "é"], [])
RANGED = Table("ranged", {"pk": "S", "sk": "S"}, "pk", "sk", ["p", "q"], ["B", "a", "ab", "b", "é", "😀"])
NUMBERED = Table(
    "numbered", {"pk": "N", "sk": "N"}, "pk", "sk", ["0", "-5"], ["-100", "-1.5", "0", "0.001", "1", "2", "10", "1000"]
)
BINARY = Table("binary", {"pk": "B", "sk": "B"}, "pk", "sk", ["YQ==", "/w=="], ["AA==", "YQ==", "YWI=", "Yg==", "/w=="])
INDEXED = Table(
    "indexed",
    {"pk": "S", "sk": "N", "a": "S", "b": "S", "i": "N", "bin": "B"},
    "pk",
    "sk",
    ["p", "q"],
    ["-2", "0", "1", "1.5", "10", "300"],
    (
        Index("by-a", "pk", "a", ALL, is_local=True),
        Index("by-i", "pk", "i", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n", "m"]}, is_local=True),
        Index("by-bin", "pk", "bin", KEYS_ONLY, is_local=True),
        Index("b-i", "b", "i", ALL),
        Index("only-b", "b", None, KEYS_ONLY),
        Index("a-sk", "a", "sk", {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["l", "x-y"]}),
    ),
    wild=2,
)
TABLES = [PLAIN, RANGED, NUMBERED, BINARY, INDEXED]

# Every spelling of the same number is the same key.
SPELLINGS = {
    "0": ["-0", "0.0", "0e3"],
    "1000": ["1e3", "1000.0", "01000"],
    "1": ["1.00", "10e-1"],
    "-1.5": ["-1.50", "-15E-1"],
}


def respell(random: Random, key: dict[str, Value]) -> dict[str, Value]:
    return {
        name: {"N": random.choice(SPELLINGS[value["N"]])}
        if value.get("N") in SPELLINGS and chance(random, 30)
        else value
        for name, value in key.items()
    }
