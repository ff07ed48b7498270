"""The AWS CLI: commands with their outputs, exit codes and messages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.programs.endpoint import Endpoint

REGION = "eu-central-1"


class Shell:
    def __init__(self, commands: Path, endpoint: Endpoint) -> None:
        self._aws = str(commands / "aws")
        self._environment = endpoint.environment(REGION)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self._aws, "dynamodb", *words]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60)

    def text(self, *words: str) -> str:
        """The output of a command that succeeds."""
        done = self.run(*words)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.text(*words, "--output", "json"))

    def refused(self, *words: str) -> str:
        """The last line of what a command says that the server refuses."""
        done = self.run(*words)
        assert done.stdout == ""
        assert done.returncode in (254, 255)  # of the CLI's version 2 and 1
        return done.stderr.strip().removeprefix("aws: [ERROR]: ")


@pytest.fixture(scope="module")
def aws(aws_commands: Path, endpoint: Endpoint) -> Shell:
    return Shell(aws_commands, endpoint)


def test_a_table_is_created_used_and_deleted(aws: Shell) -> None:
    life = ("--table-name", "Life")
    create = (
        "create-table", *life,
        "--attribute-definitions", "AttributeName=pk,AttributeType=S", "AttributeName=sk,AttributeType=N",
        "--key-schema", "AttributeName=pk,KeyType=HASH", "AttributeName=sk,KeyType=RANGE",
        "--provisioned-throughput", "ReadCapacityUnits=5,WriteCapacityUnits=5", "--tags", "Key=team,Value=sea",
    )  # fmt: skip
    made = aws.json(*create)["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    assert aws.text("wait", "table-exists", *life) == ""
    assert aws.refused(*create) == (
        "An error occurred (ResourceInUseException) when calling the CreateTable operation: Table already exists: Life"
    )

    arn = ("--resource-arn", made["TableArn"])
    assert aws.text("tag-resource", *arn, "--tags", "Key=depth,Value=40 m") == ""
    assert aws.text("untag-resource", *arn, "--tag-keys", "team") == ""
    assert aws.json("list-tags-of-resource", *arn) == {"Tags": [{"Key": "depth", "Value": "40 m"}]}

    index = {
        "IndexName": "by-kind",
        "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    }
    aws.text("put-item", *life, "--item", '{"pk": {"S": "a"}, "sk": {"N": "1"}, "kind": {"S": "coral"}}')
    aws.json(
        "update-table", *life, "--attribute-definitions", "AttributeName=kind,AttributeType=S",
        "--global-secondary-index-updates", json.dumps([{"Create": index}]),
    )  # fmt: skip
    status = ("describe-table", *life, "--query", "Table.GlobalSecondaryIndexes[0].IndexStatus", "--output", "text")
    while (seen := aws.text(*status)) != "ACTIVE\n":
        assert seen == "CREATING\n"
    found = aws.text(
        "query", *life, "--index-name", "by-kind", "--key-condition-expression", "kind = :k",
        "--expression-attribute-values", '{":k": {"S": "coral"}}', "--query", "Items[].[pk.S,sk.N]",
        "--output", "text",
    )  # fmt: skip
    assert found == "a\t1\n"

    assert "Life" in aws.json("list-tables")["TableNames"]
    assert aws.json("delete-table", *life)["TableDescription"]["TableStatus"] == "DELETING"
    assert aws.text("wait", "table-not-exists", *life) == ""
    assert aws.refused("describe-table", *life) == (
        "An error occurred (ResourceNotFoundException) when calling the DescribeTable operation: "
        "Requested resource not found: Table: Life not found"
    )


@pytest.fixture(scope="module")
def fish(aws: Shell) -> tuple[str, str]:
    aws.json(
        "create-table", "--table-name", "Fish", "--billing-mode", "PAY_PER_REQUEST",
        "--attribute-definitions", "AttributeName=reef,AttributeType=S", "AttributeName=name,AttributeType=S",
        "--key-schema", "AttributeName=reef,KeyType=HASH", "AttributeName=name,KeyType=RANGE",
    )  # fmt: skip
    puts = [
        {"PutRequest": {"Item": {"reef": {"S": "north"}, "name": {"S": f"fish {n:02}"}, "cm": {"N": str(n)}}}}
        for n in range(24)
    ]
    assert aws.json("batch-write-item", "--request-items", json.dumps({"Fish": puts})) == {"UnprocessedItems": {}}
    return ("--table-name", "Fish")


def test_pages_of_a_scan(aws: Shell, fish: tuple[str, str]) -> None:
    first = aws.json("scan", *fish, "--max-items", "10", "--page-size", "4")
    assert len(first["Items"]) == 10
    rest = aws.json("scan", *fish, "--starting-token", first["NextToken"])
    assert "NextToken" not in rest
    names = [item["name"]["S"] for item in first["Items"] + rest["Items"]]
    assert names == [f"fish {n:02}" for n in range(24)]
    one = aws.json("scan", *fish, "--no-paginate", "--limit", "3")
    assert (one["Count"], one["ScannedCount"]) == (3, 3)
    assert one["LastEvaluatedKey"] == {"reef": {"S": "north"}, "name": {"S": "fish 02"}}


def test_queries(aws: Shell, fish: tuple[str, str]) -> None:
    found = aws.json(
        "query", *fish, "--key-condition-expression", "reef = :r AND begins_with(#n, :f)",
        "--filter-expression", "cm BETWEEN :low AND :high", "--no-scan-index-forward", "--page-size", "5",
        "--expression-attribute-names", '{"#n": "name"}', "--return-consumed-capacity", "TOTAL",
        "--expression-attribute-values",
        '{":r": {"S": "north"}, ":f": {"S": "fish 1"}, ":low": {"N": "12"}, ":high": {"N": "14"}}',
    )  # fmt: skip
    assert [item["name"]["S"] for item in found["Items"]] == ["fish 14", "fish 13", "fish 12"]
    assert (found["Count"], found["ScannedCount"]) == (3, 10)
    no_key = ("--key-condition-expression", "cm = :r", "--expression-attribute-values", '{":r": {"N": "1"}}')
    assert aws.refused("query", *fish, *no_key) == (
        "An error occurred (ValidationException) when calling the Query operation: "
        "Query condition missed key schema element: reef"
    )


def test_single_items(aws: Shell, fish: tuple[str, str]) -> None:
    key = {"reef": {"S": "south"}, "name": {"S": "ray"}}
    ray = (*fish, "--key", json.dumps(key))
    item = json.dumps(key | {"photo": {"NULL": True}, "tags": {"SS": ["a"]}})
    put = aws.json("put-item", *fish, "--item", item, "--return-consumed-capacity", "TOTAL")
    assert put == {"ConsumedCapacity": {"TableName": "Fish", "CapacityUnits": 1.0}}
    updated = aws.json(
        "update-item", *ray, "--update-expression", "SET #c = :c, tags = list_append(:l, :l)",
        "--expression-attribute-names", '{"#c": "cm"}', "--return-values", "ALL_NEW",
        "--expression-attribute-values", '{":c": {"N": "150.50"}, ":l": {"L": [{"BOOL": true}]}}',
    )  # fmt: skip
    changed = {"cm": {"N": "150.5"}, "tags": {"L": [{"BOOL": True}, {"BOOL": True}]}, "photo": {"NULL": True}}
    assert updated["Attributes"] == key | changed
    assert aws.refused("delete-item", *ray, "--condition-expression", "attribute_exists(eggs)") == (
        "An error occurred (ConditionalCheckFailedException) when calling the DeleteItem operation: "
        "The conditional request failed"
    )
    got = aws.text("get-item", *ray, "--projection-expression", "photo, cm", "--consistent-read", "--output", "text")
    assert got == "CM\t150.5\nPHOTO\tTrue\n"
    assert aws.text("delete-item", *ray) == ""
    assert aws.text("get-item", *ray) == ""


def test_transactions(aws: Shell, fish: tuple[str, str]) -> None:
    key = {"reef": {"S": "west"}, "name": {"S": "shark"}}
    whale = {"reef": {"S": "west"}, "name": {"S": "whale"}}
    count = {"UpdateExpression": "ADD cm :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
    steps = [
        {"Update": {"TableName": "Fish", "Key": whale, **count}},
        {"Put": {"TableName": "Fish", "Item": key, "ConditionExpression": "attribute_not_exists(reef)"}},
    ]
    write = ("transact-write-items", "--transact-items", json.dumps(steps))
    assert aws.text(*write) == ""
    assert (
        "An error occurred (TransactionCanceledException) when calling the TransactWriteItems operation: Transaction "
        "cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    ) in aws.refused(*write)
    reads = json.dumps([{"Get": {"TableName": "Fish", "Key": whale}}])
    read = aws.json("transact-get-items", "--transact-items", reads)
    assert read["Responses"] == [{"Item": whale | {"cm": {"N": "1"}}}]


def test_limits_and_time_to_live(aws: Shell, fish: tuple[str, str]) -> None:
    assert aws.json("describe-limits") == {
        "AccountMaxReadCapacityUnits": 80000,
        "AccountMaxWriteCapacityUnits": 80000,
        "TableMaxReadCapacityUnits": 40000,
        "TableMaxWriteCapacityUnits": 40000,
    }
    until = "Enabled=true,AttributeName=until"
    changed = aws.json("update-time-to-live", *fish, "--time-to-live-specification", until)
    assert changed == {"TimeToLiveSpecification": {"Enabled": True, "AttributeName": "until"}}


def test_signed_commands(aws_commands: Path, signed_endpoint: Endpoint) -> None:
    assert Shell(aws_commands, signed_endpoint).json("list-tables") == {"TableNames": []}
    stranger = Shell(aws_commands, Endpoint(signed_endpoint.url, signed_endpoint.access_key, "wrong"))
    assert stranger.refused("list-tables").startswith(
        "An error occurred (InvalidSignatureException) when calling the ListTables operation: The request signature we "
        "calculated does not match the signature you provided."
    )
