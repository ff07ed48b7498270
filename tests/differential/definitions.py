"""The family of table operations: definitions right and wrong, changes of them, and what a description says."""

from __future__ import annotations

from typing import Any

from differential.tables import Step, key_schema
from differential.values import Draw, chance, one_of
from hypothesis import strategies as st

Body = dict[str, Any]
NAME = "made"
NAMES = ["pk", "sk", "a", "b", "c"]
PROJECTIONS: list[Body] = [
    {"ProjectionType": "ALL"},
    {"ProjectionType": "KEYS_ONLY"},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x", "y"]},
]
ODD_PROJECTIONS: list[Body] = [
    {},
    {"ProjectionType": "INCLUDE"},
    {"ProjectionType": "ALL", "NonKeyAttributes": ["x"]},
    {"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": ["x"]},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": []},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x", "x"]},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["pk"]},
    {"ProjectionType": "SOME"},
    {"NonKeyAttributes": ["x"]},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": [f"x{at}" for at in range(21)]},
    {"ProjectionType": "INCLUDE", "NonKeyAttributes": [""]},
]
ODD_SCHEMAS: list[list[Body]] = [
    [],
    [{"AttributeName": "pk", "KeyType": "RANGE"}],
    [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "HASH"}],
    [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}],
    [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "pk", "KeyType": "RANGE"}],
    [{"AttributeName": "pk", "KeyType": "hash"}],
    [{"AttributeName": "pk"}],
    [{"KeyType": "HASH"}],
    [{"AttributeName": "", "KeyType": "HASH"}],
    [*key_schema("pk", "sk"), {"AttributeName": "a", "KeyType": "RANGE"}],
]
THROUGHPUTS: list[Body] = [
    {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    {"ReadCapacityUnits": 5, "WriteCapacityUnits": 7},
]
ODD_THROUGHPUTS: list[Body] = [
    {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
    {"ReadCapacityUnits": -1, "WriteCapacityUnits": -1},
    {"ReadCapacityUnits": 1},
    {},
    {"ReadCapacityUnits": 1_000_000_000_001, "WriteCapacityUnits": 1},
]
ODD_MEMBERS: list[Body] = [
    {"TableName": ""},
    {"TableName": "ab"},
    {"TableName": "a b"},
    {"TableName": "x" * 256},
    {"TableName": "plain"},
    {"AttributeDefinitions": []},
    {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "X"}]},
    {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "BOOL"}]},
    {"AttributeDefinitions": [{"AttributeName": "pk"}]},
    {"AttributeDefinitions": [{"AttributeName": "zz", "AttributeType": "S"}]},
    {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}] * 2},
    {"BillingMode": "FREE"},
    {"BillingMode": "PROVISIONED"},
    {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": THROUGHPUTS[0]},
    {"StreamSpecification": {"StreamEnabled": True}},
    {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"}},
    {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "ALL"}},
    {"StreamSpecification": {}},
    {"LocalSecondaryIndexes": []},
    {"GlobalSecondaryIndexes": []},
]


def throughput(draw: Draw[Any]) -> Body:
    return one_of(draw, ODD_THROUGHPUTS if chance(draw, 4) else THROUGHPUTS)


def index(draw: Draw[Any], name: str, partition: str, sort: str | None, *, provisioned: bool) -> Body:
    schema = one_of(draw, ODD_SCHEMAS) if chance(draw, 3) else key_schema(partition, sort)
    projection = one_of(draw, ODD_PROJECTIONS if chance(draw, 8) else PROJECTIONS)
    found: Body = {"IndexName": name, "KeySchema": schema, "Projection": projection}
    if provisioned != chance(draw, 3):
        found["ProvisionedThroughput"] = throughput(draw)
    return found


def index_name(draw: Draw[Any], at: int) -> str:
    return one_of(draw, ["x", "", "a b", "same", "y" * 256]) if chance(draw, 4) else f"index-{at}"


def definition(draw: Draw[Any]) -> Body:
    sort = one_of(draw, [None, "sk", "sk"])
    provisioned = chance(draw, 50)
    body: Body = {
        "TableName": NAME,
        "KeySchema": one_of(draw, ODD_SCHEMAS) if chance(draw, 8) else key_schema("pk", sort),
    }
    if provisioned:
        body["ProvisionedThroughput"] = throughput(draw)
    if not provisioned or chance(draw, 30):
        body["BillingMode"] = "PROVISIONED" if provisioned else "PAY_PER_REQUEST"
    if (sort and chance(draw, 40)) or chance(draw, 3):
        count = one_of(draw, [1, 2, 6] if chance(draw, 10) else [1, 2])
        partition = one_of(draw, NAMES) if chance(draw, 4) else "pk"
        body["LocalSecondaryIndexes"] = [
            index(
                draw,
                index_name(draw, at),
                partition,
                one_of(draw, ["a", "b", None] if chance(draw, 10) else ["a", "b"]),
                provisioned=False,
            )
            for at in range(count)
        ]
    if chance(draw, 40):
        count = one_of(draw, [1, 2, 21] if chance(draw, 8) else [1, 2])
        body["GlobalSecondaryIndexes"] = [
            index(
                draw,
                index_name(draw, 10 + at),
                one_of(draw, NAMES),
                one_of(draw, [None, "a", "b"]),
                provisioned=provisioned,
            )
            for at in range(count)
        ]
    if chance(draw, 25):
        view = one_of(draw, ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
        body["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    if chance(draw, 15):
        body["DeletionProtectionEnabled"] = False
    body["AttributeDefinitions"] = attribute_definitions(draw, body)
    if chance(draw, 20):
        body |= one_of(draw, ODD_MEMBERS)
    if chance(draw, 5):
        body.pop(one_of(draw, list(body)))
    return body


def attribute_definitions(draw: Draw[Any], body: Body) -> list[Body]:
    """Those that the schemas name; now and then one more or less."""
    schemas = [body["KeySchema"]] + [
        described["KeySchema"]
        for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
        for described in body.get(member, [])
    ]
    used = sorted({element["AttributeName"] for schema in schemas for element in schema if "AttributeName" in element})
    if chance(draw, 5):
        used = used[:-1] if draw(st.booleans()) else [*used, "unused"]
    return [{"AttributeName": name, "AttributeType": one_of(draw, ["S", "N", "B"])} for name in used]


def change(draw: Draw[Any]) -> Body:
    changes: list[Body] = [
        {},
        {"ProvisionedThroughput": throughput(draw)},
        {"BillingMode": "PAY_PER_REQUEST"},
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput(draw)},
        {"BillingMode": "PROVISIONED"},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}},
        {"StreamSpecification": {"StreamEnabled": False}},
        {"DeletionProtectionEnabled": False},
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]},
        {"GlobalSecondaryIndexUpdates": []},
        {"GlobalSecondaryIndexUpdates": [{}]},
        {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": one_of(draw, ["index-10", "none"])}}]},
        {
            "GlobalSecondaryIndexUpdates": [
                {"Update": {"IndexName": "index-10", "ProvisionedThroughput": throughput(draw)}}
            ]
        },
        {
            "AttributeDefinitions": [{"AttributeName": one_of(draw, ["c", "d"]), "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [
                {"Create": index(draw, "index-new", "c", None, provisioned=chance(draw, 50))}
            ],
        },
    ]
    found = one_of(draw, changes)
    if chance(draw, 10):
        found = one_of(draw, changes) | found
    return {"TableName": NAME if chance(draw, 95) else "unknown"} | found


@st.composite
def definitions(draw: Draw[Any]) -> list[Step]:
    described = Step("DescribeTable", {"TableName": NAME})
    steps = [Step("DeleteTable", {"TableName": NAME})]
    for _ in range(draw(st.integers(1, 4))):
        steps.append(Step("CreateTable", definition(draw)))
    steps.append(described)
    for _ in range(draw(st.integers(0, 3))):
        steps += [Step("UpdateTable", change(draw)), described]
    if chance(draw, 20):
        steps.append(
            Step(
                "ListTables",
                one_of(
                    draw,
                    [
                        {},
                        {"Limit": 2},
                        {"Limit": 0},
                        {"Limit": 101},
                        {"ExclusiveStartTableName": "indexed"},
                        {"ExclusiveStartTableName": "a"},
                    ],
                ),
            )
        )
    return steps
