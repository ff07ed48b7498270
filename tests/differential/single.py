"""Families over single items: values, items, conditions, updates, projections, syntax, legacy parameters."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from differential.expressions import Writer
from differential.tables import BINARY, INDEXED, NUMBERED, PLAIN, RANGED, Step, Table, respell
from differential.values import (
    BY_TYPE,
    ODD_VALUES,
    PATHS,
    Draw,
    Value,
    anything,
    attributes,
    chance,
    nested,
    one_of,
    typical,
)

Body = dict[str, Any]

RETURN_VALUES = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]


def key(draw: Draw[Any], table: Table) -> dict[str, Value]:
    """Usually a good key; now and then one that the schema refuses."""
    found = respell(draw, one_of(draw, table.keys))
    if not chance(draw, 3):
        return found
    flaw = one_of(draw, ["type", "missing", "extra", "empty", "long"])
    if flaw == "type":
        return found | {one_of(draw, list(table.key_names)): draw(anything)}
    if flaw == "missing":
        return dict(list(found.items())[1:])
    if flaw == "extra":
        return found | {"a": {"S": "a"}}
    if flaw == "empty":
        return found | {table.key_names[-1]: {"S": ""}}
    return found | {table.key_names[0]: {"S": "x" * one_of(draw, [2048, 2049])}}


def put(draw: Draw[Any], table: Table, writer: Writer) -> Body:
    return {"Item": key(draw, table) | attributes(draw, wild=table.wild)}


def write(draw: Draw[Any], table: Table, operation: str, *, conditional: int = 40) -> Step:
    writer = Writer(draw, keys=table.key_names, wild=6)
    body: Body = {"TableName": table.name}
    if operation == "PutItem":
        body |= put(draw, table, writer)
    else:
        body["Key"] = key(draw, table)
    if operation == "UpdateItem" and not chance(draw, 5):
        body["UpdateExpression"] = writer.update()
    if chance(draw, conditional):
        body["ConditionExpression"] = writer.condition()
        if chance(draw, 40):
            body["ReturnValuesOnConditionCheckFailure"] = one_of(draw, ["ALL_OLD", "NONE"])
    body |= writer.placeholders()
    usual = {"UpdateItem": RETURN_VALUES}.get(operation, ["NONE", "ALL_OLD"])
    if chance(draw, 80):
        body["ReturnValues"] = one_of(draw, RETURN_VALUES if chance(draw, 4) else usual)
    return Step(operation, body)


def get(draw: Draw[Any], table: Table, *, projected: int = 30) -> Step:
    body: Body = {"TableName": table.name, "Key": key(draw, table)}
    if chance(draw, projected):
        writer = Writer(draw, keys=table.key_names)
        body["ProjectionExpression"] = writer.projection()
        body |= writer.placeholders()
    if chance(draw, 30):
        body["ConsistentRead"] = draw(st.booleans())
    return Step("GetItem", body)


def all_items(table: Table) -> Step:
    """What a scenario left behind."""
    return Step("Scan", {"TableName": table.name, "ConsistentRead": True}, unordered=True)


@st.composite
def items(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED, NUMBERED, BINARY, INDEXED])
    steps = [table.contents(draw, most=4)]
    for _ in range(draw(st.integers(1, 6))):
        operation = one_of(draw, ["PutItem", "UpdateItem", "DeleteItem", "GetItem"])
        steps.append(get(draw, table) if operation == "GetItem" else write(draw, table, operation))
    return [*steps, all_items(table)]


@st.composite
def values(draw: Draw[Any]) -> list[Step]:
    """What is refused as a value, and how that which is taken reads afterwards."""
    the_key = {"pk": {"S": "p"}}
    steps: list[Step] = [Step("DeleteItem", {"TableName": "plain", "Key": the_key})]
    for _ in range(draw(st.integers(1, 4))):
        odd = one_of(draw, ODD_VALUES) if chance(draw, 50) else draw(anything)
        if chance(draw, 6):
            odd = nested(one_of(draw, [30, 31, 32, 33, 40]), one_of(draw, ["L", "M"]))
        if chance(draw, 15):
            odd = one_of(draw, [{"L": [odd]}, {"M": {"a": odd}}, {"L": [{"S": "a"}, odd]}])
        where = one_of(draw, ["item", "item", "set", "condition", "key", "name"])
        if where == "item":
            steps.append(Step("PutItem", {"TableName": "plain", "Item": the_key | {"v": odd}}))
        elif where == "name":
            names = ["", "a" * 255, "a" * 256, "é", "a b", "."]
            steps.append(Step("PutItem", {"TableName": "plain", "Item": the_key | {one_of(draw, names): draw(anything)}}))
        elif where == "key":
            steps.append(Step("GetItem", {"TableName": one_of(draw, ["plain", "numbered"]), "Key": {"pk": odd}}))
        else:
            member = {"UpdateExpression": "SET v = :v"} if where == "set" else {"ConditionExpression": "v = :v"}
            body = {"TableName": "plain", "Key": the_key, "ExpressionAttributeValues": {":v": odd}} | member
            steps.append(Step("UpdateItem", body))
        steps.append(Step("GetItem", {"TableName": "plain", "Key": the_key}))
    return steps


@st.composite
def conditions(draw: Draw[Any]) -> list[Step]:
    """Each condition is asked of every item as a filter, then of one as a condition."""
    table = one_of(draw, [PLAIN, RANGED])
    steps = [table.contents(draw, most=8)]
    for _ in range(draw(st.integers(1, 6))):
        writer = Writer(draw, wild=8)
        text = writer.condition(3)
        common = {"TableName": table.name, **writer.placeholders()}
        if chance(draw, 75):
            steps.append(Step("Scan", common | {"FilterExpression": text}, unordered=True))
        else:
            the_key = one_of(draw, table.keys)
            steps.append(Step("DeleteItem", common | {"Key": the_key, "ConditionExpression": text, "ReturnValues": "ALL_OLD"}))
    return steps


@st.composite
def updates(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED, INDEXED])
    steps = [table.contents(draw, most=8)]
    the_keys = draw(st.lists(st.sampled_from(table.keys), min_size=1, max_size=2))
    for _ in range(draw(st.integers(1, 6))):
        writer = Writer(draw, wild=4)
        body = {"TableName": table.name, "Key": one_of(draw, the_keys), "UpdateExpression": writer.update()}
        steps.append(Step("UpdateItem", body | writer.placeholders() | {"ReturnValues": one_of(draw, RETURN_VALUES)}))
    return [*steps, *(Step("GetItem", {"TableName": table.name, "Key": k}) for k in the_keys)]


@st.composite
def projections(draw: Draw[Any]) -> list[Step]:
    steps = [PLAIN.contents(draw, most=8)]
    steps += [get(draw, PLAIN, projected=95) for _ in range(draw(st.integers(1, 6)))]
    writer = Writer(draw, keys=("pk",))
    body = {"TableName": "plain", "ProjectionExpression": writer.projection(), **writer.placeholders()}
    return [*steps, Step("Scan", body, unordered=True)]


# Syntax: texts that are not, or only just, expressions

CONDITION_TEXTS = [
    "", " ", "a", "a =", "= a", "a = b = c", "a == b", "a != b", "a = 1", 'a = "x"', "a = 'x'", "(a = b", "a = b)", "()", "((a = b))",
    "(a = b)", "((a = b) AND c = d)", "(((a = b)))", "(a) = b", "a AND b", "NOT a", "NOT NOT a = b", "a = b AND", "AND a = b", "a = b AND OR c = d",
    "a BETWEEN b", "a BETWEEN b AND", "a BETWEEN b AND c AND d = e", "a IN ()", "a IN (b)", "a IN b", "a IN (b,)", "a NOT IN (b)",
    "attribute_exists(a, b)", "attribute_exists()", "attribute_exists a", "Attribute_Exists(a)", "foo(a)", "foo(a) = b", "size(a)", "size(a, b) = c",
    "size(size(a)) = b", "contains(a)", "contains(a, a)", "begins_with(a, a)", "a = a", "a < a", "begins_with(a, b) = c", "contains(a, size(b))",
    "status = b", "a = size", "name = count", "attribute_exists(name)", "a.name = b", "a.b.c = d", "a. b = c", "a .b = c", "a[0] = b", "a[-1] = b", "a[01] = b",
    "a[b] = c", "a[] = b", "a[0][1] = b", "a[0]b = c", "a[99999999999] = b", "[0] = a", "a..b = c", ".a = b", "a. = b", "#a = b", "#undefined = b", "a = :undefined",
    "# = a", ": = a", "#a.#a = b", "a#b = c", "_a = b", "1a = b", "a1 = b", "é = a", "a-b = c", "a = b;", "a = b -- c", "a\t=\nb", "a=b", "a=bANDc=d",
    "a = b AND(c = d)", "NOT(a = b)", "a between b and c", "a iN (b)", "aNd = b", "a <> b", "a >< b", "a =< b", "a >= b", "a => b", "!!", "a ! b", "a & b", "?", "a = ?",
    "attribute_type(a, b)", "a = b or c = d", "a IN (b, c) = d", "not a = b and c = d", "(a = b) (c = d)", "(NOT a = b)", "(a = b) = c", "a + b = c", "a = b + c", "if_not_exists(a, b) = c",
    "list_append(a, b)", "size (a) = b", "contains (a, b)", "(size(a)) = b", "(size(a) > b)", "a < b < c", "a = (b)", "a IN ((b))", "a BETWEEN (b) AND c", "a BETWEEN b AND (c)",
]  # fmt: skip
UPDATE_TEXTS = [
    "", " ", "SET", "SET a", "SET a =", "SET a = b,", "SET a = b c = d", "SET a = b, c = d", "SET a = b SET c = d", "SET a = b REMOVE c", "REMOVE", "REMOVE a,", "REMOVE a b", "REMOVE a, a",
    "REMOVE a, a.b", "REMOVE a[0], a[1]", "REMOVE a[0], a.b", "SET a = b, a = c", "SET a = b, a.c = d", "SET a = b REMOVE a", "SET a.b = c REMOVE a", "SET a[0] = b, a[0].c = d", "ADD", "ADD a", "ADD a b",
    "ADD a = b", "DELETE a", "DELETE a b", "INVALID SYNTAX", "set a = b", "Set a = b", "SET a = b + c", "SET a = b - c", "SET a = b + c + d", "SET a = (b + c)", "SET a = (b)", "SET a = b * c",
    "SET a = -b", "SET a += b", "SET a = if_not_exists(b, c)", "SET a = if_not_exists(b)", "SET a = if_not_exists(b, c, d)", "SET a = list_append(b)", "SET a = list_append(b, c)",
    "SET a = list_append(list_append(b, c), d)", "SET a = if_not_exists(b, list_append(c, d))", "SET a = list_append(if_not_exists(b, c), d)", "SET a = foo(b)", "SET a = size(b)", "SET a = attribute_exists(b)",
    "SET status = a", "SET a = name", "SET a = b AND c = d", "a = b", "SET #a = b", "SET #undefined = b", "SET a = :undefined", "SET pk = a", "REMOVE pk", "ADD pk a", "SET pk.a = b", "SET a = pk",
    "SET a[0] = b", "SET a[] = b", "SET a[-1] = b", "SET a.b.c = d", "SET a = b; REMOVE c", "SET a = 1", "SET a = 'x'", "SET (a) = b", "SET a == b", "SET a = b\nREMOVE c\tADD d e",
    "SET a = if_not_exists(b.c, d) + if_not_exists(e, f)", "SET a = if_not_exists(b + c, d)", "SET a = IF_NOT_EXISTS(b, c)", "SET a = b REMOVE c SET d = e", "REMOVE a REMOVE b", "DELETE a b DELETE c d", "ADD a b ADD c d",
    "SET a = b, REMOVE c", "SET", "SET a = list_append(b, c) + d", "SET a = a", "SET a = a.b", "SET a = b = c",
]  # fmt: skip
PROJECTION_TEXTS = [
    "", " ", "a", "a,", ",a", "a b", "a,b", "a, a", "a, a.b", "a.b, a.c", "a[0], a[1]", "a[0], a[0].b", "a.b, a[0]", "a[1], a", "!!", "name", "a.name", "*", "a.*", "a[*]", "size(a)", "a = b", "#a", "#undefined",
    ":a", "a[0]", "a[-1]", "(a)", "a;", "é", "a.#a", "1", "pk", "pk, sk", "a..b", "a.", ".a", "a[0", "a]0[", "a[0].b[1]", "a, b, c, d, e, f",
]  # fmt: skip
KEY_TEXTS = [
    "", "pk", "pk = :p", ":p = pk", "pk = :p AND sk = :s", "sk = :s AND pk = :p", "pk = :p AND sk < :s", "pk = :p AND :s < sk", "pk = :p AND sk <> :s", "pk = :p OR sk = :s", "NOT pk = :p", "pk = :p AND NOT sk = :s", "pk < :p",
    "pk = :p AND sk IN (:s)", "pk = :p AND contains(sk, :s)", "pk = :p AND begins_with(sk, :s)", "begins_with(pk, :p)", "pk = :p AND sk BETWEEN :s AND :t", "pk = :p AND sk BETWEEN :t AND :s", "pk = :p AND sk > :s AND sk < :t",
    "pk = :p AND pk = :p", "pk = :p AND a = :s", "sk = :s", "a = :p", "pk = sk", "pk = :p AND sk = pk", "(pk = :p)", "(pk = :p) AND (sk = :s)", "((pk = :p) AND sk = :s)", "((pk = :p))", "pk = :p AND attribute_exists(sk)",
    "pk = :p AND size(sk) = :s", "pk = :p AND sk.a = :s", "pk[0] = :p", "pk = :undefined", "#p = :p", "#undefined = :p", "pk = :p AND", "pk = :p, sk = :s", "pk = :p and sk >= :s", "pk = :p AND begins_with(:s, sk)", "pk = :p AND :s BETWEEN sk AND sk",
    "pk = :p AND sk = :s AND a = :s", "pk BETWEEN :p AND :t", "pk = :p AND attribute_type(sk, :s)", "sk = :s AND pk > :p", "pk = :p AND begins_with(sk, sk)", "pk = if_not_exists(sk, :p)", "pk = :p AND foo(sk, :s)",
]  # fmt: skip


@st.composite
def syntax(draw: Draw[Any]) -> list[Step]:
    """Placeholders that a text does not use are left out, so that each text shows its own fault."""
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 5))):
        kind = one_of(draw, ["condition", "condition", "filter", "update", "projection", "key"])
        the_key = {"pk": {"S": "none"}, "sk": {"S": "none"}}
        texts = {"update": UPDATE_TEXTS, "projection": PROJECTION_TEXTS, "key": KEY_TEXTS}.get(kind, CONDITION_TEXTS)
        text = one_of(draw, texts)
        if chance(draw, 60) and kind in ("condition", "filter", "update"):
            text = with_values(text, kind)
        operation, body = {
            "condition": ("DeleteItem", {"Key": the_key, "ConditionExpression": text}),
            "filter": ("Scan", {"FilterExpression": text}),
            "update": ("UpdateItem", {"Key": the_key, "UpdateExpression": text}),
            "projection": ("GetItem", {"Key": the_key, "ProjectionExpression": text}),
            "key": ("Query", {"KeyConditionExpression": text}),
        }[kind]
        steps.append(Step(operation, {"TableName": "ranged", **body} | placeholders_of(text), unordered=True))
        if kind == "update":
            steps.append(Step("DeleteItem", {"TableName": "ranged", "Key": the_key, "ReturnValues": "ALL_OLD"}))
    return steps


def with_values(text: str, kind: str) -> str:
    """Put a value for the last operand, as clients do."""
    for name in ("d", "c", "b"):
        if f" {name}" in text and kind != "projection":
            head, _, tail = text.rpartition(f" {name}")
            return f"{head} :s{tail}"
    return text


def placeholders_of(text: str) -> Body:
    names = {name: real for name, real in (("#a", "a"), ("#p", "pk")) if name in text.replace("#undefined", "")}
    values = {":p": {"S": "p"}, ":s": {"S": "a"}, ":t": {"S": "b"}, ":a": {"S": "x"}}
    used = {name: value for name, value in values.items() if name in text}
    members: Body = {}
    if names:
        members["ExpressionAttributeNames"] = names
    if used:
        members["ExpressionAttributeValues"] = used
    return members


# Parameters of before 2014

LEGACY_OPERATORS = ["EQ", "NE", "LE", "LT", "GE", "GT", "NOT_NULL", "NULL", "CONTAINS", "NOT_CONTAINS", "BEGINS_WITH", "IN", "BETWEEN"]
OPERAND_COUNTS = {"NOT_NULL": 0, "NULL": 0, "BETWEEN": 2, "IN": 2}


def legacy_condition(draw: Draw[Any], name: str, kind: str) -> Body:
    operator = one_of(draw, LEGACY_OPERATORS if kind in ("S", "B", "SS", "NS", "BS") else LEGACY_OPERATORS[:8])
    count = OPERAND_COUNTS.get(operator, 1)
    if chance(draw, 5):
        count = one_of(draw, [0, 1, 2, 3])
    element = kind[0] if operator.endswith("CONTAINS") and kind in ("SS", "NS", "BS") else kind
    operands = [draw(anything) if chance(draw, 5) else draw(BY_TYPE[element]) for _ in range(count)]
    if operator == "BETWEEN" and count == 2 and chance(draw, 70):
        operands = [one_of(draw, operands)] * 2
    condition: Body = {"ComparisonOperator": operator}
    return condition | {"AttributeValueList": operands} if operands or chance(draw, 5) else condition


def legacy_conditions(draw: Draw[Any], most: int = 2) -> Body:
    names = draw(st.lists(st.sampled_from(["a", "n", "bin", "t", "ss", "ns", "l", "m", "gone"]), min_size=1, max_size=most, unique=True))
    kinds = {name: paths for paths, listed in PATHS.items() for name in listed}
    return {name: legacy_condition(draw, name, kinds.get(name, "S")) for name in names}


def expected(draw: Draw[Any]) -> Body:
    found: Body = {}
    for name, condition in legacy_conditions(draw).items():
        old_form = [{"Exists": False}, {"Exists": True, "Value": draw(anything)}, {"Value": typical(draw, "a", 30)}]
        found[name] = one_of(draw, old_form) if chance(draw, 35) else condition
    return found


def attribute_updates(draw: Draw[Any]) -> Body:
    found: Body = {}
    for name in draw(st.lists(st.sampled_from(["a", "n", "ss", "ns", "l", "m"]), min_size=1, max_size=3, unique=True)):
        action = one_of(draw, ["PUT", "DELETE", "ADD"])
        update: Body = {"Action": action} if action != "PUT" or chance(draw, 60) else {}
        if action != "DELETE" or chance(draw, 50):
            update["Value"] = typical(draw, name, 10)
        found[name] = update
    return found


@st.composite
def legacy(draw: Draw[Any]) -> list[Step]:
    table = one_of(draw, [PLAIN, RANGED])
    steps = [table.contents(draw)]
    for _ in range(draw(st.integers(1, 5))):
        operation = one_of(draw, ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Scan", "Query"])
        body: Body = {"TableName": table.name}
        if operation == "PutItem":
            body["Item"] = table.item(draw)
        elif operation in ("UpdateItem", "DeleteItem", "GetItem"):
            body["Key"] = one_of(draw, table.keys)
        if operation == "UpdateItem":
            body |= {"AttributeUpdates": attribute_updates(draw), "ReturnValues": one_of(draw, RETURN_VALUES)}
        if operation.endswith("Item") and operation != "GetItem" and chance(draw, 70):
            body["Expected"] = expected(draw)
        if operation == "Scan" and chance(draw, 80):
            body["ScanFilter"] = legacy_conditions(draw)
        if operation == "Query":
            body |= legacy_query(draw, table)
        if chance(draw, 25) and {"Expected", "ScanFilter", "QueryFilter"} & body.keys():
            body["ConditionalOperator"] = one_of(draw, ["AND", "OR"])
        if operation in ("GetItem", "Scan", "Query") and chance(draw, 30):
            body["AttributesToGet"] = draw(st.lists(st.sampled_from(["a", "n", "m", "pk", "gone"]), min_size=1, max_size=3))
        if chance(draw, 4):
            body |= one_of(draw, [{"ProjectionExpression": "a"}, {"ConditionExpression": "attribute_exists(a)"}, {"FilterExpression": "attribute_exists(a)"}])
        steps.append(Step(operation, body, unordered=operation == "Scan"))
    return [*steps, all_items(table)]


def legacy_query(draw: Draw[Any], table: Table) -> Body:
    def equal(value: Value) -> Body:
        return {"AttributeValueList": [value], "ComparisonOperator": "EQ"}

    the_key = one_of(draw, table.keys)
    conditions = {"pk": equal(the_key["pk"])}
    if table.sort and chance(draw, 60):
        conditions["sk"] = legacy_condition(draw, "sk", "S") if chance(draw, 60) else equal(the_key["sk"])
    if chance(draw, 5):
        conditions["a"] = equal({"S": "a"})
    body: Body = {"KeyConditions": conditions}
    if chance(draw, 40):
        body["QueryFilter"] = legacy_conditions(draw)
    if chance(draw, 30):
        body["ScanIndexForward"] = draw(st.booleans())
    return body


