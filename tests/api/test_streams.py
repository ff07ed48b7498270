"""The operations of DynamoDB Streams and of time to live, as requests; `tests/database` has their behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.errors import ApiError

STREAMS = "DynamoDBStreams_20120810"


@pytest.fixture
def streamed(service: Any) -> Any:
    service.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}})
    return service


def request(service: Any, operation: str, **body: Any) -> Any:
    return service.request(operation, body, STREAMS)


def refusal(service: Any, operation: str, **body: Any) -> str | None:
    with pytest.raises(ApiError) as caught:
        request(service, operation, **body)
    assert caught.value.code == "ValidationException"
    return caught.value.message


def test_a_table_names_its_stream_and_the_stream_its_table(streamed: Any) -> None:
    table = streamed.describe_table(TableName="Things")["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    listed = request(streamed, "ListStreams", TableName="Things")
    assert listed == {
        "Streams": [
            {
                "StreamArn": table["LatestStreamArn"],
                "TableName": "Things",
                "StreamLabel": table["LatestStreamLabel"],
            }
        ]
    }
    arn = table["LatestStreamArn"]
    assert arn == f"{table['TableArn']}/stream/2027-01-15T08:00:00.000"
    description = request(streamed, "DescribeStream", StreamArn=arn)["StreamDescription"]
    shards = description.pop("Shards")
    assert description == {
        "StreamArn": arn,
        "StreamLabel": "2027-01-15T08:00:00.000",
        "StreamStatus": "ENABLED",
        "StreamViewType": "NEW_AND_OLD_IMAGES",
        "CreationRequestDateTime": 1_800_000_000,
        "TableName": "Things",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }
    found = []
    for shard in shards:
        asked = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = request(streamed, "GetShardIterator", **asked)["ShardIterator"]
        found += request(streamed, "GetRecords", ShardIterator=iterator)["Records"]
    assert [record["dynamodb"]["Keys"] for record in found] == [{"pk": {"S": "a"}}]


def test_a_disabled_stream_is_still_the_latest(streamed: Any) -> None:
    answer = streamed.update_table(TableName="Things", StreamSpecification={"StreamEnabled": False})
    table = answer["TableDescription"]
    assert "StreamSpecification" not in table and "LatestStreamArn" in table
    [stream] = request(streamed, "ListStreams")["Streams"]
    assert stream["StreamArn"] == table["LatestStreamArn"]


def test_constraints_are_checked_before_all_else(streamed: Any) -> None:
    too_small = "failed to satisfy constraint: Member must have value greater than or equal to 1"
    assert refusal(streamed, "GetRecords", ShardIterator="x", Limit=0) == (
        f"1 validation error detected: Value '0' at 'limit' {too_small}"
    )
    assert refusal(streamed, "GetRecords", ShardIterator="x") == "Invalid ShardIterator"
    text = refusal(streamed, "GetShardIterator", StreamArn="x" * 40, ShardId="y" * 30, ShardIteratorType="NEXT")
    assert text is not None and "shardIteratorType" in text


def test_time_to_live_is_enabled_and_described(service: Any) -> None:
    service.table()
    specification = {"Enabled": True, "AttributeName": "expires"}
    answer = service.update_time_to_live(TableName="Things", TimeToLiveSpecification=specification)
    assert answer == {"TimeToLiveSpecification": specification}
    description = service.describe_time_to_live(TableName="Things")
    assert description == {"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}}
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "expires": {"N": "1800000001"}})
    service.clock.advance(2_000)
    service.settle()
    assert "Item" not in service.get_item(TableName="Things", Key={"pk": {"S": "a"}})
    assert service.refused("DescribeTimeToLive", TableName="Nope").message == (
        "Requested resource not found: Table: Nope not found"
    )
