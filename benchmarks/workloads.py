"""The workloads: tables of 1 KB items, and named series of requests to replay.

There are 2,000 items in 200 partitions of 10. A write replaces an item by a different one, so that no server can answer
from a cache or skip the write.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

PARTITIONS, SORTS = 200, 10
Body = dict[str, Any]
Requests = Iterator[tuple[str, Body]]

GSI = [
    ("by-city", "city", "sk"),
    ("by-status", "status", "visits"),
]
TABLES = ("plain", "indexed", "streamed")


def definition(table: str, units: int | None = None) -> Body:
    """The definition of a table with this throughput; without `units` it is on demand."""
    kinds = {"pk": "S", "sk": "S"}
    throughput: Body = {}
    if units is not None:
        throughput["ProvisionedThroughput"] = {"ReadCapacityUnits": units, "WriteCapacityUnits": units}
    body: Body = {
        "TableName": table,
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "BillingMode": "PROVISIONED" if throughput else "PAY_PER_REQUEST",
        **throughput,
    }
    if table == "indexed":
        kinds |= {"city": "S", "status": "S", "visits": "N"}
        body["GlobalSecondaryIndexes"] = [
            {
                "IndexName": name,
                "KeySchema": [
                    {"AttributeName": partition, "KeyType": "HASH"},
                    {"AttributeName": sort, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
                **throughput,
            }
            for name, partition, sort in GSI
        ]
    if table == "streamed":
        body["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    body["AttributeDefinitions"] = [{"AttributeName": name, "AttributeType": kind} for name, kind in kinds.items()]
    return body


def key(at: int) -> Body:
    return {"pk": {"S": f"customer#{at // SORTS:06d}"}, "sk": {"S": f"order#{at % SORTS:04d}"}}


def item(at: int, chance: random.Random) -> Body:
    """About 1,024 bytes by DynamoDB's formula."""
    return key(at) | {
        "city": {"S": f"city-{at // SORTS % PARTITIONS}"},
        "status": {"S": "shipped" if at % 3 else "open"},
        "visits": {"N": str(chance.randrange(10_000))},
        "paid": {"BOOL": chance.random() < 0.5},
        "lines": {"L": [{"M": {"sku": {"S": f"sku-{n}"}, "count": {"N": str(n + 1)}}} for n in range(4)]},
        "note": {"S": "".join(chance.choices(string.ascii_letters, k=780))},
    }


def load(table: str, count: int = PARTITIONS * SORTS) -> Requests:
    chance = random.Random(0)
    for start in range(0, count, 25):
        puts = [{"PutRequest": {"Item": item(at, chance)}} for at in range(start, min(start + 25, count))]
        yield "BatchWriteItem", {"RequestItems": {table: puts}}


@dataclass(frozen=True)
class Workload:
    name: str
    table: str
    requests: Callable[[str, int], Requests]  # arguments: the table and its number of items
    core: bool = False  # whether --quick measures it
    items: int = 1  # written or read by one request


def _shuffled(count: int, most: int = 2_000) -> list[int]:
    chance = random.Random(1)
    return chance.sample(range(count), min(count, most))


def list_tables(table: str, count: int) -> Requests:
    yield "ListTables", {"Limit": 1}


def get_item(table: str, count: int) -> Requests:
    for at in _shuffled(count, 50_000):
        yield "GetItem", {"TableName": table, "Key": key(at)}


def put_item(table: str, count: int) -> Requests:
    chance = random.Random(2)
    for _ in range(2):
        for at in _shuffled(count, 20_000):
            yield "PutItem", {"TableName": table, "Item": item(at, chance)}


def update_item(table: str, count: int, condition: Body | None = None) -> Requests:
    for at in _shuffled(count):
        yield (
            "UpdateItem",
            {
                "TableName": table,
                "Key": key(at),
                "UpdateExpression": "SET visits = visits + :one, #s = :status",
                "ExpressionAttributeNames": {"#s": "status"},
                "ExpressionAttributeValues": {":one": {"N": "1"}, ":status": {"S": "seen"}},
            }
            | (condition or {}),
        )


def update_on_condition(table: str, count: int) -> Requests:
    return update_item(table, count, {"ConditionExpression": "attribute_exists(pk) AND visits >= :one"})


def query(table: str, count: int) -> Requests:
    for at in _shuffled(count // SORTS):
        yield (
            "Query",
            {
                "TableName": table,
                "KeyConditionExpression": "pk = :p",
                "ExpressionAttributeValues": {":p": key(at * SORTS)["pk"]},
            },
        )


def query_index(table: str, count: int) -> Requests:
    for at in _shuffled(PARTITIONS):
        yield (
            "Query",
            {
                "TableName": table,
                "IndexName": "by-city",
                "KeyConditionExpression": "city = :c",
                "ExpressionAttributeValues": {":c": {"S": f"city-{at}"}},
            },
        )


def batch_write(table: str, count: int) -> Requests:
    chance = random.Random(3)
    for _ in range(3):
        order = _shuffled(count)
        for start in range(0, len(order), 25):
            puts = [{"PutRequest": {"Item": item(at, chance)}} for at in order[start : start + 25]]
            yield "BatchWriteItem", {"RequestItems": {table: puts}}


def transact_write(table: str, count: int) -> Requests:
    chance = random.Random(4)
    order = _shuffled(count)
    for first, second in zip(order[::2], order[1::2], strict=True):
        change = {
            "TableName": table,
            "Key": key(second),
            "UpdateExpression": "SET visits = visits + :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        actions = [{"Put": {"TableName": table, "Item": item(first, chance)}}, {"Update": change}]
        yield "TransactWriteItems", {"TransactItems": actions}


WORKLOADS = [
    Workload("ListTables", "plain", list_tables, core=True),
    Workload("GetItem", "plain", get_item, core=True),
    Workload("PutItem", "plain", put_item, core=True),
    Workload("UpdateItem", "plain", update_item, core=True),
    Workload("Query", "plain", query, core=True, items=10),
    Workload("BatchWriteItem", "plain", batch_write, items=25),
    Workload("TransactWriteItems", "plain", transact_write, items=2),
    Workload("UpdateItem-condition", "plain", update_on_condition),
    Workload("Query-GSI", "indexed", query_index, items=10),
    Workload("PutItem-2-GSI", "indexed", put_item),
    Workload("PutItem-stream", "streamed", put_item),
]


def encoded(requests: Requests) -> Iterator[tuple[str, bytes]]:
    return ((operation, orjson.dumps(body)) for operation, body in requests)
