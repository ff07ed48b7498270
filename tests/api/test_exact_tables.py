"""The errors for definitions and changes of tables, word for word."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
INVALID = "One or more parameter values were invalid: "
ONE = "1 validation error detected: "
AT = " failed to satisfy constraint: Member must "
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
ALL = {"ProjectionType": "ALL"}
ENCRYPTED = "arn:aws:kms:us-east-1:000000000000:key/mine"


def keys(*names: str) -> list[Body]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def defined(names: str, type_: str = "S") -> list[Body]:
    return [{"AttributeName": name, "AttributeType": type_} for name in names]


def index(name: str = "by-b", *names: str, **more: Any) -> Body:
    return {"IndexName": name, "KeySchema": keys(*(names or ("b",))), "Projection": ALL, **more}


def create(**more: Any) -> Body:
    body = {"TableName": "New", "KeySchema": keys("a"), "BillingMode": "PAY_PER_REQUEST", **more}
    if "AttributeDefinitions" not in body:
        indexed = "GlobalSecondaryIndexes" in more or "LocalSecondaryIndexes" in more
        body["AttributeDefinitions"] = defined("ab" if indexed else "a")
    return {name: value for name, value in body.items() if value is not None}


def provisioned(**more: Any) -> Body:
    return create(BillingMode=None, **{"ProvisionedThroughput": UNITS, **more})


def with_index(**more: Any) -> Body:
    return create(GlobalSecondaryIndexes=[index(**more)])


def sse(**members: Any) -> Body:
    return {"SSESpecification": members}


def stream(enabled: bool | None = None, view: str | None = None) -> Body:
    given = {"StreamEnabled": enabled, "StreamViewType": view}
    return {"StreamSpecification": {member: value for member, value in given.items() if value is not None}}


def updates(*given: Body, attributes: str = "") -> Body:
    more = {"AttributeDefinitions": defined(attributes)} if attributes else {}
    return {"GlobalSecondaryIndexUpdates": list(given), **more}


def update(name: str = "by-b", **more: Any) -> Body:
    return updates({"Update": {"IndexName": name, **more}})


INITIAL = (
    "is lower than initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/"
    "developerguide/on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
)
CLASSES = (
    "Invalid table-class parameter provided. Please try again with a valid table-class value: "
    "[STANDARD, STANDARD_INFREQUENT_ACCESS]."
)
BELOW_ONE = "Member must have value greater than or equal to 1"


def both(value: str, prefix: str = "provisionedThroughput") -> str:
    return "2 validation errors detected: " + "; ".join(
        f"Value '{value}' at '{prefix}.{kind}CapacityUnits' failed to satisfy constraint: {BELOW_ONE}"
        for kind in ("write", "read")
    )


def maximum(units: int, member: str = "MaxReadRequestUnits") -> Body:
    return {"OnDemandThroughput": {member: units}}


CREATIONS: dict[str, tuple[Body, str]] = {
    "no billing mode and no units": (
        create(BillingMode=None),
        INVALID + "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    "units of an on-demand table": (
        create(ProvisionedThroughput=UNITS),
        INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
        "PAY_PER_REQUEST",
    ),
    **{
        f"units of {units}": (
            provisioned(ProvisionedThroughput={"ReadCapacityUnits": units, "WriteCapacityUnits": units}),
            both(str(units)),
        )
        for units in (0, -1)
    },
    "one of the units": (
        provisioned(ProvisionedThroughput={"ReadCapacityUnits": 1}),
        ONE + "Value null at 'provisionedThroughput.writeCapacityUnits'" + AT + "not be null",
    ),
    "neither of the units": (
        provisioned(ProvisionedThroughput={}),
        "2 validation errors detected: Value null at 'provisionedThroughput.writeCapacityUnits'" + AT + "not be null; "
        "Value null at 'provisionedThroughput.readCapacityUnits'" + AT + "not be null",
    ),
    "maxima of a provisioned table": (
        provisioned(**maximum(1)),
        INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is "
        "PROVISIONED.",
    ),
    "maxima of writes of a provisioned table": (
        provisioned(**maximum(1, "MaxWriteRequestUnits")),
        INVALID + "MaxWriteRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is "
        "PROVISIONED.",
    ),
    "maxima of an index of a provisioned table": (
        provisioned(GlobalSecondaryIndexes=[index(ProvisionedThroughput=UNITS, **maximum(1))]),
        INVALID + "MaxReadRequestUnits for OnDemandThroughput for index: by-b cannot be specified when table "
        "BillingMode is PROVISIONED.",
    ),
    **{
        f"a maximum of {units} of {what}": (
            body(**maximum(units)),
            INVALID + f"Requested MaxReadRequestUnits for OnDemandThroughput for {of} is outside of valid range",
        )
        for units in (0, -1)
        for what, of, body in (("a table", "table", create), ("an index", "index : by-b", with_index))
    },
    **{
        f"warm throughput of {units} of {what}": (
            body(WarmThroughput={"ReadUnitsPerSecond": units}),
            INVALID + f"Requested ReadUnitsPerSecond for WarmThroughput for {of} {INITIAL}",
        )
        for units in (0, 11_999)
        for what, of, body in (("a table", "table", create), ("an index", "index by-b", with_index))
    },
    "a second definition of a name": (create(AttributeDefinitions=defined("aa")), "Attribute Name is duplicated: a"),
    "definitions without the key": (
        create(AttributeDefinitions=[]),
        "Invalid KeySchema: Some index key attribute have no definition",
    ),
    "no definitions": (
        {**create(), "AttributeDefinitions": None},
        ONE + "Value null at 'attributeDefinitions'" + AT + "not be null",
    ),
    "keys of an empty list": (
        create(KeySchema=[]),
        ONE + "Value '[]' at 'keySchema'" + AT + "have length greater than or equal to 1",
    ),
    "an index without a projection": (
        create(GlobalSecondaryIndexes=[{"IndexName": "by-b", "KeySchema": keys("b")}]),
        ONE + "Value null at 'globalSecondaryIndexes.1.member.projection'" + AT + "not be null",
    ),
    **{
        f"{count} projected attributes": (
            with_index(Projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": [f"n{i}" for i in range(count)]}),
            f"have length {bound}",
        )
        for count, bound in ((0, "greater than or equal to 1"), (21, "less than or equal to 20"))
    },
    "short names of indexes of both kinds": (
        create(
            KeySchema=keys("a", "b"),
            LocalSecondaryIndexes=[index("l", "a", "b")],
            GlobalSecondaryIndexes=[index("g")],
        ),
        "2 validation errors detected: Value 'g' at 'globalSecondaryIndexes.1.member.indexName'" + AT
        + "have length greater than or equal to 3; Value 'l' at 'localSecondaryIndexes.1.member.indexName'" + AT
        + "have length greater than or equal to 3",
    ),
    "a stream without a view": (
        create(**stream(True)),
        INVALID + "Table is being created with a stream enabled, UpdateViewType is required",
    ),
    "a view without a stream": (
        create(**stream(False, "KEYS_ONLY")),
        INVALID + "Table is being created with a stream disabled, UpdateViewType should not be specified",
    ),
    "a stream neither on nor off": (
        create(**stream()),
        ONE + "Value null at 'streamSpecification.streamEnabled'" + AT + "not be null",
    ),
    "an unknown view": (
        create(**stream(True, "ALL")),
        ONE + "Value 'ALL' at 'streamSpecification.streamViewType'" + AT
        + "satisfy enum value set: [OLD_IMAGE, KEYS_ONLY, NEW_AND_OLD_IMAGES, NEW_IMAGE]",
    ),
    "an unknown type of encryption": (
        create(**sse(SSEType="kms")),
        ONE + "Value 'kms' at 'sSESpecification.sSEType'" + AT + "satisfy enum value set: [AES256, KMS]",
    ),
    "settings replication with overrides": (
        create(GlobalTableSettingsReplicationMode="ENABLED_WITH_OVERRIDES"),
        "Value 'ENABLED_WITH_OVERRIDES' at 'GlobalTableSettingsReplicationMode' failed to satisfy constraint: Only "
        "ENABLED and DISABLED settings replication are supported for a Regional Table.",
    ),
}  # fmt: skip

# The same for creations and changes.
SETTINGS: dict[str, tuple[Body, str]] = {
    "a type of encryption that is off": (
        sse(Enabled=False, SSEType="KMS"), INVALID + "SSEType can not be specified if Enabled is false"
    ),
    "a key of encryption that is off": (
        sse(Enabled=False, KMSMasterKeyId="mine"), INVALID + "KMSMasterKeyId can not be specified if Enabled is false"
    ),
    "a key without the type": (
        sse(Enabled=True, KMSMasterKeyId="mine"), INVALID + "SSEType KMS is required if KMSMasterKeyId is specified"
    ),
    "a key alone": (sse(KMSMasterKeyId="mine"), INVALID + "SSEType KMS is required if KMSMasterKeyId is specified"),
    "encryption with AES": (sse(Enabled=True, SSEType="AES256"), INVALID + "SSEType AES256 is not supported"),
    "an unknown class": ({"TableClass": "FREQUENT"}, CLASSES),
    "an empty class": ({"TableClass": ""}, CLASSES),
    "a class in lower case": ({"TableClass": "standard"}, CLASSES),
}  # fmt: skip


@pytest.mark.parametrize("situation", CREATIONS)
def test_creations_refused(service: Any, situation: str) -> None:
    body, text = CREATIONS[situation]
    refused = service.refused("CreateTable", **body)
    assert refused.code == "ValidationException"
    assert refused.message.endswith(text) if text.startswith("have") else refused.message == text
    assert service.list_tables()["TableNames"] == []


@pytest.mark.parametrize("situation", SETTINGS)
@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable"])
def test_settings_refused(service: Any, operation: str, situation: str) -> None:
    service.create_table(**create())
    body, text = SETTINGS[situation]
    given = create(TableName="Other", **body) if operation == "CreateTable" else {"TableName": "New", **body}
    refused = service.refused(operation, **given)
    assert (refused.code, refused.message) == ("ValidationException", text)


NOTHING = (
    "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates, "
    "SSESpecification, ReplicaUpdates, MultiAccountReplicaReady, ReplicaTransitRoleArn, MultiRegionConsistency, "
    "DeletionProtectionEnabled, OnDemandThroughput, WarmThroughput or TableClass is required"
)
UNCHANGED = (
    "The provisioned throughput for the {of} will not change. The requested value equals the current value. Current "
    "ReadCapacityUnits provisioned for the {kind}: 5. Requested ReadCapacityUnits: 5. Current WriteCapacityUnits "
    "provisioned for the {kind}: 5. Requested WriteCapacityUnits: 5. Refer to the Amazon DynamoDB Developer Guide for "
    "current limits and how to request higher limits."
)
LIMIT, MISSING = "LimitExceededException", "ResourceNotFoundException"
LOCAL = "that is not a GlobalSecondaryIndex: local"
ONLY = "when TableThroughputMode is PAY_PER_REQUEST can be to OnDemandThroughput, WarmThroughput"
PROTECT = {"DeletionProtectionEnabled": True}

# Changes of an on-demand table with a global and a local index. Without a code they are ValidationExceptions.
CHANGES: dict[str, tuple[Body, str] | tuple[Body, str, str]] = {
    "nothing": ({}, NOTHING),
    "nothing of a table that is not there": ({"TableName": "None"}, NOTHING),
    "definitions alone": ({"AttributeDefinitions": defined("zzz")}, NOTHING),
    "an empty list of indexes alone": ({"GlobalSecondaryIndexUpdates": []}, NOTHING),
    "an empty list of indexes with definitions": (updates(attributes="b"), NOTHING),
    "an unknown member alone": ({"KeySchema": 7}, NOTHING),
    "a consistency of regions alone": (
        {"MultiRegionConsistency": "STRONG"}, NOTHING.replace(" MultiRegionConsistency,", "")
    ),
    "a witness alone": ({"GlobalTableWitnessUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}, NOTHING),
    **{
        f"an empty list of indexes beside {member}": (
            {member: value, **updates()}, INVALID + "List of GlobalSecondaryIndexUpdates is empty"
        )
        for member, value in (("DeletionProtectionEnabled", True), ("BillingMode", "PAY_PER_REQUEST"),
                              ("OnDemandThroughput", {"MaxReadRequestUnits": 9}))
    },
    "an index update without an action": (
        updates({}),
        INVALID + "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
        "GlobalSecondaryIndexUpdate.Delete must not be null",
    ),
    "an index update with two actions": (
        updates({"Delete": {"IndexName": "by-b"}, "Update": {"IndexName": "by-b"}}),
        INVALID + "Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object",
    ),
    "an index updated twice": (
        updates({"Delete": {"IndexName": "by-b"}}, {"Create": index()}, attributes="b"),
        INVALID + "Only one global secondary index update per index is allowed simultaneously. Index: by-b",
    ),
    "an index update without a name": (
        updates({"Update": {}}),
        ONE + "Value null at 'globalSecondaryIndexUpdates.1.member.update.indexName'" + AT + "not be null",
    ),
    **{
        f"an unknown index to {action.lower()}": (
            updates({action: {"IndexName": "ghost"}}),
            "Requested resource not found: Index ghost for table Things", MISSING,
        )
        for action in ("Update", "Delete")
    },
    "a local index to delete": (updates({"Delete": {"IndexName": "local"}}), f"Cannot delete an index {LOCAL}"),
    "a local index to update": (update("local"), f"Cannot update an index {LOCAL}"),
    "an index that exists": (
        updates({"Create": index()}, attributes="b"), "Attempting to create an index which already exists"
    ),
    "two new indexes": (
        updates({"Create": index("one")}, {"Create": index("two")}, attributes="b"),
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table", LIMIT,
    ),
    "an index without definitions": (
        updates({"Create": index("new")}), INVALID + "AttributeDefinitions is not specified for index: new"
    ),
    "a key with another type": (
        {"AttributeDefinitions": defined("a", "N"), **updates({"Create": index("new", "a")})},
        INVALID + "Attributes cannot be redefined. Please check that your attribute has the same type as previously "
        "defined. Existing schema: Schema:[SchemaElement: key{a:S:HASH}, SchemaElement: key{c:S:RANGE}] New schema: "
        "Schema:[SchemaElement: key{a:N:HASH}]",
    ),
    "units of an index on demand": (
        update(ProvisionedThroughput=UNITS), INVALID + f"The only Updates for index: by-b {ONLY}"
    ),
    "nothing of an index on demand": (update(), INVALID + f"The only Updates for index: by-b {ONLY}"),
    "empty warm throughput of an index": (
        {**update(WarmThroughput={}), **PROTECT},
        INVALID + "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for "
        "index: by-b",
    ),
    **{
        f"empty {member} alone": ({member: {}}, "", "InternalFailure")
        for member in ("WarmThroughput", "OnDemandThroughput")
    },
    **{
        f"a maximum of {units}": (
            maximum(units, "MaxWriteRequestUnits"),
            INVALID + "Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range",
        )
        for units in (0, -2)
    },
    "a maximum of an index of 0": (
        update(**maximum(0)),
        INVALID + "Requested MaxReadRequestUnits for OnDemandThroughput for index : by-b is outside of valid range",
    ),
    **{
        f"warm throughput of {units}": (
            {"WarmThroughput": {"WriteUnitsPerSecond": units}},
            INVALID + "Requested WriteUnitsPerSecond for WarmThroughput for table is lower than current "
            "WarmThroughput, decreasing WarmThroughput is not supported",
        )
        for units in (-1, 0, 3_999)
    },
    "warm throughput of an index": (
        update(WarmThroughput={"ReadUnitsPerSecond": 11_999}),
        INVALID + "Requested ReadUnitsPerSecond for WarmThroughput for index by-b is lower than current "
        "WarmThroughput, decreasing WarmThroughput is not supported",
    ),
    "units on demand": (
        {"ProvisionedThroughput": UNITS},
        INVALID + "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is "
        "PAY_PER_REQUEST",
    ),
    "units beside on demand": (
        {"ProvisionedThroughput": UNITS, "BillingMode": "PAY_PER_REQUEST"},
        INVALID + "ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST",
    ),
    "provisioned without units": (
        {"BillingMode": "PROVISIONED"},
        INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
    ),
    "provisioned without units of the index": (
        {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS},
        INVALID + "ProvisionedThroughput must be specified for index: by-b",
    ),
    "a stream without a view": (
        stream(True), INVALID + "If stream is being enabled then UpdateViewType is required"
    ),
    "a view without a stream": (
        stream(False, "KEYS_ONLY"), INVALID + "If stream is being disabled, then UpdateViewType must not be specified"
    ),
    "a view alone": (
        stream(None, "KEYS_ONLY"), ONE + "Value null at 'streamSpecification.streamEnabled'" + AT + "not be null"
    ),
    "a stream that is off": (stream(False), "Table has no stream to disable: TableName: Things"),
    **{
        f"no encryption as before: {given}": (sse(**given), INVALID + "Table is already encrypted by default")
        for given in ({}, {"Enabled": False})
    },
    "an empty list of replicas": (
        {"ReplicaUpdates": []}, ONE + "Value '[]' at 'replicaUpdates'" + AT + "have length greater than or equal to 1"
    ),
    "a replica without an action": (
        {"ReplicaUpdates": [{}]}, "There are no actions specified in the Replica Update Action of the request."
    ),
    "a replica beside another change": (
        {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}], **PROTECT},
        INVALID + "Replica modification must be the only operation in the request",
    ),
    "a short name of a table": (
        {"TableName": "ab", **PROTECT},
        ONE + "Value 'ab' at 'tableName'" + AT + "have length greater than or equal to 3",
    ),
    "units of nothing, and no table": (
        {"TableName": "None", "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}, both("0")
    ),
    "settings replication with overrides": (
        {"GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES"},
        "Value 'ENABLED_WITH_OVERRIDES' at 'GlobalTableSettingsReplicationMode' failed to satisfy constraint: Only "
        "ENABLED and DISABLED settings replication are supported for a Regional Table.",
    ),
    "an ARN of another Region": (
        {"TableName": "arn:aws:dynamodb:eu-west-1:000000000000:table/Things", **PROTECT},
        ONE + "Invalid AWS region in 'arn:aws:dynamodb:eu-west-1:000000000000:table/Things'",
    ),
}  # fmt: skip

# Changes of a provisioned table with a stream, a key and an index.
PROVISIONED: dict[str, tuple[Body, str]] = {
    "the same units": ({"ProvisionedThroughput": UNITS}, UNCHANGED.format(of="table", kind="table")),
    "the same units in the same mode": (
        {"ProvisionedThroughput": UNITS, "BillingMode": "PROVISIONED"}, UNCHANGED.format(of="table", kind="table")
    ),
    "the same units of an index": (
        update(ProvisionedThroughput=UNITS), UNCHANGED.format(of="index by-b", kind="index")
    ),
    "the same mode without units": (
        {"BillingMode": "PROVISIONED"},
        INVALID + "ProvisionedThroughput must be specified when BillingMode is PROVISIONED",
    ),
    "maxima": (
        maximum(1),
        INVALID + "MaxReadRequestUnits for OnDemandThroughput cannot be specified when the table BillingMode is "
        "PROVISIONED",
    ),
    "maxima of an index": (
        update(**maximum(1)),
        INVALID + "MaxReadRequestUnits for OnDemandThroughput for index : by-b cannot be specified when the table "
        "BillingMode is PROVISIONED",
    ),
    "a new index without units": (
        updates({"Create": index("new")}, attributes="b"),
        INVALID + "ProvisionedThroughput is not specified for index: new",
    ),
    "empty units": (
        {"ProvisionedThroughput": {}},
        "2 validation errors detected: Value null at 'provisionedThroughput.writeCapacityUnits'" + AT + "not be null; "
        "Value null at 'provisionedThroughput.readCapacityUnits'" + AT + "not be null",
    ),
    "another view of the stream": (
        stream(True, "NEW_IMAGE"), "Table already has an enabled stream: TableName: Things"
    ),
    "the same key": (
        sse(Enabled=True, SSEType="KMS", KMSMasterKeyId=ENCRYPTED),
        INVALID + "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to "
        "change Master Key",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", CHANGES)
def test_changes_refused(service: Any, situation: str) -> None:
    body, text, *codes = CHANGES[situation]
    service.create_table(
        **create(
            TableName="Things", KeySchema=keys("a", "c"), AttributeDefinitions=defined("abc"),
            GlobalSecondaryIndexes=[index()], LocalSecondaryIndexes=[index("local", "a", "b")],
        )
    )  # fmt: skip
    before = service.describe_table(TableName="Things")
    refused = service.refused("UpdateTable", **{"TableName": "Things", **body})
    assert (refused.code, refused.message) == (codes[0] if codes else "ValidationException", text)
    assert refused.status == (500 if codes == ["InternalFailure"] else 400)
    assert service.describe_table(TableName="Things") == before


@pytest.mark.parametrize("situation", PROVISIONED)
def test_changes_of_a_provisioned_table_refused(service: Any, situation: str) -> None:
    body, text = PROVISIONED[situation]
    service.create_table(
        **provisioned(
            TableName="Things", GlobalSecondaryIndexes=[index(ProvisionedThroughput=UNITS)],
            **stream(True, "KEYS_ONLY"), **sse(Enabled=True, SSEType="KMS", KMSMasterKeyId=ENCRYPTED),
        )
    )  # fmt: skip
    refused = service.refused("UpdateTable", TableName="Things", **body)
    assert (refused.code, refused.message) == ("ValidationException", text)


def test_the_21st_index_is_too_many(service: Any) -> None:
    service.create_table(
        **create(TableName="Things", GlobalSecondaryIndexes=[index(f"by-b-{number}") for number in range(20)])
    )
    refused = service.refused("UpdateTable", TableName="Things", **updates({"Create": index("new")}, attributes="b"))
    assert (refused.code, refused.message) == (
        LIMIT, "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20"
    )  # fmt: skip


ENCRYPTIONS: dict[str, tuple[Body, str | None]] = {
    "none": ({}, None),
    "off": ({"Enabled": False}, None),
    "on": ({"Enabled": True}, "key"),
    "a type alone": ({"SSEType": "KMS"}, "key"),
    "a type with an alias": ({"SSEType": "KMS", "KMSMasterKeyId": "alias/mine"}, "key"),
    "a key's id": ({"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "mine"}, ENCRYPTED),
    "a key's ARN": ({"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": ENCRYPTED}, ENCRYPTED),
}


@pytest.mark.parametrize("situation", ENCRYPTIONS)
def test_encryption_is_described_with_the_arn_of_a_key(service: Any, situation: str) -> None:
    given, key = ENCRYPTIONS[situation]
    service.create_table(**create(**sse(**given)))
    described = service.describe_table(TableName="New")["Table"].get("SSEDescription")
    if key is None:
        assert described is None
        return
    arn = described.pop("KMSMasterKeyArn")
    assert described == {"Status": "ENABLED", "SSEType": "KMS"}
    assert arn == key or (key == "key" and arn.startswith("arn:aws:kms:us-east-1:000000000000:key/"))


@pytest.mark.parametrize(
    "given",
    [{"SSEType": "KMS"}, {"Enabled": True}, {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": "mine"}],
)
def test_a_key_that_is_not_named_by_its_arn_may_be_set_again(service: Any, given: Body) -> None:
    service.create_table(**create(**sse(Enabled=True, SSEType="KMS", KMSMasterKeyId="mine")))
    assert service.update_table(TableName="New", **sse(**given))["TableDescription"]["SSEDescription"] == {
        "Status": "UPDATING", "SSEType": "KMS", "KMSMasterKeyArn": ENCRYPTED,
    }  # fmt: skip


ACCEPTED: dict[str, tuple[Body, dict[str, Any]]] = {
    "one maximum": (create(**maximum(9)), {"OnDemandThroughput": {"MaxReadRequestUnits": 9}}),
    "no maxima": (create(OnDemandThroughput={}), {"OnDemandThroughput": None}),
    "warm reads": (
        create(WarmThroughput={"ReadUnitsPerSecond": 12_001}),
        {"WarmThroughput": {"ReadUnitsPerSecond": 12_001, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}},
    ),
    "empty warm throughput": (
        create(WarmThroughput={}),
        {"WarmThroughput": {"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 4_000, "Status": "ACTIVE"}},
    ),
    "warm throughput of a provisioned table": (
        provisioned(WarmThroughput={"ReadUnitsPerSecond": 100, "WriteUnitsPerSecond": 100}),
        {"WarmThroughput": {"ReadUnitsPerSecond": 100, "WriteUnitsPerSecond": 100, "Status": "ACTIVE"}},
    ),
    "no tags": (create(Tags=[]), {}),
    "a stream that is off": (create(**stream(False)), {"StreamSpecification": None, "LatestStreamArn": None}),
    "the standard class": (create(TableClass="STANDARD"), {"TableClassSummary": {"TableClass": "STANDARD"}}),
    "no class": (create(), {"TableClassSummary": None, "DeletionProtectionEnabled": False}),
    "settings replication": (
        create(GlobalTableSettingsReplicationMode="DISABLED"), {"GlobalTableSettingsReplicationMode": "DISABLED"}
    ),
    "no settings replication": (create(), {"GlobalTableSettingsReplicationMode": None}),
    "a local index on the sort key, a global index on the table's keys, named like the table": (
        create(KeySchema=keys("a", "b"), LocalSecondaryIndexes=[index("local", "a", "b")],
               GlobalSecondaryIndexes=[index("New", "a", "b")]),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", ACCEPTED)
def test_creations_accepted(service: Any, situation: str) -> None:
    body, members = ACCEPTED[situation]
    answer = service.create_table(**body)["TableDescription"]
    described = service.describe_table(TableName="New")["Table"]
    assert {member: described.get(member) for member in members} == members
    assert "Tags" not in answer
