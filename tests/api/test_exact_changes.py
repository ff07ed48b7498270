"""Changes of tables: accepted combinations, their effects, and refused changes, which apply nothing at all."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
DELAY_MS = 10_000
ONE = "1 validation error detected: "
INVALID = "One or more parameter values were invalid: "
USE = "Attempt to change a resource which is still in use: "
ALL = {"ProjectionType": "ALL"}
ON = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
RARE, USUAL = {"TableClass": "STANDARD_INFREQUENT_ACCESS"}, {"TableClass": "STANDARD"}
ON_DEMAND = {"BillingMode": "PAY_PER_REQUEST"}


def units(read: int, write: int | None = None) -> Body:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": read if write is None else write}


def index(name: str, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": ALL, **more}


def update(name: str, **more: Any) -> Body:
    return {"Update": {"IndexName": name, **more}}


def updates(*given: Body, **more: Any) -> Body:
    return {"GlobalSecondaryIndexUpdates": list(given), **more}


DEFINED = [{"AttributeName": "g", "AttributeType": "S"}]
CREATION = updates({"Create": index("new")}, AttributeDefinitions=DEFINED)


def table(service: Any, provisioned: bool = False, **more: Any) -> Any:
    """A table with two global indexes, `one` and `two`, that is ACTIVE."""
    given: Body = {"ProvisionedThroughput": units(5)} if provisioned else {}
    mode: Body = {"BillingMode": "PROVISIONED", **given} if provisioned else {}
    service.table(
        types={"g": "S"}, GlobalSecondaryIndexes=[index("one", **given), index("two", **given)], **mode, **more
    )
    service.clock.advance(2 * DELAY_MS)
    return service


def described(service: Any) -> Any:
    return service.describe_table(TableName="Things")["Table"]


def change(service: Any, **body: Any) -> Any:
    return service.update_table(TableName="Things", **body)["TableDescription"]


def indexes(described: Any) -> dict[str, Any]:
    return {one["IndexName"]: one for one in described["GlobalSecondaryIndexes"]}


def throughput(part: Any) -> tuple[int, int]:
    return part["ProvisionedThroughput"]["ReadCapacityUnits"], part["ProvisionedThroughput"]["WriteCapacityUnits"]


# Nothing of a refused change is applied

TO_PROVISIONED = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(5)}
REFUSED: dict[str, tuple[bool, Body, str]] = {
    "units with an unknown index": (
        True, {"ProvisionedThroughput": units(9), **updates(update("ghost", ProvisionedThroughput=units(9)))},
        "Requested resource not found: Index ghost for table Things",
    ),
    "an index with an unknown index": (
        False,
        updates(*(update(name, OnDemandThroughput={"MaxReadRequestUnits": 9}) for name in ("one", "ghost"))),
        "Requested resource not found: Index ghost for table Things",
    ),
    "a new index with an unknown index": (
        False, updates({"Create": index("new")}, update("ghost", OnDemandThroughput={"MaxReadRequestUnits": 9}),
                       AttributeDefinitions=DEFINED),
        "Requested resource not found: Index ghost for table Things",
    ),
    "on demand with a stream that is on": (
        True, {**ON_DEMAND, "StreamSpecification": ON}, "Table already has an enabled stream: TableName: Things"
    ),
    "on demand with maxima out of range": (
        True, {**ON_DEMAND, "OnDemandThroughput": {"MaxReadRequestUnits": 0}},
        INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for table is outside of valid range",
    ),
    "on demand with units of an index": (
        True, {**ON_DEMAND, **updates(update("one", ProvisionedThroughput=units(9)))},
        INVALID + "The only Updates for index: one when TableThroughputMode is PAY_PER_REQUEST can be to "
        "OnDemandThroughput, WarmThroughput",
    ),
    "provisioned without units of an index": (
        False, {**TO_PROVISIONED, **updates(update("one", ProvisionedThroughput=units(9)))},
        INVALID + "ProvisionedThroughput must be specified for index: two",
    ),
    "units of the table that are its own, beside new ones of an index": (
        True, {"ProvisionedThroughput": units(5), **updates(update("one", ProvisionedThroughput=units(9)))},
        "The provisioned throughput for the table will not change. The requested value equals the current value. "
        "Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. Current "
        "WriteCapacityUnits provisioned for the table: 5. Requested WriteCapacityUnits: 5. Refer to the Amazon "
        "DynamoDB Developer Guide for current limits and how to request higher limits.",
    ),
    "one of the units": (
        True, {"ProvisionedThroughput": {"ReadCapacityUnits": 9}},
        ONE + "Value null at 'provisionedThroughput.writeCapacityUnits' failed to satisfy constraint: Member must not "
        "be null",
    ),
    "the other one, of an index": (
        True, updates(update("one", ProvisionedThroughput={"WriteCapacityUnits": 9})),
        ONE + "Value null at 'globalSecondaryIndexUpdates.1.member.update.provisionedThroughput.readCapacityUnits' "
        "failed to satisfy constraint: Member must not be null",
    ),
    "the stream that is on": (
        True, {"StreamSpecification": ON}, "Table already has an enabled stream: TableName: Things"
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", REFUSED)
def test_a_refused_change_applies_nothing(service: Any, situation: str) -> None:
    provisioned, body, text = REFUSED[situation]
    table(service, provisioned, **({"StreamSpecification": ON} if provisioned else {}))
    before = described(service)
    assert service.refused("UpdateTable", TableName="Things", **body).message == text
    service.settle()
    assert described(service) == before


def test_a_fifth_decrease_together_with_an_increase_applies_nothing(service: Any) -> None:
    table(service, provisioned=True)
    for write in (4, 3, 2, 1):
        change(service, ProvisionedThroughput=units(5, write))
    change(service, ProvisionedThroughput=units(5, 2))
    before = described(service)
    body = {"ProvisionedThroughput": units(9, 1), **updates(update("one", ProvisionedThroughput=units(9)))}
    assert service.refused("UpdateTable", TableName="Things", **body).code == "LimitExceededException"
    assert described(service) == before


# What is accepted is applied


def test_one_of_two_units_may_stay(service: Any) -> None:
    table(service, provisioned=True)
    change(service, ProvisionedThroughput=units(6, 5))
    assert throughput(described(service)) == (6, 5)
    change(service, **updates(update("one", ProvisionedThroughput=units(5, 6))))
    assert throughput(indexes(described(service))["one"]) == (5, 6)


def test_several_indexes_are_updated_together(service: Any) -> None:
    table(service)
    maxima = {"MaxReadRequestUnits": 9}
    change(service, **updates(update("one", OnDemandThroughput=maxima),
                              update("two", WarmThroughput={"WriteUnitsPerSecond": 5_000})))  # fmt: skip
    made = indexes(described(service))
    assert made["one"]["OnDemandThroughput"] == maxima
    assert made["two"]["WarmThroughput"]["WriteUnitsPerSecond"] == 5_000
    assert "OnDemandThroughput" not in made["two"]


def test_provisioned_takes_the_units_given_for_the_table_and_each_index(service: Any) -> None:
    table(service)
    given = [update("one", ProvisionedThroughput=units(3, 4)), update("two", ProvisionedThroughput=units(1))]
    change(service, BillingMode="PROVISIONED", ProvisionedThroughput=units(7, 8), **updates(*given))
    made = described(service)
    assert throughput(made) == (7, 8)
    assert [throughput(one) for one in made["GlobalSecondaryIndexes"]] == [(3, 4), (1, 1)]


def test_modes_may_be_switched_at_any_time(service: Any) -> None:
    table(service)
    given = updates(*(update(name, ProvisionedThroughput=units(5)) for name in ("one", "two")))
    for _ in range(3):
        change(service, **TO_PROVISIONED, **given)
        change(service, **ON_DEMAND)
        service.clock.advance(60_000)
    assert described(service)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize("member", ["KeySchema", "LocalSecondaryIndexes", "Tags", "Unknown"])
@pytest.mark.parametrize("value", [7, "x", [], {}, None], ids=repr)
def test_unknown_members_are_ignored(service: Any, member: str, value: Any) -> None:
    table(service)
    alone = service.refused("UpdateTable", TableName="Things", **{member: value})
    assert alone.message.startswith("At least one of ProvisionedThroughput, BillingMode, ")
    assert change(service, DeletionProtectionEnabled=True, **{member: value})["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("beside", [
    {"DeletionProtectionEnabled": True}, updates({"Delete": {"IndexName": "one"}}), CREATION,
    updates(update("one", OnDemandThroughput={"MaxReadRequestUnits": 9})), ON_DEMAND,
], ids=["protection", "deletion", "creation", "update", "mode"])  # fmt: skip
def test_attribute_definitions_in_a_change_may_be_stale_or_wrong(service: Any, beside: Body) -> None:
    table(service)
    stale = [{"AttributeName": name, "AttributeType": "N"} for name in ("pk", "unused")]
    before = described(service)["AttributeDefinitions"]
    change(service, **{**beside, "AttributeDefinitions": [*stale, *beside.get("AttributeDefinitions", [])]})
    assert described(service)["AttributeDefinitions"] == before


@pytest.mark.parametrize("given", [{}, {"AttributeDefinitions": []}], ids=["none", "an empty list"])
def test_a_new_index_needs_definitions(service: Any, given: Body) -> None:
    table(service)
    body = updates({"Create": index("new")}, **given)
    assert service.refused("UpdateTable", TableName="Things", **body).message == (
        INVALID + "AttributeDefinitions is not specified for index: new"
    )


@pytest.mark.parametrize("types", ["SS", "SN", "NS"])
def test_a_key_of_a_new_index_is_defined_once(service: Any, types: str) -> None:
    table(service)
    twice = [{"AttributeName": "g", "AttributeType": type_} for type_ in types]
    body = updates({"Create": index("new")}, AttributeDefinitions=twice)
    refused = service.refused("UpdateTable", TableName="Things", **body)
    assert (refused.code, refused.message) == ("ValidationException", "Attribute Name is duplicated: g")


def test_definitions_that_nothing_uses_may_be_repeated(service: Any) -> None:
    table(service)
    unused = [{"AttributeName": "unused", "AttributeType": type_} for type_ in "SNS"]
    change(service, **{**CREATION, "AttributeDefinitions": [*unused, *DEFINED]})


@pytest.mark.parametrize("fault", [
    ({}, "2 validation errors detected: Value null at 'attributeDefinitions.1.member.attributeName' failed to satisfy "
     "constraint: Member must not be null; Value null at 'attributeDefinitions.1.member.attributeType' failed to "
     "satisfy constraint: Member must not be null"),
    ({"AttributeName": "x", "AttributeType": ""}, ONE + "Value '' at 'attributeDefinitions.1.member.attributeType' "
     "failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]"),
    ({"AttributeName": "x", "AttributeType": "s"}, ONE + "Value 's' at 'attributeDefinitions.1.member.attributeType' "
     "failed to satisfy constraint: Member must satisfy enum value set: [B, N, S]"),
], ids=["nothing", "no type", "a type in lower case"])  # fmt: skip
@pytest.mark.parametrize("beside", [{}, {"DeletionProtectionEnabled": True}], ids=["alone", "beside a change"])
def test_faults_of_shape_are_reported_even_in_unused_definitions(
    service: Any, beside: Body, fault: tuple[Body, str]
) -> None:
    table(service)
    given, text = fault
    body = {"AttributeDefinitions": [given], **beside}
    assert service.refused("UpdateTable", TableName="Things", **body).message == text


# While something else is under way


def test_other_indexes_are_updated_while_one_is_created_or_deleted(slow_service: Any) -> None:
    for ongoing in (CREATION, updates({"Delete": {"IndexName": "one"}})):
        table(slow_service)
        change(slow_service, **ongoing)
        change(slow_service, **updates(update("two", OnDemandThroughput={"MaxReadRequestUnits": 9})))
        slow_service.clock.advance(DELAY_MS)
        slow_service.settle()
        slow_service.delete_table(TableName="Things")
        slow_service.clock.advance(DELAY_MS)
        slow_service.settle()


UNDER_WAY: dict[str, tuple[bool, Body]] = {
    "units": (True, {"ProvisionedThroughput": units(9)}),
    "on demand": (True, ON_DEMAND),
    "a stream": (False, {"StreamSpecification": ON}),
    "a class": (False, RARE),
    "encryption": (False, {"SSESpecification": {"Enabled": True}}),
    "warm throughput": (False, {"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}),
    "a new index": (False, CREATION),
    "an index less": (False, updates({"Delete": {"IndexName": "one"}})),
}


@pytest.mark.parametrize("ongoing", UNDER_WAY)
def test_tags_and_time_to_live_pass_while_a_table_changes(slow_service: Any, ongoing: str) -> None:
    provisioned, body = UNDER_WAY[ongoing]
    service = table(slow_service, provisioned)
    change(service, **body)
    service.tag_resource(ResourceArn=TABLE, Tags=[{"Key": "a", "Value": "b"}])
    ttl = {"Enabled": True, "AttributeName": "t"}
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=ttl)
    assert service.describe_time_to_live(TableName="Things")["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"


@pytest.mark.parametrize("ongoing", UNDER_WAY)
def test_protection_passes_while_a_table_changes_and_shows_its_status(slow_service: Any, ongoing: str) -> None:
    provisioned, body = UNDER_WAY[ongoing]
    service = table(slow_service, provisioned)
    status = change(service, **body)["TableStatus"]
    protected = change(service, DeletionProtectionEnabled=True)
    assert (protected["TableStatus"], protected["DeletionProtectionEnabled"]) == (status, True)


def test_a_locked_tag_set_stops_no_change(slow_service: Any) -> None:
    service = table(slow_service)
    service.tag_resource(ResourceArn=TABLE, Tags=[{"Key": "a", "Value": "b"}])
    change(service, **RARE)
    ttl = {"Enabled": True, "AttributeName": "t"}
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=ttl)


@pytest.mark.parametrize("asked", ["units", "provisioned"])
def test_units_are_in_use_while_a_table_becomes_on_demand(slow_service: Any, asked: str) -> None:
    service = table(slow_service, provisioned=True)
    change(service, **ON_DEMAND)
    body: Body = {"ProvisionedThroughput": units(9)} if asked == "units" else TO_PROVISIONED
    refused = service.refused("UpdateTable", TableName="Things", **body)
    assert refused.message == f"{USE}Table IOPS are currently being updated. Table: Things"


def test_a_deleted_table_is_gone_for_every_operation(slow_service: Any) -> None:
    service = table(slow_service)
    service.delete_table(TableName="Things")
    service.clock.advance(DELAY_MS)
    for operation, body in (("DescribeTable", {}), ("DeleteTable", {}), ("UpdateTable", RARE)):
        refused = service.refused(operation, TableName="Things", **body)
        assert refused.message == "Requested resource not found: Table: Things not found"
    assert service.list_tables()["TableNames"] == []


# Encryption, class, stream


def test_a_key_named_by_its_alias_again_is_a_change_that_counts(service: Any) -> None:
    given = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "alias/mine"}
    table(service, SSESpecification=given)
    before = described(service)["SSEDescription"]
    for _ in range(4):
        assert change(service, SSESpecification=given)["SSEDescription"]["Status"] == "UPDATING"
    assert described(service)["SSEDescription"] == before
    refused = service.refused("UpdateTable", TableName="Things", SSESpecification=given)
    assert refused.code == "LimitExceededException"
    same = {**given, "KMSMasterKeyId": before["KMSMasterKeyArn"]}
    assert service.refused("UpdateTable", TableName="Things", SSESpecification=same).code == "LimitExceededException"


@pytest.mark.parametrize("given", [RARE, USUAL], ids=["infrequent", "standard"])
def test_the_class_a_table_was_made_with_again_changes_nothing(service: Any, given: Body) -> None:
    table(service, **given)
    before = described(service)
    assert before["TableClassSummary"] == given
    assert change(service, **given)["TableStatus"] == "UPDATING"
    assert described(service) == before


def test_each_stream_has_its_own_arn_and_can_be_read_after_it_is_disabled(service: Any) -> None:
    table(service)

    def streams(operation: str, **body: Any) -> Any:
        return service.request(operation, body, "DynamoDBStreams_20120810")

    arns = []
    for _ in range(2):
        arns.append(change(service, StreamSpecification=ON)["LatestStreamArn"])
        change(service, StreamSpecification={"StreamEnabled": False})
        service.clock.advance(1_000)
    assert len(set(arns)) == 2
    assert described(service)["LatestStreamArn"] == arns[-1]
    assert "StreamSpecification" not in described(service)
    for gone in (False, True):
        if gone:
            service.delete_table(TableName="Things")
        listed = streams("ListStreams", TableName="Things")["Streams"]
        assert {one["StreamArn"] for one in listed} == {*arns}
        for arn in arns:
            assert streams("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
