"""Tables as a tool that compares sees them: what was defined is described again, without a difference.
Then: what changes, tags and ARNs are refused with, word for word."""

from __future__ import annotations

from typing import Any

import pytest

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
INVALID = "One or more parameter values were invalid: "
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
MORE = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 8}


def attributes(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "N" if name == "n" else "S"} for name in names]


def keys(*names: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


SOME = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "m", "z"]}

# Names are in alphabetical order: so the service describes AttributeDefinitions, whatever their order was.
PROVISIONED: dict[str, Any] = {
    "TableName": "Provisioned",
    "AttributeDefinitions": attributes("a", "n", "pk", "sk"),
    "KeySchema": keys("pk", "sk"),
    "ProvisionedThroughput": UNITS,
    "LocalSecondaryIndexes": [
        {"IndexName": "zz-local", "KeySchema": keys("pk", "n"), "Projection": SOME},
        {"IndexName": "aa-local", "KeySchema": keys("pk", "a"), "Projection": {"ProjectionType": "KEYS_ONLY"}},
    ],
    "GlobalSecondaryIndexes": [
        {"IndexName": "zz-global", "KeySchema": keys("n", "a"), "Projection": SOME, "ProvisionedThroughput": MORE},
        {"IndexName": "aa-global", "KeySchema": keys("a"), "Projection": {"ProjectionType": "ALL"},
         "ProvisionedThroughput": UNITS},
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "mine"},
    "TableClass": "STANDARD_INFREQUENT_ACCESS",
    "DeletionProtectionEnabled": True,
    "Tags": [{"Key": "team", "Value": "data"}, {"Key": "empty", "Value": ""}],
}  # fmt: skip

ON_DEMAND: dict[str, Any] = {
    "TableName": "OnDemand",
    "AttributeDefinitions": attributes("a", "b", "n", "pk"),
    "KeySchema": keys("pk"),
    "BillingMode": "PAY_PER_REQUEST",
    "GlobalSecondaryIndexes": [
        {"IndexName": "many", "Projection": {"ProjectionType": "ALL"},
         "KeySchema": [{"AttributeName": "b", "KeyType": "HASH"}, {"AttributeName": "a", "KeyType": "HASH"},
                       {"AttributeName": "n", "KeyType": "RANGE"}],
         "OnDemandThroughput": {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20},
         "WarmThroughput": {"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000}},
    ],
    "OnDemandThroughput": {"MaxReadRequestUnits": 100, "MaxWriteRequestUnits": 200},
    "WarmThroughput": {"ReadUnitsPerSecond": 14_000, "WriteUnitsPerSecond": 6_000},
}  # fmt: skip

SAME = ("TableName", "AttributeDefinitions", "KeySchema", "StreamSpecification", "DeletionProtectionEnabled",
        "OnDemandThroughput")  # fmt: skip


def without(part: dict[str, Any], *members: str) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in members}


def units(described: dict[str, Any]) -> dict[str, Any]:
    assert described["NumberOfDecreasesToday"] == 0
    return without(described, "NumberOfDecreasesToday")


def definition_of(described: dict[str, Any]) -> dict[str, Any]:
    """The request that would make the table that is described."""
    found = {name: described[name] for name in SAME if name in described}
    if "BillingModeSummary" in described:
        found["BillingMode"] = described["BillingModeSummary"]["BillingMode"]
    else:
        found["ProvisionedThroughput"] = units(described["ProvisionedThroughput"])
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        if member in described:
            found[member] = [index_of(index, "BillingMode" in found) for index in described[member]]
    if "SSEDescription" in described:
        key = described["SSEDescription"]["KMSMasterKeyArn"].partition(":000000000000:key/")[2]
        found["SSESpecification"] = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    if "TableClassSummary" in described:
        found["TableClass"] = described["TableClassSummary"]["TableClass"]
    if "BillingMode" in found:
        found["WarmThroughput"] = without(described["WarmThroughput"], "Status")
    return found


def index_of(described: dict[str, Any], on_demand: bool) -> dict[str, Any]:
    found = {name: described[name] for name in ("IndexName", "KeySchema", "Projection")}
    if "IndexStatus" not in described:
        return found
    if not on_demand:
        return {**found, "ProvisionedThroughput": units(described["ProvisionedThroughput"])}
    warm = without(described["WarmThroughput"], "Status")
    return {**found, "OnDemandThroughput": described["OnDemandThroughput"], "WarmThroughput": warm}


@pytest.mark.parametrize("definition", [PROVISIONED, ON_DEMAND], ids=["provisioned", "on-demand"])
def test_a_table_is_described_as_it_was_defined(service: Any, definition: dict[str, Any]) -> None:
    service.create_table(**definition)
    described = service.describe_table(TableName=definition["TableName"])["Table"]
    assert definition_of(described) == {"DeletionProtectionEnabled": False, **without(definition, "Tags")}
    tags = service.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"]
    assert sorted(tags, key=str) == sorted(definition.get("Tags", []), key=str)


def test_attribute_definitions_are_described_in_the_order_of_their_names(service: Any) -> None:
    service.create_table(**{**ON_DEMAND, "AttributeDefinitions": ON_DEMAND["AttributeDefinitions"][::-1]})
    described = service.describe_table(TableName="OnDemand")["Table"]
    assert described["AttributeDefinitions"] == ON_DEMAND["AttributeDefinitions"]


def test_settings_that_were_not_set_are_not_described(service: Any) -> None:
    service.table()
    described = service.describe_table(TableName="Things")["Table"]
    assert described.keys() == {
        "AttributeDefinitions", "TableName", "KeySchema", "TableStatus", "CreationDateTime", "ProvisionedThroughput",
        "TableSizeBytes", "ItemCount", "TableArn", "TableId", "DeletionProtectionEnabled", "BillingModeSummary",
        "WarmThroughput",
    }  # fmt: skip


def test_a_new_table_has_no_warm_throughput_and_no_time_of_its_change_to_on_demand(slow_service: Any) -> None:
    made = slow_service.create_table(**without(ON_DEMAND, "WarmThroughput"))["TableDescription"]
    assert "WarmThroughput" not in made
    assert made["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    assert made["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0,
    }  # fmt: skip
    assert "BillingModeSummary" not in slow_service.create_table(**PROVISIONED)["TableDescription"]


def test_every_operation_on_a_table_takes_its_arn(service: Any) -> None:
    arn = ARN + "Things"
    service.create_table(**{**ON_DEMAND, "TableName": arn})
    key = {"pk": {"S": "a"}}
    table = {"TableName": arn}
    service.put_item(**table, Item=key)
    service.update_item(**table, Key=key, UpdateExpression="SET x = :x", ExpressionAttributeValues={":x": {"S": "y"}})
    item = {**key, "x": {"S": "y"}}
    assert service.get_item(**table, Key=key)["Item"] == item
    by_key = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    assert service.query(**table, **by_key)["Items"] == service.scan(**table)["Items"] == [item]
    assert service.batch_get_item(RequestItems={arn: {"Keys": [key]}})["Responses"] == {arn: [item]}
    assert service.transact_get_items(TransactItems=[{"Get": {**table, "Key": key}}])["Responses"] == [{"Item": item}]
    service.batch_write_item(RequestItems={arn: [{"DeleteRequest": {"Key": key}}]})
    service.transact_write_items(TransactItems=[{"Delete": {**table, "Key": key}}])
    service.delete_item(**table, Key=key)
    described = service.describe_table(**table)["Table"]
    assert (described["TableName"], described["TableArn"]) == ("Things", arn)
    service.update_time_to_live(**table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "t"})
    assert service.describe_time_to_live(**table)["TimeToLiveDescription"]["AttributeName"] == "t"
    service.update_table(**table, TableClass="STANDARD_INFREQUENT_ACCESS")
    service.delete_table(**table)
    assert service.list_tables()["TableNames"] == []


def test_an_index_s_arn_is_not_a_table(service: Any) -> None:
    service.create_table(**ON_DEMAND)
    index = ARN + "OnDemand/index/many"
    pattern = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    for operation in ("DescribeTable", "UpdateTable", "DeleteTable", "Scan"):
        assert service.refused(operation, TableName=index).message.endswith(pattern)
    batch = service.refused("BatchGetItem", RequestItems={index: {"Keys": [{"pk": {"S": "a"}}]}}).message
    assert "Map keys must satisfy constraint" in batch


def refusal(sentence: str, operation: str, body: dict[str, Any], message: str, code: str = "Validation") -> Any:
    return pytest.param(operation, body, f"{code}Exception", message, id=sentence)


def table(**more: Any) -> dict[str, Any]:
    return {"TableName": "OnDemand", **more}


REFUSALS = [
    refusal("a table's name is missing", "CreateTable", {},
            "The parameter 'TableName' is required but was not present in the request"),
    refusal("a table's name of two characters", "CreateTable",
            {"TableName": "ab", "KeySchema": keys("pk"), "AttributeDefinitions": attributes("pk")},
            "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy constraint: "
            "Member must have length greater than or equal to 3"),
    refusal("a table that is there", "CreateTable", ON_DEMAND, "Table already exists: OnDemand", "ResourceInUse"),
    refusal("a table that is not there", "DescribeTable", {"TableName": "None"},
            "Requested resource not found: Table: None not found", "ResourceNotFound"),
    refusal("a table that may not be deleted", "DeleteTable", {"TableName": "Provisioned"},
            "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection "
            "first."),
    refusal("units of an on-demand table", "UpdateTable", table(ProvisionedThroughput=UNITS),
            INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
            "PAY_PER_REQUEST"),
    refusal("units that are as they were", "UpdateTable",
            {"TableName": "Provisioned", "ProvisionedThroughput": UNITS},
            "The provisioned throughput for the table will not change. The requested value equals the current value. "
            "Current ReadCapacityUnits provisioned for the table: 5. Requested ReadCapacityUnits: 5. "
            "Current WriteCapacityUnits provisioned for the table: 6. Requested WriteCapacityUnits: 6. "
            "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."),
    refusal("two indexes at a time", "UpdateTable",
            table(AttributeDefinitions=attributes("a", "b"), GlobalSecondaryIndexUpdates=[
                {"Create": {"IndexName": f"on-{name}", "KeySchema": keys(name),
                            "Projection": {"ProjectionType": "ALL"}}} for name in "ab"]),
            "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
            "LimitExceeded"),
    refusal("an index that is not there", "UpdateTable",
            table(GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "nothing"}}]),
            "Requested resource not found: Index nothing for table OnDemand", "ResourceNotFound"),
    refusal("no ARN", "TagResource", {"Tags": []}, "Invalid TableArn"),
    refusal("an ARN that is none", "ListTagsOfResource", {"ResourceArn": "x"},
            INVALID + "ARNs must start with 'arn:': x"),
    refusal("an ARN of another account", "ListTagsOfResource",
            {"ResourceArn": "arn:aws:dynamodb:us-east-1:999999999999:table/OnDemand"},
            "User: arn:aws:iam::000000000000:root is not authorized to access the resource: "
            "arn:aws:dynamodb:us-east-1:999999999999:table/OnDemand", "AccessDenied"),
    refusal("an ARN of no table", "ListTagsOfResource", {"ResourceArn": ARN + "None"},
            f"Requested resource not found: ResourceArn: {ARN}None not found", "ResourceNotFound"),
    refusal("no tags", "TagResource", {"ResourceArn": ARN + "OnDemand", "Tags": []},
            "Atleast one Tag needs to be provided as Input."),
    refusal("no tags to remove", "UntagResource", {"ResourceArn": ARN + "OnDemand", "TagKeys": []},
            "Atleast one Tag Key needs to be provided as Input."),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body", "code", "message"), REFUSALS)
def test_refused_when(service: Any, operation: str, body: dict[str, Any], code: str, message: str) -> None:
    service.create_table(**ON_DEMAND)
    service.create_table(**PROVISIONED)
    refused = service.refused(operation, **body)
    assert (refused.code, refused.message) == (code, message)


def test_tags_that_are_not_there_can_be_removed(service: Any) -> None:
    service.create_table(**ON_DEMAND)
    before = service.list_tags_of_resource(ResourceArn=ARN + "OnDemand")
    assert service.untag_resource(ResourceArn=ARN + "OnDemand", TagKeys=["nothing"]) is None
    assert service.list_tags_of_resource(ResourceArn=ARN + "OnDemand") == before


def test_a_table_is_not_deleted_while_it_is_being_made_or_deleted(slow_service: Any) -> None:
    slow_service.create_table(**ON_DEMAND)
    busy = slow_service.refused("DeleteTable", TableName="OnDemand")
    assert (busy.code, busy.message) == (
        "ResourceInUseException",
        "Attempt to change a resource which is still in use: Table is being created: OnDemand",
    )
    slow_service.clock.advance(10_000)
    deleted = slow_service.delete_table(TableName="OnDemand")["TableDescription"]
    assert deleted["TableStatus"] == "DELETING"
    again = slow_service.refused("DeleteTable", TableName="OnDemand")
    assert (again.code, again.message) == (
        "ResourceInUseException",
        "Attempt to change a resource which is still in use: Table is being deleted: OnDemand",
    )


def test_time_to_live_is_changed_once_in_half_an_hour(service: Any) -> None:
    service.table()

    def change(enabled: bool, attribute: str = "t") -> dict[str, Any]:
        specification = {"Enabled": enabled, "AttributeName": attribute}
        return {"TableName": "Things", "TimeToLiveSpecification": specification}

    service.update_time_to_live(**change(True))
    assert service.refused("UpdateTimeToLive", **change(True)).message == "TimeToLive is already enabled"
    assert service.refused("UpdateTimeToLive", **change(False)).message == (
        "Time to live has been modified multiple times within a fixed interval"
    )
    service.clock.advance(30 * 60_000 - 1)
    assert "fixed interval" in service.refused("UpdateTimeToLive", **change(False)).message
    service.clock.advance(1)
    assert service.refused("UpdateTimeToLive", **change(False, "other")).message.startswith("TimeToLive is active on")
    service.update_time_to_live(**change(False))
