"""The loop that delivers records to functions, for all mappings of one region: look, decide, carry out.

    look       one read of the store finds the new records of the lanes that may run; `lanes.plan` finds these lanes
               after each change of a table or mapping
    decide     the next action of each lane (`batches.decide`)
    carry out  a task runs the action, then stores the lane's new state; only then does this loop use the new state

Only the process that holds the region's lease runs the loop. It polls the shards' counters a few times a second, which
costs writers nothing.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from atoll.database import format as fmt
from atoll.database.health import TRIGGERS
from atoll.database.log import cursor
from atoll.database.region import Region
from atoll.errors import triggers as trigger_errors
from atoll.storage.engine import Full, Snapshot, Transaction
from atoll.triggers import batches, declared, events, lanes, mapping
from atoll.triggers.batches import Advance, BatchOutcome, Discard, Gathered, Invoke, Lane, Record, Wait
from atoll.triggers.functions import Functions
from atoll.triggers.lanes import Found, Key, LanePlan, PlacedLane
from atoll.triggers.registry import Function
from atoll.triggers.waiting import Waiting

POLL_MS = 50
IDLE_POLL_MS = 500
"""The interval while there is no mapping."""
RETRY_MS = 1_000
STOP_S = 5.0
"""How long a stopping server waits for running functions."""
KILLED_S = 1.0
"""How long it then waits for the processes that it killed."""

_log = logging.getLogger(__name__)


@dataclass
class Follower:
    """A lane that this process works on, with the records read so far, which are only in memory."""

    place: PlacedLane
    records: list[Record]
    cursor: int
    caught_up: bool = False
    closed: bool = False
    fenced: bool = False
    wake_ms: int | None = None
    outdated: bool = False
    """Whether a new plan was made since the task started."""
    task: asyncio.Task[None] | None = None

    @classmethod
    def begin(cls, place: PlacedLane) -> Follower:
        return cls(place, [], place.lane.position)

    @property
    def gathered(self) -> Gathered:
        return Gathered(self.records, self.cursor, self.caught_up, self.closed, self.fenced)

    def take(self, found: Found) -> None:
        joined = found.join((), self.place)
        self.records += found.records
        self.cursor, self.caught_up = found.cursor, found.caught_up
        self.closed, self.fenced = joined.closed, joined.fenced

    def go_on(self, lane: Lane) -> None:
        """Continue with the lane's new state, which has been stored."""
        self.place = replace(self.place, lane=lane)
        self.records = [record for record in self.records if record.sequence >= lane.position]
        self.cursor = max(self.cursor, lane.position)


@dataclass(frozen=True)
class Look:
    """The result of one read of the store: the new plan and the new records of each lane."""

    seen: tuple[int, int]
    plan: LanePlan | None
    """None if nothing changed since the last plan."""
    found: dict[Key, Found]


class Triggers:
    """All triggers of a region. `run` works in the background; `settle` returns when all due work is done."""

    def __init__(self, region: Region, functions: Functions) -> None:
        self.region = region
        self.meter = region.meter
        self.functions = functions
        self.started_ms = region.clock.now_ms()
        self._followers: dict[Key, Follower] = {}
        self._seen = (-1, -1)
        self._outdated = False
        """Whether to make a new plan even if no table or mapping has changed."""
        self._declared_at = -1
        self._idle: set[str] = set()
        """The last messages about triggers without a stream, so that each is logged once."""
        self._woken = asyncio.Event()
        self._passing = asyncio.Lock()
        self._invocations: set[asyncio.Task[BatchOutcome]] = set()
        """Invocations requested by clients: those that run, and those that wait for it."""
        self._waiting = Waiting()
        self._stopping = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            wait_ms = POLL_MS if self._followers else IDLE_POLL_MS
            try:
                if await self.region.engine.lease():
                    if await self._pass():
                        wait_ms = 0
                    elif (due_ms := self._due_ms()) is not None:
                        wait_ms = max(0, min(wait_ms, due_ms - self.region.clock.now_ms()))
                self.region.health.resolve(TRIGGERS)
            except Exception as error:
                self.region.health.failing(TRIGGERS, error)
                wait_ms = RETRY_MS
            with suppress(asyncio.TimeoutError):
                async with asyncio.timeout(wait_ms / 1000):
                    await self._woken.wait()

    async def settle(self) -> int | None:
        """Do all due work and wait for the functions that it invokes. Return the time of the next work; None if only
        new records can cause any."""
        if not await self.region.engine.lease():
            return None
        while not self._stopping:
            progress = await self._pass()
            running = self._running()
            if running and not progress:
                await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            elif not running and not progress:
                break
            await asyncio.sleep(0)
        return self._due_ms()

    def forget(self) -> None:
        """Drop everything read from the store, because an earlier state was restored. No function may be running."""
        self._followers.clear()
        self._outdated, self._declared_at = True, -1

    async def stop(self) -> None:
        """Wait a limited time for running invocations, then kill them. Their records are delivered again after the next
        start. Clients may request invocations meanwhile, which get the rest of that time."""
        self._stopping = True
        self.wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S), self._passing:
                while running := [*self._running(), *self._invocations]:
                    await asyncio.wait(running)
        for task in self._running():
            task.cancel()
        self.functions.close()
        if self._invocations:  # let the killed invocations answer their callers
            await asyncio.wait(self._invocations, timeout=KILLED_S)

    def invocation(self, function: Function, event: bytes) -> asyncio.Task[BatchOutcome]:
        """Call a function once; the caller need not await the task. Raises when the server has stopped, or when
        too many invocations of the function wait."""
        if self.functions.closed:
            raise trigger_errors.stopping()
        self._waiting.add(function.name, len(event))
        task = asyncio.create_task(self.functions.invoke(function, event, self.functions.new_request_id()))
        self._invocations.add(task)
        task.add_done_callback(partial(self._end, function, len(event)))
        return task

    def _end(self, function: Function, size: int, task: asyncio.Task[BatchOutcome]) -> None:
        self._invocations.discard(task)
        self._waiting.remove(function.name, size)
        if not task.cancelled() and task.exception() is not None:  # the caller may not await it
            extra = {"region": self.region.name, "function": function.name}
            _log.warning("function %s was not invoked: %s", function.name, task.exception(), extra=extra)

    @property
    def is_busy(self) -> bool:
        """Whether there is a stream to follow, or an invocation is running."""
        return bool(self._followers or self._invocations)

    def _running(self) -> list[asyncio.Task[None]]:
        return [follower.task for follower in self._followers.values() if follower.task is not None]

    def _due_ms(self) -> int | None:
        return min((f.wake_ms for f in self._followers.values() if f.wake_ms is not None), default=None)

    async def _pass(self) -> bool:
        """Look once and begin all due work; return whether any lane made progress."""
        async with self._passing:
            await self._declare()
            now_ms = self.region.clock.now_ms()
            if self._outdated:
                self._seen, self._outdated = (-1, -1), False
            busy = {key: follower for key, follower in self._followers.items() if follower.task is not None}
            look = await self.region.read(partial(self._look, busy=busy, now_ms=now_ms))
            moved = False
            if look.plan is not None:
                self._seen = look.seen
                if await self._adopt(look.plan, busy):
                    return True
            for key, found in look.found.items():
                follower = self._followers.get(key)
                if follower is None or key in busy:
                    continue
                moved = moved or found.cursor > follower.cursor
                if found.missed:
                    _log.warning("%d records of %s were trimmed before %s got them", found.missed,
                                 follower.place.mapping.stream_arn, follower.place.mapping.function,
                                 extra=self._extra(follower.place))  # fmt: skip
                follower.take(found)
            for follower in list(self._followers.values()):
                if follower.task is None:
                    moved = self._begin(follower, now_ms) or moved
            return moved

    def _look(self, snapshot: Snapshot, *, busy: dict[Key, Follower], now_ms: int) -> Look:
        seen = snapshot.number(fmt.GENERATION), snapshot.number(mapping.CHANGES)
        plan = None
        followers = self._followers
        if seen != self._seen:
            plan = lanes.plan(snapshot, self.region, now_ms)
            followers = {place.key: self._follower(place) for place in plan.places}
        found = {}
        places = [follower.place for follower in followers.values()]
        cursor.prefetch(
            snapshot, {(p.stream.log_space, p.shard.number) for p in places if p.shard.last_sequence is None}
        )
        for key, follower in followers.items():
            place = follower.place
            if key not in busy and not batches.is_full(place.mapping, place.lane, follower.gathered):
                found[key] = lanes.read(snapshot, self.region, place, follower.cursor, now_ms)
        return Look(seen, plan, found)

    def _follower(self, place: PlacedLane) -> Follower:
        """Keep the gathered records while the mapping, lane and fence that they depend on are unchanged."""
        old = self._followers.get(place.key)
        if old is None or (old.place.mapping, old.place.lane, old.place.fence) != (
            place.mapping, place.lane, place.fence
        ):  # fmt: skip
            return Follower.begin(place)
        return replace(old, place=place)

    async def _adopt(self, plan: LanePlan, busy: dict[Key, Follower]) -> bool:
        """Follow the lanes of a new plan, but leave busy lanes alone. Return whether the plan is already outdated."""
        self._followers = {place.key: self._follower(place) for place in plan.places} | busy
        for follower in busy.values():
            follower.outdated = True
            self._outdated = self._outdated or follower.task is None
        at_work = {(uuid, shard) for uuid, shard, _ in busy}
        exchanges = [(one, shard) for one, shard in plan.exchanges if (one.uuid, shard.number) not in at_work]
        forgotten = [one for one in plan.forgotten if one.key not in busy]
        for one in forgotten:
            if one.unread:
                extra = {"region": self.region.name, "function": one.mapping.function}
                _log.warning("the rest of a shard of %s was trimmed before %s got it", one.mapping.stream_arn,
                             one.mapping.function, extra=extra)  # fmt: skip
        if not exchanges and not forgotten:
            return self._outdated

        def tidy(tx: Transaction) -> None:
            lanes.forget(tx, (one.key for one in forgotten))
            for mapped, shard in exchanges:
                lanes.exchange(tx, mapped, shard)

        await self.region.transact(tidy)
        self._outdated = True
        return True

    # One lane

    def _extra(self, place: PlacedLane) -> dict[str, str]:
        """The fields of a log line."""
        return {"region": self.region.name, "function": place.mapping.function}

    def _begin(self, follower: Follower, now_ms: int) -> bool:
        place = follower.place
        if self.functions.find(place.mapping.function) is None:
            return False
        action = batches.decide(place.mapping, place.lane, follower.gathered, now_ms)
        if isinstance(action, Wait):
            follower.wake_ms = action.until_ms
            return False
        follower.wake_ms = None
        follower.task = asyncio.create_task(self._carry_out(follower, action))
        return True

    async def _carry_out(self, follower: Follower, action: Advance | Invoke | Discard) -> None:
        try:
            if isinstance(action, Advance):
                lane = action.lane
            elif isinstance(action, Invoke):
                lane = await self._invoke(follower.place, action)
            else:
                lane = await self._discard(follower.place, action)
            await self._store(follower.place, lane)
            follower.go_on(lane)
            if follower.outdated or lane.finished or follower.fenced:
                self._outdated = True
        except Exception as error:
            if not self.region.health.failed(error, count=0):
                what = type(action).__name__.lower()
                _log.exception("a batch failed unexpectedly and is tried again: %s", what,
                               extra=self._extra(follower.place))  # fmt: skip
            follower.go_on(replace(follower.place.lane, due_ms=self.region.clock.now_ms() + RETRY_MS))
        finally:
            follower.task = None
            self.wake()

    async def _invoke(self, place: PlacedLane, invoke: Invoke) -> Lane:
        one = place.mapping
        function = self.functions.find(one.function)
        assert function is not None
        event = events.event(invoke, one.stream_arn, place.shard_id, one.tumbling_window_ms)
        outcome = await self.functions.invoke(function, event, self.functions.new_request_id())
        now_ms = self.region.clock.now_ms()
        lane = batches.after(one, place.lane, invoke, outcome, now_ms)
        if outcome.error is None and lane.result == batches.FAILED:
            self.functions.failed(one.function, outcome)
        return lane

    async def _discard(self, place: PlacedLane, discard: Discard) -> Lane:
        one, now_ms = place.mapping, self.region.clock.now_ms()
        first, last = discard.records[0].number, discard.records[-1].number
        _log.error("%s: discarding %d records from %s on: %s", one.function, len(discard.records), first,
                   discard.condition, extra=self._extra(place))  # fmt: skip
        if one.on_failure is not None:
            report = events.failure(
                discard,
                place.lane,
                function_arn=self.functions.arn(one.function),
                stream_arn=one.stream_arn,
                shard_id=place.shard_id,
                request_id=self.functions.new_request_id(),
                now_ms=now_ms,
            )
            if not await self.functions.report(one.on_failure, report, f"{one.function}-{one.uuid}-{first}-{last}"):
                return replace(place.lane, due_ms=now_ms + RETRY_MS)
        return batches.discarded(place.lane, discard)

    async def _store(self, place: PlacedLane, lane: Lane) -> None:
        """Store the lane's new state; retry while the store is full, because the function should not run again."""
        uuid, shard, number = place.key
        while True:
            try:
                await self.region.transact(lambda tx: mapping.save_lane(tx, uuid, shard, number, lane))
            except Full as error:
                self.region.health.failed(error, count=0)
                await asyncio.sleep(RETRY_MS / 1000)
            else:
                return

    # What the file declares

    async def _declare(self) -> None:
        """Update the declared mappings, again after each change of a table. A server started without functions leaves
        them alone, so that they resume when the server has its functions again."""
        if not self.functions.registry.functions:
            return
        generation = await self.region.read(lambda snapshot: snapshot.number(fmt.GENERATION))
        if generation == self._declared_at:
            return
        now_ms = self.region.clock.now_ms()
        await self.region.transact(
            lambda tx: declared.declare(tx, self.region, self.functions, self.started_ms, now_ms)
        )
        self._declared_at = generation
        idle = await self.region.read(lambda snapshot: declared.idle_triggers(snapshot, self.region, self.functions))
        for reason in sorted(idle - self._idle):
            _log.warning("%s", reason, extra={"region": self.region.name})
        self._idle = idle
