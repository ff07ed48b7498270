"""The slowest requests that each operation accepts or refuses. They use the tables of `stalls.load`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from benchmarks.client import http_request
from benchmarks.stall_texts import texts

Body = dict[str, Any]
_Operation = tuple[str, str, Body | bytes]
"""The name of a request, its operation and its body."""

NOTHING = "nothing, for comparison"


class Request(NamedTuple):
    name: str
    sent: bytes
    """All bytes of the request."""


def requests() -> Iterator[Request]:
    yield Request(NOTHING, http_request("ListTables", b"{}"))
    for family in (_filters, _legacy, _projections, _updates, _items, _batches, _lists, _nested, _partiql, _tables):
        for name, operation, body in family():
            content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
            yield Request(name, http_request(operation, content))
    for name, sent in texts():
        yield Request(name, sent)


def _scan(**members: Any) -> Body:
    return {"TableName": "Many", **members}


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def _filters() -> Iterator[_Operation]:
    numbers = {"L": [{"N": str(number)} for number in range(100_000)]}
    strings = {"SS": [str(number) for number in range(100_000)]}
    many = {f":v{number}": {"N": str(10**6 + number)} for number in range(99)}
    listed = ",".join(many)

    def filtered(name: str, text: str, values: Body, **members: Any) -> _Operation:
        body = _scan(FilterExpression=text, ExpressionAttributeValues=values, **members)
        return f"Scan filter {name}", "Scan", body

    yield filtered("contains(:list, n)", "contains(:v, n)", {":v": numbers})
    yield filtered("contains(:set, s)", "contains(:v, s)", {":v": strings})
    yield filtered(
        "contains(:list, m)", "contains(:v, m)", {":v": {"L": [{"M": {"x": n}} for n in numbers["L"][:50_000]]}}
    )
    yield filtered("n = :list", "n = :v", {":v": numbers})
    yield filtered("size(:list) = n", "size(:v) = n", {":v": numbers})
    yield filtered("12 x IN of 99", " OR ".join(f"n IN ({listed})" for _ in range(9)), many)
    yield filtered("l IN", " OR ".join(f"l[0] IN ({listed})" for _ in range(7)), many)
    yield filtered(
        "149 BETWEEN", " OR ".join("n BETWEEN :a AND :b" for _ in range(149)), {":a": {"N": "-2"}, ":b": {"N": "-1"}}
    )
    yield filtered("300 comparisons", " OR ".join("n<:a" for _ in range(150)), {":a": {"N": "-2"}})
    yield filtered("150 nested paths", " OR ".join("m.x<:a" for _ in range(150)), {":a": {"N": "-2"}})
    yield filtered("150 size", " OR ".join("size(s)<:a" for _ in range(150)), {":a": {"N": "-2"}})
    yield filtered("begins_with binary", "begins_with(b, :v)", {":v": {"B": "A" * 400_000}})
    yield filtered("contains(:binary, b)", "contains(:v, b)", {":v": {"B": "A" * 400_000}})
    yield filtered("contains(:string, s)", "contains(:v, s)", {":v": {"S": "text " * 80_000}})
    yield filtered("of large items", "n = :v", {":v": {"N": "1"}}, TableName="Large")
    yield filtered("200,000 values", "n = :v0", {f":v{number}": {"N": "1"} for number in range(200_000)})
    query = _scan(
        KeyConditionExpression="pk = :p", FilterExpression="contains(:v, n)",
        ExpressionAttributeValues={":v": numbers, ":p": {"S": "p"}},
    )  # fmt: skip
    yield "Query filter contains(:list, n)", "Query", query


def _legacy() -> Iterator[_Operation]:
    def condition(operator: str, count: int) -> Body:
        return {"ComparisonOperator": operator, "AttributeValueList": [{"N": str(-v - 1)} for v in range(count)]}

    yield "ScanFilter IN 10,000", "Scan", _scan(ScanFilter={"n": condition("IN", 10_000)})
    yield "ScanFilter IN 900,000", "Scan", _scan(ScanFilter={"n": condition("IN", 900_000)})
    entries = {name: condition("NE", 1) for name in _names("a", 150_000)}
    yield "ScanFilter 150,000 conditions", "Scan", _scan(ScanFilter=entries)
    yield "ScanFilter 300 conditions", "Scan", _scan(ScanFilter=dict(list(entries.items())[:300]))
    yield (
        "QueryFilter 150,000 conditions",
        "Query",
        _scan(
            KeyConditions={"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "p"}]}}, QueryFilter=entries
        ),
    )
    yield "KeyConditions 150,000", "Query", _scan(KeyConditions=entries)
    exists = {name: {"Exists": False} for name in _names("a", 500_000)}
    yield "Expected 500,000", "PutItem", {"TableName": "Probe", "Item": {"pk": {"S": "e"}}, "Expected": exists}
    updates = {name: {"Value": {"N": "1"}} for name in _names("a", 400_000)}
    key = {"TableName": "Probe", "Key": {"pk": {"S": "u"}}}
    yield "AttributeUpdates 400,000", "UpdateItem", {**key, "AttributeUpdates": updates}
    removed = {name: {"Action": "DELETE"} for name in _names("a", 400_000)}
    yield "AttributeUpdates 400,000 deletions", "UpdateItem", {**key, "AttributeUpdates": removed}
    yield "AttributesToGet 1,000,000", "GetItem", {**key, "AttributesToGet": _names("a", 1_000_000)}
    yield "AttributesToGet 255", "Scan", _scan(AttributesToGet=_names("a", 255))


def _projections() -> Iterator[_Operation]:
    short = [f"#{chr(97 + number % 26)}{number // 26}" for number in range(600)]
    names = {name: f"a{number:x}" for number, name in enumerate(short)}
    body = _scan(ProjectionExpression=",".join(short), ExpressionAttributeNames=names)
    yield "Scan projection of 600 names", "Scan", body
    yield "Scan projection of large items", "Scan", {**body, "TableName": "Large"}
    paths = ",".join(f"l[{number}]" for number in range(600))
    yield "Scan projection of 600 positions", "Scan", _scan(ProjectionExpression=paths)
    deep = "a" + "[0]" * 1000
    yield "Scan projection of a deep path", "Scan", _scan(ProjectionExpression=deep)
    unused = {f"#n{number}": "a" for number in range(600_000)}
    yield "600,000 names", "Scan", _scan(ProjectionExpression="a", ExpressionAttributeNames=unused)


def _updates() -> Iterator[_Operation]:
    key = {"TableName": "Probe", "Key": {"pk": {"S": "u2"}}}
    sets = "SET " + ",".join(f"a{number}=:v" for number in range(400))
    yield "UpdateItem 400 actions", "UpdateItem", {
        **key, "UpdateExpression": sets, "ExpressionAttributeValues": {":v": {"N": "1"}}
    }  # fmt: skip
    sets = "SET " + ",".join(f"a[{number}]=:v" for number in range(400))
    yield "UpdateItem 400 positions", "UpdateItem", {
        **key, "UpdateExpression": sets, "ExpressionAttributeValues": {":v": {"N": "1"}}
    }  # fmt: skip
    large = {"SS": _names("member", 40_000)}
    yield "UpdateItem ADD of a large set", "UpdateItem", {
        **key, "UpdateExpression": "ADD s :v", "ExpressionAttributeValues": {":v": large}
    }  # fmt: skip
    listed = {"L": [{"N": "1"}] * 500_000}
    yield "UpdateItem list of 500,000", "UpdateItem", {
        **key, "UpdateExpression": "SET l = :v", "ExpressionAttributeValues": {":v": listed}
    }  # fmt: skip
    yield "UpdateItem 100 appends", "UpdateItem", {
        **key,
        "UpdateExpression": "SET " + ",".join(f"b{number}=list_append(:v,:v)" for number in range(100)),
        "ExpressionAttributeValues": {":v": {"L": [{"N": "1"}] * 5_000}},
    }  # fmt: skip


def _items() -> Iterator[_Operation]:
    def put(item: Body) -> Body:
        return {"TableName": "Probe", "Item": {"pk": {"S": "i"}, **item}}

    yield "PutItem 800,000 attributes", "PutItem", put({name: {"N": "1"} for name in _names("a", 800_000)})
    yield "PutItem 60,000 attributes", "PutItem", put({f"{number:x}": {"N": "1"} for number in range(60_000)})
    yield "PutItem list of 1,000,000", "PutItem", put({"l": {"L": [{"N": "1"}] * 1_000_000}})
    yield "PutItem list of 130,000", "PutItem", put({"l": {"L": [{"N": "1"}] * 130_000}})
    yield "PutItem list of 1,600,000 strings", "PutItem", put({"l": {"L": [{"S": ""}] * 1_600_000}})
    yield "PutItem set of 1,000,000", "PutItem", put({"s": {"NS": _names("", 1_000_000)}})
    yield "PutItem set with a duplicate", "PutItem", put({"s": {"NS": [*_names("", 1_000_000), "1"]}})
    yield "PutItem text of 16 MB", "PutItem", put({"s": {"S": "a" * 16_000_000}})
    yield "PutItem binary of 16 MB", "PutItem", put({"s": {"B": "A" * 16_000_000}})
    yield "PutItem number of 16 MB", "PutItem", put({"s": {"N": "1" * 16_000_000}})
    yield "PutItem wrong type at the end", "PutItem", put({"l": {"L": [{"N": "1"}] * 1_000_000}, "x": {"N": 1}})
    yield "PutItem list of nulls", "PutItem", put({"l": {"L": [None] * 3_000_000}})
    yield "GetItem key of 800,000 attributes", "GetItem", {
        "TableName": "Probe", "Key": {name: {"N": "1"} for name in _names("a", 800_000)}
    }  # fmt: skip


def _batches() -> Iterator[_Operation]:
    def batch(table: str, items: list[Body]) -> Body:
        return {"RequestItems": {table: [{"PutRequest": {"Item": item}} for item in items]}}

    items = [{"pk": {"S": f"w{number}"}, **wide(1, 25_000)} for number in range(25)]
    yield "BatchWriteItem 25 wide items", "BatchWriteItem", batch("Probe", items)
    heavy = [{"pk": {"S": f"h{n}"}, "g": {"S": f"g{n}"}, "t": {"S": "x" * 395_000}} for n in range(25)]
    yield "BatchWriteItem 25 x 395 KB, 20 indexes", "BatchWriteItem", batch("Indexed", heavy)
    yield "PutItem 395 KB, 20 indexes", "PutItem", {"TableName": "Indexed", "Item": {**heavy[0], "pk": {"S": "one"}}}
    keys = [{"pk": {"S": "p"}, "sk": {"N": str(number)}} for number in range(100)]
    yield "BatchGetItem 100 large items", "BatchGetItem", {"RequestItems": {"Large": {"Keys": keys}}}
    yield "BatchGetItem 100 large items projected", "BatchGetItem", {
        "RequestItems": {"Large": {"Keys": keys, "ProjectionExpression": "a1"}}
    }  # fmt: skip
    yield "TransactGetItems 100 projected", "TransactGetItems", {
        "TransactItems": [{"Get": {"TableName": "Many", "Key": key, "ProjectionExpression": "l[0]"}} for key in keys]
    }  # fmt: skip
    puts = [
        {"Put": {"TableName": "Probe", "Item": {"pk": {"S": f"t{n}"}, **wide(1, 6_000)}}} for n in range(100)
    ]  # fmt: skip
    yield "TransactWriteItems 100 wide items", "TransactWriteItems", {"TransactItems": puts}


def _lists() -> Iterator[_Operation]:
    """Lists with more members than an operation accepts."""
    key = {"pk": {"S": "p"}}
    put = {"Put": {"TableName": "Probe", "Item": key}}
    yield "TransactWriteItems 250,000", "TransactWriteItems", {"TransactItems": [put] * 250_000}
    yield "TransactGetItems 200,000", "TransactGetItems", {
        "TransactItems": [{"Get": {"TableName": "Probe", "Key": key}}] * 200_000
    }  # fmt: skip
    yield "BatchWriteItem 250,000", "BatchWriteItem", {
        "RequestItems": {"Probe": [{"PutRequest": {"Item": key}}] * 250_000}
    }  # fmt: skip
    yield "BatchWriteItem 2,000,000 empty", "BatchWriteItem", {"RequestItems": {"Probe": [{}] * 2_000_000}}
    yield "BatchWriteItem 400,000 tables", "BatchWriteItem", {
        "RequestItems": {name: [{}] for name in _names("table", 400_000)}
    }  # fmt: skip
    yield "BatchGetItem 700,000 keys", "BatchGetItem", {"RequestItems": {"Probe": {"Keys": [key] * 700_000}}}
    yield "BatchGetItem 300,000 tables", "BatchGetItem", {
        "RequestItems": {name: {"Keys": [key]} for name in _names("table", 300_000)}
    }  # fmt: skip
    statement = {"Statement": "SELECT * FROM Probe WHERE pk='a'"}
    yield "BatchExecuteStatement 250,000", "BatchExecuteStatement", {"Statements": [statement] * 250_000}
    yield "ExecuteTransaction 250,000", "ExecuteTransaction", {"TransactStatements": [statement] * 250_000}
    yield "unknown members", "GetItem", {"TableName": "Probe", "Key": key, "X": [[]] * 4_000_000}
    yield "a JSON list", "GetItem", b"[" + b"1," * 6_000_000 + b"1]"
    yield "broken JSON", "GetItem", b"[" + b"1," * 6_000_000


def _nested() -> Iterator[_Operation]:
    texts = {
        "size(": "size(" * 600 + "a" + ")" * 600 + " = n",
        "f(": "f(" * 1_000 + "a" + ")" * 1_000,
        "NOT": "NOT " * 1_000 + "a = n",
        "(": "(" * 1_500 + "a = n" + ")" * 1_500,
        "( AND": "(a=n AND " * 400 + "a=n" + ")" * 400,
        "a.a.a": "attribute_exists(" + ".".join("a" * 2_000) + ")",
    }
    key = {"TableName": "Probe", "Key": {"pk": {"S": "n"}}}
    for name, text in texts.items():
        yield f"nested {name} in a filter", "Scan", _scan(FilterExpression=text)
        yield f"nested {name} in a condition", "DeleteItem", {**key, "ConditionExpression": text}
        yield f"nested {name} in a key condition", "Query", _scan(KeyConditionExpression=text)
        yield f"nested {name} in a projection", "Scan", _scan(ProjectionExpression=text)
        update = "SET a = " + text.replace(" = n", "").replace("=n", "").replace("AND", "+")
        yield f"nested {name} in an update", "UpdateItem", {**key, "UpdateExpression": update}
    value: Any = {"S": ""}
    for _ in range(30):
        value = {"L": [value]}
    yield "nested item, 32 levels", "PutItem", {"TableName": "Probe", "Item": {"pk": {"S": "n"}, "a": value}}
    for opened, closed in (('{"L":[', "]}"), ('{"M":{"a":', "}}"), ("[", "]"), ('{"a":', "}")):
        for levels in (100, 900, 100_000):
            deep = opened * levels + '{"S":"a"}' + closed * levels
            body = f'{{"TableName":"Probe","Item":{{"pk":{{"S":"a"}},"d":{deep}}}}}'
            yield f"nested {opened} of {levels} levels", "PutItem", body.encode()
            yield f"nested {opened} of {levels} levels, unknown member", "PutItem", f'{{"x":{deep}}}'.encode()


def _partiql() -> Iterator[_Operation]:
    def run(name: str, text: str, **members: Any) -> _Operation:
        return f"PartiQL {name}", "ExecuteStatement", {"Statement": text, **members}

    start = "SELECT * FROM Many WHERE "
    yield run("size(", start + "size(" * 1_000 + "a" + ")" * 1_000 + " = 1")
    yield run("(", start + "(" * 2_000 + "a = 1" + ")" * 2_000)
    yield run("NOT", start + "NOT " * 1_500 + "a = 1")
    yield run("-", start + "a = " + "- " * 3_000 + "1")
    yield run("[", start + "a = " + "[" * 2_000 + "1" + "]" * 2_000)
    yield run("{", start + "a = " + "{'a':" * 1_000 + "1" + "}" * 1_000)
    yield run("a.a.a", start + ".".join("a" * 3_000) + " = 1")
    yield run("a[0][0]", start + "a" + "[0]" * 2_000 + " = 1")
    yield run("SELECT nested", "SELECT (" * 900 + "1" + ")" * 900)
    yield run("IN of 1,900", start + "n IN [" + ",".join(["-1"] * 2_600) + "]")
    yield run("1,300 OR", start + " OR ".join(["n=-1"] * 1_000))
    yield run("1,300 AND", start + " AND ".join(["n>=0"] * 900))
    yield run("keys OR keys", start + " OR ".join(f"pk='{number}'" for number in range(650)))
    sort = " AND (" + " OR ".join(f"sk={number}" for number in range(300)) + ")"
    yield run("keys with sort keys", start + "pk IN ['" + "','".join(_names("", 500)) + "']" + sort)
    yield run("struct of 1,500", "INSERT INTO Probe VALUE {" + ",".join(f"'{n:x}':1" for n in range(1_100)) + "}")
    yield run(
        "1,000 SET", "UPDATE Probe " + " ".join(f"SET {chr(97 + n % 26)}{n}=1" for n in range(600)) + " WHERE pk='a'"
    )
    yield run("1,000 columns", "SELECT " + ",".join(f"a{n}" for n in range(1_200)) + " FROM Many")
    yield run("columns of large items", "SELECT a1,a2 FROM Large")
    parameters = [{"N": "1"}] * 1_000_000
    transaction = [{"Statement": "DELETE FROM Probe WHERE pk='a'", "Parameters": parameters}]
    yield "ExecuteTransaction 1,000,000 parameters", "ExecuteTransaction", {
        "TransactStatements": transaction, "ClientRequestToken": "t"
    }  # fmt: skip
    yield "BatchExecuteStatement 1,000,000 parameters", "BatchExecuteStatement", {"Statements": transaction}
    put = {"Put": {"TableName": "Probe", "Item": {"pk": {"S": "t"}}, "Unknown": parameters}}
    yield "TransactWriteItems with a token, unknown members", "TransactWriteItems", {
        "TransactItems": [put], "ClientRequestToken": "u"
    }  # fmt: skip
    keys = [{"pk": {"S": name}, "l": {"L": parameters[:500_000]}} for name in "ab"]
    yield "BatchGetItem large keys", "BatchGetItem", {"RequestItems": {"Probe": {"Keys": keys}}}
    yield run("1,000,000 parameters", start + "n = ?", Parameters=parameters)
    yield run("large list parameter", start + "contains(?, n)", Parameters=[{"L": parameters[:300_000]}])
    partitions = " OR ".join(f"pk='{number}'" for number in range(150))
    yield run("150 keys with 100 ranges", start + f"({partitions})" + "".join(f" AND sk>{n}" for n in range(100)))
    yield from _statements()
    batch = [{"Statement": f"SELECT * FROM Large WHERE pk='p' AND sk={number}"} for number in range(25)]
    yield "PartiQL batch of large items", "BatchExecuteStatement", {"Statements": batch}


def _statements() -> Iterator[_Operation]:
    """Batches and transactions of the longest statements."""

    def many(kind: str, count: int) -> list[str]:
        conditions = "".join(f" AND a{number}=1" for number in range(550))
        sets = " ".join(f"SET a{number}=1" for number in range(580))
        texts = {
            "deletions": "DELETE FROM Probe WHERE pk='{}'" + conditions,
            "updates": f"UPDATE Probe {sets} WHERE pk='s{{}}'",
            "reads": "SELECT * FROM Probe WHERE pk='{0}'" + " AND pk='{0}'" * 550,
            "reads without an end": "SELECT * FROM Probe WHERE pk='{}'" + conditions + " AND",
        }
        return [texts[kind].format(number) for number in range(count)]

    for kind in ("deletions", "updates", "reads", "reads without an end"):
        statements = [{"Statement": text} for text in many(kind, 100)]
        yield f"ExecuteTransaction 100 long {kind}", "ExecuteTransaction", {"TransactStatements": statements}
        yield f"BatchExecuteStatement 25 long {kind}", "BatchExecuteStatement", {"Statements": statements[:25]}


def _tables() -> Iterator[_Operation]:
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(300_000)]
    definitions = [{"AttributeName": f"a{number}", "AttributeType": "S"} for number in range(200_000)]
    table = {"TableName": "New", "KeySchema": [{"AttributeName": "a0", "KeyType": "HASH"}]}
    table |= {"BillingMode": "PAY_PER_REQUEST"}
    yield "CreateTable 200,000 attributes", "CreateTable", {**table, "AttributeDefinitions": definitions}
    index = {"KeySchema": table["KeySchema"], "Projection": {"ProjectionType": "ALL"}}
    indexes = [{"IndexName": f"index{number}", **index} for number in range(80_000)]
    yield "CreateTable 80,000 indexes", "CreateTable", {
        **table, "AttributeDefinitions": definitions[:1], "GlobalSecondaryIndexes": indexes
    }  # fmt: skip
    yield "CreateTable 300,000 tags", "CreateTable", {**table, "AttributeDefinitions": definitions[:1], "Tags": tags}
    keyed = [{"AttributeName": f"a{number}", "KeyType": "HASH"} for number in range(200_000)]
    yield "CreateTable 200,000 keys", "CreateTable", {
        **table, "AttributeDefinitions": definitions[:1], "KeySchema": keyed
    }  # fmt: skip
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Probe"
    yield "TagResource 300,000", "TagResource", {"ResourceArn": arn, "Tags": tags}
    yield "UntagResource 1,000,000", "UntagResource", {"ResourceArn": arn, "TagKeys": _names("k", 1_000_000)}
    updates = [{"Delete": {"IndexName": f"index{number}"}} for number in range(200_000)]
    yield "UpdateTable 200,000 indexes", "UpdateTable", {"TableName": "Probe", "GlobalSecondaryIndexUpdates": updates}
    create = {
        "Create": {
            "IndexName": "by-n",
            "KeySchema": [{"AttributeName": "n", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    }
    number = [{"AttributeName": "n", "AttributeType": "N"}]
    yield "UpdateTable backfill", "UpdateTable", {
        "TableName": "Many", "AttributeDefinitions": number, "GlobalSecondaryIndexUpdates": [create]
    }  # fmt: skip


def wide(number: int, attributes: int) -> Body:
    return {f"a{position:x}": {"N": str(number)} for position in range(attributes)}
