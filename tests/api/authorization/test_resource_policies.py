"""PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy: what a policy may hold, revisions, and enforcement."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from botocore.exceptions import ClientError

from atoll.testing import serve

ACCOUNT, OTHER = "000000000000", "444455556666"
ARN = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Things"
ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"
INVALID = "One or more parameter values were invalid: "
NOT_FOUND = f"Resource-based policy not found for the provided ResourceArn: {ARN}"


def statement(effect: str = "Allow", action: Any = "dynamodb:GetItem", resource: Any = ARN, **more: Any) -> Any:
    principal = {} if "NotPrincipal" in more else {"Principal": {"AWS": ANN}}
    return {"Effect": effect, **principal, "Action": action, "Resource": resource, **more}


def policy(*statements: Any, **more: Any) -> str:
    return orjson.dumps({"Version": "2012-10-17", "Statement": list(statements), **more}).decode()


ALLOW = policy(statement())


@pytest.fixture
def things(service: Any) -> Any:
    service.table("Things", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    return service


def refused(service: Any, operation: str = "PutResourcePolicy", **body: Any) -> tuple[str, str]:
    error = service.refused(operation, **{"ResourceArn": ARN, **body})
    return error.code, error.message


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("x" * 20_481, "Maximum policy size of 20480 bytes exceeded"),
        ("{", "Invalid policy document: Syntax error at position (1,2)"),
        (policy(statement(Principal=ACCOUNT)), "Invalid policy document: Syntax error at position (1,68)"),
        (policy({"Principal": "*", "Action": "*", "Resource": "*"}),
         "Invalid policy document: Missing required field Effect"),
        (policy(), "Invalid policy document: Could not parse the policy: Statement is empty!"),
        (policy(statement(Sid="a"), statement(Sid="a")),
         "Invalid policy document: The Statement Ids in the policy are not unique"),
        (policy({"Effect": "Deny", "Principal": "*", "Action": "dynamodb:*"}),
         "Invalid policy document: Missing required field Resource"),
        (policy({"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}),
         "Invalid policy document: Missing required field Principal"),
        (policy(statement(action=["dynamodb:GetRecords", "dynamodb:GetItem", "dynamodb:DescribeStream"])),
         "Invalid policy document: The following action names are invalid: "
         '"dynamodb:GetRecords", "dynamodb:DescribeStream"'),
        (policy(statement(action="dynamodb:ListTables")),
         'Invalid policy document: The following action names are invalid: "dynamodb:ListTables"'),
        (policy(statement(resource=f"{ARN}/stream/2026")),
         f'Invalid policy document: The relative-id "table/Things/stream/2026" is invalid for ARN "{ARN}/stream/2026"'),
    ],
)  # fmt: skip
def test_a_faulty_document(things: Any, document: str, message: str) -> None:
    assert refused(things, Policy=document) == ("ValidationException", INVALID + message)
    assert refused(things, "GetResourcePolicy") == ("PolicyNotFoundException", NOT_FOUND)


ORG = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


@pytest.mark.parametrize(
    ("given", "bounded"),
    [
        (statement(Principal="*"), False),
        (statement(Principal={"AWS": ["*", ANN]}), False),
        (statement(NotPrincipal={"AWS": ANN}), False),
        (statement(Principal="*", Condition={"StringEquals": {"aws:SourceIp": "10.0.0.1"}}), False),
        (statement(Principal="*", Condition={"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/x"}}), False),
        (statement(Principal="*", Condition={"StringEquals": {"aws:PrincipalArn": "${aws:username}"}}), False),
        (statement(Principal="*", Condition={"StringNotEquals": {"aws:PrincipalAccount": "1"}}), False),
        (statement(Principal="*", Condition=ORG), True),
        (statement(Principal="*", Condition={"ArnLike": {"AWS:principalarn": [ANN]}}), True),
        (statement("Deny", Principal="*"), True),
    ],
)
def test_an_allow_for_everybody_needs_a_bound(things: Any, given: Any, bounded: bool) -> None:
    if bounded:
        assert things.put_resource_policy(ResourceArn=ARN, Policy=policy(given))["RevisionId"]
        return
    code, message = refused(things, Policy=policy(given))
    assert code == "ValidationException"
    assert message.startswith("Resource-based policy grants unbounded access in one or more elements. Please revise")


def test_a_policy_reads_back_in_its_canonical_form(things: Any) -> None:
    given = {
        "Statement": {
            "Action": ["dynamodb:GETitem"], "Resource": [ARN, f"{ARN}/index/*"], "Effect": "allow",
            "Principal": {"AWS": [OTHER, f"arn:aws:iam::{OTHER}:root"]},
            "Condition": {"StringEquals": {"aws:username": ["a"]}},
        }
    }  # fmt: skip
    revision = things.put_resource_policy(ResourceArn=ARN, Policy=orjson.dumps(given).decode())["RevisionId"]
    answer = things.get_resource_policy(ResourceArn=ARN)
    assert answer["RevisionId"] == revision
    assert answer["Policy"] == (
        '{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},'
        f'"Action":"dynamodb:GETitem","Resource":["{ARN}","{ARN}/index/*"],'
        '"Condition":{"StringEquals":{"aws:username":"a"}}}]}'
    )


def test_an_equivalent_document_changes_nothing(things: Any) -> None:
    first = things.put_resource_policy(ResourceArn=ARN, Policy=policy(statement(Principal={"AWS": OTHER})))
    same = policy(statement(action=["dynamodb:GetItem"], Principal={"AWS": [f"arn:aws:iam::{OTHER}:root"]}))
    assert things.put_resource_policy(ResourceArn=ARN, Policy=same.replace(",", ", \n")) == first
    unversioned = orjson.dumps({"Statement": [statement()]}).decode()
    assert refused(things, Policy=unversioned)[0] == "ThrottlingException"
    things.clock.advance(15_000)
    second = things.put_resource_policy(ResourceArn=ARN, Policy=unversioned)
    things.clock.advance(15_000)
    third = things.put_resource_policy(ResourceArn=ARN, Policy=unversioned.replace("{", '{"Version":"2008-10-17",', 1))
    assert first != second != third


def test_changes_follow_each_other_after_a_while(things: Any) -> None:
    things.put_resource_policy(ResourceArn=ARN, Policy=ALLOW)
    code, message = refused(things, "DeleteResourcePolicy")
    assert code == "ThrottlingException"
    assert message == (
        "Resource-based policy for table Things modified within the previous 15000 milliseconds. "
        "Please try again after 2027-01-15T08:00:15.000Z."
    )


def test_revisions(things: Any) -> None:
    """A change may name the revision that it replaces."""
    none = "Resource-based policy not found for the provided ResourceArn: Requested update for policy with revision id"
    assert refused(things, Policy=ALLOW, ExpectedRevisionId="1")[1].startswith(f"{none} 1, but table Things has no")
    first = things.put_resource_policy(ResourceArn=ARN, Policy=ALLOW, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    assert len(first) == 13 and first.isdigit()
    things.clock.advance(20_000)
    other = policy(statement(action="dynamodb:Query"))
    for expected in ("NO_POLICY", "1"):
        code, message = refused(things, Policy=other, ExpectedRevisionId=expected)
        assert code == "PolicyNotFoundException"
        assert message.startswith(f"{none} {expected}, but the policy associated to target ta")
    second = things.put_resource_policy(ResourceArn=ARN, Policy=other, ExpectedRevisionId=first)["RevisionId"]
    things.clock.advance(20_000)
    assert refused(things, "DeleteResourcePolicy", ExpectedRevisionId=first)[0] == "PolicyNotFoundException"
    assert things.delete_resource_policy(ResourceArn=ARN, ExpectedRevisionId=second) == {"RevisionId": second}
    deleted = things.delete_resource_policy(ResourceArn=ARN)["RevisionId"]
    assert second < deleted
    assert refused(things, "GetResourcePolicy")[0] == "PolicyNotFoundException"


def test_a_deletion_without_a_policy(things: Any) -> None:
    assert things.delete_resource_policy(ResourceArn=ARN) == {}


def test_a_stream_has_its_own_policy(things: Any) -> None:
    arn = things.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
    given = policy(statement(action="dynamodb:GetRecords", resource=arn))
    things.put_resource_policy(ResourceArn=arn, Policy=given)
    assert orjson.loads(things.get_resource_policy(ResourceArn=arn)["Policy"])["Statement"][0]["Resource"] == arn
    assert refused(things, "GetResourcePolicy")[0] == "PolicyNotFoundException"
    assert refused(things, ResourceArn=arn, Policy=ALLOW)[0] == "ValidationException"


def test_a_policy_that_would_lock_its_owner_out_must_be_confirmed(things: Any) -> None:
    given = policy(statement("Deny", "dynamodb:PutResourcePolicy", Principal="*"))
    assert refused(things, Policy=given) == (
        "AccessDeniedException",
        "The new resource policy will not allow you to update the resource policy in the future.",
    )
    things.put_resource_policy(ResourceArn=ARN, Policy=given, ConfirmRemoveSelfResourceAccess=True)


def test_a_table_has_its_creation_policy_and_a_later_table_of_the_name_has_none(service: Any) -> None:
    service.table("Things", ResourcePolicy=ALLOW)
    assert service.get_resource_policy(ResourceArn=ARN)["Policy"] == ALLOW.replace(" ", "")
    service.delete_table(TableName="Things")
    service.table("Things")
    assert refused(service, "GetResourcePolicy")[0] == "PolicyNotFoundException"


def test_a_faulty_policy_creates_no_table(service: Any) -> None:
    with pytest.raises(Exception, match="Could not parse"):
        service.table("Things", ResourcePolicy=policy())
    assert service.list_tables()["TableNames"] == []


def test_with_a_delay_a_change_is_visible_later(slow_service: Any) -> None:
    service = slow_service
    service.table("Things")
    service.clock.advance(10_000)
    service.put_resource_policy(ResourceArn=ARN, Policy=ALLOW)
    assert refused(service, "GetResourcePolicy")[0] == "PolicyNotFoundException"
    assert refused(service, "DeleteResourcePolicy") == (
        "ResourceInUseException", "Table is pending previous resource-based policy update: Things",
    )  # fmt: skip
    error = service.refused("DeleteTable", TableName="Things")
    assert error.message == "Table: Things has a pending resource-based policy update."
    service.clock.advance(10_000)
    assert service.get_resource_policy(ResourceArn=ARN)["Policy"]
    service.delete_table(TableName="Things")
    assert service.get_resource_policy(ResourceArn=ARN)["Policy"]
    assert refused(service, Policy=ALLOW)[0] == "ResourceInUseException"


# Enforcement

KEY = {"pk": {"S": "a"}}
USERS: dict[str, Any] = {
    "ann": {"access_keys": {"AKIAANN": "s"}},
    "root": {"access_keys": {"AKIAALL": "s"}, "policies": ["AdministratorAccess"]},
}
BEN = {"ben": {"access_keys": {"AKIABEN": "s"}, "policies": ["AmazonDynamoDBReadOnlyAccess"]}}
DECLARED = {"users": USERS, "accounts": {OTHER: {"users": BEN}}}


@pytest.fixture
def world() -> Any:
    with serve(policies=DECLARED) as server:
        server.user("root").create_table(
            TableName="Things", BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        )  # fmt: skip
        server.user("root").put_item(TableName="Things", Item=KEY)
        yield server


def denial(ask: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask()
    assert caught.value.response["Error"]["Code"] in ("AccessDeniedException", "ValidationException")
    return str(caught.value.response["Error"]["Message"])


def test_a_policy_allows_a_user_and_denies_it_again(world: Any) -> None:
    ann, root = world.user("ann"), world.user("root")
    get = lambda: ann.get_item(TableName="Things", Key=KEY)  # noqa: E731
    assert "no identity-based policy" in denial(get)
    root.put_resource_policy(ResourceArn=ARN, Policy=ALLOW)
    assert get()["Item"] == KEY
    root.put_resource_policy(ResourceArn=ARN, Policy=policy(statement("Deny")))
    assert denial(get).endswith(f"on resource: {ARN} with an explicit deny in a resource-based policy")
    root.delete_resource_policy(ResourceArn=ARN)
    assert "no identity-based policy" in denial(get)


def test_another_account_uses_the_table_by_its_arn(world: Any) -> None:
    ben, root = world.user("ben", account=OTHER), world.user("root")
    get = lambda: ben.get_item(TableName=ARN, Key=KEY)  # noqa: E731
    assert "because no resource-based policy allows the dynamodb:GetItem action" in denial(get)
    root.put_resource_policy(ResourceArn=ARN, Policy=policy(statement(action="dynamodb:*", Principal={"AWS": OTHER})))
    assert get()["Item"] == KEY
    assert (
        ben.query(TableName=ARN, KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": KEY["pk"]})["Count"]
        == 1
    )
    assert ben.batch_get_item(RequestItems={ARN: {"Keys": [KEY]}})["Responses"] == {ARN: [KEY]}
    assert ben.transact_get_items(TransactItems=[{"Get": {"TableName": ARN, "Key": KEY}}])["Responses"]
    assert "no identity-based policy" in denial(lambda: ben.put_item(TableName=ARN, Item=KEY))
    # PartiQL is no action for other accounts.
    assert "no resource-based policy" in denial(lambda: ben.execute_statement(Statement=f'SELECT * FROM "{ARN}"'))
    with pytest.raises(ClientError, match="ResourceNotFound"):
        ben.get_item(TableName="Things", Key=KEY)


def test_a_policy_names_principals_that_exist(world: Any) -> None:
    given = policy(statement(Principal={"AWS": ANN.replace("ann", "zoe")}))
    put = lambda: world.user("root").put_resource_policy(ResourceArn=ARN, Policy=given)  # noqa: E731
    assert denial(put) == INVALID + "Invalid principal in policy document."


def test_a_policy_may_not_lock_its_caller_out(world: Any) -> None:
    given = policy(
        statement("Deny", "dynamodb:PutResourcePolicy", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/root"})
    )
    root = world.user("root")
    assert denial(lambda: root.put_resource_policy(ResourceArn=ARN, Policy=given)) == (
        "The new resource policy will not allow you to update the resource policy in the future."
    )
    root.put_resource_policy(ResourceArn=ARN, Policy=given, ConfirmRemoveSelfResourceAccess=True)
    assert "explicit deny" in denial(lambda: root.put_resource_policy(ResourceArn=ARN, Policy=ALLOW))
