from __future__ import annotations

from typing import Any

import pytest


def test_a_new_table_is_created_at_once_by_default(service: Any) -> None:
    body = {
        "TableName": "Things",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    created = service.create_table(**body)["TableDescription"]
    assert created["TableStatus"] == "CREATING"
    assert created["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    described = service.describe_table(TableName="Things")["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["TableArn"] == "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
    assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 0
    again = service.refused("CreateTable", **body)
    assert (again.code, again.message) == ("ResourceInUseException", "Table already exists: Things")


@pytest.mark.parametrize("value", [{"S": "a\0b\1"}, {"N": "-1e99"}, {"N": "0.5"}, {"B": "AAEC"}], ids=str)
def test_a_deleted_table_with_a_local_index_leaves_no_counters(service: Any, value: dict[str, str]) -> None:
    index = {
        "IndexName": "local",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "other", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    service.table(sort="N", types={"pk": next(iter(value)), "other": "S"}, LocalSecondaryIndexes=[index])
    service.update_time_to_live(
        TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"}
    )
    service.settle()
    gone = {"expires": {"N": str(service.clock.now_ms() // 1000 - 60)}}
    for number in range(3):
        item = {"pk": value, "sk": {"N": str(number)}, "other": {"S": "x"}}
        service.put_item(TableName="Things", Item=item | (gone if number == 0 else {}))
    service.settle()
    service.delete_table(TableName="Things")
    service.settle()
    service.clock.advance(86_400_000 + 1)
    service.settle()
    rows, numbers, tallies = service.region.engine.snapshot()
    assert numbers.keys() == {b"generation", b"spaces", b"greatest time"}
    assert not tallies
    assert not rows


def test_a_table_stays_when_the_clock_goes_back(service: Any) -> None:
    """When the clock went back, it was described as CREATING until the time of its creation came again."""
    service.table()
    service.update_table(TableName="Things", DeletionProtectionEnabled=False)
    service.clock.advance(-5_000)
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"
    assert service.get_item(TableName="Things", Key={"pk": {"S": "a"}}) == {}


def test_warming_reads_leaves_the_warm_throughput_of_writes(service: Any) -> None:
    service.table(BillingMode="PAY_PER_REQUEST")
    service.update_table(TableName="Things", WarmThroughput={"ReadUnitsPerSecond": 15_000})
    warm = service.describe_table(TableName="Things")["Table"]["WarmThroughput"]
    assert warm == {"ReadUnitsPerSecond": 15_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}


def test_states_last_as_long_as_configured(slow_service: Any) -> None:
    service = slow_service
    service.table()
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "CREATING"
    assert service.refused("GetItem", TableName="Things", Key={"pk": {"S": "a"}}).code == "ResourceNotFoundException"
    assert service.refused("DeleteTable", TableName="Things").message == (
        "Attempt to change a resource which is still in use: Table is being created: Things"
    )
    service.clock.advance(10_000)
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"
    service.delete_table(TableName="Things")
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "DELETING"
    assert service.refused("DeleteTable", TableName="Things").message == (
        "Attempt to change a resource which is still in use: Table is being deleted: Things"
    )
    service.clock.advance(10_000)
    assert service.refused("DescribeTable", TableName="Things").message == (
        "Requested resource not found: Table: Things not found"
    )
    service.table()  # its name is free again, before anything was swept


def test_a_deleted_table_leaves_nothing_behind(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}})
    service.delete_table(TableName="Things")
    assert service.list_tables() == {"TableNames": []}
    service.table()
    assert service.scan(TableName="Things")["Items"] == []
    service.delete_table(TableName="Things")
    service.clock.advance(25 * 3600 * 1000)
    service.settle()
    rows = list(service.region.engine.snapshot()[0])
    assert [row for row in rows if row[:4] != b"\0\0\0\0"] == []


def test_protected_tables_are_not_deleted(service: Any) -> None:
    service.table(DeletionProtectionEnabled=True)
    refusal = service.refused("DeleteTable", TableName="Things")
    assert (refusal.code, refusal.message) == (
        "ValidationException",
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
    )
    service.update_table(TableName="Things", DeletionProtectionEnabled=False)
    service.delete_table(TableName="Things")


def test_tables_are_listed_by_name_in_pages(service: Any) -> None:
    for name in ("ccc", "aaa", "bbb"):
        service.table(name)
    first = service.list_tables(Limit=2)
    assert first == {"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}
    assert service.list_tables(Limit=2, ExclusiveStartTableName="bbb") == {"TableNames": ["ccc"]}
    assert service.list_tables(ExclusiveStartTableName="azz") == {"TableNames": ["bbb", "ccc"]}


def test_counts_and_sizes_are_right(service: Any) -> None:
    service.table()
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "x": {"S": "12345"}})
    service.put_item(TableName="Things", Item={"pk": {"S": "b"}})
    service.update_item(
        TableName="Things", Key={"pk": {"S": "a"}}, UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"S": "1"}},
    )  # fmt: skip
    service.delete_item(TableName="Things", Key={"pk": {"S": "b"}})
    described = service.describe_table(TableName="Things")["Table"]
    assert (described["ItemCount"], described["TableSizeBytes"]) == (1, 5)


def test_throughput_changes_are_remembered(service: Any) -> None:
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    service.table(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    refusal = service.refused("UpdateTable", TableName="Things", ProvisionedThroughput=units)
    assert refusal.message is not None
    assert refusal.message.startswith(
        "The provisioned throughput for the table will not change. The requested value equals the current value."
    )
    less = {"ReadCapacityUnits": 4, "WriteCapacityUnits": 5}
    service.update_table(TableName="Things", ProvisionedThroughput=less)
    throughput = service.describe_table(TableName="Things")["Table"]["ProvisionedThroughput"]
    assert throughput["NumberOfDecreasesToday"] == 1
    assert throughput["LastDecreaseDateTime"] == service.clock.now_ms() / 1000
    service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST")
    described = service.describe_table(TableName="Things")["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 0


def test_settings_come_back_in_the_description(service: Any) -> None:
    service.table(
        TableClass="STANDARD_INFREQUENT_ACCESS",
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
        OnDemandThroughput={"MaxReadRequestUnits": 10},
    )
    described = service.describe_table(TableName="Things")["Table"]
    assert described["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert described["SSEDescription"]["Status"] == "ENABLED"
    assert described["OnDemandThroughput"] == {"MaxReadRequestUnits": 10}


def test_nothing_to_update_is_an_error(service: Any) -> None:
    service.table()
    refusal = service.refused("UpdateTable", TableName="Things")
    assert refusal.message is not None
    assert refusal.message.startswith("At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled")


def test_tags_are_kept_with_their_table(service: Any) -> None:
    service.table(Tags=[{"Key": "stage", "Value": "test"}])
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"
    service.tag_resource(ResourceArn=arn, Tags=[{"Key": f"k{i:02}", "Value": ""} for i in range(12)])
    service.untag_resource(ResourceArn=arn, TagKeys=["k00", "unknown"])
    for token in ({}, {"NextToken": "whatever"}):
        page = service.list_tags_of_resource(ResourceArn=arn, **token)
        assert [tag["Key"] for tag in page["Tags"]] == [*(f"k{i:02}" for i in range(1, 12)), "stage"]
        assert page.keys() == {"Tags"}


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        (
            "Things",
            "ValidationException",
            "One or more parameter values were invalid: ARNs must start with 'arn:': Things",
        ),
        (
            "arn:aws:dynamodb:us-east-1:000000000000:table/None",
            "ResourceNotFoundException",
            "Requested resource not found: ResourceArn: arn:aws:dynamodb:us-east-1:000000000000:table/None not found",
        ),
    ],
)
def test_tags_need_a_table(service: Any, arn: str, code: str, message: str) -> None:
    refusal = service.refused("ListTagsOfResource", ResourceArn=arn)
    assert (refusal.code, refusal.message) == (code, message)


def test_limits_and_endpoints_are_described(service: Any) -> None:
    assert service.describe_limits()["TableMaxReadCapacityUnits"] == 40_000
    assert service.describe_endpoints()["Endpoints"][0]["CachePeriodInMinutes"] == 1440


def test_a_region_without_others_refuses_replicas(service: Any) -> None:
    service.table()
    create = [{"Create": {"RegionName": "eu-west-1"}}]
    refusal = service.refused("UpdateTable", TableName="Things", ReplicaUpdates=create)
    assert (refusal.code, refusal.message) == ("ValidationException", "Unsupported region: eu-west-1")


def test_an_updating_table_shows_its_old_units(slow_service: Any) -> None:
    service = slow_service
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    service.table(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    service.clock.advance(10_000)
    service.update_table(TableName="Things", ProvisionedThroughput=units | {"WriteCapacityUnits": 9})
    told = service.describe_table(TableName="Things")["Table"]
    assert (told["TableStatus"], told["ProvisionedThroughput"]["WriteCapacityUnits"]) == ("UPDATING", 5)
    service.clock.advance(10_000)
    told = service.describe_table(TableName="Things")["Table"]
    assert (told["TableStatus"], told["ProvisionedThroughput"]["WriteCapacityUnits"]) == ("ACTIVE", 9)


def test_a_table_may_change_its_billing_mode_as_often_as_one_likes(service: Any) -> None:
    service.table()
    units = {"ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}}
    for mode in ("PROVISIONED", "PAY_PER_REQUEST") * 6:
        given = units if mode == "PROVISIONED" else {}
        answer = service.update_table(TableName="Things", BillingMode=mode, **given)
        assert answer["TableDescription"]["BillingModeSummary"]["BillingMode"] == mode
