"""Read all shards of a stream, parents before their children, so that each item's changes come in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from atoll.client import Client
from atoll.client.failures import NOT_FOUND, Misshapen, Refusal

LATEST, OLDEST = "LATEST", "TRIM_HORIZON"
EXPIRED = "ExpiredIteratorException"
TRIMMED = {"TrimmedDataAccessException", NOT_FOUND}

Record = dict[str, Any]


@dataclass
class Shard:
    id: str
    parent: str | None
    iterator: str | None = None
    after: str | None = None
    """The sequence number of the last record that was read."""
    done: bool = False


class Stream:
    """A stream and the progress of reading it. `start` is LATEST or OLDEST. `gaps` counts how often records were
    trimmed before they were read."""

    def __init__(self, client: Client, arn: str, start: str) -> None:
        self._client = client
        self._arn = arn
        self._shards: dict[str, Shard] = {}
        self.settled = False
        """Whether no shard was closed or opened at the last reading."""
        self.ended = False
        self.gaps = 0
        self._list(start)

    def records(self) -> Iterator[Record]:
        """The new records: one page of each shard that can be read."""
        ready = self._ready()
        for shard in ready:
            yield from self._read(shard)
            if shard.done:
                self._list(OLDEST)
        self.settled = ready == self._ready()
        self.ended = self._disabled and all(shard.done for shard in self._shards.values())

    def _ready(self) -> list[Shard]:
        return [
            shard
            for shard in self._shards.values()
            if not shard.done and (shard.parent not in self._shards or self._shards[shard.parent].done)
        ]

    def _list(self, start: str) -> None:
        """Add the new shards. With LATEST, closed shards have nothing to read."""
        listed: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            answer = self._client.call("DescribeStream", StreamArn=self._arn, **more)["StreamDescription"]
            listed += answer["Shards"]
            if "LastEvaluatedShardId" not in answer:
                break
            more = {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}
        self._disabled = answer["StreamStatus"] in ("DISABLED", "DISABLING")
        for one in listed:
            if one["ShardId"] in self._shards:
                continue
            shard = self._shards[one["ShardId"]] = Shard(one["ShardId"], one.get("ParentShardId"))
            if start == LATEST:
                shard.done = "EndingSequenceNumber" in one["SequenceNumberRange"]
                shard.iterator = None if shard.done else self._iterator(shard, LATEST)

    def _read(self, shard: Shard) -> list[Record]:
        try:
            if shard.iterator is None:
                shard.iterator = self._opened(shard)
            answer = self._client.call("GetRecords", ShardIterator=shard.iterator)
        except Refusal as error:
            shard.iterator = None
            if error.code == EXPIRED:
                return []
            if error.code not in TRIMMED:
                raise
            self.gaps += 1
            shard.after = None
            shard.done = error.code == NOT_FOUND
            return []
        records: list[Record] = answer["Records"]
        if records:
            last = records[-1]["dynamodb"]["SequenceNumber"]
            if last == shard.after:  # an endpoint that never goes on would be read for ever
                raise Misshapen(f"the shard {shard.id} has the record {last} repeatedly")
            shard.after = last
        shard.iterator = answer.get("NextShardIterator")
        shard.done = shard.iterator is None
        return records

    def _opened(self, shard: Shard) -> str:
        if shard.after is None:
            return self._iterator(shard, OLDEST)
        return self._iterator(shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=shard.after)

    def _iterator(self, shard: Shard, kind: str, **position: str) -> str:
        iterator: str = self._client.call(
            "GetShardIterator", StreamArn=self._arn, ShardId=shard.id, ShardIteratorType=kind, **position
        )["ShardIterator"]
        return iterator
