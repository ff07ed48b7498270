"""The documented decisions, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from tests.security.policies.world import (
    ANA,
    BY_DATE,
    NOTES,
    OTHER,
    OWNER,
    ROOT,
    S1,
    allow,
    decide,
    deny,
    outcome,
    session,
    user,
)

KEYS = "dynamodb:LeadingKeys"
OWN_KEYS = {"ForAllValues:StringEquals": {KEYS: "${aws:username}"}}
ALL = "*"
VISITOR = user("ben", OTHER)


def only(*attributes: str, **more: Any) -> dict[str, Any]:
    return {"ForAllValues:StringEquals": {"dynamodb:Attributes": list(attributes)}, "StringEqualsIfExists": more}


def to(principal: Any) -> dict[str, Any]:
    return {"Principal": principal if principal == "*" else {"AWS": principal}}


TITLE_ONLY = [allow("dynamodb:GetItem", Condition=only("owner", "title", **{"dynamodb:Select": "SPECIFIC_ATTRIBUTES"}))]
UPDATE = [
    allow(
        "dynamodb:UpdateItem",
        Condition=only("owner", "title", **{"dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"]}),
    )
]
NO_SALARY = [
    deny("dynamodb:UpdateItem", Condition={"ForAnyValue:StringEquals": {"dynamodb:Attributes": ["salary"]}}),
    allow("*", ALL),
]
NOT_TOGETHER = [
    deny(
        ["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"],
        Condition={"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}},
    ),
    allow("*", ALL),
]
NO_FULL_SCAN = [
    allow("dynamodb:PartiQLSelect"),
    deny("dynamodb:PartiQLSelect", Condition={"Bool": {"dynamodb:FullTableScan": "true"}}),
]
TEAM = "arn:aws:dynamodb:us-east-1:111122223333:table/${aws:PrincipalTag/team}-Notes"
TEAM_OR_X = TEAM.replace("team}", "team, 'x'}")
X_NOTES = NOTES.replace("Notes", "x-Notes")
NEEDS_MFA = [deny("*", ALL, Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}), allow("*", ALL)]
AT_HOME = [deny("*", ALL, Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), allow("*", ALL)]
OPS_ONLY = [
    allow(
        "dynamodb:GetItem",
        **to("*"),
        Condition={"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{OWNER}:role/ops"}},
    )
]
GET_N = [allow("dynamodb:GetItem")]
OWN = [allow(["dynamodb:GetItem", "dynamodb:Query"], Condition=OWN_KEYS)]
OWN_SCAN = [allow(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"], Condition=OWN_KEYS)]
OWN_NULL = [
    allow(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"], Condition={**OWN_KEYS, "Null": {KEYS: "false"}})
]
OWN_BATCH = [allow("dynamodb:BatchGetItem", Condition=OWN_KEYS)]
TABLE: list[tuple[str, Any, str, str, dict[str, Any], dict[str, Any], str]] = [
    ("1", ANA, "GetItem", NOTES, {}, {"id": GET_N}, "allow"),
    ("2", ANA, "DeleteItem", NOTES, {}, {"id": [allow("dynamodb:*"), deny("dynamodb:DeleteItem")]},
     "explicit identity"),
    ("3", ANA, "Query", BY_DATE, {}, {"id": [allow("dynamodb:Query")]}, "implicit identity"),
    ("4", ANA, "PutItem", NOTES, {}, {"id": [allow("*", ALL)], "pb": GET_N}, "implicit boundary"),
    ("5", ANA, "GetItem", NOTES, {}, {"rp": [allow("dynamodb:GetItem", **to(ANA.arn))], "pb": []}, "allow"),
    ("6", S1, "PutItem", NOTES, {}, {"rp": [allow("dynamodb:PutItem", **to(S1.role))], "pb": GET_N},
     "implicit boundary"),
    ("7", S1, "PutItem", NOTES, {}, {"rp": [allow("dynamodb:PutItem", **to(S1.arn))], "sp": GET_N}, "allow"),
    ("8", ANA, "GetItem", NOTES, {}, {"rp": [allow("dynamodb:GetItem", **to(OWNER))]}, "implicit identity"),
    ("9", VISITOR, "GetItem", NOTES, {}, {"id": GET_N}, "implicit resource"),
    ("10", VISITOR, "GetItem", NOTES, {}, {"id": GET_N, "rp": [allow("dynamodb:GetItem", **to(OTHER))]}, "allow"),
    ("12", ANA, "GetItem", NOTES, {KEYS: ["ana"]}, {"id": OWN}, "allow"),
    ("12 other", ANA, "GetItem", NOTES, {KEYS: ["bob"]}, {"id": OWN}, "implicit identity"),
    ("13", ANA, "Scan", NOTES, {}, {"id": OWN_SCAN}, "allow"),
    ("14", ANA, "Scan", NOTES, {}, {"id": OWN_NULL}, "implicit identity"),
    ("15", ANA, "BatchGetItem", NOTES, {KEYS: ["ana", "bob"]}, {"id": OWN}, "implicit identity"),
    ("15 listed", ANA, "BatchGetItem", NOTES, {KEYS: ["ana", "bob"]}, {"id": OWN_BATCH}, "implicit identity"),
    ("16", ANA, "GetItem", NOTES,
     {"dynamodb:Attributes": ["owner", "title"], "dynamodb:Select": "SPECIFIC_ATTRIBUTES"}, {"id": TITLE_ONLY},
     "allow"),
    ("16 all", ANA, "GetItem", NOTES, {"dynamodb:Attributes": ["owner"], "dynamodb:Select": "ALL_ATTRIBUTES"},
     {"id": TITLE_ONLY}, "implicit identity"),
    ("16 other", ANA, "GetItem", NOTES,
     {"dynamodb:Attributes": ["owner", "body"], "dynamodb:Select": "SPECIFIC_ATTRIBUTES"}, {"id": TITLE_ONLY},
     "implicit identity"),
    ("17", ANA, "UpdateItem", NOTES,
     {"dynamodb:Attributes": ["owner", "title"], "dynamodb:ReturnValues": "NONE"}, {"id": UPDATE}, "allow"),
    ("17 returned", ANA, "UpdateItem", NOTES,
     {"dynamodb:Attributes": ["owner", "title"], "dynamodb:ReturnValues": "ALL_OLD"}, {"id": UPDATE},
     "implicit identity"),
    ("17 condition", ANA, "UpdateItem", NOTES,
     {"dynamodb:Attributes": ["owner", "title", "body"], "dynamodb:ReturnValues": "NONE"}, {"id": UPDATE},
     "implicit identity"),
    ("18", ANA, "UpdateItem", NOTES, {"dynamodb:Attributes": ["owner", "title"]}, {"id": NO_SALARY}, "allow"),
    ("18 salary", ANA, "UpdateItem", NOTES, {"dynamodb:Attributes": ["owner", "salary"]}, {"id": NO_SALARY},
     "explicit identity"),
    ("19", ANA, "PutItem", NOTES, {}, {"id": NOT_TOGETHER}, "allow"),
    ("19 together", ANA, "PutItem", NOTES, {"dynamodb:EnclosingOperation": "TransactWriteItems"},
     {"id": NOT_TOGETHER}, "explicit identity"),
    ("20", ANA, "PartiQLSelect", NOTES, {"dynamodb:FullTableScan": "true"}, {"id": NO_FULL_SCAN},
     "explicit identity"),
    ("20 key", ANA, "PartiQLSelect", NOTES, {"dynamodb:FullTableScan": "false"}, {"id": NO_FULL_SCAN}, "allow"),
    ("21", ANA, "PutItem", NOTES, {},
     {"id": [allow("dynamodb:PutItem", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})]},
     "implicit identity"),
    ("22", ANA, "PutItem", NOTES, {},
     {"id": [allow("*", ALL), deny("dynamodb:PutItem",
                                   Condition={"StringNotEquals": {"aws:PrincipalTag/team": "red"}})]},
     "explicit identity"),
    ("23", ANA, "GetItem", NOTES, {}, {"id": [allow("dynamodb:GetItem", TEAM)]}, "implicit identity"),
    ("23 default", ANA, "GetItem", X_NOTES, {}, {"id": [allow("dynamodb:GetItem", TEAM_OR_X)]}, "allow"),
    ("24", ANA, "GetItem", NOTES, {KEYS: ["ana"]}, {"id": OWN, "version": None}, "implicit identity"),
    ("25", S1, "GetItem", NOTES, {},
     {"id": [allow("*", ALL)],
      "rp": [deny("*", NotPrincipal={"AWS": S1.role})]}, "explicit resource"),
    ("25 all listed", S1, "GetItem", NOTES, {},
     {"id": [allow("*", ALL)], "rp": [deny("*", NotPrincipal={"AWS": [S1.role, S1.arn, OWNER]})]}, "allow"),
    ("26", ANA, "GetItem", NOTES, {"aws:MultiFactorAuthPresent": "false"}, {"id": NEEDS_MFA}, "explicit identity"),
    ("26 absent", ANA, "GetItem", NOTES, {}, {"id": NEEDS_MFA}, "explicit identity"),
    ("26 with", ANA, "GetItem", NOTES, {"aws:MultiFactorAuthPresent": "true"}, {"id": NEEDS_MFA}, "allow"),
    ("27", ANA, "GetItem", NOTES, {}, {"id": AT_HOME}, "explicit identity"),
    ("27 at home", ANA, "GetItem", NOTES, {"aws:SourceIp": "10.1.2.3"}, {"id": AT_HOME}, "allow"),
    ("28", S1, "GetItem", NOTES, {}, {"id": [allow("dynamodb:*", ALL)], "sp": GET_N}, "allow"),
    ("28 put", S1, "PutItem", NOTES, {}, {"id": [allow("dynamodb:*", ALL)], "sp": GET_N}, "implicit session"),
    ("29", ROOT, "DeleteTable", NOTES, {}, {"scp": [allow("*", ALL), deny("dynamodb:DeleteTable", ALL)]},
     "explicit control"),
    ("29 else", ROOT, "GetItem", NOTES, {}, {"scp": [allow("*", ALL), deny("dynamodb:DeleteTable", ALL)]}, "allow"),
    ("30", session("ops"), "GetItem", NOTES, {}, {"rp": OPS_ONLY}, "allow"),
    ("30 dev", session("dev"), "GetItem", NOTES, {}, {"rp": OPS_ONLY}, "implicit identity"),
    ("31 put", ANA, "PutItem", NOTES, {}, {"id": [allow(["dynamodb:PutItem", "dynamodb:ConditionCheckItem"])]},
     "allow"),
    ("31 delete", ANA, "DeleteItem", NOTES, {}, {"id": [allow(["dynamodb:PutItem", "dynamodb:ConditionCheckItem"])]},
     "implicit identity"),
    ("across, boundary", VISITOR, "GetItem", NOTES, {},
     {"id": GET_N, "pb": [], "rp": [allow("dynamodb:GetItem", **to(VISITOR.arn))]}, "implicit boundary"),
    ("across, no identity", VISITOR, "GetItem", NOTES, {}, {"rp": [allow("dynamodb:GetItem", **to(VISITOR.arn))]},
     "implicit identity"),
    ("root, resource policy denies", ROOT, "GetItem", NOTES, {}, {"rp": [deny("*", **to("*"))]}, "explicit resource"),
    ("everybody but others", ANA, "GetItem", NOTES, {},
     {"rp": [allow("*", NotPrincipal={"AWS": VISITOR.arn})]}, "allow"),
    ("action in any case", ANA, "GetItem", NOTES, {}, {"id": [allow("DynamoDB:getITEM")]}, "allow"),
    ("everything else", ANA, "PutItem", NOTES, {},
     {"id": [{"Effect": "Allow", "NotAction": "dynamodb:Get*", "Resource": "*"}]}, "allow"),
    ("not everything else", ANA, "GetItem", NOTES, {},
     {"id": [{"Effect": "Allow", "NotAction": "dynamodb:Get*", "Resource": "*"}]}, "implicit identity"),
    ("other resources", ANA, "GetItem", X_NOTES, {},
     {"id": [{"Effect": "Allow", "Action": "*", "NotResource": NOTES}]}, "allow"),
    ("not that resource", ANA, "GetItem", NOTES, {},
     {"id": [{"Effect": "Allow", "Action": "*", "NotResource": NOTES}]}, "implicit identity"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("caller", "action", "resource", "keys", "policies", "expected"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_a_documented_decision(
    caller: Any, action: str, resource: str, keys: dict[str, Any], policies: dict[str, Any], expected: str
) -> None:
    assert outcome(decide(caller, action, resource, keys, **policies)) == expected
