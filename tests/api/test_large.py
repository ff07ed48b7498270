"""Large requests are checked in a thread and large batches written in pieces. Their answers are those of others."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest

from atoll.api import large, multi
from atoll.api.large import LargeBody
from atoll.api.partiql import batch, statement, transaction
from atoll.database.region import Settings
from atoll.errors import ApiError
from atoll.expressions import constants
from atoll.expressions.bind import bindings
from atoll.model import pieces
from tests import desk
from tests.api.conftest import Service
from tests.api.test_throttling import global_index, item, key, provisioned, spend_writes
from tests.engines import run

Body = dict[str, Any]
HERE = {"TableName": "Things"}
VALUES = {":v": {"L": [{"N": str(number)} for number in range(2_000)]}}
PUTS = [{"PutRequest": {"Item": {"pk": {"S": name}, "n": {"N": "1"}}}} for name in "abcdefg"]
SELECT = "SELECT * FROM Things WHERE pk='a'"
WRITES = [
    "DELETE FROM Things WHERE pk='b' AND n=1",
    "UPDATE Things SET x=1 WHERE pk='c' AND n=1",
    "INSERT INTO Things VALUE {'pk': 'new'}",
    "UPDATE Things SET x.y=1 WHERE pk='d'",
]
UPDATE = "UPDATE Things SET n=n+1 WHERE pk='a'"

REQUESTS: list[tuple[str, Body]] = [
    ("BatchWriteItem", {"RequestItems": {"Things": PUTS}}),
    ("BatchWriteItem", {"RequestItems": {"Things": [PUTS[0], PUTS[0]]}}),
    ("BatchWriteItem", {"RequestItems": {"Things": [{"PutRequest": {"Item": {"pk": {"N": "1"}}}}]}}),
    ("BatchGetItem", {"RequestItems": {"Things": {"Keys": [key("a"), key("z")], "ProjectionExpression": "n"}}}),
    ("BatchGetItem", {"RequestItems": {"Things": {"Keys": [key("a"), key("a")]}}}),
    ("PutItem", {**HERE, "Item": key("p"), "ReturnValues": "ALL_OLD"}),
    ("PutItem", {**HERE, "Item": {"pk": {"S": "p"}, "s": {"SS": ["a", "a"]}}}),
    ("PutItem", {**HERE, "Item": {"pk": {"S": "p"}, "s": {"S": 1}}}),
    ("GetItem", {**HERE, "Key": key("p")}),
    ("GetItem", {**HERE, "Key": key("p"), "ProjectionExpression": "a a"}),
    ("UpdateItem", {**HERE, "Key": key("p"), "UpdateExpression": "SET l = :v", "ExpressionAttributeValues": VALUES}),
    ("UpdateItem", {**HERE, "Key": key("p"), "AttributeUpdates": {"n": {"Value": {"N": "3"}}}}),
    ("DeleteItem", {**HERE, "Key": key("p"), "ReturnValues": "ALL_OLD"}),
    ("DeleteItem", {**HERE, "Key": key("p"), "ReturnValues": "ALL_NEW"}),
    ("Scan", {**HERE, "FilterExpression": "contains(:v, n)", "ExpressionAttributeValues": VALUES}),
    ("Scan", {**HERE, "FilterExpression": "n > :w", "ExpressionAttributeValues": VALUES}),
    ("Scan", {**HERE, "ScanFilter": {"n": {"ComparisonOperator": "NE", "AttributeValueList": [{"N": "1"}]}}}),
    ("Query", {**HERE, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}}),
    ("Query", {**HERE, "KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": VALUES}),
    ("TransactGetItems", {"TransactItems": [{"Get": {**HERE, "Key": key(name)}} for name in "az"]}),
    ("TransactGetItems", {"TransactItems": [{"Get": {**HERE, "Key": key("a")}}] * 2}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**HERE, "Item": key("t")}}], "ClientRequestToken": "x"}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**HERE, "Item": key("t")}}], "ClientRequestToken": "x"}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**HERE, "Item": key("u")}}], "ClientRequestToken": "x"}),
    ("TransactWriteItems", {"TransactItems": [{}]}),
    ("TransactWriteItems", {"TransactItems": [{"Put": {**HERE, "Item": key("t"), "Statement": 5}, "Other": "x"}]}),
    ("CreateTable", {**HERE, "KeySchema": [], "AttributeDefinitions": []}),
    ("ExecuteStatement", {"Statement": "SELECT * FROM Things WHERE contains(?, n)", "Parameters": [VALUES[":v"]]}),
    ("ExecuteStatement", {"Statement": "SELECT * FROM"}),
    ("ExecuteStatement", {"Statement": "SELECT * FROM Things", "Parameters": [{"N": "1"}] * 9, "Limit": 1}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": SELECT}, {"Statement": "SELECT"}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": SELECT}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": SELECT}, {"Statement": "DELETE FROM Things"}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": UPDATE}], "ClientRequestToken": "y"}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": UPDATE}], "ClientRequestToken": "y"}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": text} for text in WRITES]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": text} for text in WRITES]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": "DELETE FROM Things WHERE n=1"}]}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": text} for text in WRITES]}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": "DELETE FROM Things WHERE pk='a' AND pk='b'"}]}),
    ("BatchExecuteStatement", {"Statements": [{"Statement": "DELETE FROM Nowhere WHERE pk='a'"}]}),
    ("ExecuteTransaction", {"TransactStatements": [{"Statement": SELECT, "Parameters": [{"S": "x" * 5_000_000}]}]}),
    ("DescribeTable", HERE),
    ("DescribeTable", {}),
]


def _answer(service: Any, operation: str, body: Body) -> Any:
    try:
        return orjson.dumps(run(desk.call(service.region, operation, body)))
    except ApiError as refused:
        return refused.code, refused.message


def test_a_large_body_is_answered_as_another() -> None:
    plain, other = Service(Settings()), Service(Settings())
    for service in (plain, other):
        service.table()
    for operation, body in REQUESTS:
        copies = [orjson.loads(orjson.dumps(body)) for _ in range(2)]
        one = _answer(plain, operation, copies[0])
        two = _answer(other, operation, LargeBody(copies[1]))
        assert _without_ids(one) == _without_ids(two), (operation, body)


def _without_ids(answer: Any) -> Any:
    if isinstance(answer, tuple):
        return answer
    found = orjson.loads(answer)
    if "Table" in found:
        found["Table"].pop("TableId")
    return found


def test_long_texts_are_parsed_aside(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    service.table()
    requests: list[tuple[str, Body]] = [
        ("BatchGetItem", {"RequestItems": {"Things": {"Keys": [key("a")], "ProjectionExpression": "n,pk"}}}),
        ("TransactGetItems", {"TransactItems": [{"Get": {**HERE, "Key": key("a"), "ProjectionExpression": "n,pk"}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {**HERE, "Item": PUTS[0]["PutRequest"]["Item"],
                                                           "ConditionExpression": "n <> pk"}}]}),
        ("ExecuteStatement", {"Statement": SELECT}),
        ("BatchExecuteStatement", {"Statements": [{"Statement": SELECT}]}),
        ("ExecuteTransaction", {"TransactStatements": [{"Statement": SELECT}]}),
    ]  # fmt: skip
    inline = [_answer(service, operation, body) for operation, body in requests]
    threads: list[Any] = []

    async def aside(fn: Any, *args: Any) -> Any:
        threads.append(fn)
        return fn(*args)

    for module in (multi, statement, batch, transaction):
        monkeypatch.setattr(module, "aside", aside)
    monkeypatch.setattr(large, "TEXT_CHARS", 3)
    assert [_answer(service, operation, body) for operation, body in requests][2:] == inline[2:]
    assert len(threads) == len(requests)


def test_a_body_is_freed_piece_by_piece() -> None:
    inner = [{"a": [1, 2, {"b": [3]}]} for _ in range(2_500)]
    first = inner[0]
    body = LargeBody({"x": inner, "y": {"z": inner[1:3]}, "s": "text"})
    pieces.empty(body)
    assert not body and not inner and not first


def test_a_large_batch_is_written_whole(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi, "_PIECE_BYTES", 1)
    service.table()
    service.put_item(TableName="Things", Item=key("gone"))
    requests = [*PUTS[:3], {"DeleteRequest": {"Key": key("gone")}}, *PUTS[3:]]
    answer = service.batch_write_item(RequestItems={"Things": requests}, ReturnConsumedCapacity="TOTAL")
    assert answer["UnprocessedItems"] == {}
    assert answer["ConsumedCapacity"] == [{"TableName": "Things", "CapacityUnits": 8.0}]
    assert {one["pk"]["S"] for one in service.scan(TableName="Things")["Items"]} == set("abcdefg")


def test_no_piece_of_a_batch_is_written_if_one_is_invalid(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi, "_PIECE_BYTES", 1)
    service.table(types={"g": "S"}, GlobalSecondaryIndexes=[global_index("by-g", "g")])
    wrong = {"PutRequest": {"Item": item("z", g={"N": "1"})}}
    for requests in ([*PUTS, wrong], [*PUTS, PUTS[0]], [*PUTS, {"DeleteRequest": {"Key": {"pk": {"N": "1"}}}}]):
        assert service.refused("BatchWriteItem", RequestItems={"Things": requests}).code == "ValidationException"
        assert service.scan(TableName="Things")["Count"] == 0


def test_throttled_pieces_of_a_batch_come_back(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi, "_PIECE_BYTES", 1)
    provisioned(service)
    spend_writes(service, 298)
    requests = [{"PutRequest": {"Item": item(name)}} for name in "abcd"]
    answer = service.batch_write_item(RequestItems={"Things": requests})
    assert answer["UnprocessedItems"] == {"Things": requests[2:]}
    refused = service.refused("BatchWriteItem", RequestItems={"Things": requests})
    assert refused.code == "ProvisionedThroughputExceededException"


LONG_LIST = {"pk": {"S": "long"}, "l": {"L": [{"S": ""}] * 60_000}, "n": {"N": "1"}}
LONG_SET = {"pk": {"S": "set"}, "s": {"NS": [str(number) for number in range(60_000)]}}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("GetItem", {"Key": key("long"), "ProjectionExpression": "l[7], n"}),
        ("Scan", {"FilterExpression": "contains(l, n)", "ProjectionExpression": "n"}),
        ("PutItem", {"Item": key("long"), "ConditionExpression": "size(l) > n"}),
        ("UpdateItem", {"Key": key("long"), "UpdateExpression": "SET l = list_append(l, l)"}),
        ("UpdateItem", {"Key": key("long"), "UpdateExpression": "REMOVE l[0]", "ReturnValues": "UPDATED_OLD"}),
        ("DeleteItem", {"Key": key("long"), "ConditionExpression": "l[1] = l[2]"}),
        (
            "UpdateItem",
            {
                "Key": key("set"),
                "UpdateExpression": "ADD s :v",
                "ExpressionAttributeValues": {":v": {"NS": ["-1", "7"]}},
                "ReturnValues": "ALL_NEW",
            },
        ),
    ],
)
def test_work_on_a_large_item_is_done_aside(
    service: Any, operation: str, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parsing alone takes tens of milliseconds."""
    service.table()
    for content in (LONG_LIST, LONG_SET):
        service.put_item(**HERE, Item=content)
    loads: list[bool] = []
    load = pieces.load

    def noted(text: bytes) -> Any:
        if len(text) > pieces.LONG_BYTES:
            loads.append(threading.current_thread() is threading.main_thread())
        return load(text)

    monkeypatch.setattr(pieces, "load", noted)
    answer = run(desk.call(service.region, operation, {**HERE, **body}))
    assert loads and not any(loads)
    if "ADD" in body.get("UpdateExpression", ""):
        stored = orjson.loads(orjson.dumps(answer["Attributes"]))["s"]["NS"]
        assert stored == [str(number) for number in range(-1, 60_000)]


def test_a_constant_is_read_once_however_often_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """240 names of a list with 19,000 members took a second."""
    made: list[Any] = []
    one_of = constants.one_of

    def counted(*members: Any) -> constants.Test:
        made.append(members)
        return one_of(*members)

    monkeypatch.setattr(constants, "one_of", counted)
    values = {":v": {"L": [{"N": str(number)} for number in range(5_000)]}}
    text = " OR ".join(f"contains(:v, a{number})" for number in range(50))
    test = bindings({"ExpressionAttributeValues": values}).condition(text).prepare_once()
    assert len(made) == 1
    assert test({"a3": {"N": "7"}}) and not test({"a3": {"N": "-1"}})
