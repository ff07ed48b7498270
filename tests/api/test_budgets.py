"""State that outlives a change: values that never fall, merged settings, counters, and minimum intervals."""

from __future__ import annotations

from typing import Any

import pytest

from atoll import errors, limits
from atoll.database.region import Settings
from tests.api.conftest import Service

Body = dict[str, Any]
ALL = {"ProjectionType": "ALL"}
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
LIMIT = "LimitExceededException"
INVALID = "One or more parameter values were invalid: "


def units(read: int, write: int | None = None) -> Body:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": read if write is None else write}


def index(**more: Any) -> Body:
    keys = [{"AttributeName": "g", "KeyType": "HASH"}]
    return {"IndexName": "by-g", "KeySchema": keys, "Projection": ALL, **more}


def of_index(**more: Any) -> Body:
    return {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", **more}}]}


def provisioned(service: Any, read: int, write: int | None = None, **more: Any) -> None:
    service.table(
        BillingMode="PROVISIONED", ProvisionedThroughput=units(read, write), types={"g": "S"},
        GlobalSecondaryIndexes=[index(ProvisionedThroughput=units(9))], **more,
    )  # fmt: skip


def on_demand(service: Any, **more: Any) -> None:
    service.table(types={"g": "S"}, GlobalSecondaryIndexes=[index()], **more)


def change(service: Any, **body: Any) -> Any:
    return service.update_table(TableName="Things", **body)["TableDescription"]


def described(service: Any) -> Any:
    return service.describe_table(TableName="Things")["Table"]


def by_g(service: Any) -> Any:
    return described(service)["GlobalSecondaryIndexes"][0]


def to_provisioned(service: Any, read: int) -> None:
    change(
        service, BillingMode="PROVISIONED", ProvisionedThroughput=units(read),
        **of_index(ProvisionedThroughput=units(read)),
    )  # fmt: skip


def warm(part: Any) -> tuple[int, int]:
    return part["WarmThroughput"]["ReadUnitsPerSecond"], part["WarmThroughput"]["WriteUnitsPerSecond"]


def at_midnight(service: Any) -> None:
    service.clock.advance(DAY_MS - service.clock.now_ms() % DAY_MS)


# Warm throughput and maxima


def test_warm_throughput_follows_rising_units_and_never_falls(service: Any) -> None:
    provisioned(service, 1)
    assert (warm(described(service)), warm(by_g(service))) == ((1, 1), (9, 9))
    for read, write in ((3, 3), (1, 1), (5, 1)):
        change(service, ProvisionedThroughput=units(read, write))
    change(service, **of_index(ProvisionedThroughput=units(2)))
    assert (warm(described(service)), warm(by_g(service))) == ((5, 3), (9, 9))
    change(service, BillingMode="PAY_PER_REQUEST")
    assert warm(described(service)) == warm(by_g(service)) == (12_000, 4_000)
    to_provisioned(service, 7)
    assert warm(described(service)) == warm(by_g(service)) == (12_000, 4_000)


def test_more_units_than_on_demand_warms_with_stay_warm(service: Any) -> None:
    provisioned(service, 13_000, 1)
    change(service, BillingMode="PAY_PER_REQUEST")
    assert warm(described(service)) == (13_000, 4_000)


def test_maxima_are_merged_and_described_as_they_were_sent(service: Any) -> None:
    on_demand(service)
    sent: list[tuple[Body, Body]] = [
        ({"MaxWriteRequestUnits": 7}, {"MaxWriteRequestUnits": 7}),
        ({"MaxReadRequestUnits": 2_000}, {"MaxReadRequestUnits": 2_000, "MaxWriteRequestUnits": 7}),
        ({"MaxWriteRequestUnits": -1}, {"MaxReadRequestUnits": 2_000, "MaxWriteRequestUnits": -1}),
        ({"MaxReadRequestUnits": 2_000}, {"MaxReadRequestUnits": 2_000, "MaxWriteRequestUnits": -1}),
    ]
    for given, shown in sent:
        assert change(service, OnDemandThroughput=given)["OnDemandThroughput"] == shown
        change(service, **of_index(OnDemandThroughput=given))
        assert by_g(service)["OnDemandThroughput"] == shown


def test_maxima_end_with_on_demand_mode_and_do_not_come_back(service: Any) -> None:
    on_demand(service, OnDemandThroughput={"MaxReadRequestUnits": 9})
    change(service, **of_index(OnDemandThroughput={"MaxReadRequestUnits": 8}))
    to_provisioned(service, 5)
    change(service, BillingMode="PAY_PER_REQUEST")
    assert "OnDemandThroughput" not in described(service)
    assert "OnDemandThroughput" not in by_g(service)


def test_a_removed_maximum_limits_nothing(service: Any) -> None:
    on_demand(service, OnDemandThroughput={"MaxWriteRequestUnits": 1})
    change(service, OnDemandThroughput={"MaxWriteRequestUnits": -1})
    for number in range(400):
        service.put_item(TableName="Things", Item={"pk": {"S": str(number)}})


# Decreases of units


def decreases(service: Any) -> int:
    return described(service)["ProvisionedThroughput"]["NumberOfDecreasesToday"]


def test_a_decrease_is_counted_once_and_an_increase_is_not(service: Any) -> None:
    provisioned(service, 10)
    fresh = described(service)["ProvisionedThroughput"]
    assert not {"LastIncreaseDateTime", "LastDecreaseDateTime"} & fresh.keys()
    change(service, ProvisionedThroughput=units(11, 10))
    assert decreases(service) == 0
    assert "LastDecreaseDateTime" not in described(service)["ProvisionedThroughput"]
    change(service, ProvisionedThroughput=units(9))
    change(service, ProvisionedThroughput=units(8, 20))
    assert decreases(service) == 2


def test_the_fifth_decrease_of_a_day_needs_an_hour_or_a_new_day(service: Any) -> None:
    at_midnight(service)
    provisioned(service, 100)
    for read in (99, 98, 97, 96):
        change(service, ProvisionedThroughput=units(read, 100))
    before = described(service)
    for _ in range(2):  # refused tries count nowhere
        refused = service.refused("UpdateTable", TableName="Things", ProvisionedThroughput=units(95, 100))
        assert refused.code == LIMIT
    assert described(service) == before
    change(service, ProvisionedThroughput=units(97, 101))
    service.clock.advance(HOUR_MS)
    change(service, ProvisionedThroughput=units(95, 100))
    assert decreases(service) == 5
    last = described(service)["ProvisionedThroughput"]["LastDecreaseDateTime"]
    at_midnight(service)
    assert decreases(service) == 0
    assert described(service)["ProvisionedThroughput"]["LastDecreaseDateTime"] == last
    change(service, ProvisionedThroughput=units(94, 100))


def test_a_decrease_shortly_before_midnight_is_possible_again_at_midnight(service: Any) -> None:
    provisioned(service, 100)
    at_midnight(service)
    service.clock.advance(DAY_MS - MINUTE_MS)
    for read in (99, 98, 97, 96):
        change(service, ProvisionedThroughput=units(read))
    refused = service.refused("UpdateTable", TableName="Things", ProvisionedThroughput=units(95))
    assert "at 12:00:00 AM Coordinated Universal Time" in refused.message
    service.clock.advance(MINUTE_MS)
    change(service, ProvisionedThroughput=units(95))


def test_a_table_and_its_index_have_budgets_of_their_own(service: Any) -> None:
    provisioned(service, 100)
    for read in (8, 7, 6, 5):
        change(service, **of_index(ProvisionedThroughput=units(read)))
    before = described(service)
    both = {"ProvisionedThroughput": units(99), **of_index(ProvisionedThroughput=units(4))}
    assert service.refused("UpdateTable", TableName="Things", **both).code == LIMIT
    assert described(service) == before
    change(service, ProvisionedThroughput=units(99))


def test_counters_and_dates_of_units_stay_through_on_demand_mode(service: Any) -> None:
    provisioned(service, 10)
    change(service, ProvisionedThroughput=units(9))
    kept = described(service)["ProvisionedThroughput"]
    change(service, BillingMode="PAY_PER_REQUEST")
    assert described(service)["ProvisionedThroughput"] == {**kept, **units(0)}
    assert by_g(service)["ProvisionedThroughput"]["NumberOfDecreasesToday"] == 1


# Encryption, class, protection, time to live


def encrypt(service: Any, key: str) -> Any:
    return change(service, SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})


def test_the_fifth_change_of_encryption_needs_six_hours(service: Any) -> None:
    service.table()
    for key in "abcd":
        encrypt(service, key)
        service.clock.advance(MINUTE_MS)
    off = {"TableName": "Things", "SSESpecification": {"Enabled": False}}
    refused = service.refused("UpdateTable", **off)
    assert refused.code == LIMIT
    assert refused.message.startswith(
        "Subscriber limit exceeded: Encryption mode changes are limited in the 24h window ending at Friday, January "
        "15, 2027 at 8:04:00 AM Coordinated Universal Time. After the first 4 change, each subsequent change in the "
        "same window can be performed at most once every 21600 seconds. Number of updates today: 4. Last change at "
        "Friday, January 15, 2027 at 8:03:00 AM Coordinated Universal Time"
    )
    service.clock.advance(6 * HOUR_MS - MINUTE_MS - 1)
    assert service.refused("UpdateTable", **off).code == LIMIT
    service.clock.advance(1)
    service.update_table(**off)
    service.clock.advance(DAY_MS)
    for key in "abcd":
        encrypt(service, key)


def test_a_table_s_class_changes_twice_in_30_days(service: Any) -> None:
    service.table()
    for class_ in ("STANDARD_INFREQUENT_ACCESS", "STANDARD"):
        change(service, TableClass=class_)
    change(service, TableClass="STANDARD")  # the same again is none
    again = {"TableName": "Things", "TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert service.refused("UpdateTable", **again).code == LIMIT
    service.clock.advance(30 * DAY_MS - 1)
    assert service.refused("UpdateTable", **again).code == LIMIT
    service.clock.advance(1)
    service.update_table(**again)


def test_a_class_that_was_never_set_does_not_appear(service: Any) -> None:
    service.table()
    change(service, TableClass="STANDARD")
    assert "TableClassSummary" not in described(service)


def test_protection_changes_once_in_15_seconds(service: Any) -> None:
    service.table(DeletionProtectionEnabled=True)
    change(service, DeletionProtectionEnabled=False)
    change(service, DeletionProtectionEnabled=False)
    service.clock.advance(14_999)
    refused = service.refused("UpdateTable", TableName="Things", DeletionProtectionEnabled=True)
    assert (refused.code, refused.status) == ("ThrottlingException", 400)
    assert refused.message == (
        "Deletion protection setting for table Things modified within the previous 15000 milliseconds. Please try "
        "again after 2027-01-15T08:00:15.000Z"
    )
    service.clock.advance(1)
    change(service, DeletionProtectionEnabled=True)
    service.clock.advance(15_000)
    change(service, DeletionProtectionEnabled=False)
    service.delete_table(TableName="Things")  # at once


def set_ttl(service: Any, enabled: bool) -> None:
    given = {"Enabled": enabled, "AttributeName": "t"}
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=given)


# How to use up the budget of each kind: the changes that pass, and the next one.
BUDGETS: dict[str, tuple[list[Body], Body]] = {
    "units": ([{"ProvisionedThroughput": units(read)} for read in (99, 98, 97, 96)],
              {"ProvisionedThroughput": units(95)}),
    "units of an index": ([of_index(ProvisionedThroughput=units(read)) for read in (8, 7, 6, 5)],
                          of_index(ProvisionedThroughput=units(4))),
    "encryption": ([{"SSESpecification": {"Enabled": on}} for on in (True, False, True, False)],
                   {"SSESpecification": {"Enabled": True}}),
    "class": ([{"TableClass": "STANDARD_INFREQUENT_ACCESS"}, {"TableClass": "STANDARD"}],
              {"TableClass": "STANDARD_INFREQUENT_ACCESS"}),
    "protection": ([{"DeletionProtectionEnabled": True}], {"DeletionProtectionEnabled": False}),
}  # fmt: skip


@pytest.mark.parametrize("kind", BUDGETS)
def test_budgets_end_with_the_table(service: Any, kind: str) -> None:
    changes, further = BUDGETS[kind]
    provisioned(service, 100)
    for body in changes:
        change(service, **body)
    assert service.refused("UpdateTable", TableName="Things", **further).code in (LIMIT, "ThrottlingException")
    if kind == "protection":
        service.clock.advance(15_000)
        change(service, **further)
    service.delete_table(TableName="Things")
    provisioned(service, 100)
    for body in changes:
        change(service, **body)


@pytest.mark.parametrize("kind", BUDGETS)
def test_without_quotas_a_table_is_changed_at_any_time(kind: str) -> None:
    service = Service(Settings(quotas=False))
    changes, further = BUDGETS[kind]
    provisioned(service, 100)
    for body in (*changes, further):
        change(service, **body)


def test_time_to_live_of_a_new_table_of_the_name_may_be_changed_at_once(service: Any) -> None:
    service.table()
    set_ttl(service, True)
    service.delete_table(TableName="Things")
    service.table()
    assert service.describe_time_to_live(TableName="Things")["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    set_ttl(service, True)


def test_without_quotas_time_to_live_is_changed_at_any_time() -> None:
    service = Service(Settings(quotas=False))
    service.table()
    for enabled in (True, False, True):
        set_ttl(service, enabled)


# The account's quotas

TABLE_QUOTA = (
    "The requested ReadCapacityUnits, 40001, is above the per table maximum for the account in us-east-1. Per table "
    "maximum: 40000. Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
)
INDEX_QUOTA = TABLE_QUOTA.replace("ReadCapacityUnits,", "ReadCapacityUnits for index by-g,").replace(
    "the per table", "the per index"
)
WARM_QUOTA = (
    "Subscriber limit exceeded: Requested ReadUnitsPerSecond for WarmThroughput for {} exceeds "
    "TableMaxReadCapacityUnits of the account in region us-east-1"
)
MAXIMA_QUOTA = WARM_QUOTA.replace("ReadUnitsPerSecond for Warm", "MaxReadRequestUnits for OnDemand")

QUOTAS: dict[str, tuple[str, Body, str]] = {
    "units": ("provisioned", {"ProvisionedThroughput": units(40_001, 1)}, TABLE_QUOTA),
    "units of an index": ("provisioned", of_index(ProvisionedThroughput=units(40_001, 1)), INDEX_QUOTA),
    "warm throughput": (
        "on demand", {"WarmThroughput": {"ReadUnitsPerSecond": 40_001}}, WARM_QUOTA.format("table")
    ),
    "warm throughput of an index": (
        "on demand", of_index(WarmThroughput={"ReadUnitsPerSecond": 40_001}), WARM_QUOTA.format("index by-g")
    ),
    "maxima": ("on demand", {"OnDemandThroughput": {"MaxReadRequestUnits": 40_001}}, MAXIMA_QUOTA.format("table")),
    "maxima of an index": (
        "on demand", of_index(OnDemandThroughput={"MaxReadRequestUnits": 40_001}), MAXIMA_QUOTA.format("index : by-g")
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", QUOTAS)
@pytest.mark.parametrize("quotas", [True, False], ids=["on", "off"])
def test_a_table_s_quotas(quotas: bool, situation: str) -> None:
    service = Service(Settings(quotas=quotas))
    mode, body, text = QUOTAS[situation]
    if mode == "provisioned":
        provisioned(service, 1)
    else:
        on_demand(service)
    if quotas:
        refused = service.refused("UpdateTable", TableName="Things", **body)
        assert (refused.code, refused.message) == (LIMIT, text)
    else:
        change(service, **body)


def test_a_new_table_has_the_same_quotas(service: Any) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    defined = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")]
    body = {"TableName": "Things", "KeySchema": keys, "AttributeDefinitions": defined}
    table = {**body, "ProvisionedThroughput": units(40_001, 1)}
    table["GlobalSecondaryIndexes"] = [index(ProvisionedThroughput=units(1))]
    assert service.refused("CreateTable", **table).message == TABLE_QUOTA
    table["ProvisionedThroughput"] = units(1)
    table["GlobalSecondaryIndexes"] = [index(ProvisionedThroughput=units(40_001, 1))]
    assert service.refused("CreateTable", **table).message == INDEX_QUOTA
    table["GlobalSecondaryIndexes"] = [index(ProvisionedThroughput=units(40_000, 1))]
    service.create_table(**table)


def test_an_account_s_units_are_those_of_all_tables_and_indexes(service: Any) -> None:
    provisioned(service, 40_000, 1)
    service.table("Other", BillingMode="PROVISIONED", ProvisionedThroughput=units(39_991, 1))
    refused = service.refused("UpdateTable", TableName="Other", ProvisionedThroughput=units(39_992, 1))
    assert (refused.code, refused.message) == (
        LIMIT,
        "This request would have caused the ReadCapacityUnits limit to be exceeded for the account in us-east-1. "
        "Current ReadCapacityUnits reserved by the account: 80000. Limit: 80000. Requested: 39992",
    )
    service.update_table(TableName="Other", ProvisionedThroughput=units(39_990, 2))


def test_an_index_that_is_being_filled_may_be_deleted_but_its_table_may_not(service: Any) -> None:
    service.table(types={})
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}})
    create = {
        "AttributeDefinitions": [{"AttributeName": "g", "AttributeType": "S"}],
        "GlobalSecondaryIndexUpdates": [{"Create": index()}],
    }
    change(service, **create)
    assert service.refused("DeleteTable", TableName="Things").message == (
        "Attempt to change a resource which is still in use: Cannot delete table while indexes are being created, "
        "updated, or deleted."
    )
    service.settle()
    service.delete_table(TableName="Things")


def test_a_table_and_its_index_may_each_decrease_27_times_a_day(service: Any) -> None:
    at_midnight(service)
    provisioned(service, 100)
    change(service, **of_index(ProvisionedThroughput=units(100)))
    done = {"table": 0, "index": 0}
    read = 100
    for _ in range(24 * 4):
        read -= 1
        for of, body in {
            "table": {"ProvisionedThroughput": units(max(1, read), 100)},
            "index": of_index(ProvisionedThroughput=units(max(1, read), 100)),
        }.items():
            try:
                change(service, **body)
                done[of] += 1
            except errors.ApiError as refused:
                assert refused.code == LIMIT
        service.clock.advance(HOUR_MS // 4 if done["table"] >= 4 else 0)
    assert done == {"table": 27, "index": 27}
    assert decreases(service) == 27


@pytest.mark.parametrize("quotas", [True, False], ids=["on", "off"])
def test_the_number_of_tables(quotas: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TABLES", 1)
    service = Service(Settings(quotas=quotas))
    body = {
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    service.create_table(TableName="First", **body)
    if quotas:
        refused = service.refused("CreateTable", TableName="Second", **body)
        text = "Subscriber limit exceeded: There is a limit of 1 tables per subscriber"
        assert (refused.code, refused.message) == (LIMIT, text)
    else:
        service.create_table(TableName="Second", **body)
