"""Violated constraints of the control plane, word for word: enumerations, lengths, and members that are missing."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
NULL = "not be null"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/Things"


def keys(name: str = "pk", kind: str = "HASH") -> list[Body]:
    return [{"AttributeName": name, "KeyType": kind}]


def create(**more: Any) -> Body:
    body = {"KeySchema": keys(), "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST", **more}  # fmt: skip
    return {member: value for member, value in body.items() if value is not None}


def index(**more: Any) -> Body:
    return {"IndexName": "some", "KeySchema": keys(), "Projection": {"ProjectionType": "ALL"}, **more}


def ttl(**members: Any) -> Body:
    return {"TimeToLiveSpecification": members}


def enum(*names: str) -> str:
    return f"satisfy enum value set: [{', '.join(names)}]"


MODES = enum("PROVISIONED", "PAY_PER_REQUEST")
VIEWS = enum("OLD_IMAGE", "KEYS_ONLY", "NEW_AND_OLD_IMAGES", "NEW_IMAGE")
TYPES = enum("B", "N", "S")
SSE_TYPES = enum("AES256", "KMS")
KINDS = enum("HASH", "RANGE")
AT_LEAST_1 = "have value greater than or equal to 1"
UNITS = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}


def both(mode: str) -> Body:
    return {"BillingMode": mode}


def view(name: str) -> Body:
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": name}}


def sse(name: str) -> Body:
    return {"SSESpecification": {"Enabled": True, "SSEType": name}}


# Values of CreateTable and UpdateTable that are none of the enumeration: each name in another case, and the empty one.
VALUES: dict[str, tuple[Any, list[str], str, str]] = {
    "BillingMode": (both, ["provisioned", "pay_per_request", ""], "billingMode", MODES),
    "StreamViewType": (view, ["keys_only", "New_Image", ""], "streamSpecification.streamViewType", VIEWS),
    "SSEType": (sse, ["kms", "aes256", ""], "sSESpecification.sSEType", SSE_TYPES),
    "AttributeType": (
        lambda name: {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": name}]},
        ["s", "n", "b", "", "SS"],
        "attributeDefinitions.1.member.attributeType", TYPES,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("member", "name"), [(member, name) for member in VALUES for name in VALUES[member][1]])
@pytest.mark.parametrize("operation", ["CreateTable", "UpdateTable"])
def test_names_of_values_are_case_sensitive(service: Any, operation: str, member: str, name: str) -> None:
    body, _, path, constraint = VALUES[member]
    service.table()
    given = (
        create(TableName="Other", **body(name)) if operation == "CreateTable" else {"TableName": "Things", **body(name)}
    )
    refused = service.refused(operation, **given)
    assert (refused.code, refused.message) == (
        "ValidationException",
        f"1 validation error detected: Value '{name}' at '{path}' failed to satisfy constraint: Member must "
        f"{constraint}",
    )


# Requests, with their violations: value, path and constraint of each.
VIOLATIONS: dict[str, tuple[str, Body, list[tuple[str, str, str]]]] = {
    "a key's kind in lower case": (
        "CreateTable", create(KeySchema=keys(kind="range")), [("'range'", "keySchema.1.member.keyType", KINDS)]
    ),
    "no keys": ("CreateTable", create(KeySchema=None), [("null", "keySchema", NULL)]),
    "an empty list of keys": (
        "CreateTable", create(KeySchema=[]), [("'[]'", "keySchema", "have length greater than or equal to 1")]
    ),
    "an empty key": (
        "CreateTable", create(KeySchema=[{}]),
        [("null", "keySchema.1.member.attributeName", NULL), ("null", "keySchema.1.member.keyType", NULL)],
    ),
    "three keys": (
        "CreateTable", create(KeySchema=[*keys(), *keys("a", "RANGE"), *keys("b", "RANGE")]),
        [("'[KeySchemaElement(attributeName=pk, keyType=HASH), KeySchemaElement(attributeName=a, keyType=RANGE), "
          "KeySchemaElement(attributeName=b, keyType=RANGE)]'", "keySchema", "have length less than or equal to 2")],
    ),
    "no definitions": (
        "CreateTable", create(AttributeDefinitions=None), [("null", "attributeDefinitions", NULL)]
    ),
    "an empty definition": (
        "CreateTable", create(AttributeDefinitions=[{}]),
        [("null", "attributeDefinitions.1.member.attributeName", NULL),
         ("null", "attributeDefinitions.1.member.attributeType", NULL)],
    ),
    "units of nothing, whatever the mode": (
        "CreateTable", create(ProvisionedThroughput={"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}),
        [("'0'", f"provisionedThroughput.{kind}CapacityUnits", AT_LEAST_1) for kind in ("write", "read")],
    ),
    "units of nothing of an index, whatever the mode": (
        "CreateTable",
        create(GlobalSecondaryIndexes=[
            index(ProvisionedThroughput={"ReadCapacityUnits": -1, "WriteCapacityUnits": 0})]),
        [("'0'", "globalSecondaryIndexes.1.member.provisionedThroughput.writeCapacityUnits", AT_LEAST_1),
         ("'-1'", "globalSecondaryIndexes.1.member.provisionedThroughput.readCapacityUnits", AT_LEAST_1)],
    ),
    "empty units of an index": (
        "CreateTable", create(GlobalSecondaryIndexes=[index(ProvisionedThroughput={})]),
        [("null", f"globalSecondaryIndexes.1.member.provisionedThroughput.{kind}CapacityUnits", NULL)
         for kind in ("write", "read")],
    ),
    **{
        f"units of {given} in a change": (
            "UpdateTable", {"ProvisionedThroughput": {**UNITS, **given}},
            [(f"'{value}'", f"provisionedThroughput.{member[0].lower()}{member[1:]}", AT_LEAST_1)
             for member, value in given.items()],
        )
        for given in ({"ReadCapacityUnits": 0}, {"WriteCapacityUnits": -1},
                      {"WriteCapacityUnits": 0, "ReadCapacityUnits": 0})
    },
    "an index's units of nothing in a change": (
        "UpdateTable",
        {"GlobalSecondaryIndexUpdates": [{"Update": {"IndexName": "some", "ProvisionedThroughput": {
            "ReadCapacityUnits": 0, "WriteCapacityUnits": 0}}}]},
        [("'0'", f"globalSecondaryIndexUpdates.1.member.update.provisionedThroughput.{kind}CapacityUnits", AT_LEAST_1)
         for kind in ("write", "read")],
    ),
    **{
        f"a nameless {action}": (
            "UpdateTable", {"GlobalSecondaryIndexUpdates": [{action.capitalize(): {}}]},
            [("null", f"globalSecondaryIndexUpdates.1.member.{action}.indexName", NULL)],
        )
        for action in ("update", "delete")
    },
    **{
        f"a stream of {given}": (
            "UpdateTable", {"StreamSpecification": given}, [("null", "streamSpecification.streamEnabled", NULL)]
        )
        for given in ({}, {"StreamViewType": "KEYS_ONLY"})
    },
    "no replicas": (
        "UpdateTable", {"ReplicaUpdates": []}, [("'[]'", "replicaUpdates", "have length greater than or equal to 1")]
    ),
    "no time to live": ("UpdateTimeToLive", {}, [("null", "timeToLiveSpecification", NULL)]),
    "an empty time to live": (
        "UpdateTimeToLive", ttl(),
        [("null", "timeToLiveSpecification.attributeName", NULL), ("null", "timeToLiveSpecification.enabled", NULL)],
    ),
    **{
        f"time to live that is {enabled}, of nothing": (
            "UpdateTimeToLive", ttl(Enabled=enabled), [("null", "timeToLiveSpecification.attributeName", NULL)]
        )
        for enabled in (True, False)
    },
    "time to live that is neither on nor off": (
        "UpdateTimeToLive", ttl(AttributeName="t"), [("null", "timeToLiveSpecification.enabled", NULL)]
    ),
    "time to live of a long attribute": (
        "UpdateTimeToLive", ttl(Enabled=True, AttributeName="t" * 256),
        [(f"'{'t' * 256}'", "timeToLiveSpecification.attributeName", "have length less than or equal to 255")],
    ),
    "time to live of an empty attribute": (
        "UpdateTimeToLive", ttl(Enabled=True, AttributeName=""),
        [("''", "timeToLiveSpecification.attributeName", "have length greater than or equal to 1")],
    ),
    "a page of no backups": ("ListBackups", {"Limit": 0}, [("'0'", "limit", AT_LEAST_1)]),
}  # fmt: skip


@pytest.mark.parametrize("situation", VIOLATIONS)
def test_violations(service: Any, situation: str) -> None:
    operation, body, violations = VIOLATIONS[situation]
    told = (f"Value {value} at '{path}' failed to satisfy constraint: Member must {constraint}"
            for value, path, constraint in violations)  # fmt: skip
    several = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    assert service.refused(operation, TableName="Things", **body).message == several + "; ".join(told)


def test_a_shape_is_checked_before_the_table_is_looked_for(service: Any) -> None:
    assert service.list_tables()["TableNames"] == []
    for operation, body in (("UpdateTable", {"ProvisionedThroughput": {}}), ("UpdateTimeToLive", ttl())):
        assert service.refused(operation, TableName="Things", **body).code == "ValidationException"


# Time to live

TTL: dict[str, tuple[list[Body], Body, str]] = {
    "off when it never was on": ([], {"Enabled": False, "AttributeName": "t"}, "TimeToLive is already disabled"),
    "on again": (
        [{"Enabled": True, "AttributeName": "t"}], {"Enabled": True, "AttributeName": "t"},
        "TimeToLive is already enabled",
    ),
    **{
        f"{word} with another attribute": (
            [{"Enabled": True, "AttributeName": "t"}], {"Enabled": enabled, "AttributeName": "u"},
            "TimeToLive is active on a different AttributeName: current AttributeName is t",
        )
        for word, enabled in (("on", True), ("off", False))
    },
    "off at once": (
        [{"Enabled": True, "AttributeName": "t"}], {"Enabled": False, "AttributeName": "t"},
        "Time to live has been modified multiple times within a fixed interval",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", TTL)
def test_time_to_live_is_not_switched(service: Any, situation: str) -> None:
    done, asked, text = TTL[situation]
    service.table()
    for given in done:
        service.update_time_to_live(TableName="Things", TimeToLiveSpecification=given)
    before = service.describe_time_to_live(TableName="Things")
    refused = service.refused("UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=asked)
    assert (refused.code, refused.message) == ("ValidationException", text)
    assert service.describe_time_to_live(TableName="Things") == before


def test_time_to_live_is_echoed_and_forgotten_when_it_is_off(service: Any) -> None:
    service.table()
    for minute, enabled in ((0, True), (31, False), (62, True)):
        service.clock.advance(minute * 60_000)
        given = {"Enabled": enabled, "AttributeName": "pk"}  # the partition key is accepted
        answer = service.update_time_to_live(TableName="Things", TimeToLiveSpecification=given)
        assert answer == {"TimeToLiveSpecification": given}
        described = service.describe_time_to_live(TableName="Things")["TimeToLiveDescription"]
        expected = (
            {"TimeToLiveStatus": "ENABLED", "AttributeName": "pk"} if enabled else {"TimeToLiveStatus": "DISABLED"}
        )
        assert described == expected
        assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"


def test_refused_tries_do_not_prolong_the_interval(service: Any) -> None:
    service.table()
    on, off = ({"Enabled": enabled, "AttributeName": "t"} for enabled in (True, False))
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=on)
    for _ in range(3):
        service.clock.advance(9 * 60_000)
        service.refused("UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=off)
    service.clock.advance(3 * 60_000)
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=off)
    assert (
        "fixed interval" in service.refused("UpdateTimeToLive", TableName="Things", TimeToLiveSpecification=on).message
    )


def test_tags_have_one_page_whatever_token_is_sent(service: Any) -> None:
    service.table(Tags=[{"Key": "a", "Value": "b"}])
    assert service.list_tags_of_resource(ResourceArn=TABLE, NextToken="nonsense") == {
        "Tags": [{"Key": "a", "Value": "b"}]
    }
