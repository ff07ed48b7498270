"""Decide the next step of one lane, and compute the lane's state after it. Pure: records in, a decision out.

A lane is a part of a shard whose records are processed in order, one batch at a time (see `mapping`). `Lane` holds
everything that must survive a crash. It is stored after each outcome, never before it, so a function may get records
twice but never misses one. `decide` also takes the records gathered from `position` on; they can be read again.

    no record            Wait, or Advance over records that were filtered out, or to the end of the shard
    a batch is due       Invoke; a batch is due when it is full, when its first record has waited for the time of the
                         batching window, or when no more records will come
    it succeeded         the lane continues after the batch's last record
    it failed            retry later, after a delay that doubles each time; a bisected batch becomes two, each with all
                         its retries: `ends` has the last record of each pending batch
    it failed in part    the lane continues at the lowest record that failed; the rest of the batch is retried
    no retries are left  Discard, as for records that are too old: report to the destination, then the lane continues
    a window is over     (tumbling windows) Invoke without records, with the state that the function returned last

A shard is finished when all its lanes are; then its children begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from atoll import limits

RETRIES_EXHAUSTED, RECORD_TOO_OLD = "RetryAttemptsExhausted", "RecordAgeExceeded"
OK, FAILED = "OK", "PROBLEM: Function call failed"

FIRST_RETRY_MS = 200
LONGEST_RETRY_MS = 60_000

# After a crash, skipped records can be skipped again, so the position is stored only after this many.
UNNOTED = 1_000


class Policy(Protocol):
    """The settings of a mapping that decide its batches."""

    @property
    def batch_size(self) -> int: ...
    @property
    def batching_window_ms(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def record_age_ms(self) -> int: ...
    @property
    def bisect(self) -> bool: ...
    @property
    def report_failures(self) -> bool: ...
    @property
    def tumbling_window_ms(self) -> int: ...


@dataclass(frozen=True)
class TumblingWindow:
    """A tumbling window, open from its first invocation to its last one. Afterwards `start_ms` is the earliest start of
    the next window, so no window starts before an earlier one."""

    start_ms: int
    state: Any = None
    open: bool = False
    early: bool = False
    """Whether the window ends early, because its state is too large."""


@dataclass(frozen=True)
class Lane:
    """The stored progress of one lane: one of `of` parts of a shard, whose batches run in order."""

    position: int
    """Sequence number: all of the lane's records below it are done."""
    of: int = 1
    """How many lanes the shard has."""
    ends: tuple[int, ...] = ()
    """The last sequence numbers of the batches to retry, the next batch first."""
    attempts: int = 0
    """The number of failed attempts at the next batch."""
    due_ms: int = 0
    """The earliest time of the next attempt."""
    discarding: bool = False
    """Whether the batch has used up its retries."""
    window: TumblingWindow | None = None
    finished: bool = False
    result: str | None = None
    unhandled: bool = False
    """Whether the last attempt failed as a whole: the function did not report which records failed."""


@dataclass(frozen=True, slots=True)
class Record:
    """A record that has passed the filters, in the form that the function gets."""

    sequence: int
    number: str
    """The SequenceNumber."""
    written_ms: int
    json: bytes


@dataclass(frozen=True, slots=True)
class Gathered:
    """The records read so far from the lane's position on: the input of `decide`."""

    records: Sequence[Record]
    cursor: int
    """The next sequence number to read. Records below it are in `records`, or filtered out."""
    caught_up: bool
    """Whether no record exists at the cursor yet."""
    closed: bool = False
    """Whether the cursor is at the end of a closed shard, so that no record will follow."""
    fenced: bool = False
    """Whether the cursor is at the fence: later records wait until the number of lanes has changed."""

    @property
    def over(self) -> bool:
        return self.caught_up and (self.closed or self.fenced)


@dataclass(frozen=True)
class Wait:
    """Wait for more records, or until `until_ms`."""

    until_ms: int | None = None


@dataclass(frozen=True)
class Advance:
    lane: Lane


@dataclass(frozen=True)
class Invoke:
    records: Sequence[Record]
    window: TumblingWindow | None = None
    """The window with the state to pass to the function."""
    final: bool = False


@dataclass(frozen=True)
class Discard:
    records: Sequence[Record]
    condition: str


Action = Wait | Advance | Invoke | Discard


@dataclass(frozen=True)
class BatchOutcome:
    """The result of an invocation: JSON, or an error."""

    payload: bytes
    error: str | None = None
    """One of "Unhandled" if the function failed."""


def decide(policy: Policy, lane: Lane, gathered: Gathered, now_ms: int) -> Action:
    if lane.finished:
        return Wait()
    if lane.due_ms > now_ms:
        return Wait(lane.due_ms)
    records = gathered.records
    if lane.ends:
        if gathered.cursor <= lane.ends[0]:  # only after reading to its end is it known whether its records are gone
            return Wait()
        records = [record for record in records if record.sequence <= lane.ends[0]]
        if not records:  # another filter, or they were trimmed
            return Advance(replace(lane, position=lane.ends[0] + 1, ends=lane.ends[1:], attempts=0, discarding=False))
    if lane.discarding:
        return Discard(records, RETRIES_EXHAUSTED)
    if policy.record_age_ms >= 0:
        old = _leading(records, now_ms - policy.record_age_ms)
        if old:
            return Discard(records[: min(old, policy.batch_size)], RECORD_TOO_OLD)
    window = None
    if policy.tumbling_window_ms:
        if _closes(policy, lane, gathered, records, now_ms):
            return Invoke((), lane.window, final=True)
        window = _window(policy, lane, records[0]) if records else lane.window
        records = [r for r in records if _window_start(policy, lane, r) == window.start_ms] if window else records
    if not records:
        return _pass_over(policy, lane, gathered)
    if lane.ends:
        return Invoke(records, window)
    return _fresh(policy, records, gathered, window, now_ms)


def _fresh(
    policy: Policy, records: Sequence[Record], gathered: Gathered, window: TumblingWindow | None, now_ms: int
) -> Action:
    batch = _first_batch(policy, records)
    if len(batch) < min(len(gathered.records), policy.batch_size) or len(batch) == policy.batch_size or gathered.over:
        return Invoke(batch, window)
    if not gathered.caught_up:
        return Wait()
    if not policy.batching_window_ms:
        return Invoke(batch, window)
    due_ms = batch[0].written_ms + policy.batching_window_ms
    if window is not None:
        due_ms = min(due_ms, window.start_ms + policy.tumbling_window_ms)
    return Invoke(batch, window) if due_ms <= now_ms else Wait(due_ms)


def _first_batch(policy: Policy, records: Sequence[Record]) -> Sequence[Record]:
    """The records that fit into one invocation; at least one."""
    size = count = 0
    for record in records[: policy.batch_size]:
        size += len(record.json) + 1
        if size > limits.INVOCATION_BYTES and count:
            break
        count += 1
    return records[:count]


def is_full(policy: Policy, lane: Lane, gathered: Gathered) -> bool:
    """Whether the gathered records are enough for a batch."""
    if lane.ends:
        return gathered.cursor > lane.ends[0]
    if len(gathered.records) >= policy.batch_size:
        return True
    return sum(len(record.json) + 1 for record in gathered.records) > limits.INVOCATION_BYTES


def _leading(records: Sequence[Record], horizon_ms: int) -> int:
    """How many of the first records were written at `horizon_ms` or earlier."""
    count = 0
    while count < len(records) and records[count].written_ms <= horizon_ms:
        count += 1
    return count


def _pass_over(policy: Policy, lane: Lane, gathered: Gathered) -> Action:
    if gathered.over and gathered.closed:
        return Advance(replace(lane, position=gathered.cursor, finished=True))
    passed = gathered.cursor - lane.position
    if passed >= UNNOTED or (passed and gathered.over):
        return Advance(replace(lane, position=gathered.cursor))
    if lane.window is not None and lane.window.open:
        return Wait(lane.window.start_ms + policy.tumbling_window_ms)
    return Wait()


# Tumbling windows


def _window_start(policy: Policy, lane: Lane, record: Record) -> int:
    own = record.written_ms - record.written_ms % policy.tumbling_window_ms
    return own if lane.window is None else max(own, lane.window.start_ms)


def _window(policy: Policy, lane: Lane, first: Record) -> TumblingWindow:
    start_ms = _window_start(policy, lane, first)
    if lane.window is not None and lane.window.open and lane.window.start_ms == start_ms:
        return lane.window
    return TumblingWindow(start_ms, open=True)


def _closes(policy: Policy, lane: Lane, gathered: Gathered, records: Sequence[Record], now_ms: int) -> bool:
    window = lane.window
    if window is None or not window.open:
        return False
    if window.early:
        return True
    if records:
        return _window_start(policy, lane, records[0]) > window.start_ms
    ended = now_ms >= window.start_ms + policy.tumbling_window_ms
    return gathered.caught_up and (ended or gathered.closed)


# Outcomes


def after(policy: Policy, lane: Lane, invoke: Invoke, outcome: BatchOutcome, now_ms: int) -> Lane:
    """The lane's state after an invocation."""
    response: Any = None
    failed = outcome.error is not None
    if not failed and (policy.report_failures or policy.tumbling_window_ms):
        try:
            response = orjson.loads(outcome.payload or b"null")
        except orjson.JSONDecodeError:
            failed = True
    first_failed = 0 if failed else _first_failed(policy, invoke.records, response)
    if first_failed is None:
        return _succeeded(policy, lane, invoke, response)
    if first_failed:
        lane = replace(_succeeded(policy, lane, invoke, response), ends=_retried(lane, invoke), attempts=0)
        return _failed(policy, lane, invoke.records[first_failed:], invoke, now_ms, whole=False)
    return _failed(policy, lane, invoke.records, invoke, now_ms, whole=failed)


def discarded(lane: Lane, discard: Discard) -> Lane:
    """The lane's state after its destination, if any, got the report."""
    last = discard.records[-1].sequence
    whole = not lane.ends or last >= lane.ends[0]
    return replace(
        lane,
        position=last + 1,
        ends=lane.ends[1:] if whole else lane.ends,
        attempts=0 if whole else lane.attempts,
        due_ms=0,
        discarding=False,
        result=FAILED,
        unhandled=False,
    )


def _first_failed(policy: Policy, records: Sequence[Record], response: Any) -> int | None:
    """The index of the first record that failed by the function's report. No list or an empty one means that none
    failed. An invalid report, or one that names an unknown record, means that all failed."""
    if not policy.report_failures or response is None:
        return None
    if not isinstance(response, dict):
        return 0
    failures = response.get("batchItemFailures")
    if failures is None or failures == []:
        return None
    places = {record.number: place for place, record in enumerate(records)}
    try:
        return min(places[failure["itemIdentifier"]] for failure in failures)
    except (KeyError, TypeError):
        return 0


def _retried(lane: Lane, invoke: Invoke) -> tuple[int, ...]:
    """The batches to retry, including that of the invocation."""
    return lane.ends or (invoke.records[-1].sequence,)


def _succeeded(policy: Policy, lane: Lane, invoke: Invoke, response: Any) -> Lane:
    lane = replace(lane, attempts=0, due_ms=0, result=OK, unhandled=False)
    if policy.tumbling_window_ms and invoke.window is not None:
        lane = replace(lane, window=_next_window(policy, invoke, response))
    if not invoke.records:
        return lane
    return replace(lane, position=invoke.records[-1].sequence + 1, ends=lane.ends[1:])


def _next_window(policy: Policy, invoke: Invoke, response: Any) -> TumblingWindow:
    assert invoke.window is not None
    if invoke.final:
        return _after_window(policy, invoke.window)
    state = response.get("state") if isinstance(response, dict) else None
    return replace(invoke.window, state=state, early=len(orjson.dumps(state)) > limits.WINDOW_STATE_BYTES)


def _after_window(policy: Policy, window: TumblingWindow) -> TumblingWindow:
    """The window to use after this one has ended. If it ended early, it may continue with a new state."""
    return TumblingWindow(window.start_ms if window.early else window.start_ms + policy.tumbling_window_ms)


def _failed(policy: Policy, lane: Lane, records: Sequence[Record], invoke: Invoke, now_ms: int, *, whole: bool) -> Lane:
    """Retry `records`. `whole`: the function failed without a report of the records that failed."""
    attempts = lane.attempts + 1
    lane = replace(lane, result=FAILED, unhandled=whole)
    if records:
        ends = _retried(lane, invoke)
        lane = replace(lane, position=records[0].sequence, ends=ends)
        if whole and policy.bisect and len(records) > 1:
            middle = records[len(records) // 2 - 1].sequence
            return replace(lane, ends=(middle, *ends), attempts=0, due_ms=now_ms + FIRST_RETRY_MS)
    if 0 <= policy.retries < attempts:
        if not records:
            assert invoke.window is not None
            return replace(lane, attempts=0, due_ms=0, window=_after_window(policy, invoke.window))
        return replace(lane, attempts=attempts, due_ms=0, discarding=True)
    wait_ms = min(FIRST_RETRY_MS << min(attempts - 1, 16), LONGEST_RETRY_MS)
    return replace(lane, attempts=attempts, due_ms=now_ms + wait_ms)
