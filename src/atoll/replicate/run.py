"""Run the phases of a replication in turn, and repeat them if the stream was trimmed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from atoll.clock import Clock, monotonic_ns
from atoll.replicate import copying, keys, state, tables, verifying
from atoll.replicate.checkpoints import Checkpoints
from atoll.replicate.copying import Table
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.ends import End
from atoll.replicate.failures import Failed, Gap, Stopped
from atoll.replicate.following import POLL_S, THREADS, Follower
from atoll.replicate.lineage import Lineage, Shard
from atoll.replicate.pacing import Rate
from atoll.replicate.progress import Counters, Display
from atoll.replicate.state import Run, Segment, ShardProgress
from atoll.replicate.stream import Stream
from atoll.replicate.tables import Description
from atoll.replicate.verifying import Difference
from atoll.replicate.writing import Writer

FLUSH_S = 1.0
COPIES = 2
"""The most consecutive copies whose stream was trimmed before the target had caught up; then the replication fails."""


@dataclass(frozen=True)
class Options:
    table: str
    target_table: str
    checkpoint_table: str
    segments: int = 4
    read_rate: float | None = None
    write_rate: float | None = None
    enable_stream: bool = False
    overwrite: bool = False
    stop_on_gap: bool = False
    once: bool = False
    poll_s: float = POLL_S


class Replication:
    def __init__(
        self,
        options: Options,
        source: End,
        target: End,
        pauses: Pauses,
        counters: Counters,
        display: Display,
        clock: Clock,
    ) -> None:
        self._options = options
        self._source = source
        self._target = target
        self._pauses = pauses
        self._counters = counters
        self._display = display
        self._clock = clock
        self._checkpoints = Checkpoints(target, options.checkpoint_table, options.target_table)
        self._flushed_ns = 0
        self._read_rates = {end: Rate(options.read_rate, pauses) for end in (source, target)}
        rate = Rate(options.write_rate, pauses)
        self._writer = Writer(target, options.target_table, rate, self._checkpoints.wait, counters)

    # Comparing

    def verify(self) -> list[Difference]:
        source, target = self._existing(self._source), self._existing(self._target)
        tables.check_keys(source, target)
        self._begin_phase("verify", expected=source.get("ItemCount", 0) + target.get("ItemCount", 0))
        ours, theirs = self._table(self._source, source), self._table(self._target, target)
        return verifying.differences(ours, theirs, self._options.segments, self._display.tick, self._pauses)

    # Replicating

    def replicate(self) -> None:
        """Replicate until the user stops it, or with `once` until the target has caught up. Raises Failed or
        Stopped."""
        source = tables.describe(self._source, self._options.table)
        target = self._target_table(source)
        try:
            self._checkpoints.open()
            self._refuse_itself(source, target)
            self._phases(self._stored_run(source, target), source, target)
        finally:
            with suppress(Failed, Stopped):  # report the original failure; the next run repeats some work
                self._checkpoints.close()

    def _phases(self, run: Run | None, source: Description | None, target: Description) -> None:
        prunes = self._options.overwrite
        copies = 0
        while True:
            follower: Follower | None = None
            try:
                if run is None:
                    source = self._existing(self._source)
                    run = self._begin(source, target, prunes=prunes)
                    copies += 1
                if run.phase != state.FOLLOW:
                    run = self._copy(run, source, target)
                follower = self._follower(run, target)
                self._follow(run, follower)
                if not follower.ended:
                    return
                self._find_next_stream(run)
            except Gap as gap:
                if follower is not None and follower.caught_up:
                    copies = 0
                self._tell_gap(gap, copies)
                self._check_source(run, self._existing(self._source))
                run, prunes = None, True

    def _tell_gap(self, gap: Gap, copies: int) -> None:
        what = f"the source's stream has a gap: {gap}"
        if self._options.stop_on_gap:
            raise Failed(f"{what}; without --stop-on-gap the table would be copied again")
        if copies >= COPIES:
            raise Failed(
                f"{what}; the last {copies} copies took longer than the source keeps its stream: "
                "copy faster, with more --segments or higher rates"
            )
        self._display.say(f"{what}; copying the table again")

    # The tables

    def _existing(self, end: End) -> Description:
        name = self._options.table if end is self._source else self._options.target_table
        description = tables.describe(end, name)
        if description is None:
            raise Failed(f"{end.role}: the table {name} does not exist")
        return description

    def _target_table(self, source: Description | None) -> Description:
        """The target table, created if it is missing."""
        name = self._options.target_table
        target = tables.describe(self._target, name)
        if target is None:
            if source is None:
                raise Failed(f"source: the table {self._options.table} does not exist")
            tables.check_stream(self._source, source, enable=self._options.enable_stream)
            target = tables.create(self._target, tables.definition(source, name))
            self._display.say(f"created the table {name} at the target")
        elif target["TableStatus"] == "CREATING":
            target = tables.wait_until_active(self._target, name)
        if source is not None:
            tables.check_keys(source, target)
        return target

    def _refuse_itself(self, source: Description | None, target: Description) -> None:
        """Refuse a target in the source's own store. Equal table ids do not prove that, since one store may be a copy
        of the other. But only then does the source see the lease that was just taken at the target."""
        if source is None or tables.identity(source) != tables.identity(target):
            return
        if self._checkpoints.is_seen_by(self._source):
            raise Failed("source and target are the same table")

    def _stored_run(self, source: Description | None, target: Description) -> Run | None:
        """The run to continue; None if a new copy must begin."""
        run = self._checkpoints.run()
        if self._options.overwrite:
            return None
        if run is not None and run.target_id != tables.identity(target):
            self._display.say("the target table was deleted and created again since the last run")
            run = None
        if run is None:
            if self._target.call("Scan", TableName=self._options.target_table, Limit=1, ConsistentRead=True)["Items"]:
                raise Failed(
                    f"the target table {self._options.target_table} has items already: --overwrite makes it equal to "
                    "the source, and deletes the items that the source does not have"
                )
            return None
        self._check_source(run, source)
        return run

    def _check_source(self, run: Run | None, source: Description | None) -> None:
        """Refuse to mix two source tables, even if one has replaced the other under the same name."""
        if run is not None and source is not None and run.source_id != tables.identity(source):
            raise Failed(
                f"the target is a copy of another table, {run.source} ({run.source_id}): --overwrite copies this one "
                "over it, and deletes the items that this one does not have"
            )

    def _table(self, end: End, description: Description) -> Table:
        return Table(
            end, description["TableName"], keys.names_of(description), self._read_rates[end], self._pauses,
            self._counters,
        )  # fmt: skip

    # Phase 1

    def _begin(self, source: Description, target: Description, *, prunes: bool) -> Run:
        arn = tables.stream_of(self._source, source, enable=self._options.enable_stream)
        run = Run(
            epoch=secrets.token_hex(4),
            phase=state.COPY,
            source=source["TableArn"],
            source_id=tables.identity(source),
            target_id=tables.identity(target),
            stream=arn,
            segments=self._options.segments,
            prunes=prunes,
        )
        self._checkpoints.begin(run, self._positions(Stream(self._source, arn)))
        return run

    def _positions(self, stream: Stream) -> list[ShardProgress]:
        """A place in each shard, such that all records made from now on come after it."""
        # A stream that was just enabled may have no shards yet.
        shards = tables.wait_for(self._source, "the stream to have shards", lambda: stream.listed()[0] or None)
        now_ms = self._clock.now_ms()

        def position(shard: Shard) -> ShardProgress:
            return stream.present_end(shard, now_ms)

        with crew(THREADS, self._pauses) as pool:
            return list(pool.map(position, shards))

    # Phase 2

    def _copy(self, run: Run, source: Description | None, target: Description) -> Run:
        if source is None:
            raise Failed(f"source: the table {self._options.table} was deleted before it was copied")
        ours, theirs = self._table(self._source, source), self._table(self._target, target)
        if run.phase == state.COPY:
            segments = self._segments(run, source)
            copying.copy(ours, self._writer, segments, self._note_segment(run), self._tick)
            self._display.say(f"copied {self._counters.items:,} items")
            run = self._next_phase(run, state.PRUNE if run.prunes else state.FOLLOW)
        if run.phase == state.PRUNE:
            segments = self._segments(run, target)
            copying.prune(ours, theirs, self._writer, segments, self._note_segment(run), self._tick, self._counters)
            self._display.say(f"deleted {self._counters.deleted:,} items that the source does not have")
            run = self._next_phase(run, state.FOLLOW)
        return run

    def _segments(self, run: Run, scanned: Description) -> list[Segment]:
        segments = self._checkpoints.segments(run)
        self._begin_phase(run.phase, expected=scanned.get("ItemCount", 0))
        self._counters.items = sum(segment.items for segment in segments)
        if self._counters.items:
            self._display.say(f"{run.phase}: continuing after {self._counters.items:,} items")
        return segments

    def _note_segment(self, run: Run) -> Callable[[Segment], None]:
        return lambda segment: self._checkpoints.note_segment(run, segment)

    def _next_phase(self, run: Run, phase: str) -> Run:
        run = replace(run, phase=phase)
        self._checkpoints.note_run(run)
        self._checkpoints.flush()
        return run

    # Phase 3

    def _follower(self, run: Run, target: Description) -> Follower:
        self._begin_phase(state.FOLLOW, expected=0)
        stream = Stream(self._source, run.stream)
        names = keys.names_of(target)
        return Follower(
            stream, self._writer, names, self._pauses, self._counters, self._clock, self._options.poll_s
        )  # fmt: skip

    def _follow(self, run: Run, follower: Follower) -> None:
        self._display.say("following the stream")

        def note(place: ShardProgress) -> None:
            self._checkpoints.note_place(run, place)

        def forget(shard: str) -> None:
            self._checkpoints.forget_place(run, shard)

        lineage = Lineage(self._checkpoints.places(run))
        follower.follow(lineage, note, forget, self._tick, once=self._options.once)
        if not follower.ended:
            self._display.say(f"caught up: {self._counters.records:,} records applied")

    def _find_next_stream(self, run: Run) -> None:
        """Called when all of an ended stream is applied. Raises the Gap to a later stream, or Failed."""
        source = tables.describe(self._source, self._options.table)
        if source is None or tables.identity(source) != run.source_id:
            raise Failed("the source table was deleted; all of its changes are applied")
        tables.stream_of(self._source, source, enable=self._options.enable_stream)
        raise Gap("it was disabled, and changes since then are not in it")

    # All the time

    def _begin_phase(self, phase: str, expected: int) -> None:
        self._counters.phase, self._counters.items, self._counters.expected = phase, 0, expected

    def _tick(self) -> None:
        now_ns = monotonic_ns()
        if now_ns - self._flushed_ns > FLUSH_S * 1e9:
            self._checkpoints.flush_if_due()
            self._flushed_ns = now_ns
        self._display.tick()
