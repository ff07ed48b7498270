"""The changes that one UpdateTable may not combine, and those that must wait for another change to end."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from atoll.api import concerns

INVALID = "One or more parameter values were invalid: "
USE = "Attempt to change a resource which is still in use: "
Body = dict[str, Any]

ONE = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
TWO = {"ReadCapacityUnits": 2, "WriteCapacityUnits": 2}
DEFINED = [{"AttributeName": name, "AttributeType": "S"} for name in ("g", "h")]
ON = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
ALL = {"ProjectionType": "ALL"}


def index(name: str, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": ALL, **more}


def updates(*given: Body) -> Body:
    return {"AttributeDefinitions": DEFINED, "GlobalSecondaryIndexUpdates": list(given)}


DELETE = updates({"Delete": {"IndexName": "by-g"}})

# Each kind of change to a provisioned and to an on-demand table.
PROVISIONED: dict[str, Body] = {
    "units": {"ProvisionedThroughput": TWO},
    "stream": {"StreamSpecification": ON},
    "protection": {"DeletionProtectionEnabled": True},
    "encryption": {"SSESpecification": {"Enabled": True}},
    "class": {"TableClass": "STANDARD_INFREQUENT_ACCESS"},
    "warm": {"WarmThroughput": {"ReadUnitsPerSecond": 20_000}},
    "creation": updates({"Create": index("new", ProvisionedThroughput=ONE)}),
    "deletion": DELETE,
    "on demand": {"BillingMode": "PAY_PER_REQUEST"},
}
ON_DEMAND: dict[str, Body] = {
    **PROVISIONED,
    "maxima": {"OnDemandThroughput": {"MaxReadRequestUnits": 10}},
    "creation": updates({"Create": index("new")}),
    "provisioned": {
        "BillingMode": "PROVISIONED", "ProvisionedThroughput": TWO,
        "GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "by-g", "ProvisionedThroughput": TWO}}],
    },
}  # fmt: skip
del ON_DEMAND["units"]

ENCRYPTION = "Server-Side Encryption modification must be the only operation in the request"
CLASS = "TableClass modification must be the only operation in the request"
PROTECTION = "DeletionProtection modification must be the only operation in the request"
WARM = "WarmThroughput must be the only operation in the request"
MAXIMA = "OnDemandThroughput can only be combined with BillingMode in an UpdateTable request"
STREAM = "You cannot modify stream status while updating table IOPS"
INDEX_UNITS = "You cannot create or delete index while updating table IOPS"
INDEX_STREAM = "You cannot create or delete index while changing stream status"

ALONE = {"encryption": ENCRYPTION, "class": CLASS, "protection": PROTECTION, "warm": WARM}
PAIRS = {
    ("maxima", "stream"): MAXIMA,
    ("maxima", "creation"): MAXIMA,
    ("maxima", "deletion"): MAXIMA,
    ("maxima", "provisioned"): MAXIMA,
    ("stream", "units"): STREAM,
    ("stream", "provisioned"): STREAM,
    ("creation", "units"): INDEX_UNITS,
    ("deletion", "units"): INDEX_UNITS,
    ("creation", "provisioned"): INDEX_UNITS,
    ("deletion", "provisioned"): INDEX_UNITS,
    ("creation", "stream"): INDEX_STREAM,
    ("deletion", "stream"): INDEX_STREAM,
}


def expected(some: str, other: str) -> str | None:
    if {some, other} == {"maxima", "warm"}:
        return MAXIMA
    for concern, text in ALONE.items():
        if concern in (some, other):
            return text
    return PAIRS.get((some, other)) or PAIRS.get((other, some))


def cases(kinds: dict[str, Body]) -> list[Any]:
    # Not these: both are members of GlobalSecondaryIndexUpdates or of BillingMode, or units of no use.
    apart = ({"creation", "deletion"}, {"on demand", "provisioned"}, {"on demand", "units"})
    return [
        pytest.param(some, other, id=f"{some} with {other}")
        for some, other in combinations(kinds, 2)
        if {some, other} not in apart and not ("units" in kinds and {some, other} == {"creation", "on demand"})
    ]


def table(service: Any, **more: Any) -> None:
    units = {"ProvisionedThroughput": ONE} if more.get("BillingMode") == "PROVISIONED" else {}
    service.table(types={"g": "S"}, GlobalSecondaryIndexes=[index("by-g", **units)], **units, **more)


def together(service: Any, kinds: dict[str, Body], some: str, other: str) -> None:
    body = {**kinds[some], **kinds[other]}
    lists = [kinds[one].get("GlobalSecondaryIndexUpdates", []) for one in (some, other)]
    if any(lists):
        body["GlobalSecondaryIndexUpdates"] = lists[0] + lists[1]
    before = service.describe_table(TableName="Things")
    text = expected(some, other)
    if {"deletion", "provisioned"} == {some, other}:
        body["GlobalSecondaryIndexUpdates"] = lists[0] if some == "deletion" else lists[1]
    if text is None:
        service.update_table(TableName="Things", **body)
    else:
        refused = service.refused("UpdateTable", TableName="Things", **body)
        assert (refused.code, refused.message) == ("ValidationException", INVALID + text)
        assert service.describe_table(TableName="Things") == before


@pytest.mark.parametrize(("some", "other"), cases(PROVISIONED))
def test_changes_of_a_provisioned_table_in_one_request(service: Any, some: str, other: str) -> None:
    table(service, BillingMode="PROVISIONED")
    together(service, PROVISIONED, some, other)


@pytest.mark.parametrize(("some", "other"), cases(ON_DEMAND))
def test_changes_of_an_on_demand_table_in_one_request(service: Any, some: str, other: str) -> None:
    table(service)
    together(service, ON_DEMAND, some, other)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        (("warm", "protection", "class", "encryption"), ENCRYPTION),
        (("warm", "protection", "class"), CLASS),
        (("warm", "protection", "maxima"), PROTECTION),
        (("warm", "maxima"), MAXIMA),
    ],
)
def test_of_several_violations_the_first_is_reported(service: Any, members: tuple[str, ...], text: str) -> None:
    table(service)
    body: Body = {}
    for member in members:
        body |= ON_DEMAND[member]
    assert service.refused("UpdateTable", TableName="Things", **body).message == INVALID + text


ACCEPTED: dict[str, tuple[str, Body]] = {
    "on demand with maxima": (
        "PROVISIONED", {"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 9}}
    ),
    "on demand again with maxima": (
        "PAY_PER_REQUEST", {"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {"MaxReadRequestUnits": 9}}
    ),
    "on demand with a stream": ("PROVISIONED", {"BillingMode": "PAY_PER_REQUEST", "StreamSpecification": ON}),
    "on demand again with a stream": ("PAY_PER_REQUEST", {"BillingMode": "PAY_PER_REQUEST", "StreamSpecification": ON}),
    "an index created, another updated": (
        "PAY_PER_REQUEST",
        updates({"Create": index("new")},
                {"Update": {"IndexName": "by-g", "OnDemandThroughput": {"MaxReadRequestUnits": 9}}}),
    ),
    "provisioned with all indexes": ("PAY_PER_REQUEST", ON_DEMAND["provisioned"]),
    "units of the table and an index": (
        "PROVISIONED",
        {"ProvisionedThroughput": TWO, **updates({"Update": {"IndexName": "by-g", "ProvisionedThroughput": TWO}})},
    ),
    "empty maxima beside a mode": ("PAY_PER_REQUEST", {"BillingMode": "PAY_PER_REQUEST", "OnDemandThroughput": {}}),
    "no definitions": ("PAY_PER_REQUEST", {"DeletionProtectionEnabled": True, "AttributeDefinitions": []}),
    "definitions that nothing uses": (
        "PAY_PER_REQUEST",
        {"DeletionProtectionEnabled": True, "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "N"}]},
    ),
    "an unknown member": ("PAY_PER_REQUEST", {"DeletionProtectionEnabled": True, "KeySchema": 7}),
}  # fmt: skip


@pytest.mark.parametrize("situation", ACCEPTED)
def test_accepted_together(service: Any, situation: str) -> None:
    mode, body = ACCEPTED[situation]
    table(service, BillingMode=mode)
    described = service.update_table(TableName="Things", **body)["TableDescription"]
    if "StreamSpecification" in body:
        assert described["StreamSpecification"] == ON
    if body.get("OnDemandThroughput"):
        assert described["OnDemandThroughput"] == body["OnDemandThroughput"]


# While something is under way

LABEL = "2027-01-15T08:00:20.000"

# Under way, asked for meanwhile: the text; None is accepted. Of the on-demand table, but for `units`.
WHILE: dict[tuple[str, str], str | None] = {
    ("units", "units"): "Table IOPS are currently being updated. Table: Things",
    ("units", "on demand"): "Table IOPS are currently being updated. Table: Things",
    ("units", "protection"): None,
    ("units", "warm"): None,
    ("units", "stream"): "Can't enable or disable stream while table IOPS are being updated. Table: Things",
    ("units", "creation"): "Can't create or delete indexes while table IOPS are being updated. Table: Things",
    ("units", "deletion"): "Can't create or delete indexes while table IOPS are being updated. Table: Things",
    ("units", "delete table"): "Table: Things is in the process of being updated.",
    ("on demand", "units"): "Table IOPS are currently being updated. Table: Things",
    ("on demand", "stream"): "Can't enable or disable stream while table IOPS are being updated. Table: Things",
    ("on demand", "delete table"): "Table: Things is in the process of being updated.",
    ("on demand", "protection"): None,
    ("provisioned", "units"): "Table IOPS are currently being updated. Table: Things",
    ("provisioned", "on demand"): None,
    ("stream", "class"): "Can't update table class when stream status is being updated. Table: Things",
    ("stream", "maxima"): "OnDemandThroughput cannot be updated while stream status update is in progress",
    ("stream", "provisioned"): "Can't change table IOPS when stream status is being updated. Table: Things "
    f"Stream: {LABEL} Operation: ENABLE",
    ("stream", "creation"): "Can't create or delete an index when stream status is being updated.",
    ("stream", "protection"): None,
    ("stream", "encryption"): None,
    ("stream", "delete table"): "Table: Things is in the process of being updated.",
    ("class", "stream"): "Can't change stream status when a table class update is in progress. Table: Things "
    "TableClassUpdateInProgress: STANDARD_INFREQUENT_ACCESS",
    ("class", "encryption"): None,
    ("class", "protection"): None,
    ("class", "delete table"): "Table: Things is in the process of being updated.",
    ("encryption", "encryption"): "Server-Side Encryption is still being updated",
    ("encryption", "creation"): None,
    ("encryption", "protection"): None,
    ("encryption", "maxima"): None,
    ("encryption", "delete table"): "Table: Things is in the process of being updated.",
    ("warm", "maxima"): None,
    ("warm", "protection"): None,
    ("warm", "encryption"): None,
    ("warm", "delete table"): "Table: Things is in the process of being updated.",
    ("protection", "creation"): None,
    ("maxima", "maxima"): None,
    ("creation", "maxima"): "OnDemandThroughput cannot be updated while index creation is in progress for indexes: "
    "[new]",
    ("creation", "stream"): "Can't change stream status when an index is being created. Table: Things Indexes: [new]",
    ("creation", "protection"): None,
    ("creation", "encryption"): None,
    ("creation", "delete table"): "Cannot delete table while indexes are being created, updated, or deleted.",
    ("creation", "its deletion"): "Index creation is in resource allocation phase. Retry deletion during backfilling "
    "phase or when the index is active. Table: Things Index: new",
    ("creation", "its update"): "Index is being created but is not backfilling yet. Table: Things Index: new",
    ("creation", "update"): None,
    ("deletion", "provisioned without indexes"): "Can't change table IOPS when an index is being deleted. "
    "Table: Things Indexes: [by-g]",
    ("deletion", "provisioned"): "Index is being deleted. Table: Things Index: by-g",
    ("deletion", "update"): "Index is being deleted. Table: Things Index: by-g",
    ("deletion", "on demand"): None,
    ("deletion", "protection"): None,
    ("deletion", "delete table"): "Cannot delete table while indexes are being created, updated, or deleted.",
    ("update", "update"): "Index is being updated. Table: Things Index: by-g",
    ("update", "creation"): None,
    ("update", "protection"): None,
    ("update", "delete table"): "Cannot delete table while indexes are being created, updated, or deleted.",
}

ASKED = {
    **ON_DEMAND,
    "units": PROVISIONED["units"],
    "provisioned without indexes": {"BillingMode": "PROVISIONED", "ProvisionedThroughput": TWO},
    "its deletion": updates({"Delete": {"IndexName": "new"}}),
    "its update": updates({"Update": {"IndexName": "new", "OnDemandThroughput": {"MaxReadRequestUnits": 9}}}),
    "update": updates({"Update": {"IndexName": "by-g", "OnDemandThroughput": {"MaxReadRequestUnits": 9}}}),
}


@pytest.mark.parametrize(("ongoing", "asked"), WHILE, ids=lambda name: str(name))
def test_asked_while(slow_service: Any, ongoing: str, asked: str) -> None:
    service, text = slow_service, WHILE[ongoing, asked]
    provisioned = ongoing in ("units", "on demand")
    table(service, BillingMode="PROVISIONED" if provisioned else "PAY_PER_REQUEST")
    service.clock.advance(20_000)
    kinds = PROVISIONED if provisioned else ASKED
    service.update_table(TableName="Things", **kinds[ongoing])
    service.clock.advance(9_999)
    body = {**ASKED, **(PROVISIONED if provisioned else {})}.get(asked, {})
    if (ongoing, asked) == ("encryption", "encryption"):
        body = {"SSESpecification": {"Enabled": False}}
    operation = "DeleteTable" if asked == "delete table" else "UpdateTable"
    if text is None:
        service.request(operation, {"TableName": "Things", **body})
    else:
        refused = service.refused(operation, TableName="Things", **body)
        assert (refused.code, refused.message) == ("ResourceInUseException", USE + text)
        service.clock.advance(1)
        service.settle()
        if asked == "delete table":
            service.request(operation, {"TableName": "Things"})


def test_warm_throughput_while_an_index_is_created_fails(slow_service: Any) -> None:
    table(slow_service)
    slow_service.clock.advance(10_000)
    slow_service.update_table(TableName="Things", **ON_DEMAND["creation"])
    refused = slow_service.refused("UpdateTable", TableName="Things", **ON_DEMAND["warm"])
    assert (refused.status, refused.message) == (500, "Table is under system maintenance, please try again later")


def test_another_index_is_not_created_while_one_is_deleted(slow_service: Any) -> None:
    table(slow_service)
    slow_service.clock.advance(10_000)
    slow_service.update_table(TableName="Things", **DELETE)
    refused = slow_service.refused("UpdateTable", TableName="Things", **ON_DEMAND["creation"])
    assert (refused.code, refused.message) == (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )


@pytest.mark.parametrize("asked", [*ASKED, "delete table"])
@pytest.mark.parametrize("state", ["created", "deleted"])
def test_nothing_is_changed_while_the_table_itself_is(slow_service: Any, state: str, asked: str) -> None:
    table(slow_service)
    if state == "deleted":
        slow_service.clock.advance(10_000)
        slow_service.delete_table(TableName="Things")
    operation = "DeleteTable" if asked == "delete table" else "UpdateTable"
    refused = slow_service.refused(operation, TableName="Things", **ASKED.get(asked, {}))
    assert (refused.code, refused.message) == ("ResourceInUseException", f"{USE}Table is being {state}: Things")


def test_a_change_back_to_on_demand_while_becoming_provisioned_has_no_effect(slow_service: Any) -> None:
    table(slow_service)
    slow_service.clock.advance(10_000)
    slow_service.update_table(TableName="Things", **ON_DEMAND["provisioned"])
    again = slow_service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST")["TableDescription"]
    units = again["ProvisionedThroughput"]
    assert (again["TableStatus"], again["BillingModeSummary"]["BillingMode"]) == ("UPDATING", "PAY_PER_REQUEST")
    assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (0, 0)
    slow_service.clock.advance(10_000)
    described = slow_service.describe_table(TableName="Things")["Table"]
    assert described["BillingModeSummary"]["BillingMode"] == "PROVISIONED"
    assert described["ProvisionedThroughput"]["ReadCapacityUnits"] == 2


def test_every_concern_of_a_table_is_known() -> None:
    known = {*concerns.MEMBERS.values(), *concerns.ACTIONS.values()}
    assert concerns.REFUSED_WHILE.keys() <= known
    ongoing = {one for refusals in concerns.REFUSED_WHILE.values() for one in refusals}
    assert ongoing <= known
    assert concerns.SHOWN.keys() <= known | {concerns.TAGS}


LASTING = ("provisioned", "stream", "class", "creation", "deletion")
OVERLAPS = [
    (ongoing, asked)
    for ongoing in LASTING
    for asked in (*LASTING, "maxima")
    if not {ongoing, asked} <= {"creation", "deletion"}  # those have a limit of their own
]


@pytest.mark.parametrize(("ongoing", "asked"), OVERLAPS)
def test_no_two_changes_that_make_a_table_update_overlap(slow_service: Any, ongoing: str, asked: str) -> None:
    table(slow_service)
    slow_service.clock.advance(10_000)
    slow_service.update_table(TableName="Things", **ON_DEMAND[ongoing])
    refused = slow_service.refused("UpdateTable", TableName="Things", **ON_DEMAND[asked])
    assert refused.code == "ResourceInUseException"
    assert refused.message.startswith(USE)
