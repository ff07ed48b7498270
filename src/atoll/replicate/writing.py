"""Puts and deletions at the target, in batches.

A batch holds at most 25 requests, of one page of a scan or of a stream. Pages hold at most 1 MB, so batches stay within
the 16 MB of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atoll.client.failures import NOT_FOUND
from atoll.replicate.ends import End, Gate
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.pacing import Rate
from atoll.replicate.progress import Counters, units

Request = dict[str, Any]
"""A write request of BatchWriteItem."""

BATCH = 25
_INVALID = "ValidationException"


def put(item: dict[str, Any]) -> Request:
    return {"PutRequest": {"Item": item}}


def deletion(key: dict[str, Any]) -> Request:
    return {"DeleteRequest": {"Key": key}}


class Writer:
    def __init__(self, target: End, table: str, rate: Rate, lease: Gate, counters: Counters) -> None:
        self._target = target
        self._table = table
        self._rate = rate
        self._lease = lease
        self._counters = counters

    def write(self, requests: Sequence[Request]) -> None:
        """Apply requests of distinct keys. Returns when all are applied."""
        for first in range(0, len(requests), BATCH):
            self._write_batch(list(requests[first : first + BATCH]))

    def _write_batch(self, pending: list[Request]) -> None:
        attempt = 0
        while pending:
            try:
                answer = self._target.call(
                    "BatchWriteItem",
                    self._gate,
                    RequestItems={self._table: pending},
                    ReturnConsumedCapacity="TOTAL",
                )
            except CallFailed as error:
                if error.code != _INVALID or len(pending) == 1:
                    raise self._explained(error, pending) from error
                for request in pending:  # find the one that the target refuses
                    self._write_batch([request])
                return
            left: list[Request] = next(iter(answer.get("UnprocessedItems", {}).values()), [])
            done = len(pending) - len(left)
            if done < 0 or not all(left):
                raise Failed(f"the target returned unprocessed writes of {self._table} that were not in the request")
            self._spent(units(answer, default=done))
            if left:
                self._counters.add(throttled=1)
                attempt = 0 if done else attempt + 1
                self._target.back_off(attempt)
            pending = left

    def _gate(self) -> None:
        self._rate.wait()
        self._lease()

    def _spent(self, spent: float) -> None:
        self._rate.spend(spent)
        self._counters.add(write_units=spent)

    def _explained(self, error: CallFailed, pending: list[Request]) -> Failed:
        if error.code == NOT_FOUND:
            return Failed(f"the target table {self._table} no longer exists")
        if error.code != _INVALID:
            return error
        return Failed(f"the target refuses an item: {error.message}: {_shortened(pending[0])}")


def _shortened(request: Request) -> str:
    text = repr(next(iter(next(iter(request.values())).values())))
    return text if len(text) <= 300 else text[:300] + "..."
