"""ARNs, shards and positions that requests to streams may name, and the errors of those they may not."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.errors import ApiError

ACCOUNT = "arn:aws:dynamodb:us-east-1:000000000000:"
LABEL = "2027-01-15T08:00:00.000"
STREAM = f"{ACCOUNT}table/Things/stream/{LABEL}"
SHARD = "shardId-00000001800000000000-0000ffff"
MALFORMED = [
    "x",
    "x" * 40,
    f"{ACCOUNT}table/Things",
    f"{ACCOUNT}table/Things/stream/",
    f"{ACCOUNT}table/Things/index/things-by-name",
    f"{ACCOUNT}table/Things/backup/01234567890123-abcdefgh",
    STREAM.replace("dynamodb", "kinesis"),
    STREAM.replace("arn:aws", "urn:aws"),
    STREAM.replace("000000000000", "me"),
    STREAM + "/more",
]
UNKNOWN = [
    STREAM.replace("Things", "Nothing"),
    STREAM.replace("2027", "2026"),
    STREAM.replace("us-east-1", "eu-west-1"),
]


class Streams:
    def __init__(self, service: Any) -> None:
        service.table(StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
        self.service = service
        self.arn: str = service.describe_table(TableName="Things")["Table"]["LatestStreamArn"]

    def __call__(self, operation: str, **body: Any) -> Any:
        return self.service.request(operation, body, "DynamoDBStreams_20120810")

    def refused(self, operation: str, **body: Any) -> tuple[str, str | None]:
        with pytest.raises(ApiError) as caught:
            self(operation, **body)
        return caught.value.code, caught.value.message

    def describe(self, **more: Any) -> Any:
        return self("DescribeStream", StreamArn=self.arn, **more)["StreamDescription"]

    def shards(self, **more: Any) -> list[Any]:
        shards: list[Any] = self.describe(**more)["Shards"]
        return shards

    def records(self, shard: Any, kind: str) -> list[Any]:
        asked = {"StreamArn": self.arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
        start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
        iterator = self("GetShardIterator", SequenceNumber=start, **asked)["ShardIterator"]
        found: list[Any] = self("GetRecords", ShardIterator=iterator)["Records"]
        return found


@pytest.fixture
def streams(service: Any) -> Streams:
    return Streams(service)


def asks(arn: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("DescribeStream", {"StreamArn": arn}),
        ("GetShardIterator", {"StreamArn": arn, "ShardId": SHARD, "ShardIteratorType": "LATEST"}),
        ("ListStreams", {"ExclusiveStartStreamArn": arn}),
    ]


@pytest.mark.parametrize("arn", MALFORMED)
def test_invalid_stream_arns(streams: Streams, arn: str) -> None:
    for operation, body in asks(arn):
        assert streams.refused(operation, **body) == ("ValidationException", "Invalid StreamArn"), operation


@pytest.mark.parametrize("arn", UNKNOWN)
def test_a_stream_arn_of_no_stream_is_not_found(streams: Streams, arn: str) -> None:
    expected = ("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
    for operation, body in asks(arn)[:2]:
        assert streams.refused(operation, **body) == expected, operation


@pytest.mark.parametrize("start", [SHARD, "x" * 28, "shardId-00000001800000000001-00000001"])
def test_shards_after_an_unknown_shard_are_none(streams: Streams, start: str) -> None:
    assert streams.shards(ExclusiveStartShardId=start) == []


def test_shards_after_a_shard_are_those_that_follow(streams: Streams) -> None:
    shards = streams.shards()
    assert len(shards) > 1
    assert streams.shards(ExclusiveStartShardId=shards[0]["ShardId"]) == shards[1:]


def test_an_iterator_of_an_unknown_shard_is_not_found(streams: Streams) -> None:
    asked = {"StreamArn": streams.arn, "ShardId": SHARD, "ShardIteratorType": "LATEST"}
    assert streams.refused("GetShardIterator", **asked) == ("ResourceNotFoundException", "Shard does not exist")


@pytest.mark.parametrize("part", [{"Type": "CHILD_SHARDS"}, {"ShardId": SHARD}, {}])
def test_half_a_shard_filter_is_invalid(streams: Streams, part: dict[str, str]) -> None:
    code, message = streams.refused("DescribeStream", StreamArn=streams.arn, ShardFilter=part)
    assert code == "ValidationException"
    assert message is not None and "shardFilter" in message


def test_a_shard_filter_of_an_unknown_shard_finds_none(streams: Streams) -> None:
    assert streams.shards(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": SHARD}) == []


@pytest.mark.parametrize("kind", ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
def test_a_reader_that_starts_at_the_start_of_an_empty_shard_gets_its_first_record(streams: Streams, kind: str) -> None:
    shards = streams.shards()
    tokens = []
    for shard in shards:
        start = shard["SequenceNumberRange"]["StartingSequenceNumber"]
        asked = {"StreamArn": streams.arn, "ShardId": shard["ShardId"], "ShardIteratorType": kind}
        tokens.append(streams("GetShardIterator", SequenceNumber=start, **asked)["ShardIterator"])
    streams.service.put_item(TableName="Things", Item={"pk": {"S": "a"}})
    kept = [record for token in tokens for record in streams("GetRecords", ShardIterator=token)["Records"]]
    again = [record for shard in shards for record in streams.records(shard, kind)]
    assert [record["dynamodb"]["Keys"] for record in kept] == [{"pk": {"S": "a"}}]
    assert again == kept
    assert int(kept[0]["dynamodb"]["SequenceNumber"]) > int(
        min(shard["SequenceNumberRange"]["StartingSequenceNumber"] for shard in shards)
    )
