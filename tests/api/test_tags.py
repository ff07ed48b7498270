"""Tags: valid ones, the resources that can have them, and the errors for others."""

from __future__ import annotations

from typing import Any

import pytest

Body = dict[str, Any]
ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Things"
INVALID = "One or more parameter values were invalid: "
KEYS = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def tags(**given: str) -> list[Body]:
    return [{"Key": key, "Value": value} for key, value in given.items()]


def tag(key: str | None, value: str | None = "v") -> list[Body]:
    return [{name: text for name, text in (("Key", key), ("Value", value)) if text is not None}]


def listed(service: Any, arn: str = TABLE) -> Body:
    answer = service.list_tags_of_resource(ResourceArn=arn)
    assert answer.keys() == {"Tags"}
    return {one["Key"]: one["Value"] for one in answer["Tags"]}


TOO_MANY = "Number of Tags exceed the current limit for the provided ResourceArn"
ILLEGAL = ["🏝", *"%,'\"()[]{}&*;?|\\<>~#"]
LEGAL = ["+-=._:/@", "a b", "ärger", "日本", "١٢", "\u3000", "myaws:foo", "AWS", " aws:x"]

FAULTS: dict[str, tuple[list[Body], str]] = {
    **{f"a key with {char}": (tag(f"a{char}b"), f"The Tag Key provided is invalid, Key: a{char}b") for char in ILLEGAL},
    **{
        f"a value with {char}": (tag("k", f"a{char}"), f"The Tag Value provided is invalid, Value: a{char}")
        for char in ILLEGAL
    },
    "a key of 129 characters": (tag("x" * 129), f"The Tag Key provided is invalid, Key: {'x' * 129}"),
    "an empty key": (tag(""), "The Tag Key provided is invalid, Key: "),
    "a value of 257 characters": (tag("k", "x" * 257), f"The Tag Value provided is invalid, Value: {'x' * 257}"),
    "a key without a value": (tag("k", None), "The Tag Value provided is invalid, Value: null"),
    "nothing in a tag": ([{}], "The Tag Key provided is invalid, Key: null"),
    **{
        f"the key {key}": (tag(key), f"Tag Key cannot be prefixed with aws:, Key: {key}")
        for key in ("aws:foo", "AWS:foo", "Aws:")
    },
    "a key twice": (
        [*tag("dup"), *tag("dup", "w")],
        "Duplicate Tag Keys provided as input: Duplicate Tag Key found dup",
    ),
    "51 tags": ([one for number in range(51) for one in tag(f"k{number}")], TOO_MANY),
    "faults behind the 51st tag": (
        [*(one for number in range(51) for one in tag(f"k{number}")), {}, *tag("aws:")],
        TOO_MANY,
    ),
    "more than 10,240 bytes": (
        [one for number in range(40) for one in tag(f"k{number:02}", "x" * 254)],
        "Tag set size 10280 bytes is above max size limit of 10240 bytes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", FAULTS)
def test_faulty_tags_change_nothing(service: Any, situation: str) -> None:
    given, text = FAULTS[situation]
    service.table(Tags=tags(stage="test"))
    refused = service.refused("TagResource", ResourceArn=TABLE, Tags=[*tag("good"), *given])
    if situation == "more than 10,240 bytes":
        text = text.replace("10280", "10294")  # with the others: stage, test, good and v
    assert (refused.code, refused.message) == ("ValidationException", text)
    assert listed(service) == {"stage": "test"}


@pytest.mark.parametrize("situation", FAULTS)
def test_faulty_tags_make_no_table(service: Any, situation: str) -> None:
    given, text = FAULTS[situation]
    refused = service.refused("CreateTable", TableName="Things", **KEYS, Tags=given)
    assert (refused.code, refused.message) == ("ValidationException", text)
    assert service.list_tables()["TableNames"] == []


@pytest.mark.parametrize("text", LEGAL)
def test_legal_characters(service: Any, text: str) -> None:
    service.table(Tags=tag(text, text))
    assert listed(service) == {text: text}


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ([], "Atleast one Tag Key needs to be provided as Input."),
        (["aws:foo"], "Tag Key cannot be prefixed with aws:, Key: aws:foo"),
        (["AWS:foo"], "Tag Key cannot be prefixed with aws:, Key: AWS:foo"),
        (["a#b"], "The Tag Key provided is invalid, Key: a#b"),
        ([f"k{number}" for number in range(51)], TOO_MANY),
    ],
)
def test_keys_that_cannot_be_removed(service: Any, keys: list[str], text: str) -> None:
    service.table()
    refused = service.refused("UntagResource", ResourceArn=TABLE, TagKeys=keys)
    assert (refused.code, refused.message) == ("ValidationException", text)


def test_tags_are_kept_to_the_letter(service: Any) -> None:
    service.table(Tags=tags(a="1"))
    assert service.tag_resource(ResourceArn=TABLE, Tags=[*tag("A", ""), *tag(" a ", "2")]) is None
    assert listed(service) == {"a": "1", "A": "", " a ": "2"}
    service.tag_resource(ResourceArn=TABLE, Tags=tags(a="3"))
    assert service.untag_resource(ResourceArn=TABLE, TagKeys=["A", "unknown"]) is None
    assert listed(service) == {"a": "3", " a ": "2"}


def test_fifty_tags_are_listed_in_one_page_and_may_all_get_new_values(service: Any) -> None:
    service.table(Tags=[one for number in range(50) for one in tag(f"k{number}")])
    assert len(listed(service)) == 50
    service.tag_resource(ResourceArn=TABLE, Tags=[one for number in range(50) for one in tag(f"k{number}", "w")])
    assert set(listed(service).values()) == {"w"}
    refused = service.refused("TagResource", ResourceArn=TABLE, Tags=tag("more"))
    assert refused.message == TOO_MANY


# ARNs


def arn(resource: str, region: str = "us-east-1", account: str = ACCOUNT, service: str = "dynamodb") -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def denied(text: str) -> tuple[str, str, str]:
    user = f"arn:aws:iam::{ACCOUNT}:root"
    return text, "AccessDeniedException", f"User: {user} is not authorized to access the resource: {text}"


def invalid(text: str, message: str) -> tuple[str, str, str]:
    return text, "ValidationException", message


def missing(text: str) -> tuple[str, str, str]:
    return text, "ResourceNotFoundException", f"Requested resource not found: ResourceArn: {text} not found"


ONLY = INVALID + "Invalid resource arn provided, only table or stream is accepted. Provided resource arn: "
PLACES = {
    "no ARN": invalid("I_am", INVALID + "ARNs must start with 'arn:': I_am"),
    "a table's name": invalid("Things", INVALID + "ARNs must start with 'arn:': Things"),
    "another service": denied(arn("queue", service="sqs")),
    "another account": denied(arn("table/Things", account="999999999999")),
    "an index": invalid(arn("table/Things/index/i"), ONLY + arn("table/Things/index/i")),
    "a backup": invalid(
        arn("table/Things/backup/x"),
        INVALID + f"Provided Arn is not a DynamoDB resource arn: {arn('table/Things/backup/x')}",
    ),
    "another Region": invalid(
        arn("table/Things", "eu-west-1"),
        f"Invalid TableArn: Invalid ResourceArn provided as input {arn('table/Things', 'eu-west-1')}",
    ),
    "an absent table": missing(arn("table/None")),
    "another case": missing(arn("table/THINGS")),
    "an ARN in capitals": missing(TABLE.upper()),
    "an absent stream": missing(arn("table/Things/stream/2026-01-01T00:00:00.000")),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("operation", "more"),
    [("ListTagsOfResource", {}), ("TagResource", {"Tags": tag("k")}), ("UntagResource", {"TagKeys": ["k"]})],
)
def test_places_that_have_no_tags(service: Any, operation: str, more: Body, place: str) -> None:
    text, code, message = PLACES[place]
    service.table()
    refused = service.refused(operation, ResourceArn=text, **more)
    assert (refused.code, refused.message) == (code, message)


def test_a_stream_has_its_own_tags(service: Any) -> None:
    service.table(
        Tags=tags(of="table"), StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )  # fmt: skip
    stream = service.describe_table(TableName="Things")["Table"]["LatestStreamArn"]
    assert listed(service, stream) == {}
    service.tag_resource(ResourceArn=stream, Tags=tags(of="stream", other=""))
    service.untag_resource(ResourceArn=stream, TagKeys=["other"])
    assert (listed(service, stream), listed(service)) == ({"of": "stream"}, {"of": "table"})


# With a delay


def test_tags_of_a_new_table_come_with_it(slow_service: Any) -> None:
    slow_service.table(Tags=tags(a="1"))
    slow_service.clock.advance(7_999)
    for operation, more in (("ListTagsOfResource", {}), ("TagResource", {"Tags": tag("k")})):
        assert slow_service.refused(operation, ResourceArn=TABLE, **more).message == missing(TABLE)[2]
    slow_service.clock.advance(1)
    assert listed(slow_service) == {}
    assert slow_service.refused("TagResource", ResourceArn=TABLE, Tags=tags(b="2")).message == (
        "Attempt to change a resource which is still in use: Table is being created: Things"
    )
    slow_service.untag_resource(ResourceArn=TABLE, TagKeys=["a"])  # without effect
    slow_service.clock.advance(2_000)
    assert listed(slow_service) == {"a": "1"}


def test_the_old_tags_are_listed_for_a_while_and_no_others_are_accepted(slow_service: Any) -> None:
    service = slow_service
    service.table(Tags=tags(a="1"))
    service.clock.advance(10_000)
    service.tag_resource(ResourceArn=TABLE, Tags=tags(b="2"))
    assert listed(service) == {"a": "1"}
    locked = ("LimitExceededException", "Subscriber limit exceeded: Table tags are being updated: Things")
    for operation, more in (("TagResource", {"Tags": tags(a="1")}), ("UntagResource", {"TagKeys": ["a"]})):
        refused = service.refused(operation, ResourceArn=TABLE, **more)
        assert (refused.code, refused.message) == locked
    service.tag_resource(ResourceArn=TABLE, Tags=tags(b="2", c="3"))  # contains the ongoing change
    service.update_table(TableName="Things", DeletionProtectionEnabled=True)
    service.clock.advance(10_000)
    assert listed(service) == {"a": "1", "b": "2", "c": "3"}


def test_a_change_without_effect_takes_no_time(slow_service: Any) -> None:
    service = slow_service
    service.table(Tags=tags(a="1"))
    service.clock.advance(10_000)
    service.tag_resource(ResourceArn=TABLE, Tags=tags(a="1"))
    service.untag_resource(ResourceArn=TABLE, TagKeys=["unknown"])
    service.tag_resource(ResourceArn=TABLE, Tags=tags(b="2"))


def test_tags_of_a_table_that_is_deleted_do_not_change(slow_service: Any) -> None:
    service = slow_service
    service.table(Tags=tags(a="1"))
    service.clock.advance(10_000)
    service.delete_table(TableName="Things")
    assert listed(service) == {"a": "1"}
    service.tag_resource(ResourceArn=TABLE, Tags=tags(a="1"))
    assert service.refused("TagResource", ResourceArn=TABLE, Tags=tags(b="2")).message == (
        "Attempt to change a resource which is still in use: Table is being deleted: Things"
    )
    service.clock.advance(4_000)
    assert service.describe_table(TableName="Things")["Table"]["TableStatus"] == "DELETING"
    assert service.refused("ListTagsOfResource", ResourceArn=TABLE).message == missing(TABLE)[2]


def test_tags_are_changed_while_the_table_is(slow_service: Any) -> None:
    service = slow_service
    service.table()
    service.clock.advance(10_000)
    service.update_table(TableName="Things", TableClass="STANDARD_INFREQUENT_ACCESS")
    service.tag_resource(ResourceArn=TABLE, Tags=tags(b="2"))
    service.clock.advance(10_000)
    assert listed(service) == {"b": "2"}
