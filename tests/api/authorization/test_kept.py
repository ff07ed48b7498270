"""Kept decisions: the requests that may not use them, and the changes that discard them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import serve

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Notes"
TABLE: dict[str, Any] = {
    "TableName": "Notes", "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "GlobalSecondaryIndexes": [{"IndexName": "again", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                                "Projection": {"ProjectionType": "ALL"}}],
}  # fmt: skip
ROOT = {"access_keys": {"AKIAALL": "s"}, "policies": ["AdministratorAccess"]}


def allow(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": list(actions), "Resource": ARN, **more}}  # fmt: skip


def users(*policies: Any) -> dict[str, Any]:
    return {"users": {"root": ROOT, "ann": {"access_keys": {"AKIAANN": "s"}, "policies": list(policies)}}}


def denied(ask: Any, **body: Any) -> bool:
    try:
        ask(**body)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDeniedException"
        return True
    return False


def test_a_decision_about_a_table_says_nothing_about_its_index() -> None:
    with serve(policies=users(allow("dynamodb:Scan"))) as server:
        server.user("root").create_table(**TABLE)
        ann = server.user("ann")
        for _ in range(3):
            assert not denied(ann.scan, TableName="Notes")
            assert denied(ann.scan, TableName="Notes", IndexName="again")


def test_a_decision_about_one_user_says_nothing_about_another() -> None:
    declared = users(allow("dynamodb:Scan"))
    declared["users"]["bob"] = {"access_keys": {"AKIABOB": "s"}}
    with serve(policies=declared) as server:
        server.user("root").create_table(**TABLE)
        for _ in range(3):
            assert not denied(server.user("ann").scan, TableName="Notes")
            assert denied(server.user("bob").scan, TableName="Notes")


def test_conditions_are_tested_each_time() -> None:
    own = {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}}
    with serve(policies=users(allow("dynamodb:GetItem", **own))) as server:
        server.user("root").create_table(**TABLE)
        get = server.user("ann").get_item
        for _ in range(3):
            assert not denied(get, TableName="Notes", Key={"pk": {"S": "ann"}})
            assert denied(get, TableName="Notes", Key={"pk": {"S": "bob"}})


def test_time_passes_for_a_kept_decision() -> None:
    until = {"Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01T01:00:00Z"}}}
    with serve(policies=users(allow("dynamodb:Scan", **until))) as server:
        server.clock.set("2026-01-01T00:00:00Z")
        server.user("root").create_table(**TABLE)
        scan = server.user("ann").scan
        assert not denied(scan, TableName="Notes")
        server.clock.advance("2h")
        assert denied(scan, TableName="Notes")


def test_a_changed_file_ends_kept_decisions(tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    head = '[users.root]\naccess_keys = {AKIAALL = "s"}\npolicies = ["AdministratorAccess"]\n'
    ann = head + '[users.ann]\naccess_keys = {AKIAANN = "s"}\n'
    path.write_text(ann + 'policies = ["AmazonDynamoDBReadOnlyAccess"]\n')
    with serve(policies=str(path)) as server:
        server.user("root").create_table(**TABLE)
        scan = server.user("ann").scan
        assert not denied(scan, TableName="Notes")
        path.write_text(ann)
        server._node.callers._checked_ms = 0  # a second has passed
        assert denied(scan, TableName="Notes")


@pytest.mark.parametrize("value", [{"N": "1.0"}, {"N": "1"}, {"N": "100e-2"}])
def test_a_leading_number_is_compared_in_its_canonical_form(value: Any) -> None:
    one = {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["1"]}}}
    table = {**TABLE, "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "N"}]}
    with serve(policies=users(allow("dynamodb:GetItem", **one))) as server:
        server.user("root").create_table(**table)
        assert not denied(server.user("ann").get_item, TableName="Notes", Key={"pk": value})
        assert denied(server.user("ann").get_item, TableName="Notes", Key={"pk": {"N": "2"}})
