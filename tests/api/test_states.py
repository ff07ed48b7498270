"""A table during a change: the old and new values in the answer and in descriptions."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
DELAY_MS = 10_000
ONE = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TWO = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2}
ALL = {"ProjectionType": "ALL"}
DEFINED = [{"AttributeName": "g", "AttributeType": "S"}]
MANAGED = {"Enabled": True, "SSEType": "KMS"}
ON = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}


def index(name: str, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": ALL, **more}


def update(**more: Any) -> Body:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", **more}}]}


@pytest.fixture
def provisioned(slow_service: Any) -> Any:
    slow_service.table(
        BillingMode="PROVISIONED", ProvisionedThroughput=ONE, types={"g": "S"},
        GlobalSecondaryIndexes=[index("by-g", ProvisionedThroughput=ONE)],
    )  # fmt: skip
    slow_service.clock.advance(2 * DELAY_MS)
    return slow_service


@pytest.fixture
def on_demand(slow_service: Any) -> Any:
    slow_service.table(types={"g": "S"}, GlobalSecondaryIndexes=[index("by-g")])
    slow_service.clock.advance(2 * DELAY_MS)
    return slow_service


def change(service: Any, **body: Any) -> tuple[Body, Body, Body]:
    """The table in the answer, while the change is under way, and after it. The first two are alike."""
    answer = service.update_table(TableName="Things", **body)["TableDescription"]
    service.clock.advance(DELAY_MS - 1)
    during = service.describe_table(TableName="Things")["Table"]
    service.clock.advance(1)
    service.settle()
    return answer, during, service.describe_table(TableName="Things")["Table"]


def units(part: Body) -> tuple[int, int]:
    return part["ProvisionedThroughput"]["ReadCapacityUnits"], part["ProvisionedThroughput"]["WriteCapacityUnits"]


def by_g(described: Body) -> Body:
    return next(index for index in described["GlobalSecondaryIndexes"] if index["IndexName"] == "by-g")


def test_units_are_the_old_ones_until_the_table_is_active(provisioned: Any) -> None:
    now_s = provisioned.clock.now_ms() / 1000
    answer, during, after = change(provisioned, ProvisionedThroughput=TWO)
    assert answer == during
    assert (answer["TableStatus"], units(answer)) == ("UPDATING", (1, 1))
    assert answer["ProvisionedThroughput"]["LastIncreaseDateTime"] == now_s
    assert (after["TableStatus"], units(after)) == ("ACTIVE", (2, 2))
    assert "LastDecreaseDateTime" not in after["ProvisionedThroughput"]


def test_units_of_an_index_leave_the_table_active(provisioned: Any) -> None:
    answer, during, after = change(provisioned, **update(ProvisionedThroughput=TWO))
    assert answer == during
    assert (answer["TableStatus"], by_g(answer)["IndexStatus"], units(by_g(answer))) == ("ACTIVE", "UPDATING", (1, 1))
    assert (by_g(after)["IndexStatus"], units(by_g(after))) == ("ACTIVE", (2, 2))


def test_maxima_of_an_index_are_new_at_once_though_it_is_updating(on_demand: Any) -> None:
    maxima = {"MaxReadRequestUnits": 9}
    answer, during, after = change(on_demand, **update(OnDemandThroughput=maxima))
    assert answer == during
    assert (answer["TableStatus"], by_g(answer)["IndexStatus"]) == ("ACTIVE", "UPDATING")
    assert by_g(answer)["OnDemandThroughput"] == by_g(after)["OnDemandThroughput"] == maxima
    assert by_g(after)["IndexStatus"] == "ACTIVE"


@pytest.mark.parametrize(
    ("body", "member", "value"),
    [
        ({"DeletionProtectionEnabled": True}, "DeletionProtectionEnabled", True),
        ({"OnDemandThroughput": {"MaxWriteRequestUnits": 7}}, "OnDemandThroughput", {"MaxWriteRequestUnits": 7}),
        ({"GlobalTableSettingsReplicationMode": "ENABLED"}, "GlobalTableSettingsReplicationMode", "ENABLED"),
    ],
)
def test_done_when_answered(on_demand: Any, body: Body, member: str, value: Any) -> None:
    answer, during, _ = change(on_demand, **body)
    assert answer == during
    assert (answer["TableStatus"], answer[member]) == ("ACTIVE", value)


def test_on_demand_shows_no_units_at_once_and_its_date_later(provisioned: Any) -> None:
    now_s = provisioned.clock.now_ms() / 1000
    answer, during, after = change(provisioned, BillingMode="PAY_PER_REQUEST")
    assert answer == during
    assert (answer["TableStatus"], units(answer)) == ("UPDATING", (0, 0))
    assert answer["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    assert answer["ProvisionedThroughput"]["LastDecreaseDateTime"] == now_s
    assert after["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] == now_s
    assert after["ProvisionedThroughput"] == {
        "NumberOfDecreasesToday": 0, "ReadCapacityUnits": 0, "WriteCapacityUnits": 0,
    }  # fmt: skip
    assert by_g(after)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1


def test_provisioned_shows_the_new_mode_and_units_at_once(on_demand: Any) -> None:
    before = on_demand.describe_table(TableName="Things")["Table"]["BillingModeSummary"]
    answer, during, after = change(
        on_demand, BillingMode="PROVISIONED", ProvisionedThroughput=TWO, **update(ProvisionedThroughput=TWO)
    )
    assert answer == during
    assert (answer["TableStatus"], units(answer), units(by_g(answer))) == ("UPDATING", (2, 2), (2, 2))
    assert after["BillingModeSummary"] == {**before, "BillingMode": "PROVISIONED"}


def test_on_demand_again_keeps_the_former_date_until_it_is_active(on_demand: Any) -> None:
    former = on_demand.describe_table(TableName="Things")["Table"]["BillingModeSummary"]
    change(on_demand, BillingMode="PROVISIONED", ProvisionedThroughput=TWO, **update(ProvisionedThroughput=TWO))
    answer, _, after = change(on_demand, BillingMode="PAY_PER_REQUEST")
    assert answer["BillingModeSummary"] == former
    assert (
        after["BillingModeSummary"]["LastUpdateToPayPerRequestDateTime"] > former["LastUpdateToPayPerRequestDateTime"]
    )


@pytest.mark.parametrize("body", [{"BillingMode": "PAY_PER_REQUEST"}, {"TableClass": "STANDARD"}])
def test_the_same_again_is_updating_in_the_answer_only(on_demand: Any, body: Body) -> None:
    before = on_demand.describe_table(TableName="Things")["Table"]
    answer, during, after = change(on_demand, **body)
    assert answer["TableStatus"] == "UPDATING"
    assert before == during == after


def test_a_stream_is_new_at_once(on_demand: Any) -> None:
    answer, during, after = change(on_demand, StreamSpecification=ON)
    assert answer == during
    assert (answer["TableStatus"], answer["StreamSpecification"]) == ("UPDATING", ON)
    assert after == {**answer, "TableStatus": "ACTIVE"}
    off, _, gone = change(on_demand, StreamSpecification={"StreamEnabled": False})
    assert off["TableStatus"] == "UPDATING"
    for described in (off, gone):
        assert "StreamSpecification" not in described
        assert described["LatestStreamArn"] == answer["LatestStreamArn"]


def test_a_class_is_the_old_one_until_the_table_is_active(on_demand: Any) -> None:
    now_s = on_demand.clock.now_ms() / 1000
    answer, during, after = change(on_demand, TableClass="STANDARD_INFREQUENT_ACCESS")
    assert answer == during
    assert answer["TableStatus"] == "UPDATING"
    assert "TableClassSummary" not in answer
    rare = {"TableClass": "STANDARD_INFREQUENT_ACCESS", "LastUpdateDateTime": now_s}
    assert after["TableClassSummary"] == rare
    back, _, _ = change(on_demand, TableClass="STANDARD")
    assert back["TableClassSummary"] == rare


def test_encryption_has_its_own_status(on_demand: Any) -> None:
    answer, during, after = change(on_demand, SSESpecification={"Enabled": True})
    assert answer == during
    assert (answer["TableStatus"], answer["SSEDescription"]) == ("ACTIVE", {"Status": "UPDATING"})
    key = after["SSEDescription"].pop("KMSMasterKeyArn")
    assert after["SSEDescription"] == {"Status": "ENABLED", "SSEType": "KMS"}
    off, _, without = change(on_demand, SSESpecification={"Enabled": False})
    assert off["SSEDescription"] == {"Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": key}
    assert "SSEDescription" not in without


@pytest.mark.parametrize("of", ["table", "index"])
def test_warm_throughput_has_its_own_status(on_demand: Any, of: str) -> None:
    given = {"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}
    answer, during, after = change(on_demand, **(given if of == "table" else update(**given)))
    assert answer == during
    assert answer["TableStatus"] == by_g(answer)["IndexStatus"] == "ACTIVE"
    part = answer if of == "table" else by_g(answer)
    old = {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000}
    assert part["WarmThroughput"] == {**old, "Status": "UPDATING"}
    part = after if of == "table" else by_g(after)
    assert part["WarmThroughput"] == {**old, **given["WarmThroughput"], "Status": "ACTIVE"}


def test_warm_throughput_that_rises_twice_shows_each_step_when_it_is_done(on_demand: Any) -> None:
    for units_ in (20_000, 30_000):
        on_demand.update_table(TableName="Things", WarmThroughput={"ReadUnitsPerSecond": units_})
        on_demand.clock.advance(DELAY_MS // 2)
    seen = []
    for _ in range(3):
        seen.append(on_demand.describe_table(TableName="Things")["Table"]["WarmThroughput"]["ReadUnitsPerSecond"])
        on_demand.clock.advance(DELAY_MS // 2 - 1)
    assert seen == [20_000, 20_000, 30_000]


@pytest.mark.parametrize("of", ["table", "index"])
def test_the_old_warm_throughput_may_be_asked_for_while_it_rises(on_demand: Any, of: str) -> None:
    def ask(units_: int) -> dict[str, Any]:
        given = {"WarmThroughput": {"ReadUnitsPerSecond": units_}}
        return {"TableName": "Things", **(given if of == "table" else update(**given))}

    on_demand.update_table(**ask(20_000))
    on_demand.update_table(**ask(12_000))
    assert "decreasing WarmThroughput is not supported" in on_demand.refused("UpdateTable", **ask(11_999)).message
    on_demand.clock.advance(DELAY_MS)
    assert "decreasing WarmThroughput is not supported" in on_demand.refused("UpdateTable", **ask(12_000)).message
    described = on_demand.describe_table(TableName="Things")["Table"]
    part = described if of == "table" else by_g(described)
    assert part["WarmThroughput"] == {"ReadUnitsPerSecond": 20_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}


@pytest.mark.parametrize("of", ["table", "index"])
def test_a_table_that_warms_is_not_deleted(on_demand: Any, of: str) -> None:
    given = {"WarmThroughput": {"ReadUnitsPerSecond": 20_000}}
    on_demand.update_table(TableName="Things", **(given if of == "table" else update(**given)))
    assert on_demand.refused("DeleteTable", TableName="Things").message == (
        "Attempt to change a resource which is still in use: Table: Things is in the process of being updated."
    )
    on_demand.clock.advance(DELAY_MS)
    on_demand.delete_table(TableName="Things")


@pytest.mark.parametrize("given", [{"ReadUnitsPerSecond": 12_000}, {"WriteUnitsPerSecond": 4_000}])
def test_equal_warm_throughput_is_not_a_change(on_demand: Any, given: Body) -> None:
    answer, _, after = change(on_demand, WarmThroughput=given)
    assert answer == after
    assert answer["WarmThroughput"]["Status"] == "ACTIVE"


def test_an_index_is_made_whole_in_the_answer(on_demand: Any) -> None:
    create = {"AttributeDefinitions": DEFINED, "GlobalSecondaryIndexUpdates": [{"Create": index("new")}]}
    answer, during, _ = change(on_demand, **create)
    assert answer == during
    new = answer["GlobalSecondaryIndexes"][1]
    assert (answer["TableStatus"], new["IndexStatus"], new["Backfilling"]) == ("UPDATING", "CREATING", False)
    assert (new["ItemCount"], new["IndexSizeBytes"]) == (0, 0)


def test_an_index_is_deleted_while_the_table_is_updating(on_demand: Any) -> None:
    answer, during, after = change(on_demand, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
    assert answer == during
    assert (answer["TableStatus"], by_g(answer)["IndexStatus"]) == ("UPDATING", "DELETING")
    assert "GlobalSecondaryIndexes" not in after
    assert after["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]


UPDATING_ANSWERS: list[Body] = [
    {"ProvisionedThroughput": TWO},
    {"BillingMode": "PAY_PER_REQUEST"},
    {"StreamSpecification": ON},
    {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
    {"AttributeDefinitions": DEFINED, "GlobalSecondaryIndexUpdates": [
        {"Create": index("new", ProvisionedThroughput=ONE)}]},
    {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "by-g"}}]},
]  # fmt: skip


@pytest.mark.parametrize("body", UPDATING_ANSWERS, ids=lambda body: next(iter(body)))
def test_without_a_delay_the_answer_shows_the_change_and_then_it_is_done(service: Any, body: Body) -> None:
    service.table(
        BillingMode="PROVISIONED", ProvisionedThroughput=ONE, types={"g": "S"},
        GlobalSecondaryIndexes=[index("by-g", ProvisionedThroughput=ONE)],
    )  # fmt: skip
    assert service.update_table(TableName="Things", **body)["TableDescription"]["TableStatus"] == "UPDATING"
    service.settle()
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"


def test_a_description_has_more_members_than_the_answer_to_create_table(slow_service: Any) -> None:
    table = slow_service.request(
        "CreateTable",
        {"TableName": "Things", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
         "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, *DEFINED],
         "BillingMode": "PAY_PER_REQUEST", "GlobalSecondaryIndexes": [index("by-g")]},
    )["TableDescription"]  # fmt: skip
    described = slow_service.describe_table(TableName="Things")["Table"]
    assert table["TableStatus"] == described["TableStatus"] == "CREATING"
    assert "WarmThroughput" not in table
    assert "WarmThroughput" not in by_g(table)
    assert table["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    for part in (described, by_g(described)):
        assert part["WarmThroughput"]["ReadUnitsPerSecond"] == 12_000
    assert "LastUpdateToPayPerRequestDateTime" in described["BillingModeSummary"]


def test_a_table_that_is_deleted_has_lost_most_of_its_description(on_demand: Any) -> None:
    described = on_demand.delete_table(TableName="Things")["TableDescription"]
    assert described["TableStatus"] == "DELETING"
    lost = {"KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "CreationDateTime", "WarmThroughput"}
    assert not lost & described.keys()
    assert on_demand.describe_table(TableName="Things")["Table"]["TableStatus"] == "DELETING"
    assert on_demand.list_tables()["TableNames"] == ["Things"]


@pytest.mark.parametrize("state", ["CREATING", "ACTIVE", "UPDATING", "DELETING"])
def test_a_table_s_name_is_taken_in_every_state(slow_service: Any, state: str) -> None:
    slow_service.table()
    if state != "CREATING":
        slow_service.clock.advance(DELAY_MS)
    if state == "UPDATING":
        slow_service.update_table(TableName="Things", StreamSpecification=ON)
    if state == "DELETING":
        slow_service.delete_table(TableName="Things")
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    body = {"TableName": "Things", "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}]}  # fmt: skip
    text = "Table already exists: Things"
    if state == "CREATING":
        text = "Attempt to change a resource which is still in use: Table is being created: Things"
    refused = slow_service.refused("CreateTable", **body)
    assert (refused.code, refused.message) == ("ResourceInUseException", text)


@pytest.mark.parametrize("state", ["CREATING", "DELETING"])
def test_time_to_live_is_not_described_while_the_table_comes_or_goes(slow_service: Any, state: str) -> None:
    slow_service.table()
    if state == "DELETING":
        slow_service.clock.advance(DELAY_MS)
        slow_service.delete_table(TableName="Things")
    assert slow_service.refused("DescribeTimeToLive", TableName="Things").message == (
        f"Cannot describe time to live while table is in {state} state: Current table state is {state}"
    )


def test_time_to_live_of_an_empty_table_is_on_and_off_at_once(on_demand: Any) -> None:
    for enabled, status in ((True, "ENABLED"), (False, "DISABLED")):
        on_demand.update_time_to_live(
            TableName="Things", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "t"}
        )
        described = on_demand.describe_time_to_live(TableName="Things")["TimeToLiveDescription"]
        assert described["TimeToLiveStatus"] == status
        on_demand.clock.advance(30 * 60_000)


def test_time_to_live_sees_a_table_late_and_loses_it_early(slow_service: Any) -> None:
    service = slow_service
    service.table()

    def refused() -> str:
        given = {"Enabled": True, "AttributeName": "t"}
        return service.refused("UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=given).message

    busy = "Attempt to change a resource which is still in use: Table is being {}: Things"
    assert refused() == "Requested resource not found: Table: Things not found"
    service.clock.advance(DELAY_MS // 2)
    assert refused() == busy.format("created")
    service.clock.advance(DELAY_MS)
    service.delete_table(TableName="Things")
    service.update_time_to_live(
        TableName="Things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "t"}
    )  # at first
    service.clock.advance(DELAY_MS // 2)
    assert refused() == busy.format("deleted")
    service.clock.advance(DELAY_MS)
    service.settle()
    assert refused() == "Requested resource not found: Table: Things not found"


@pytest.mark.parametrize("operation", ["DescribeContributorInsights", "ListContributorInsights"])
def test_contributor_insights_see_a_new_table_late(slow_service: Any, operation: str) -> None:
    slow_service.table()
    assert slow_service.refused(operation, TableName="Things").message == (
        "Requested resource not found: Table: Things not found"
    )
    slow_service.clock.advance(DELAY_MS // 2)
    slow_service.request(operation, {"TableName": "Things"})


def test_a_new_table_of_a_name_has_the_same_arn_and_another_id(slow_service: Any) -> None:
    seen = []
    for _ in range(2):
        slow_service.table()
        slow_service.clock.advance(DELAY_MS)
        seen.append(slow_service.describe_table(TableName="Things")["Table"])
        slow_service.delete_table(TableName="Things")
        slow_service.clock.advance(DELAY_MS)
        assert slow_service.refused("DescribeTable", TableName="Things").code == "ResourceNotFoundException"
    assert seen[0]["TableArn"] == seen[1]["TableArn"]
    assert seen[0]["TableId"] != seen[1]["TableId"]
