"""The source's stream: its shards, iterators and pages.

An iterator is valid for 15 minutes and is never stored; a position is a sequence number. When reading continues after
the last applied record, the endpoint reports whether records were trimmed in between. At a shard's beginning, it
reports this only if the request has the sequence number at which the shard starts. If an endpoint does not accept this
number, reading starts at its oldest record, and only the time since the last reading shows that records may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from atoll import limits
from atoll.client.failures import NOT_FOUND
from atoll.replicate.ends import End
from atoll.replicate.failures import CallFailed, Failed, Gap
from atoll.replicate.lineage import Shard
from atoll.replicate.state import ShardProgress

TRIMMED = "TrimmedDataAccessException"
EXPIRED = "ExpiredIteratorException"
_NUMBER_REFUSED = {"ValidationException", "InvalidParameterException", "InvalidParameterValueException"}

ENDED = ("DISABLED", "DISABLING")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    records: list[Record]
    next: str | None
    """The next iterator; None at the end of a closed shard."""


class Stream:
    def __init__(self, source: End, arn: str) -> None:
        self._source = source
        self.arn = arn

    def listed(self) -> tuple[list[Shard], bool]:
        """All shards that are not trimmed, and whether the stream has ended."""
        shards: list[Shard] = []
        ended = False
        for description in self._descriptions():
            ended = description["StreamStatus"] in ENDED
            shards += map(_shard, description["Shards"])
        return shards, ended

    def _descriptions(self) -> Iterator[dict[str, Any]]:
        start: dict[str, Any] = {}
        while True:
            described = self._source.call("DescribeStream", StreamArn=self.arn, **start)["StreamDescription"]
            yield described
            if "LastEvaluatedShardId" not in described:
                return
            start = {"ExclusiveStartShardId": described["LastEvaluatedShardId"]}

    def read(self, iterator: str) -> Page:
        """Raises Gap if records were trimmed at the iterator's position, CallFailed (EXPIRED) if it is too old."""
        try:
            answer = self._source.call("GetRecords", ShardIterator=iterator)
        except CallFailed as error:
            raise _gap_of(error) from error
        return Page(answer["Records"], answer.get("NextShardIterator"))

    # Iterators

    def open(self, place: ShardProgress, now_ms: int) -> str:
        """An iterator at the place. Raises Gap if the records after it are known to be trimmed."""
        if place.after is not None:
            return self._iterator(place.shard, "AFTER_SEQUENCE_NUMBER", place.after)
        if place.start is not None:
            iterator = self._at_start(place.shard, place.start)
            if iterator is not None:
                return iterator
        if place.read_ms and now_ms - place.read_ms > limits.STREAM_RETENTION_MS:
            raise Gap(f"the shard {place.shard} was not read for more than a day")
        return self._iterator(place.shard, "TRIM_HORIZON")

    def _at_start(self, shard: str, number: str) -> str | None:
        """An iterator at a shard's start; None if the endpoint does not accept the number."""
        try:
            return self._iterator(shard, "AT_SEQUENCE_NUMBER", number)
        except CallFailed as error:
            if error.code in _NUMBER_REFUSED:
                return None
            raise

    def _iterator(self, shard: str, kind: str, number: str | None = None) -> str:
        position: dict[str, Any] = {} if number is None else {"SequenceNumber": number}
        try:
            answer = self._source.call(
                "GetShardIterator", StreamArn=self.arn, ShardId=shard, ShardIteratorType=kind, **position
            )
        except CallFailed as error:
            raise _gap_of(error) from error
        token: str = answer["ShardIterator"]
        return token

    # The position at which a copy begins

    def present_end(self, shard: Shard, now_ms: int) -> ShardProgress:
        """The place after the shard's last record. Its records are read but not applied: a scan that begins now sees
        their changes. Stopping early is safe: the remaining records are applied again."""
        begin = ShardProgress(shard.id, shard.parent, start=shard.start, read_ms=now_ms, done=shard.closed)
        if shard.closed:
            return begin
        iterator: str | None = None if shard.start is None else self._start_or_none(shard.id, shard.start)
        if iterator is None:
            begin = replace(begin, start=None)
            iterator = self._iterator(shard.id, "TRIM_HORIZON")
        after: str | None = None
        while iterator is not None:
            page = self.read(iterator)
            if not page.records:
                break
            after = last_of(page, after)
            if written_ms(page.records[-1]) >= now_ms:
                break
            iterator = page.next
        return replace(begin, after=after)

    def _start_or_none(self, shard: str, number: str) -> str | None:
        """An iterator at the shard's beginning; None if that is already trimmed, or not accepted."""
        try:
            return self._at_start(shard, number)
        except Gap:
            return None


def last_of(page: Page, after: str | None) -> str:
    """The sequence number of the page's last record. Raises Failed if that is the one of the page before: an endpoint
    that never goes on would be read for ever."""
    last: str = page.records[-1]["dynamodb"]["SequenceNumber"]
    if last == after:
        raise Failed(f"source: the stream has the record {last} repeatedly")
    return last


def written_ms(record: Record) -> int:
    """The approximate time of the change, by the clock of the source."""
    return int(record["dynamodb"]["ApproximateCreationDateTime"] * 1000)


def _shard(described: dict[str, Any]) -> Shard:
    numbers = described.get("SequenceNumberRange", {})
    closed = numbers.get("EndingSequenceNumber") is not None
    return Shard(described["ShardId"], described.get("ParentShardId"), numbers.get("StartingSequenceNumber"), closed)


def _gap_of(error: CallFailed) -> Exception:
    """The Gap that a stream's error means, or else the error itself."""
    return Gap(error.message) if error.code in (TRIMMED, NOT_FOUND) else error
