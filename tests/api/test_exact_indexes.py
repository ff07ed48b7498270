"""The errors for definitions of indexes, wherever an index is defined: a global or a local index of
CreateTable, and the Create of an UpdateTable. The three have the same texts; only the path of a violated constraint
differs."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
INVALID = "One or more parameter values were invalid: "
ONE, TWO = "1 validation error detected: ", "2 validation errors detected: "
ALL = {"ProjectionType": "ALL"}
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
GLOBAL = "globalSecondaryIndexes.1.member"
LOCAL = "localSecondaryIndexes.1.member"
CREATE = "globalSecondaryIndexUpdates.1.member.create"


def keys(names: str, kinds: str) -> list[Body]:
    kind = {"H": "HASH", "R": "RANGE"}
    return [{"AttributeName": name, "KeyType": kind[letter]} for name, letter in zip(names, kinds, strict=True)]


def defined(names: str) -> list[Body]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in sorted({*names})]


def base(names: str, **more: Any) -> Body:
    return {"TableName": "Things", "KeySchema": keys("ab", "HR"), "AttributeDefinitions": defined("ab" + names),
            "BillingMode": "PAY_PER_REQUEST", **more}  # fmt: skip


def refused(service: Any, place: str, given: Body, provisioned: bool = False) -> tuple[str, str]:
    """Define the index at that place. A member that is None is left out."""
    usual = keys("ab", "HR") if place == LOCAL else keys("b", "H")
    index = {"IndexName": "some", "KeySchema": usual, "Projection": ALL, **given}
    index = {member: value for member, value in index.items() if value is not None}
    names = "".join(key.get("AttributeName", "") for key in index.get("KeySchema", []))
    mode: Body = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS} if provisioned else {}
    if place != CREATE:
        member = "LocalSecondaryIndexes" if place == LOCAL else "GlobalSecondaryIndexes"
        error = service.refused("CreateTable", **base(names, **mode, **{member: [index]}))
        assert service.list_tables()["TableNames"] == []
    else:
        service.create_table(**base("", **mode))
        before = service.describe_table(TableName="Things")
        body = {"AttributeDefinitions": defined("ab" + names), "GlobalSecondaryIndexUpdates": [{"Create": index}]}
        error = service.refused("UpdateTable", TableName="Things", **body)
        assert service.describe_table(TableName="Things") == before
    return error.code, error.message


def violation(value: str, member: str, constraint: str) -> str:
    return f"Value {value} at '{{path}}.{member}' failed to satisfy constraint: Member must {constraint}"


def including(*names: str) -> Body:
    return {"Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(names)}}


MANY = [f"n{number}" for number in range(21)]
NULL, LENGTH = "not be null", "have length {} than or equal to {}"

# Faults of any index, with the text that follows; `{path}` is the path of the index.
ANY: dict[str, tuple[Body, str]] = {
    "a list of attributes that is missing": (
        {"Projection": {"ProjectionType": "INCLUDE"}},
        INVALID + "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
    ),
    **{
        f"a list of attributes beside {kind}": (
            {"Projection": {"ProjectionType": kind, "NonKeyAttributes": ["x"]}},
            INVALID + f"ProjectionType is {kind}, but NonKeyAttributes is specified",
        )
        for kind in ("KEYS_ONLY", "ALL")
    },
    "an empty projection": ({"Projection": {}}, INVALID + "Unknown ProjectionType: null"),
    "an attribute twice": (including("x", "y", "x"), INVALID + "Duplicate element in NonKeyAttributes: x"),
    "no projection": ({"Projection": None}, ONE + violation("null", "projection", NULL)),
    "an empty list of attributes": (
        including(), ONE + violation("'[]'", "projection.nonKeyAttributes", LENGTH.format("greater", 1))
    ),
    "a list of 21 attributes": (
        including(*MANY),
        ONE + violation(f"'[{', '.join(MANY)}]'", "projection.nonKeyAttributes", LENGTH.format("less", 20)),
    ),
    "a projection in lower case": (
        {"Projection": {"ProjectionType": "all"}},
        ONE + violation("'all'", "projection.projectionType", "satisfy enum value set: [ALL, INCLUDE, KEYS_ONLY]"),
    ),
    "a key in lower case": (
        {"KeySchema": [{"AttributeName": "a", "KeyType": "hash"}]},
        ONE + violation("'hash'", "keySchema.1.member.keyType", "satisfy enum value set: [HASH, RANGE]"),
    ),
    "an empty key": (
        {"KeySchema": [{}]},
        TWO + violation("null", "keySchema.1.member.attributeName", NULL) + "; "
        + violation("null", "keySchema.1.member.keyType", NULL),
    ),
    "no keys": ({"KeySchema": None}, ONE + violation("null", "keySchema", NULL)),
    "an empty list of keys": (
        {"KeySchema": []}, ONE + violation("'[]'", "keySchema", LENGTH.format("greater", 1))
    ),
    "a short name": ({"IndexName": "ab"}, ONE + violation("'ab'", "indexName", LENGTH.format("greater", 3))),
    "a long name": (
        {"IndexName": "n" * 256}, ONE + violation(f"'{'n' * 256}'", "indexName", LENGTH.format("less", 255))
    ),
    "a name with other characters": (
        {"IndexName": "by b"},
        ONE + violation("'by b'", "indexName", "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"),
    ),
    "a name that is missing": ({"IndexName": None}, ONE + violation("null", "indexName", NULL)),
    "a sort key first": (
        {"KeySchema": keys("ba", "RH")}, "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", ANY)
@pytest.mark.parametrize("place", [GLOBAL, LOCAL, CREATE])
def test_any_index(service: Any, place: str, situation: str) -> None:
    given, text = ANY[situation]
    assert refused(service, place, given) == ("ValidationException", text.replace("{path}", place))


MOST = "The KeySchema exceeds the maximum allowed number of {} key attributes"
TWICE = "The KeySchema contains multiple key attributes with the same name"
WARM = (
    "is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/"
    "developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
)
BELOW_ONE = "have value greater than or equal to 1"


def both(value: str, constraint: str) -> str:
    return TWO + "; ".join(
        violation(value, f"provisionedThroughput.{kind}CapacityUnits", constraint) for kind in ("write", "read")
    )


# Faults of a global index of an on-demand table.
ON_DEMAND: dict[str, tuple[Body, str]] = {
    "five partition attributes": ({"KeySchema": keys("abcde", "HHHHH")}, INVALID + MOST.format("HASH")),
    "five sort attributes": ({"KeySchema": keys("abcdef", "HRRRRR")}, INVALID + MOST.format("RANGE")),
    "a partition attribute after a sort attribute": (
        {"KeySchema": keys("abc", "HRH")},
        INVALID + "All HASH key attributes must precede RANGE key attributes in the KeySchema",
    ),
    **{
        f"an attribute twice: {kinds}": ({"KeySchema": keys(names, kinds)}, TWICE)
        for names, kinds in (("aba", "HHR"), ("aa", "HH"), ("abb", "HRR"), ("aab", "HHR"))
    },
    "units": (
        {"ProvisionedThroughput": UNITS},
        INVALID + "ProvisionedThroughput should not be specified for index: some when BillingMode is PAY_PER_REQUEST",
    ),
    "units of 0": (
        {"ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}, both("'0'", BELOW_ONE)
    ),
    **{
        f"a maximum of {units} {kind}s": (
            {"OnDemandThroughput": {f"Max{kind}RequestUnits": units}},
            INVALID + f"Requested Max{kind}RequestUnits for OnDemandThroughput for index : some is outside of valid "
            "range",
        )
        for kind in ("Read", "Write")
        for units in (0, -1)
    },
    **{
        f"{units} warm {kind}s": (
            {"WarmThroughput": {f"{kind}UnitsPerSecond": units}},
            INVALID + f"Requested {kind}UnitsPerSecond for WarmThroughput for index some {WARM}",
        )
        for kind, units in (("Read", 11_999), ("Write", 3_999), ("Read", 0), ("Write", -1))
    },
}  # fmt: skip

# Faults of a global index of a provisioned table.
PROVISIONED: dict[str, tuple[Body, str]] = {
    "no units": ({}, INVALID + "ProvisionedThroughput is not specified for index: some"),
    "empty units": ({"ProvisionedThroughput": {}}, both("null", NULL)),
    "units of -1": (
        {"ProvisionedThroughput": {"ReadCapacityUnits": -1, "WriteCapacityUnits": -1}}, both("'-1'", BELOW_ONE)
    ),
    "one of the units": (
        {"ProvisionedThroughput": {"WriteCapacityUnits": 1}},
        ONE + violation("null", "provisionedThroughput.readCapacityUnits", NULL),
    ),
    **{
        f"maxima of {kind}s": (
            {"ProvisionedThroughput": UNITS, "OnDemandThroughput": {f"Max{kind}RequestUnits": 1}},
            INVALID + f"Max{kind}RequestUnits for OnDemandThroughput for index: some cannot be specified when table "
            "BillingMode is PROVISIONED.",
        )
        for kind in ("Read", "Write")
    },
}  # fmt: skip


@pytest.mark.parametrize("situation", ON_DEMAND)
@pytest.mark.parametrize("place", [GLOBAL, CREATE])
def test_a_global_index_of_an_on_demand_table(service: Any, place: str, situation: str) -> None:
    given, text = ON_DEMAND[situation]
    assert refused(service, place, given) == ("ValidationException", text.replace("{path}", place))


@pytest.mark.parametrize("situation", PROVISIONED)
@pytest.mark.parametrize("place", [GLOBAL, CREATE])
def test_a_global_index_of_a_provisioned_table(service: Any, place: str, situation: str) -> None:
    given, text = PROVISIONED[situation]
    found = refused(service, place, given, provisioned=True)
    assert found == ("ValidationException", text.replace("{path}", place))


# Faults of a local index alone.
LOCALS: dict[str, tuple[Body, str]] = {
    "two partition attributes": (
        {"KeySchema": keys("ab", "HH")}, "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type"
    ),
    "three attributes": (
        {"KeySchema": keys("abc", "HRR")},
        ONE + violation(
            "'[KeySchemaElement(attributeName=a, keyType=HASH), KeySchemaElement(attributeName=b, keyType=RANGE), "
            "KeySchemaElement(attributeName=c, keyType=RANGE)]'", "keySchema", LENGTH.format("less", 2)),
    ),
    "no sort attribute": (
        {"KeySchema": keys("a", "H")}, INVALID + "Index KeySchema does not have a range key for index: some"
    ),
    "another partition attribute": (
        {"KeySchema": keys("ba", "HR")},
        INVALID + "Index KeySchema does not have the same leading hash key as table KeySchema for index: some. index "
        "hash key: b, table hash key: a",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", LOCALS)
def test_a_local_index(service: Any, situation: str) -> None:
    given, text = LOCALS[situation]
    assert refused(service, LOCAL, given) == ("ValidationException", text.replace("{path}", LOCAL))


@pytest.mark.parametrize("member", ["WarmThroughput", "OnDemandThroughput"])
@pytest.mark.parametrize("place", [GLOBAL, CREATE])
def test_an_index_with_an_empty_member_is_made_without_it(service: Any, place: str, member: str) -> None:
    index = {"IndexName": "some", "KeySchema": keys("b", "H"), "Projection": ALL, member: {}}
    if place == CREATE:
        service.create_table(**base(""))
        body = {"AttributeDefinitions": defined("b"), "GlobalSecondaryIndexUpdates": [{"Create": index}]}
        service.update_table(TableName="Things", **body)
        service.settle()
    else:
        service.create_table(**base("", GlobalSecondaryIndexes=[index]))
    [made] = service.describe_table(TableName="Things")["Table"]["GlobalSecondaryIndexes"]
    assert made["WarmThroughput"] == {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}
    assert "OnDemandThroughput" not in made


@pytest.mark.parametrize(("members", "quota"), [
    ({"OnDemandThroughput": {"MaxReadRequestUnits": 40_001}},
     "Requested MaxReadRequestUnits for OnDemandThroughput for index : some exceeds TableMaxReadCapacityUnits"),
    ({"OnDemandThroughput": {"MaxWriteRequestUnits": 40_001}},
     "Requested MaxWriteRequestUnits for OnDemandThroughput for index : some exceeds TableMaxWriteCapacityUnits"),
    ({"WarmThroughput": {"ReadUnitsPerSecond": 40_001}},
     "Requested ReadUnitsPerSecond for WarmThroughput for index some exceeds TableMaxReadCapacityUnits"),
], ids=["reads", "writes", "warm reads"])  # fmt: skip
@pytest.mark.parametrize("place", [GLOBAL, CREATE])
def test_an_index_above_the_account_s_maximum(service: Any, place: str, members: Body, quota: str) -> None:
    text = f"Subscriber limit exceeded: {quota} of the account in region us-east-1"
    assert refused(service, place, members) == ("LimitExceededException", text)


@pytest.mark.parametrize("kind", ["Read", "Write"])
@pytest.mark.parametrize("place", [GLOBAL, CREATE])
def test_units_of_an_index_above_the_maximum(service: Any, place: str, kind: str) -> None:
    given = {"ProvisionedThroughput": {**UNITS, f"{kind}CapacityUnits": 40_001}}
    code, message = refused(service, place, given, provisioned=True)
    assert code == "LimitExceededException"
    assert message == (
        f"The requested {kind}CapacityUnits for index some, 40001, is above the per index maximum for the account in "
        "us-east-1. Per table maximum: 40000. Refer to the Amazon DynamoDB Developer Guide for current limits and how "
        "to request higher limits."
    )
