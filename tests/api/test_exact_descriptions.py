"""The members of a table's description, their order, and the values that are kept to the letter."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
NO_UNITS = {"NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}
INITIAL = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"


def keys(*names: str, kinds: tuple[str, ...] = ("HASH", "RANGE")) -> list[Body]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def defined(*names: str) -> list[Body]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def including(*names: str) -> Body:
    return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(names)}


def index(name: str, *names: str, projection: Body | None = None, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": keys(*names), "Projection": projection or {"ProjectionType": "ALL"}, **more}


def create(*names: str, **more: Any) -> Body:
    return {"TableName": "Things", "KeySchema": keys(*names), "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": defined(*names), **more}  # fmt: skip


def described(service: Any) -> Any:
    return service.describe_table(TableName="Things")["Table"]


def both(service: Any, body: Body) -> tuple[Any, Any]:
    """The table in the answer to its creation, and as it is described."""
    return service.create_table(**body)["TableDescription"], described(service)


# Keys and attributes


@pytest.mark.parametrize(
    "names",
    [
        (" pk", "pk"),
        ("pk", "pk "),
        ("a\nb", "a\tb"),
        ("🏝", "🏝🏝"),
        ("a.b", "a[0]"),
        ("k" * 255, "k" * 254),
        ("pk", "PK"),
    ],
    ids=["a blank before", "a blank behind", "white space", "emoji", "paths", "255 characters", "another case"],
)
def test_names_of_keys_are_kept_to_the_letter(service: Any, names: tuple[str, str]) -> None:
    for table in both(service, create(*names)):
        assert table["KeySchema"] == keys(*names)
        assert table["AttributeDefinitions"] == defined(*sorted(names))
    item = {name: {"S": f"value of {name}"} for name in names}
    service.put_item(TableName="Things", Item=item)
    assert service.get_item(TableName="Things", Key=item)["Item"] == item


def test_definitions_are_sorted_in_the_answer_already(service: Any) -> None:
    body = create("pk", "sk", AttributeDefinitions=defined("sk", "b", "pk", "Z", "a"),
                  GlobalSecondaryIndexes=[index("by-b", "b", "a"), index("by-z", "Z")])  # fmt: skip
    for table in both(service, body):
        assert [one["AttributeName"] for one in table["AttributeDefinitions"]] == ["Z", "a", "b", "pk", "sk"]


def test_keys_of_a_global_index_are_described_in_the_order_sent(service: Any) -> None:
    schema = keys(*"hgfedcba", kinds=("HASH",) * 4 + ("RANGE",) * 4)
    wide = {**index("wide"), "KeySchema": schema}
    body = create("pk", AttributeDefinitions=defined("pk", *"abcdefgh"), GlobalSecondaryIndexes=[wide])
    for table in both(service, body):
        assert table["GlobalSecondaryIndexes"][0]["KeySchema"] == schema


def test_indexes_are_described_as_sent_and_their_attributes_sorted(service: Any) -> None:
    body = create(
        "pk", "sk", AttributeDefinitions=defined("pk", "sk", "b"),
        GlobalSecondaryIndexes=[index("zzz", "b", projection=including("z", "pk", "b", "M")), index("aaa", "b")],
        LocalSecondaryIndexes=[index("yyy", "pk", "b", projection=including("z", "sk", "a")), index("bbb", "pk", "b")],
    )  # fmt: skip
    for table in both(service, body):
        zz, aa = table["GlobalSecondaryIndexes"]
        yy, bb = table["LocalSecondaryIndexes"]
        assert [one["IndexName"] for one in (zz, aa, yy, bb)] == ["zzz", "aaa", "yyy", "bbb"]
        assert zz["Projection"] == including("M", "b", "pk", "z")  # also names of keys stay
        assert yy["Projection"] == including("a", "sk", "z")


def test_attributes_of_an_added_index_are_sorted(service: Any) -> None:
    service.create_table(**create("pk"))
    made = index("new", "b", projection=including("z", "pk", "b", "M"))
    body = {"AttributeDefinitions": defined("b"), "GlobalSecondaryIndexUpdates": [{"Create": made}]}
    answer = service.update_table(TableName="Things", **body)["TableDescription"]
    service.settle()
    for table in (answer, described(service)):
        assert table["GlobalSecondaryIndexes"][0]["Projection"] == including("M", "b", "pk", "z")


def test_an_attribute_leaves_the_description_with_its_last_index(service: Any) -> None:
    service.create_table(
        **create("pk", AttributeDefinitions=defined("pk", "b"),
                 GlobalSecondaryIndexes=[index("one", "b"), index("two", "b")])
    )  # fmt: skip
    for name, left in (("one", ["b", "pk"]), ("two", ["pk"])):
        service.update_table(TableName="Things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}])
        service.settle()
        assert [one["AttributeName"] for one in described(service)["AttributeDefinitions"]] == left
    assert "GlobalSecondaryIndexes" not in described(service)


def test_a_deleted_index_s_name_can_be_used_again_with_another_projection(service: Any) -> None:
    body = create("pk", AttributeDefinitions=defined("pk", "b"), GlobalSecondaryIndexes=[index("one", "b")])
    service.create_table(**body)
    service.update_table(TableName="Things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "one"}}])
    service.settle()
    again = {"Create": index("one", "c", projection={"ProjectionType": "KEYS_ONLY"})}
    service.update_table(
        TableName="Things", AttributeDefinitions=defined("c"), GlobalSecondaryIndexUpdates=[again]
    )  # fmt: skip
    service.settle()
    [made] = described(service)["GlobalSecondaryIndexes"]
    assert (made["KeySchema"], made["Projection"]) == (keys("c"), {"ProjectionType": "KEYS_ONLY"})


# Members

LOCAL_MEMBERS = {"IndexName", "KeySchema", "Projection", "IndexSizeBytes", "ItemCount", "IndexArn"}
GLOBAL_MEMBERS = {*LOCAL_MEMBERS, "IndexStatus", "ProvisionedThroughput", "WarmThroughput"}


def with_indexes(**more: Any) -> Body:
    units = {"ProvisionedThroughput": UNITS} if "ProvisionedThroughput" in more else {}
    return create(
        "pk", "sk", AttributeDefinitions=defined("pk", "sk", "b"),
        GlobalSecondaryIndexes=[index("glob", "b", **units)],
        LocalSecondaryIndexes=[index("local", "pk", "b")], **more,
    )  # fmt: skip


def test_members_of_indexes(service: Any) -> None:
    answer, table = both(service, with_indexes())
    assert table["GlobalSecondaryIndexes"][0].keys() == GLOBAL_MEMBERS
    assert answer["GlobalSecondaryIndexes"][0].keys() == GLOBAL_MEMBERS - {"WarmThroughput"}
    for one in (answer, table):
        [local] = one["LocalSecondaryIndexes"]
        assert local.keys() == LOCAL_MEMBERS
        assert local["IndexArn"] == f"{ARN}/index/local"


def test_on_demand_table_and_index_have_no_units_and_the_initial_warm_throughput(service: Any) -> None:
    service.create_table(**with_indexes())
    table = described(service)
    for part in (table, table["GlobalSecondaryIndexes"][0]):
        assert part["ProvisionedThroughput"] == NO_UNITS
        assert part["WarmThroughput"] == INITIAL
        assert "OnDemandThroughput" not in part


@pytest.mark.parametrize("mode", ["PROVISIONED", None], ids=["named", "the default"])
def test_a_table_made_provisioned_has_no_billing_mode(service: Any, mode: str | None) -> None:
    body = with_indexes(BillingMode=mode, ProvisionedThroughput=UNITS)
    for table in both(service, {member: value for member, value in body.items() if value is not None}):
        assert "BillingModeSummary" not in table
        assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **UNITS}
    warm = {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"}
    assert described(service)["WarmThroughput"] == warm
    assert described(service)["GlobalSecondaryIndexes"][0]["WarmThroughput"] == warm


def test_a_table_that_was_on_demand_once_has_its_billing_mode_for_good(service: Any) -> None:
    service.create_table(**create("pk", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS))
    service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST")
    date = described(service)["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"]
    service.clock.advance(60_000)
    service.update_table(TableName="Things", BillingMode="PROVISIONED", ProvisionedThroughput=UNITS)
    assert described(service)["BillingModeSummary"] == {
        "BillingMode": "PROVISIONED", "LastUpdateToPayPerRequestDateTime": date,
    }  # fmt: skip


def test_the_answer_lacks_warm_throughput_of_indexes_even_if_requested(service: Any) -> None:
    warm = {"ReadUnitsPerSecond": 13_000}
    body = create("pk", AttributeDefinitions=defined("pk", "b"),
                  GlobalSecondaryIndexes=[index("glob", "b", WarmThroughput=warm)])  # fmt: skip
    answer, table = both(service, body)
    assert "WarmThroughput" not in answer["GlobalSecondaryIndexes"][0]
    assert table["GlobalSecondaryIndexes"][0]["WarmThroughput"] == {**INITIAL, **warm}


def test_one_maximum_of_an_index_is_described_alone(service: Any) -> None:
    maximum = {"MaxWriteRequestUnits": 9}
    service.create_table(
        **create("pk", AttributeDefinitions=defined("pk", "b"),
                 GlobalSecondaryIndexes=[index("glob", "b", OnDemandThroughput=maximum)])
    )  # fmt: skip
    assert described(service)["GlobalSecondaryIndexes"][0]["OnDemandThroughput"] == maximum


def test_only_an_index_that_is_added_is_backfilling(slow_service: Any) -> None:
    service = slow_service
    service.create_table(**with_indexes())
    assert "Backfilling" not in described(service)["GlobalSecondaryIndexes"][0]
    service.clock.advance(10_000)
    body = {"AttributeDefinitions": defined("b"), "GlobalSecondaryIndexUpdates": [{"Create": index("new", "b")}]}
    service.update_table(TableName="Things", **body)
    old, new = described(service)["GlobalSecondaryIndexes"]
    assert ("Backfilling" in old, new["Backfilling"], new["IndexStatus"]) == (False, False, "CREATING")
    service.clock.advance(10_000)
    service.settle()
    _, new = described(service)["GlobalSecondaryIndexes"]
    assert (new["IndexStatus"], "Backfilling" in new) == ("ACTIVE", False)


# Names that exist

INVALID_KEYS = create("pk", KeySchema=keys("pk", kinds=("RANGE",)))


@pytest.mark.parametrize("state", ["CREATING", "ACTIVE", "UPDATING", "DELETING"])
def test_faults_of_a_request_come_before_the_name_that_exists(slow_service: Any, state: str) -> None:
    service = slow_service
    service.create_table(**create("pk"))
    if state != "CREATING":
        service.clock.advance(10_000)
    if state == "UPDATING":
        service.update_table(TableName="Things", TableClass="STANDARD_INFREQUENT_ACCESS")
    if state == "DELETING":
        service.delete_table(TableName="Things")
    assert described(service)["TableStatus"] == state
    assert service.refused("CreateTable", **INVALID_KEYS).message == (
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type"
    )


def test_tables_with_indexes_are_made_at_the_same_time(slow_service: Any) -> None:
    for number in range(5):
        slow_service.create_table(**{**with_indexes(), "TableName": f"Things-{number}"})
    slow_service.clock.advance(10_000)
    for number in range(5):
        table = slow_service.describe_table(TableName=f"Things-{number}")["Table"]
        assert (table["TableStatus"], table["GlobalSecondaryIndexes"][0]["IndexStatus"]) == ("ACTIVE", "ACTIVE")


def test_units_of_table_and_index_are_measured_apart(service: Any) -> None:
    for name, units, of_index in (("one", 39_900, 200), ("two", 1, 39_000)):
        given = {"ReadCapacityUnits": units, "WriteCapacityUnits": 1}
        table = with_indexes(BillingMode="PROVISIONED", ProvisionedThroughput=given)
        table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = {**given, "ReadCapacityUnits": of_index}
        service.create_table(**{**table, "TableName": name})


@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable"])
def test_an_account_s_units_are_bounded(service: Any, operation: str) -> None:
    most = {"ReadCapacityUnits": 40_000, "WriteCapacityUnits": 1}
    few = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    third = create("pk", TableName="three", BillingMode="PROVISIONED")
    for name in ("one", "two"):
        service.create_table(
            **{**third, "TableName": name, "ProvisionedThroughput": {**most, "ReadCapacityUnits": 39_999}}
        )
    if operation == "UpdateTable":
        service.create_table(**third, ProvisionedThroughput=few)
    refused = service.refused(operation, **({"TableName": "three"} if operation == "UpdateTable" else third),
                              ProvisionedThroughput=most)  # fmt: skip
    reserved = 79_999 if operation == "UpdateTable" else 79_998
    assert (refused.code, refused.message) == (
        "LimitExceededException",
        "This request would have caused the ReadCapacityUnits limit to be exceeded for the account in us-east-1. "
        f"Current ReadCapacityUnits reserved by the account: {reserved}. Limit: 80000. Requested: 40000",
    )


def test_a_table_requests_its_units_and_those_of_its_indexes_together(service: Any) -> None:
    given = {"ReadCapacityUnits": 39_900, "WriteCapacityUnits": 1}
    first = with_indexes(BillingMode="PROVISIONED", ProvisionedThroughput=given)
    first["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = {**given, "ReadCapacityUnits": 236}
    service.create_table(**first)
    second = with_indexes(BillingMode="PROVISIONED", ProvisionedThroughput={**given, "ReadCapacityUnits": 1})
    second["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] = {**given, "ReadCapacityUnits": 40_000}
    assert service.refused("CreateTable", **{**second, "TableName": "Other"}).message.endswith(
        "Current ReadCapacityUnits reserved by the account: 40136. Limit: 80000. Requested: 40001"
    )
