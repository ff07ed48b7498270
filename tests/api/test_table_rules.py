"""Definitions of tables and their changes: those that are refused, and the error texts."""

from dataclasses import replace
from typing import Any

import pytest

from atoll.api import table_rules, update_rules
from atoll.database.schema import (
    Index,
    KeyAttribute,
    KeySchema,
    Projection,
    Stream,
    Table,
    Throughput,
)
from atoll.errors import ApiError

Body = dict[str, Any]
ONE = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TWO = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2}
INVALID = "One or more parameter values were invalid: "
NOW_MS = 1_795_352_400_000
HOUR_MS = 3600 * 1000


def keys(*names: str, kinds: str = "HRRRRRRRR") -> list[Body]:
    kind = {"H": "HASH", "R": "RANGE"}
    return [{"AttributeName": n, "KeyType": kind[k]} for n, k in zip(names, kinds, strict=False)]


def definitions(names: str, type_: str = "S") -> list[Body]:
    return [{"AttributeName": n, "AttributeType": type_} for n in names]


def index(name: str, *names: str, projection: Body | None = None, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": keys(*names), "Projection": projection or {"ProjectionType": "ALL"}, **more}


def including(count: int) -> Body:
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": [f"n{i}" for i in range(count)]}


def definition(attributes: str = "a", *key_names: str, **more: Any) -> Body:
    body = {
        "TableName": "abc",
        "AttributeDefinitions": definitions(attributes),
        "KeySchema": keys(*(key_names or ("a",))),
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }
    return {name: value for name, value in body.items() if value is not None}


def with_local(*indexes: Body, attributes: str = "abc") -> Body:
    return definition(attributes, "a", "b", LocalSecondaryIndexes=list(indexes))


def with_global(*indexes: Body, attributes: str = "ab", **more: Any) -> Body:
    return definition(attributes, GlobalSecondaryIndexes=list(indexes), **more)


@pytest.mark.parametrize(
    "body",
    [
        definition(),
        definition("ab", "a", "b", BillingMode=None, ProvisionedThroughput=ONE),
        with_local(index("one", "a", "c"), index("two", "a", "c", projection=including(20))),
        with_global(index("one", "b")),
        with_global(index("one", "b", ProvisionedThroughput=ONE), BillingMode="PROVISIONED", ProvisionedThroughput=ONE),
        with_global({**index("one"), "KeySchema": keys(*"abcdefgh", kinds="HHHHRRRR")}, attributes="abcdefgh"),
        definition(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}),
        definition(OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 5}),
        definition(OnDemandThroughput={}, WarmThroughput={}),
        definition(WarmThroughput={"ReadUnitsPerSecond": 12_000}, Tags=[{"Key": "k", "Value": ""}]),
        definition(SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/mine"}),
    ],
)
def test_good_definitions_pass(body: Body) -> None:
    table_rules.check_create(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            definition(ProvisionedThroughput=ONE),
            INVALID
            + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
        ),
        (
            definition(BillingMode=None),
            INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
        ),
        (
            definition(BillingMode=None, ProvisionedThroughput={**ONE, "ReadCapacityUnits": 10**12 + 1}),
            "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        ),
        (definition("a", "a", "b"), "Invalid KeySchema: Some index key attribute have no definition"),
        (
            definition("ab", "a", "c"),
            INVALID + "Some index key attributes are not defined in AttributeDefinitions. "
            "Keys: [a, c], AttributeDefinitions: [a, b]",
        ),
        (definition("ab", "a", "a"), "Both the Hash Key and the Range Key element in the KeySchema have the same name"),
        (
            definition(KeySchema=keys("a", kinds="R")),
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ),
        (
            definition("ab", KeySchema=keys("a", "b", kinds="HH")),
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ),
        (
            definition("ab"),
            INVALID + "Number of attributes in KeySchema does not exactly match number of attributes defined in "
            "AttributeDefinitions",
        ),
        (definition("aa"), "Attribute Name is duplicated: a"),
        (
            definition(AttributeDefinitions=[*definitions("a"), *definitions("a", "N")]),
            "Attribute Name is duplicated: a",
        ),
        (
            with_global(index("one", "b"), attributes="abcd"),
            INVALID + "Some AttributeDefinitions are not used. AttributeDefinitions: [a, b, c, d], keys used: [a, b]",
        ),
    ],
)
def test_keys_and_capacity_of_a_new_table(body: Body, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(body)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (with_local(attributes="ab"), "List of LocalSecondaryIndexes is empty"),
        (
            definition("ab", LocalSecondaryIndexes=[index("one", "a", "b")]),
            "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        ),
        (with_local(index("one", "a"), attributes="ab"), "Index KeySchema does not have a range key for index: one"),
        (
            with_local(index("one", "b", "c")),
            "Index KeySchema does not have the same leading hash key as table KeySchema for index: one. "
            "index hash key: b, table hash key: a",
        ),
        (with_local(index("one", "a", "c"), index("one", "a", "c")), "Duplicate index name: one"),
        (
            with_local(*(index(f"i{n}", "a", "c") for n in range(6))),
            "Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        ),
        (with_global(attributes="a"), "List of GlobalSecondaryIndexes is empty"),
        (
            with_global(index("one", "d"), attributes="a"),
            "Some index key attributes are not defined in AttributeDefinitions. Keys: [d], AttributeDefinitions: [a]",
        ),
        (
            with_global(*(index(f"i{n}", "b") for n in range(21))),
            "GlobalSecondaryIndex count exceeds the per-table limit of 20",
        ),
        (
            with_global(index("one", "b", ProvisionedThroughput=ONE)),
            "ProvisionedThroughput should not be specified for index: one when BillingMode is PAY_PER_REQUEST",
        ),
        (
            with_global(index("one", "b"), BillingMode=None, ProvisionedThroughput=ONE),
            "ProvisionedThroughput is not specified for index: one",
        ),
        (with_global(index("one", "b", projection={"NonKeyAttributes": ["x"]})), "Unknown ProjectionType: null"),
        (
            with_global(index("one", "b", projection={"ProjectionType": "ALL", "NonKeyAttributes": ["x"]})),
            "ProjectionType is ALL, but NonKeyAttributes is specified",
        ),
        (
            with_global(index("one", "b", projection={"ProjectionType": "INCLUDE"})),
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        ),
        (
            with_global(index("one", "b", projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x", "x"]})),
            "Duplicate element in NonKeyAttributes: x",
        ),
        (
            with_global(*(index(f"i{n}", "b", projection=including(17)) for n in range(6))),
            "Number of NonKeyAttributes over all indexes exceeds per-table limit of 100",
        ),
    ],
)
def test_indexes_of_a_new_table(body: Body, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(body)
    assert refused.value.message == INVALID + message


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ("HRH", "All HASH key attributes must precede RANGE key attributes in the KeySchema"),
        ("HHHHH", "The KeySchema exceeds the maximum allowed number of HASH key attributes"),
        ("HRRRRR", "The KeySchema exceeds the maximum allowed number of RANGE key attributes"),
    ],
)
def test_key_lists_of_a_global_index_are_bounded_and_ordered(kinds: str, message: str) -> None:
    schema = keys(*"abcdefgh", kinds=kinds)
    names = "abcdefgh"[: len(kinds)]
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(with_global({**index("one"), "KeySchema": schema}, attributes=names))
    assert refused.value.message == INVALID + message


@pytest.mark.parametrize("names", ["aba", "abb"])
def test_a_key_list_names_an_attribute_once(names: str) -> None:
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(with_global({**index("one"), "KeySchema": keys(*names, kinds="HHR")}))
    assert refused.value.message == "The KeySchema contains multiple key attributes with the same name"


@pytest.mark.parametrize(
    "indexes",
    [
        {"GlobalSecondaryIndexes": [index("one", "b", projection={"ProjectionType": "INCLUDE"})]},
        {"GlobalSecondaryIndexes": [index("one", "b", ProvisionedThroughput=ONE)]},
        {"GlobalSecondaryIndexes": [index("one", "b"), index("one", "b")]},
        {"LocalSecondaryIndexes": [index("one", "a", "b", projection={})]},
    ],
)
def test_unused_definitions_hide_the_faults_of_indexes(indexes: Body) -> None:
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(definition("abz", **indexes))
    assert refused.value.message == (
        INVALID + "Some AttributeDefinitions are not used. AttributeDefinitions: [a, b, z], keys used: [a, b]"
    )


def test_more_than_twelve_used_keys_are_printed_in_the_order_of_a_larger_set() -> None:
    indexes = [
        {**index("one"), "KeySchema": keys(*"abcdefgh", kinds="HHHHRRRR")},
        index("two", *"ij"),
        index("3rd", *"kl"),
    ]
    body = definition("abcdefghijklz", KeySchema=keys("pk"), GlobalSecondaryIndexes=indexes)
    body["AttributeDefinitions"].append({"AttributeName": "pk", "AttributeType": "S"})
    with pytest.raises(ApiError, match=r"keys used: \[a, b, c, d, e, f, g, h, i, j, k, l, pk\]$"):
        table_rules.check_create(body)


def test_used_keys_are_printed_in_the_order_of_java_s_sets() -> None:
    body = definition(KeySchema=keys("pk", "sk"), GlobalSecondaryIndexes=[index("one", "a")])
    declared = ("sk", "a", "b", "pk", "c")
    body["AttributeDefinitions"] = [{"AttributeName": name, "AttributeType": "S"} for name in declared]
    with pytest.raises(ApiError) as refused:
        table_rules.check_create(body)
    assert refused.value.message == (
        INVALID + "Some AttributeDefinitions are not used. AttributeDefinitions: [sk, a, b, pk, c], "
        "keys used: [a, sk, pk]"
    )


# Changes


def table(**more: Any) -> Table:
    a, b = KeyAttribute("a", "S"), KeyAttribute("b", "S")
    by_b = Index(
        "by_b", KeySchema((b,)), Projection("INCLUDE", ("x",)), local=False, space=3, throughput=Throughput(1, 1)
    )
    base = Table("abc", "id", 1, 2, KeySchema((a,)), 0, throughput=Throughput(1, 1), indexes=(by_b,))
    return replace(base, **more)


def on_demand(**more: Any) -> Table:
    [by_b] = table().indexes
    bare = (replace(by_b, throughput=None),)
    return table(**{"billing_mode": "PAY_PER_REQUEST", "throughput": Throughput(0, 0), "indexes": bare, **more})


def change(table: Table, now_ms: int = NOW_MS, **body: Any) -> None:
    update_rules.check(body)
    update_rules.check_of(table, body, now_ms)


def refusal(table: Table, now_ms: int = NOW_MS, **body: Any) -> tuple[str, str]:
    with pytest.raises(ApiError) as refused:
        change(table, now_ms, **body)
    return refused.value.code, refused.value.message or ""


def create(name: str, *names: str, **more: Any) -> Body:
    return {"Create": index(name, *names, **more)}


def test_changes_that_pass() -> None:
    update = {"Update": {"IndexName": "by_b", "ProvisionedThroughput": TWO}}
    change(table(), ProvisionedThroughput=TWO, GlobalSecondaryIndexUpdates=[update])
    change(table(), BillingMode="PAY_PER_REQUEST")
    change(on_demand(), BillingMode="PROVISIONED", ProvisionedThroughput=ONE, GlobalSecondaryIndexUpdates=[update])
    change(
        on_demand(),
        AttributeDefinitions=definitions("ac"),
        GlobalSecondaryIndexUpdates=[create("by_c", "c")],
        BillingMode="PAY_PER_REQUEST",
    )
    change(table(), GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_b"}}])
    change(table(), StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    change(table(), DeletionProtectionEnabled=False)


def test_equal_throughput_is_an_error() -> None:
    assert refusal(table(), ProvisionedThroughput=ONE)[1] == (
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the table: 1. Requested ReadCapacityUnits: 1. "
        "Current WriteCapacityUnits provisioned for the table: 1. Requested WriteCapacityUnits: 1. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )
    update = [{"Update": {"IndexName": "by_b", "ProvisionedThroughput": ONE}}]
    assert "for the index by_b will not change" in refusal(table(), GlobalSecondaryIndexUpdates=update)[1]


def test_capacity_follows_the_billing_mode() -> None:
    assert "ProvisionedThroughput must be specified when" in refusal(on_demand(), BillingMode="PROVISIONED")[1]
    assert refusal(table(), BillingMode="PAY_PER_REQUEST", ProvisionedThroughput=ONE)[1] == (
        INVALID + "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST"
    )
    assert "Neither" in refusal(on_demand(), ProvisionedThroughput=ONE)[1]
    assert refusal(on_demand(), BillingMode="PROVISIONED", ProvisionedThroughput=ONE)[1] == (
        INVALID + "ProvisionedThroughput must be specified for index: by_b"
    )
    update = [{"Update": {"IndexName": "by_b", "ProvisionedThroughput": ONE}}]
    assert refusal(on_demand(), GlobalSecondaryIndexUpdates=update)[1] == (
        INVALID + "The only Updates for index: by_b when TableThroughputMode is PAY_PER_REQUEST can be to "
        "OnDemandThroughput, WarmThroughput"
    )


def test_decreases_are_rationed_after_the_fourth_of_a_day() -> None:
    day_ms = NOW_MS - NOW_MS % (24 * HOUR_MS)
    times = tuple(day_ms + minute * 60_000 for minute in range(4))
    rich = table(throughput=Throughput(9, 9, decreases_ms=times))
    code, message = refusal(rich, times[-1] + HOUR_MS - 1, ProvisionedThroughput=TWO)
    assert code == "LimitExceededException"
    assert message.endswith(
        "Number of decreases today: 4. Last decrease at Sunday, November 22, 2026 at 12:03:00 AM Coordinated Universal "
        "Time. Next decrease can be made at Sunday, November 22, 2026 at 1:03:00 AM Coordinated Universal Time"
    )
    change(rich, times[-1] + HOUR_MS, ProvisionedThroughput=TWO)
    change(rich, times[-1] + 1, ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 9})
    change(rich, day_ms + 24 * HOUR_MS, ProvisionedThroughput=TWO)
    late = table(throughput=Throughput(9, 9, decreases_ms=(*times[:3], day_ms + 24 * HOUR_MS - 60_000)))
    assert (
        "made at Monday, November 23, 2026 at 12:00:00 AM"
        in refusal(late, day_ms + 24 * HOUR_MS - 1, ProvisionedThroughput=TWO)[1]
    )
    change(late, day_ms + 24 * HOUR_MS, ProvisionedThroughput=TWO)


def test_one_index_is_created_or_deleted_at_a_time() -> None:
    one = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    limit = ("LimitExceededException", one)
    both = [create("x_b", "b"), {"Delete": {"IndexName": "by_b"}}]
    assert refusal(on_demand(), GlobalSecondaryIndexUpdates=both, AttributeDefinitions=definitions("b")) == limit
    [by_b] = on_demand().indexes
    busy = on_demand(indexes=(by_b, replace(by_b, name="new", status="CREATING", backfilling=True)))
    another = [create("x_b", "b")]
    assert refusal(busy, GlobalSecondaryIndexUpdates=another, AttributeDefinitions=definitions("b")) == limit
    assert refusal(busy, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by_b"}}]) == limit
    change(busy, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "new"}}])


def test_a_new_index_needs_its_definitions_with_it() -> None:
    new = [create("by_x", "b")]
    assert refusal(on_demand(), GlobalSecondaryIndexUpdates=new)[1] == (
        INVALID + "AttributeDefinitions is not specified for index: by_x"
    )
    assert refusal(on_demand(), GlobalSecondaryIndexUpdates=new, AttributeDefinitions=definitions("c"))[1] == (
        INVALID + "Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [b], AttributeDefinitions: [c]"
    )
    other = refusal(on_demand(), GlobalSecondaryIndexUpdates=new, AttributeDefinitions=definitions("b", "N"))
    assert other[1] == (
        INVALID + "Attributes cannot be redefined. Please check that your attribute has the same type as previously "
        "defined. Existing schema: Schema:[SchemaElement: key{b:S:HASH}] New schema: Schema:[SchemaElement: "
        "key{b:N:HASH}]"
    )


@pytest.mark.parametrize(
    "given",
    [definitions("bz"), [*definitions("b"), *definitions("a", "N")], definitions("bc", "S")],
    ids=["one that nothing uses", "a key of the table with another type", "a stale one"],
)
def test_definitions_of_other_attributes_do_not_matter(given: list[Body]) -> None:
    change(on_demand(), GlobalSecondaryIndexUpdates=[create("by_x", "b")], AttributeDefinitions=given)


def test_projected_attributes_are_counted_over_all_indexes() -> None:
    [by_b] = on_demand().indexes
    full = tuple(
        replace(by_b, name=f"by_{n}", projection=Projection("INCLUDE", tuple(f"n{i}" for i in range(20))))
        for n in range(5)
    )
    new = [create("by_x", "b", projection=including(1))]
    refused = refusal(on_demand(indexes=full), GlobalSecondaryIndexUpdates=new, AttributeDefinitions=definitions("b"))
    assert "limit of 100" in refused[1]


def test_streams_are_switched_not_changed() -> None:
    on = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    streaming = table(stream=Stream("label", "NEW_IMAGE"))
    assert refusal(streaming, StreamSpecification=on)[1] == "Table already has an enabled stream: TableName: abc"
    off = {"StreamEnabled": False}
    assert refusal(table(), StreamSpecification=off)[1] == "Table has no stream to disable: TableName: abc"
    change(streaming, StreamSpecification=off)
    change(table(stream=Stream("label", "NEW_IMAGE", enabled=False)), StreamSpecification=on)
