"""The family of table operations: valid and invalid definitions, changes of them, and descriptions."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.differential.tables import Step, key_schema
from tests.differential.values import chance

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


def throughput(random: Random) -> Body:
    return random.choice(ODD_THROUGHPUTS if chance(random, 4) else THROUGHPUTS)


def index(random: Random, name: str, partition: str, sort: str | None, *, provisioned: bool) -> Body:
    schema = random.choice(ODD_SCHEMAS) if chance(random, 3) else key_schema(partition, sort)
    projection = random.choice(ODD_PROJECTIONS if chance(random, 8) else PROJECTIONS)
    found: Body = {"IndexName": name, "KeySchema": schema, "Projection": projection}
    if provisioned != chance(random, 3):
        found["ProvisionedThroughput"] = throughput(random)
    return found


def index_name(random: Random, at: int) -> str:
    return random.choice(["x", "", "a b", "same", "y" * 256]) if chance(random, 4) else f"index-{at}"


def definition(random: Random) -> Body:
    sort = random.choice([None, "sk", "sk"])
    provisioned = chance(random, 50)
    body: Body = {
        "TableName": NAME,
        "KeySchema": random.choice(ODD_SCHEMAS) if chance(random, 8) else key_schema("pk", sort),
    }
    if provisioned:
        body["ProvisionedThroughput"] = throughput(random)
    if not provisioned or chance(random, 30):
        body["BillingMode"] = "PROVISIONED" if provisioned else "PAY_PER_REQUEST"
    if (sort and chance(random, 40)) or chance(random, 3):
        count = random.choice([1, 2, 6] if chance(random, 10) else [1, 2])
        partition = random.choice(NAMES) if chance(random, 4) else "pk"
        body["LocalSecondaryIndexes"] = [
            index(
                random,
                index_name(random, at),
                partition,
                random.choice(["a", "b", None] if chance(random, 10) else ["a", "b"]),
                provisioned=False,
            )
            for at in range(count)
        ]
    if chance(random, 40):
        count = random.choice([1, 2, 21] if chance(random, 8) else [1, 2])
        body["GlobalSecondaryIndexes"] = [
            index(
                random,
                index_name(random, 10 + at),
                random.choice(NAMES),
                random.choice([None, "a", "b"]),
                provisioned=provisioned,
            )
            for at in range(count)
        ]
    if chance(random, 25):
        view = random.choice(["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
        body["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    if chance(random, 15):
        body["DeletionProtectionEnabled"] = False
    body["AttributeDefinitions"] = attribute_definitions(random, body)
    if chance(random, 20):
        body |= random.choice(ODD_MEMBERS)
    if chance(random, 5):
        body.pop(random.choice(list(body)))
    return body


def attribute_definitions(random: Random, body: Body) -> list[Body]:
    """Those that the schemas name; now and then one more or less."""
    schemas = [body["KeySchema"]] + [
        described["KeySchema"]
        for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
        for described in body.get(member, [])
    ]
    used = sorted({element["AttributeName"] for schema in schemas for element in schema if "AttributeName" in element})
    if chance(random, 5):
        used = used[:-1] if chance(random, 50) else [*used, "unused"]
    return [{"AttributeName": name, "AttributeType": random.choice(["S", "N", "B"])} for name in used]


def change(random: Random) -> Body:
    changes: list[Body] = [
        {},
        {"ProvisionedThroughput": throughput(random)},
        {"BillingMode": "PAY_PER_REQUEST"},
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": throughput(random)},
        {"BillingMode": "PROVISIONED"},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}},
        {"StreamSpecification": {"StreamEnabled": False}},
        {"DeletionProtectionEnabled": False},
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]},
        {"GlobalSecondaryIndexUpdates": []},
        {"GlobalSecondaryIndexUpdates": [{}]},
        {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": random.choice(["index-10", "none"])}}]},
        {
            "GlobalSecondaryIndexUpdates": [
                {"Update": {"IndexName": "index-10", "ProvisionedThroughput": throughput(random)}}
            ]
        },
        {
            "AttributeDefinitions": [{"AttributeName": random.choice(["c", "d"]), "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [
                {"Create": index(random, "index-new", "c", None, provisioned=chance(random, 50))}
            ],
        },
    ]
    found = random.choice(changes)
    if chance(random, 10):
        found = random.choice(changes) | found
    return {"TableName": NAME if chance(random, 95) else "unknown"} | found


def definitions(random: Random) -> list[Step]:
    described = Step("DescribeTable", {"TableName": NAME})
    steps = [Step("DeleteTable", {"TableName": NAME})]
    for _ in range(random.randint(1, 4)):
        steps.append(Step("CreateTable", definition(random)))
    steps.append(described)
    for _ in range(random.randint(0, 3)):
        steps += [Step("UpdateTable", change(random)), described]
    if chance(random, 20):
        steps.append(
            Step(
                "ListTables",
                random.choice(
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
