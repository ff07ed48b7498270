"""ListStreams, DescribeStream, GetShardIterator, GetRecords.

A shard iterator is the stream's ARN, `|1|`, and in base64: log space 4, shard 4, position 8, issue time in milliseconds
8, reader 4, a nonce 4 (each answer has a new iterator), and 8 bytes of a checksum, which tells an expired iterator from
an invalid one. An iterator grants no access: it only reads the stream of its ARN. The server keeps no state for it, so
it survives restarts.
"""

from __future__ import annotations

import os
import struct
from binascii import Error, a2b_base64, b2a_base64
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from typing import Any

from atoll import arns, limits
from atoll.api.description import key_schema, seconds
from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.log import cursor, shards
from atoll.database.log.cursor import Scope
from atoll.database.region import Region
from atoll.database.schema import Shard
from atoll.database.streams import StreamDescription
from atoll.durations import instant
from atoll.errors import streams as stream_errors
from atoll.storage.engine import Snapshot

Body = dict[str, Any]
Answer = dict[str, Any]


async def list_streams(region: Region, body: Body) -> Answer:
    limit = body.get("Limit") or limits.STREAMS_LISTED
    if limit > limits.STREAMS_LISTED:
        raise stream_errors.too_many_listed()
    table, start = body.get("TableName"), body.get("ExclusiveStartStreamArn")
    after = None
    if start is not None:
        _check_arn(start)
        after = streams.parse_arn(region, start)
        if after is None:
            raise stream_errors.stream_not_found(start)
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> list[StreamDescription]:
        return list(islice(streams.listed(snapshot, table, after, now_ms), limit + 1))

    found = await region.read(read)
    answer: Answer = {
        "Streams": [
            {"StreamArn": streams.arn_of(region, d), "TableName": d.table, "StreamLabel": d.label}
            for d in found[:limit]
        ]
    }
    if len(found) > limit:
        answer["LastEvaluatedStreamArn"] = answer["Streams"][-1]["StreamArn"]
    return answer


async def describe_stream(region: Region, body: Body) -> Answer:
    limit = body.get("Limit") or limits.STREAM_SHARDS_LISTED
    if limit > limits.STREAM_SHARDS_LISTED:
        raise stream_errors.too_many_shards_listed()
    arn, start, chosen = body["StreamArn"], body.get("ExclusiveStartShardId"), body.get("ShardFilter") or {}
    _check_arn(arn)
    now_ms = region.clock.now_ms()

    def read(snapshot: Snapshot) -> tuple[StreamDescription, list[Shard]]:
        description = streams.find(snapshot, region, arn, now_ms)
        after = None if start is None else streams.parse_shard_id(start)
        if start is not None and (after is None or not streams.may_start_after(snapshot, description, start, now_ms)):
            return description, []
        found = streams.shards_of(snapshot, description, now_ms, after=after)
        if "ShardId" in chosen:
            parent = streams.parse_shard_id(chosen["ShardId"])
            found = (shard for shard in found if shard.parent == parent and parent is not None)
        return description, list(islice(found, limit + 1))

    description, found = await region.read(read)
    answer: Answer = {
        "StreamArn": arn,
        "StreamLabel": description.label,
        "StreamStatus": description.status_at(now_ms),
        "StreamViewType": description.view_type,
        "CreationRequestDateTime": seconds(description.created_ms),
        "TableName": description.table,
        "KeySchema": key_schema(description.keys),
        "Shards": [_describe_shard(description, shard) for shard in found[:limit]],
    }
    if len(found) > limit:
        answer["LastEvaluatedShardId"] = answer["Shards"][-1]["ShardId"]
    return {"StreamDescription": answer}


def _check_arn(arn: str) -> None:
    if not arns.is_stream(arn):
        raise stream_errors.arn_invalid()


def _describe_shard(description: StreamDescription, shard: Shard) -> Answer:
    numbers = {"StartingSequenceNumber": streams.starting_number(shard)}
    if shard.last_sequence is not None:
        numbers["EndingSequenceNumber"] = streams.sequence_number(shard.number, shard.last_sequence)
    answer: Answer = {"ShardId": streams.shard_id(shard), "SequenceNumberRange": numbers}
    parent = streams.parent_id(description, shard)
    if parent is not None:
        answer["ParentShardId"] = parent
    return answer


async def get_shard_iterator(region: Region, body: Body) -> Answer:
    arn, kind, number = body["StreamArn"], body["ShardIteratorType"], body.get("SequenceNumber")
    _check_arn(arn)
    now_ms = region.clock.now_ms()
    at_ms = _timestamp_ms(body.get("Timestamp"), now_ms) if kind == "AT_TIMESTAMP" else 0
    reader = int.from_bytes(os.urandom(4), "big")
    wants_number = kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
    if number is None and wants_number:
        raise stream_errors.sequence_number_invalid()
    if number is not None and not wants_number:
        raise stream_errors.sequence_number_unexpected()

    def position(snapshot: Snapshot, scope: Scope, shard: Shard) -> int:
        if number is not None:
            return streams.position_at(snapshot, scope, shard, number, after=kind == "AFTER_SEQUENCE_NUMBER")
        if kind == "AT_TIMESTAMP":
            return cursor.at_time(snapshot, scope, shard, at_ms)
        if kind == "LATEST":
            return cursor.end(snapshot, scope.log_space, shard)
        return cursor.oldest(snapshot, scope, shard)

    def read(snapshot: Snapshot) -> Iterator:
        description = streams.find(snapshot, region, arn, now_ms)
        shard = streams.find_shard(snapshot, description, body["ShardId"], now_ms)
        scope = description.scope(now_ms)
        return Iterator(arn, scope.log_space, shard.number, position(snapshot, scope, shard), now_ms, reader)

    return {"ShardIterator": (await region.read(read)).token()}


def _timestamp_ms(seconds: float | None, now_ms: int) -> int:
    if seconds is None or seconds * 1000 > now_ms:
        raise stream_errors.timestamp_invalid()
    return int(instant(seconds) * 1000)


# The service's guide shows `type` and `principalId`; its model, and so the SDKs, use `Type` and `PrincipalId`.
_BOTH_SPELLINGS = streams.EXPIRED_BY_SERVICE | {
    name[0].upper() + name[1:]: value for name, value in streams.EXPIRED_BY_SERVICE.items()
}


async def get_records(region: Region, body: Body) -> Answer:
    limit = body.get("Limit") or limits.STREAM_RECORDS
    if limit > limits.STREAM_RECORDS:
        raise stream_errors.too_many_records()
    iterator = parse_iterator(body["ShardIterator"])
    names = streams.parse_arn(region, iterator.arn)
    if names is None:
        raise stream_errors.iterator_invalid()
    now_ms = region.clock.now_ms()
    if now_ms > iterator.issued_ms + limits.STREAM_ITERATOR_MS:
        raise stream_errors.iterator_expired()
    if region.settings.strict_stream_readers:
        region.readers.admit(iterator.arn, iterator.shard, iterator.reader, now_ms)

    def read(snapshot: Snapshot) -> streams.Records:
        stored, stored_shard = snapshot.get_many(
            [fmt.stream_key(*names), fmt.shard_key(iterator.log_space, iterator.shard)]
        )
        if stored is None or streams.parse(stored).gone_at(now_ms):
            raise stream_errors.stream_not_found(iterator.arn)
        description = streams.parse(stored)
        if description.log_space != iterator.log_space or not description.has(iterator.shard):
            raise stream_errors.iterator_invalid()
        if stored_shard is None:
            raise stream_errors.trimmed()
        shard = shards.parse(stored_shard)
        scope = description.scope(now_ms)
        if not scope.shows(shard):
            raise stream_errors.trimmed()
        return streams.read(snapshot, region.name, description, scope, shard, iterator.position, limit)

    page = await region.read(read)
    for record in page.records:
        if "userIdentity" in record:
            record["userIdentity"] = _BOTH_SPELLINGS
    tally = region.meter.tally(names[0], None, "GetRecords")
    tally.returned(len(page.records))
    tally.bytes += sum(record["dynamodb"]["SizeBytes"] for record in page.records)
    answer: Answer = {"Records": page.records}
    if page.next is not None:
        answer["NextShardIterator"] = replace(iterator, position=page.next, issued_ms=now_ms).token()
    return answer


# Iterators

_ITERATOR = struct.Struct(">IIQQI")
_NONCE = 4
_CHECKSUM = 8


@dataclass(frozen=True, slots=True)
class Iterator:
    arn: str
    log_space: int
    shard: int
    position: int
    issued_ms: int
    reader: int
    """A number for each call of GetShardIterator; iterators from GetRecords keep it."""

    def token(self) -> str:
        state = _ITERATOR.pack(self.log_space, self.shard, self.position, self.issued_ms, self.reader)
        state += os.urandom(_NONCE)
        return f"{self.arn}|1|{b2a_base64(state + _checksum(self.arn, state), newline=False).decode()}"


def parse_iterator(token: str) -> Iterator:
    arn, _, encoded = token.partition("|1|")
    try:
        content = a2b_base64(encoded, strict_mode=True)
    except (Error, ValueError):
        raise stream_errors.iterator_invalid() from None
    state, checksum = content[:-_CHECKSUM], content[-_CHECKSUM:]
    if len(state) != _ITERATOR.size + _NONCE or checksum != _checksum(arn, state):
        raise stream_errors.iterator_invalid()
    return Iterator(arn, *_ITERATOR.unpack_from(state))


def _checksum(arn: str, state: bytes) -> bytes:
    return blake2b(arn.encode() + state, digest_size=_CHECKSUM, person=b"shard iterator").digest()
