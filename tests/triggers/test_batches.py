"""The processing of a lane's records, decision by decision, and lanes under random failures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll import limits
from atoll.triggers import batches
from atoll.triggers.batches import Advance, BatchOutcome, Discard, Gathered, Invoke, Lane, Record, Wait
from atoll.triggers.mapping import Mapping

NOW_MS = 1_800_000_000_000
OK = BatchOutcome(b"null")
BROKEN = BatchOutcome(b"{}", "Unhandled")


def policy(**members: Any) -> Mapping:
    return Mapping("m", "f", "arn", **members)


def record(sequence: int, *, written_ms: int = NOW_MS, size: int = 10) -> Record:
    return Record(sequence, f"9{sequence:04d}", written_ms, b"x" * size)


def gathered(*sequences: int, cursor: int | None = None, caught_up: bool = True, **more: Any) -> Gathered:
    end = cursor if cursor is not None else (sequences[-1] + 1 if sequences else 1)
    return Gathered([record(s) for s in sequences], end, caught_up, **more)


def invoked(action: batches.Action) -> list[int]:
    assert isinstance(action, Invoke), action
    return [r.sequence for r in action.records]


def reported(*sequences: int | str) -> BatchOutcome:
    items = [{"itemIdentifier": s if isinstance(s, str) else f"9{s:04d}"} for s in sequences]
    return BatchOutcome(orjson.dumps({"batchItemFailures": items}))


class TestWhatIsDue:
    def test_without_records_there_is_nothing_to_do(self) -> None:
        assert batches.decide(policy(), Lane(1), gathered(), NOW_MS) == Wait()

    def test_records_go_at_once_without_a_window(self) -> None:
        assert invoked(batches.decide(policy(), Lane(1), gathered(1, 2, 4), NOW_MS)) == [1, 2, 4]

    def test_no_more_than_the_batch_size_go(self) -> None:
        assert invoked(batches.decide(policy(batch_size=2), Lane(1), gathered(1, 2, 3), NOW_MS)) == [1, 2]

    def test_while_there_is_more_to_read_a_batch_is_filled(self) -> None:
        assert batches.decide(policy(), Lane(1), gathered(1, 2, caught_up=False), NOW_MS) == Wait()

    def test_a_batch_waits_for_its_window_from_its_first_record_on(self) -> None:
        waiting = policy(batching_window_ms=5_000)
        assert batches.decide(waiting, Lane(1), gathered(1), NOW_MS) == Wait(NOW_MS + 5_000)
        assert invoked(batches.decide(waiting, Lane(1), gathered(1), NOW_MS + 5_000)) == [1]

    def test_a_full_batch_does_not_wait(self) -> None:
        waiting = policy(batching_window_ms=5_000, batch_size=2)
        assert invoked(batches.decide(waiting, Lane(1), gathered(1, 2), NOW_MS)) == [1, 2]

    def test_the_last_records_of_a_closed_shard_do_not_wait(self) -> None:
        waiting = policy(batching_window_ms=5_000)
        assert invoked(batches.decide(waiting, Lane(1), gathered(1, closed=True), NOW_MS)) == [1]

    def test_an_event_has_six_megabytes_at_most(self) -> None:
        big = [record(n, size=limits.INVOCATION_BYTES // 2 - 10) for n in (1, 2, 3)]
        assert invoked(batches.decide(policy(), Lane(1), Gathered(big, 4, True), NOW_MS)) == [1, 2]

    def test_one_record_that_is_too_large_goes_alone(self) -> None:
        big = [record(1, size=limits.INVOCATION_BYTES + 1), record(2)]
        assert invoked(batches.decide(policy(), Lane(1), Gathered(big, 3, True), NOW_MS)) == [1]

    def test_a_closed_shard_without_records_is_finished(self) -> None:
        action = batches.decide(policy(), Lane(3), gathered(cursor=9, closed=True), NOW_MS)
        assert action == Advance(Lane(9, finished=True))
        assert batches.decide(policy(), Lane(9, finished=True), gathered(cursor=9), NOW_MS) == Wait()

    def test_records_that_were_filtered_out_are_noted_now_and_then(self) -> None:
        assert batches.decide(policy(), Lane(1), gathered(cursor=500), NOW_MS) == Wait()
        assert batches.decide(policy(), Lane(1), gathered(cursor=1_001), NOW_MS) == Advance(Lane(1_001))

    def test_a_lane_goes_to_the_fence_and_no_further(self) -> None:
        assert batches.decide(policy(), Lane(1), gathered(cursor=5, fenced=True), NOW_MS) == Advance(Lane(5))
        assert batches.decide(policy(), Lane(5), gathered(cursor=5, fenced=True), NOW_MS) == Wait()


class TestOutcomes:
    def after(self, outcome: BatchOutcome, lane: Lane | None = None, **members: Any) -> Lane:
        one = policy(**members)
        lane = lane or Lane(1)
        invoke = batches.decide(one, lane, gathered(1, 2, 3, 4), NOW_MS)
        assert isinstance(invoke, Invoke)
        return batches.after(one, lane, invoke, outcome, NOW_MS)

    def test_success_continues_after_the_batch(self) -> None:
        assert self.after(OK) == Lane(5, result=batches.OK)

    def test_failure_is_tried_again_later_and_later(self) -> None:
        first = self.after(BROKEN)
        assert (first.position, first.ends, first.attempts, first.due_ms) == (1, (4,), 1, NOW_MS + 200)
        assert batches.decide(policy(), first, gathered(1, 2, 3, 4), NOW_MS) == Wait(NOW_MS + 200)
        second = self.after(BROKEN, replace(first, due_ms=0))
        assert (second.attempts, second.due_ms) == (2, NOW_MS + 400)
        late = self.after(BROKEN, replace(first, attempts=5_000, due_ms=0))
        assert late.due_ms == NOW_MS + batches.LONGEST_RETRY_MS

    def test_a_retry_sends_the_same_batch_even_if_more_records_arrived(self) -> None:
        again = batches.decide(policy(), Lane(1, ends=(2,), attempts=1), gathered(1, 2, 3, 4), NOW_MS)
        assert invoked(again) == [1, 2]

    def test_after_the_last_retry_the_batch_is_given_up(self) -> None:
        lane = self.after(BROKEN, retries=0)
        assert lane.discarding and lane.position == 1
        action = batches.decide(policy(retries=0), lane, gathered(1, 2, 3, 4, 5), NOW_MS)
        assert isinstance(action, Discard)
        assert (action.condition, len(action.records)) == ("RetryAttemptsExhausted", 4)
        assert batches.discarded(lane, action) == Lane(5, result=batches.FAILED)

    def test_a_bisected_batch_is_two_batches_with_all_their_retries(self) -> None:
        lane = self.after(BROKEN, bisect=True, retries=0)
        assert (lane.ends, lane.attempts) == ((2, 4), 0)
        half = batches.decide(policy(), replace(lane, due_ms=0), gathered(1, 2, 3, 4), NOW_MS)
        assert invoked(half) == [1, 2]
        assert isinstance(half, Invoke)
        lane = batches.after(policy(), lane, half, OK, NOW_MS)
        assert (lane.position, lane.ends) == (3, (4,))

    def test_one_record_is_not_bisected(self) -> None:
        lane = self.after(BROKEN, Lane(1, ends=(1, 4)), bisect=True, retries=0)
        assert (lane.position, lane.ends, lane.discarding) == (1, (1, 4), True)

    def test_the_lowest_reported_failure_wins(self) -> None:
        lane = self.after(reported(4, 3), report_failures=True)
        assert (lane.position, lane.ends, lane.attempts) == (3, (4,), 1)

    def test_a_report_beyond_the_first_record_is_progress(self) -> None:
        lane = self.after(reported(2), Lane(1, ends=(4,), attempts=3), report_failures=True, retries=3)
        assert (lane.position, lane.attempts, lane.discarding) == (2, 1, False)

    def test_a_report_of_the_first_record_is_none(self) -> None:
        lane = self.after(reported(1), Lane(1, ends=(4,), attempts=3), report_failures=True, retries=3)
        assert (lane.position, lane.attempts, lane.discarding) == (1, 4, True)

    @pytest.mark.parametrize(
        "payload", [b"null", b"", b"{}", b'{"batchItemFailures": []}', b'{"batchItemFailures": null}']
    )
    def test_no_report_is_success(self, payload: bytes) -> None:
        assert self.after(BatchOutcome(payload), report_failures=True).position == 5

    @pytest.mark.parametrize(
        "payload",
        [
            b'{"batchItemFailures": [{"itemIdentifier": ""}]}',
            b'{"batchItemFailures": [{"itemIdentifier": null}]}',
            b'{"batchItemFailures": [{"id": "90003"}]}',
            b'{"batchItemFailures": [{"itemIdentifier": "90003"}, {"itemIdentifier": "99999"}]}',
            b'{"batchItemFailures": "90003"}',
            b'"fine"',
            b"not JSON",
        ],
    )
    def test_an_invalid_report_fails_the_whole_batch(self, payload: bytes) -> None:
        lane = self.after(BatchOutcome(payload), report_failures=True)
        assert (lane.position, lane.ends, lane.attempts) == (1, (4,), 1)

    def test_answers_do_not_matter_unless_failures_are_reported(self) -> None:
        assert self.after(BatchOutcome(b"not JSON")).position == 5

    def test_old_records_are_given_up_and_the_others_go(self) -> None:
        one = policy(record_age_ms=60_000)
        records = [record(1, written_ms=NOW_MS - 60_000), record(2, written_ms=NOW_MS - 59_999)]
        action = batches.decide(one, Lane(1, ends=(2,), attempts=7), Gathered(records, 3, True), NOW_MS)
        assert isinstance(action, Discard)
        assert (action.condition, len(action.records)) == ("RecordAgeExceeded", 1)
        lane = batches.discarded(Lane(1, ends=(2,), attempts=7), action)
        assert (lane.position, lane.ends, lane.attempts) == (2, (2,), 7)

    def test_no_more_old_records_than_a_batch_are_given_up_at_once(self) -> None:
        action = batches.decide(policy(record_age_ms=60_000, batch_size=2), Lane(1), gathered(1, 2, 3), NOW_MS + 60_000)
        assert isinstance(action, Discard) and [r.sequence for r in action.records] == [1, 2]

    def test_a_retry_that_cannot_be_read_yet_waits(self) -> None:
        assert (
            batches.decide(policy(), Lane(3, ends=(3,), attempts=1), gathered(cursor=3, fenced=True), NOW_MS) == Wait()
        )

    def test_a_retry_without_its_records_continues_after_them(self) -> None:
        action = batches.decide(policy(), Lane(1, ends=(3,), attempts=1), gathered(cursor=9), NOW_MS)
        assert action == Advance(Lane(4))


class TestTumblingWindows:
    one = policy(tumbling_window_ms=60_000)
    start = NOW_MS - NOW_MS % 60_000

    def run(
        self, lane: Lane, records: list[Record], now_ms: int, outcome: BatchOutcome, **more: Any
    ) -> tuple[Invoke, Lane]:
        there = Gathered(records, records[-1].sequence + 1 if records else lane.position, True, **more)
        action = batches.decide(self.one, lane, there, now_ms)
        assert isinstance(action, Invoke), action
        return action, batches.after(self.one, lane, action, outcome, now_ms)

    def test_state_is_handed_on_until_the_final_invocation(self) -> None:
        records = [record(1, written_ms=self.start + 1), record(2, written_ms=self.start + 60_001)]
        first, lane = self.run(Lane(1), records, NOW_MS, BatchOutcome(b'{"state": {"count": 1}}'))
        assert [r.sequence for r in first.records] == [1] and first.window is not None and not first.final
        final, lane = self.run(lane, records[1:], NOW_MS, OK)
        assert final.final and final.records == () and final.window is not None
        assert final.window.state == {"count": 1}
        later, lane = self.run(lane, records[1:], NOW_MS, OK)
        assert [r.sequence for r in later.records] == [2] and later.window is not None
        assert (later.window.start_ms, later.window.state) == (self.start + 60_000, None)

    def test_a_window_ends_when_its_time_is_over(self) -> None:
        _, lane = self.run(
            Lane(1), [record(1, written_ms=self.start)], self.start, BatchOutcome(b'{"state": {"n": 1}}')
        )
        nothing = Gathered([], 2, True)
        assert batches.decide(self.one, lane, nothing, self.start + 59_999) == Wait(self.start + 60_000)
        final, lane = self.run(lane, [], self.start + 60_000, OK)
        assert final.final
        assert batches.decide(self.one, lane, nothing, self.start + 90_000) == Wait()

    def test_a_window_ends_with_its_shard(self) -> None:
        _, lane = self.run(Lane(1), [record(1, written_ms=self.start)], self.start, OK, closed=True)
        final, lane = self.run(lane, [], self.start, OK, closed=True)
        assert final.final
        done = batches.decide(self.one, lane, Gathered([], 2, True, closed=True), self.start)
        assert isinstance(done, Advance) and done.lane.finished

    def test_a_state_that_grows_too_large_ends_the_window(self) -> None:
        large = BatchOutcome(orjson.dumps({"state": {"text": "x" * limits.WINDOW_STATE_BYTES}}))
        _, lane = self.run(Lane(1), [record(1, written_ms=self.start)], self.start, large)
        final, lane = self.run(lane, [], self.start, OK)
        assert final.final and final.window is not None and final.window.early
        again, _ = self.run(lane, [record(2, written_ms=self.start + 5)], self.start + 5, OK)
        assert again.window is not None and again.window.state is None

    def test_a_late_record_does_not_open_an_old_window(self) -> None:
        _, lane = self.run(Lane(1), [record(1, written_ms=self.start)], self.start, OK)
        _, lane = self.run(lane, [], self.start + 60_000, OK)
        late, _ = self.run(lane, [record(2, written_ms=self.start + 59_999)], self.start + 60_001, OK)
        assert late.window is not None and late.window.start_ms == self.start + 60_000

    def test_a_final_invocation_that_keeps_failing_is_given_up(self) -> None:
        one = replace(self.one, retries=1)
        lane = Lane(2, window=batches.TumblingWindow(self.start, {"n": 1}, open=True))
        nothing, now_ms = Gathered([], 2, True), self.start + 60_000
        for _ in range(2):
            final = batches.decide(one, lane, nothing, now_ms)
            assert isinstance(final, Invoke) and final.final
            lane = batches.after(one, lane, final, BROKEN, now_ms)
            now_ms += 1_000
        assert lane.window is not None and not lane.window.open
        assert batches.decide(one, lane, nothing, now_ms) == Wait()


@settings(max_examples=150)
@given(data=st.data())
def test_no_record_is_lost_and_their_order_is_kept_whatever_fails(data: st.DataObject) -> None:
    one = policy(
        batch_size=data.draw(st.integers(1, 6)),
        retries=data.draw(st.integers(-1, 3)),
        bisect=data.draw(st.booleans()),
        report_failures=data.draw(st.booleans()),
        tumbling_window_ms=data.draw(st.sampled_from([0, 1_000])),
        batching_window_ms=data.draw(st.sampled_from([0, 500])),
    )
    count = data.draw(st.integers(0, 25))
    records = [record(n, written_ms=NOW_MS + 137 * n) for n in range(1, count + 1)]
    poison = data.draw(st.sets(st.integers(1, max(1, count)), max_size=3)) if one.retries >= 0 else set()
    lane, now_ms, done, given_up, troubles = Lane(1), NOW_MS, [], [], 0
    open_window: int | None = None
    for _ in range(2_000):
        there = Gathered([r for r in records if r.sequence >= lane.position], count + 1, True, closed=True)
        action = batches.decide(one, lane, there, now_ms)
        if isinstance(action, Wait):
            if lane.finished:
                break
            assert action.until_ms is not None and action.until_ms > now_ms
            now_ms = action.until_ms
        elif isinstance(action, Advance):
            lane = action.lane
        elif isinstance(action, Discard):
            given_up += [r.sequence for r in action.records]
            lane = batches.discarded(lane, action)
        else:
            sequences = [r.sequence for r in action.records]
            assert len(sequences) <= one.batch_size
            failed = [s for s in sequences if s in poison]
            trouble = troubles < 5 and data.draw(st.integers(0, 9)) == 0
            troubles += trouble
            if one.tumbling_window_ms:
                assert action.window is not None
                assert open_window in (None, action.window.start_ms)
            if one.report_failures and failed and not trouble:
                outcome = reported(*failed)
                done += sequences[: sequences.index(failed[0])]
            elif failed or trouble:
                outcome = BROKEN
            else:
                outcome = OK
                done += sequences
                if action.window is not None:
                    open_window = None if action.final else action.window.start_ms
            lane = batches.after(one, lane, action, outcome, now_ms)
            if lane.window is not None and not lane.window.open:
                open_window = None
    assert lane.finished
    assert done == sorted(set(done))
    assert sorted(done + given_up) == [r.sequence for r in records]
