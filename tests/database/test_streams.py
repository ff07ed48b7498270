"""Streams as clients read them: names, views, positions, descriptions of shards."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.api import streams, tables
from atoll.database.region import Settings
from atoll.errors import ApiError
from tests.database.conftest import ManualRegion

HOUR_MS = 3600 * 1000


def refusal(function: Any, *args: Any, **more: Any) -> tuple[str, str | None]:
    with pytest.raises(ApiError) as caught:
        function(*args, **more)
    return caught.value.code, caught.value.message


def only_shard(world: Any) -> tuple[str, str]:
    [arn] = world.arns()
    [shard] = world.shards(arn)
    return arn, shard["ShardId"]


def test_a_record_has_the_services_form(world: Any) -> None:
    world.create()
    world.put("a", 7, n={"N": "101"})
    arn, shard = only_shard(world)
    [record], _ = world.records(world.iterator(arn, shard))
    event_id = record.pop("eventID")
    assert len(event_id) == 32 and int(event_id, 16)
    assert record == {
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_800_000_000,
            "Keys": {"pk": {"S": "a"}, "sk": {"N": "7"}},
            "NewImage": {"pk": {"S": "a"}, "sk": {"N": "7"}, "n": {"N": "101"}},
            "SequenceNumber": "1000000000000010000000",
            "SizeBytes": 7 + 11,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", [set(), set(), set()]),
        ("NEW_IMAGE", [{"NewImage"}, {"NewImage"}, set()]),
        ("OLD_IMAGE", [set(), {"OldImage"}, {"OldImage"}]),
        ("NEW_AND_OLD_IMAGES", [{"NewImage"}, {"NewImage", "OldImage"}, {"OldImage"}]),
    ],
)
def test_a_view_shows_its_images(world: Any, view: str, images: list[set[str]]) -> None:
    world.create(view=view)
    world.put("a", v={"S": "1"})
    world.put("a", v={"S": "2"})
    world.delete("a")
    records = world.all_records(world.arns()[0])
    assert [r["eventName"] for r in records] == ["INSERT", "MODIFY", "REMOVE"]
    assert [r["dynamodb"].keys() & {"NewImage", "OldImage"} for r in records] == images
    assert all(r["dynamodb"]["StreamViewType"] == view for r in records)


def test_writes_that_change_nothing_leave_no_record(world: Any) -> None:
    world.create()
    world.put("a", tags={"SS": ["x", "y"]})
    world.put("a", tags={"SS": ["y", "x"]})
    world.delete("b")
    assert len(world.all_records(world.arns()[0])) == 1


def test_a_page_ends_after_the_limit_or_a_megabyte(world: Any) -> None:
    world.create(view="NEW_IMAGE")
    for i in range(5):
        world.put("a", i, v={"S": "x" * 300_000})
    arn, shard = only_shard(world)
    records, following = world.records(world.iterator(arn, shard))
    assert len(records) == 3
    records, following = world.records(following)
    assert len(records) == 2
    records, _ = world.records(world.iterator(arn, shard), Limit=2)
    assert len(records) == 2
    assert refusal(world.records, following, Limit=1001) == (
        "ValidationException",
        "One or more parameter values were invalid: Limit should be less than or equal to 1000",
    )


def test_the_four_types_of_iterators(world: Any) -> None:
    world.create()
    for i in range(4):
        world.put("a", i)
    arn, shard = only_shard(world)
    numbers = [r["dynamodb"]["SequenceNumber"] for r in world.all_records(arn)]

    def seen(kind: str, number: str | None = None) -> list[str]:
        records, _ = world.records(world.iterator(arn, shard, kind, number))
        return [r["dynamodb"]["SequenceNumber"] for r in records]

    assert seen("TRIM_HORIZON") == numbers
    assert seen("AT_SEQUENCE_NUMBER", numbers[1]) == numbers[1:]
    assert seen("AFTER_SEQUENCE_NUMBER", numbers[1]) == numbers[2:]
    assert seen("AFTER_SEQUENCE_NUMBER", numbers[3]) == []
    latest = world.iterator(arn, shard, "LATEST")
    world.put("a", 4)
    records, _ = world.records(latest)
    assert [r["dynamodb"]["Keys"]["sk"]["N"] for r in records] == ["4"]


def test_an_iterator_at_a_time_starts_with_the_first_record_since_then(world: Any) -> None:
    world.create()
    for i in range(5):
        world.put("a", i)
        world.clock.advance(10_000)
    arn, shard = only_shard(world)
    for seconds, first in [(0, 0), (9.999, 1), (20, 2), (40.001, None)]:
        iterator = world.iterator(arn, shard, "AT_TIMESTAMP", Timestamp=1_800_000_000 + seconds)
        records, _ = world.records(iterator)
        assert [r["dynamodb"]["Keys"]["sk"]["N"] for r in records][:1] == ([] if first is None else [str(first)])
    assert refusal(world.iterator, arn, shard, "AT_TIMESTAMP", Timestamp=1_900_000_000)[0] == "ValidationException"


def test_sequence_numbers_that_do_not_fit_are_refused(world: Any) -> None:
    world.create()
    world.put("a")
    arn, shard = only_shard(world)
    invalid = ("ValidationException", "One or more parameter values were invalid: Invalid SequenceNumber")
    assert refusal(world.iterator, arn, shard, "AT_SEQUENCE_NUMBER") == invalid
    assert refusal(world.iterator, arn, shard, "AT_SEQUENCE_NUMBER", "9" * 22) == invalid
    assert refusal(world.iterator, arn, shard, "AFTER_SEQUENCE_NUMBER", "x" * 22) == invalid
    assert refusal(world.iterator, arn, shard, "LATEST", "1" * 22)[1] == (
        "One or more parameter values were invalid: SequenceNumber should not be passed for this iterator type"
    )
    assert refusal(world.iterator, arn, shard, "AT_SEQUENCE_NUMBER", "0" * 22)[0] == "TrimmedDataAccessException"


def test_every_iterator_is_another_and_can_be_used_again(world: Any) -> None:
    world.create()
    world.put("a")
    arn, shard = only_shard(world)
    first, second = world.iterator(arn, shard), world.iterator(arn, shard)
    assert first != second
    records, following = world.records(first)
    again, following_again = world.records(first)
    assert records == again
    assert len({first, second, following, following_again}) == 4


def test_an_iterator_expires_after_15_minutes(world: Any) -> None:
    world.create()
    arn, shard = only_shard(world)
    iterator = world.iterator(arn, shard)
    world.clock.advance(15 * 60 * 1000)
    _, following = world.records(iterator)
    world.clock.advance(1)
    assert refusal(world.records, iterator)[0] == "ExpiredIteratorException"
    world.records(following)


@pytest.mark.parametrize("damage", ["garbage", "", "{0}x", "x{0}", "{1}|1|AAAA", "{1}", "{1}|1|!!!", "{2}"])
def test_a_damaged_iterator_is_refused(world: Any, damage: str) -> None:
    world.create()
    arn, shard = only_shard(world)
    iterator = world.iterator(arn, shard)
    flipped = iterator[:-5] + ("A" if iterator[-5] != "A" else "B") + iterator[-4:]
    token = damage.format(iterator, arn, flipped)
    assert refusal(world.records, token) == ("ValidationException", "Invalid ShardIterator")


def test_unknown_streams_and_shards_are_not_found(world: Any) -> None:
    world.create()
    arn, shard = only_shard(world)
    unknown = arn[:-1] + "X"
    text = f"Requested resource not found: Stream: {unknown} not found"
    assert refusal(world.describe, unknown) == ("ResourceNotFoundException", text)
    assert refusal(world.iterator, unknown, shard) == ("ResourceNotFoundException", text)
    for other in (shard[:-1] + "1", "shardId-garbage-garbage-garbage"):
        assert refusal(world.iterator, arn, other) == ("ResourceNotFoundException", "Shard does not exist")


def test_enabling_again_makes_another_stream_and_the_old_one_stays_for_a_day(world: Any) -> None:
    world.create(view="KEYS_ONLY")
    world.put("a")
    [first] = world.arns()
    world.disable_stream()
    world.put("b")
    world.enable_stream(view="NEW_IMAGE")
    world.put("c")
    old, new = world.arns("Things")
    assert old == first and new != first
    assert [world.describe(arn)["StreamStatus"] for arn in (old, new)] == ["DISABLED", "ENABLED"]
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in world.all_records(old)] == ["a"]
    assert [r["dynamodb"]["Keys"]["pk"]["S"] for r in world.all_records(new)] == ["c"]
    assert all("EndingSequenceNumber" in s["SequenceNumberRange"] for s in world.shards(old))
    assert all("ParentShardId" not in s for s in world.shards(new))
    world.pass_time(24 * HOUR_MS - 1)
    assert old in world.arns()
    world.pass_time(1)
    assert world.arns() == [new]
    assert refusal(world.describe, old)[0] == "ResourceNotFoundException"


def test_the_stream_of_a_deleted_table_is_readable_for_a_day(world: Any) -> None:
    world.create(units=None)
    for i in range(10):
        world.put(f"k{i}")
    [arn] = world.arns()
    world.call(tables.delete_table, TableName="Things")
    world.create()
    world.clock.advance(HOUR_MS)
    world.put("later")
    world.pass_time(22 * HOUR_MS)
    assert world.describe(arn)["StreamStatus"] == "DISABLED"
    assert world.describe(arn)["KeySchema"][0] == {"AttributeName": "pk", "KeyType": "HASH"}
    assert len(world.all_records(arn)) == 10
    assert len(world.arns("Things")) == 2
    world.pass_time(2 * HOUR_MS)
    assert arn not in world.arns()


def test_a_stream_is_enabling_and_disabling_while_its_table_is_updated(slow_world: Any) -> None:
    world = slow_world
    world.create()
    [arn] = world.arns()
    assert world.describe(arn)["StreamStatus"] == "ENABLING"
    world.clock.advance(10_000)
    assert world.describe(arn)["StreamStatus"] == "ENABLED"
    world.disable_stream()
    assert world.describe(arn)["StreamStatus"] == "DISABLING"
    world.clock.advance(10_000)
    assert world.describe(arn)["StreamStatus"] == "DISABLED"


def test_streams_are_listed_in_pages(world: Any) -> None:
    for name in ("Birds", "Ants", "Cats", "Antsy"):
        world.create(name)
    first = world.call(streams.list_streams, Limit=3)
    assert [s["TableName"] for s in first["Streams"]] == ["Ants", "Antsy", "Birds"]
    start = first["LastEvaluatedStreamArn"]
    second = world.call(streams.list_streams, Limit=3, ExclusiveStartStreamArn=start)
    assert [s["TableName"] for s in second["Streams"]] == ["Cats"]
    assert "LastEvaluatedStreamArn" not in second
    assert len(world.arns("Ants")) == 1
    assert world.arns("Nope") == []
    assert refusal(world.call, streams.list_streams, Limit=101)[0] == "ValidationException"


def test_a_third_reader_of_a_shard_is_throttled_if_asked_for() -> None:
    world = ManualRegion(Settings(strict_stream_readers=True))
    world.create()
    arn, shard = only_shard(world)
    strict = streams.get_records
    first, second, third = (world.iterator(arn, shard) for _ in range(3))
    following = world.call(strict, ShardIterator=first)["NextShardIterator"]
    world.call(strict, ShardIterator=second)
    world.call(strict, ShardIterator=following)
    assert refusal(world.call, strict, ShardIterator=third)[0] == "LimitExceededException"
    world.clock.advance(1_000)
    world.call(strict, ShardIterator=third)


def test_a_clock_that_was_set_back_forgets_the_readers_of_a_shard() -> None:
    world = ManualRegion(Settings(strict_stream_readers=True))
    world.create()
    arn, shard = only_shard(world)
    for _ in range(2):
        world.call(streams.get_records, ShardIterator=world.iterator(arn, shard))
    third = world.iterator(arn, shard)
    world.clock.advance(-60_000)
    world.call(streams.get_records, ShardIterator=third)
