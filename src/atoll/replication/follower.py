"""The loops that keep the replicas of a region up to date: one for each table and other region.

A loop asks the other region for changes, applies them and asks again. The other region delays its answer until it has
changes. Only the process that holds the region's lease runs the loops. A loop that cannot read reports the reason and
tries again: soon at first, then once a second, and at once when the faults of its link change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from atoll.capacity.meter import APPLYING
from atoll.database import catalog
from atoll.database.health import REPLICATION
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import ApiError
from atoll.replication import membership, shared, steps
from atoll.replication.exchange import DeliveringExchange, Delivery, Lost, Unreachable
from atoll.replication.messages import Message
from atoll.replication.receiver import Progress
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

WAIT_MS = 20_000
"""How long another region may delay its answer."""
LOOK_S = 0.5
"""How often this region looks for new replicas."""
RETRY_S = 0.1
LONGEST_RETRY_S = 1.0

_log = logging.getLogger(__name__)

Key = tuple[str, str]
"""A table's name, and the other region."""


@dataclass
class Arrived:
    """Changes that were applied, of which the other region has not been told."""

    changes: int = 0
    latency_ms: int = 0
    """In all, from the commit there to the application here."""
    longest_ms: int = 0

    def add(self, other: Arrived) -> None:
        self.changes += other.changes
        self.latency_ms += other.latency_ms
        self.longest_ms = max(self.longest_ms, other.longest_ms)


@dataclass
class LoopProgress:
    """The recent progress of the loop that follows one other region."""

    pending: int = 0
    lag_ms: int = 0
    applied: int = 0
    conflicts: int = 0
    last_error: str | None = None
    arrived: Arrived = field(default_factory=Arrived)
    task: asyncio.Task[None] | None = None
    asked: asyncio.Task[Delivery] | None = None
    """The pending question of the loop."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the faults of the link have changed."""


def _never(other: str) -> bool:
    return False


class Replication:
    """All replicas of a region. `run` works in the background; `settle` returns when there is nothing to do. The loops
    do not read from `paced` regions, see `replication.pacing`."""

    def __init__(self, region: Region, exchange: DeliveringExchange, paced: Callable[[str], bool] = _never) -> None:
        self.region = region
        self._paced = paced
        self.states: dict[Key, LoopProgress] = {}
        self._exchange = exchange
        self._invitations: dict[Key, asyncio.Task[bool]] = {}
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look for new replicas now."""
        self._woken.set()

    async def run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                if await self.region.engine.lease():
                    tables = await self._replicas()
                    self._invite(tables)
                    await self._reconcile(tables)
                    self._follow_all(set(_links(tables)))
                else:
                    self._follow_all(set())
                self.region.health.resolve(REPLICATION)
            except Exception as error:
                self.region.health.failing(REPLICATION, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()

    async def stop(self) -> None:
        self._stopping = True
        self._woken.set()
        await self.drop()

    async def drop(self) -> None:
        """End the loops with their pending answers. If `run` still runs, it starts them again."""
        tasks: list[asyncio.Task[Any]] = [state.task for state in self.states.values() if state.task is not None]
        tasks += self._invitations.values()
        self.states.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def link_changed(self, other: str) -> None:
        """Ask another region again at once, because the faults of its link have changed."""
        self.wake()
        for (_, source), state in self.states.items():
            if source == other:
                state.changed.set()
                if state.asked is not None:
                    state.asked.cancel()

    async def settle(self, *, passes_over: Container[str] = ()) -> bool:
        """Read all changes that the other regions have now, except those in `passes_over`. Returns whether anything was
        done."""
        tables = await self._replicas()
        done = any(await asyncio.gather(*self._invite(tables)))
        done = await self._reconcile(tables) or done
        for name, other in _links(tables):
            try:
                while other not in passes_over and (progress := await self._arriving(name, other)):
                    done = done or progress.did_something
                    if not progress.goes_on and not self.states[name, other].arrived.changes:
                        break
            except (Unreachable, ApiError) as error:
                self.failed(name, other, str(error))
                await steps.unreachable(self.region, name, other)
        return done

    async def _arriving(self, name: str, other: str) -> Progress | None:
        """Do one step; ask again if the answer was lost."""
        while True:
            with suppress(Lost):
                return await self.step(name, other, 0)

    async def tables_of(self, other: str) -> list[str]:
        """The tables that are read from another region."""
        return [name for name, source in _links(await self._replicas()) if source == other]

    async def step(self, name: str, other: str, wait_ms: int) -> Progress | None:
        """Ask once, and apply the answer. None if there is nothing to ask. Raises `Unreachable`."""
        asked = await self.region.read(partial(_question, self.region, name, other, wait_ms))
        if asked is None:
            return None
        answer, copies = await self._ask(name, other, asked, wait_ms)
        progress = await steps.take(self.region, name, other, answer)
        for _ in range(1, copies):
            await steps.take(self.region, name, other, answer)
        if progress.learned:
            self.region.wake()
            self.wake()
        state = self.states.setdefault((name, other), LoopProgress())
        state.pending, state.last_error = progress.pending, None
        state.applied += progress.applied
        state.conflicts += progress.conflicts
        self._measure(name, other, answer, progress)
        if progress.written_ms is not None:
            state.lag_ms = max(0, self.region.clock.now_ms() - progress.written_ms)
        elif not progress.pending:
            state.lag_ms = 0
        return progress

    def _measure(self, name: str, other: str, answer: Message, progress: Progress) -> None:
        """Count the changes that have arrived. Those of an answer that changed nothing have arrived before."""
        for consumed in progress.consumed:
            consumed.measure(self.region.meter, APPLYING)
        if answer.name == "changes" and progress.applied:
            now_ms = self.region.clock.now_ms()
            latencies = [max(0, now_ms - written_ms) for *_, written_ms in answer.head["rows"]]
            self.states[name, other].arrived.add(Arrived(len(latencies), sum(latencies), max(latencies)))

    async def _ask(self, name: str, other: str, asked: Message, wait_ms: int) -> Delivery:
        """The answer. The question tells which changes have arrived: the other region measures them."""
        if asked.name != "changes":
            return await self._deliver(name, other, asked, wait_ms)
        state = self.states.setdefault((name, other), LoopProgress())
        told, state.arrived = state.arrived, Arrived()
        try:
            head = asked.head | {"arrived": [told.changes, told.latency_ms, told.longest_ms]}
            return await self._deliver(name, other, asked._replace(head=head), wait_ms)
        except BaseException:
            state.arrived.add(told)
            raise

    async def _deliver(self, name: str, other: str, asked: Message, wait_ms: int) -> Delivery:
        if not wait_ms:
            return await self._exchange.deliver(self.region.name, other, asked)
        state = self.states.setdefault((name, other), LoopProgress())
        state.asked = task = asyncio.create_task(self._exchange.deliver(self.region.name, other, asked))
        try:
            return await task
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                raise
            raise Unreachable(f"the link from {other} to {self.region.name} has changed") from None
        finally:
            state.asked = None

    async def _replicas(self) -> list[Table]:
        tables = await self.region.read(self.region.catalog.tables)
        return [table for table in tables if table.group is not None]

    def _follow_all(self, wanted: set[Key]) -> None:
        for key in [key for key in self.states if key not in wanted]:
            task = self.states.pop(key).task
            if task is not None:
                task.cancel()
        for key in wanted:
            state = self.states.setdefault(key, LoopProgress())
            if state.task is None or state.task.done():
                state.task = asyncio.create_task(self._follow(*key))

    async def _follow(self, name: str, other: str) -> None:
        state, retry_s = self.states[name, other], RETRY_S
        while not self._stopping:
            state.changed.clear()
            if self._paced(other):
                await state.changed.wait()
                continue
            pause_s = 0.0
            try:
                # After an error, request an immediate answer, so that the end of the error shows at once.
                progress = await self.step(name, other, WAIT_MS if state.last_error is None else 0)
                retry_s = RETRY_S
                if progress is None:
                    pause_s = LOOK_S
            except (Unreachable, ApiError) as error:
                self.failed(name, other, str(error))
                await self._unreachable(name, other)
                pause_s, retry_s = retry_s, min(2 * retry_s, LONGEST_RETRY_S)
            except Exception as error:
                self._fault(name, other, error)
                pause_s = LONGEST_RETRY_S
            if pause_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await state.changed.wait()

    async def _unreachable(self, name: str, other: str) -> None:
        try:
            await steps.unreachable(self.region, name, other)
        except Exception as error:
            self._fault(name, other, error)

    def _fault(self, name: str, other: str, error: Exception) -> None:
        """Report why changes cannot be applied. It is logged once: here, or by the store's health if the store caused
        it."""
        reason, state = str(error) or type(error).__name__, self.states.setdefault((name, other), LoopProgress())
        if not self.region.health.failed(error, count=0) and state.last_error != reason:
            _log.error("the changes of %s in %s cannot be applied in %s", name, other, self.region.name, exc_info=error)
        state.last_error = reason

    def failed(self, name: str, other: str, reason: str) -> None:
        self.states.setdefault((name, other), LoopProgress()).last_error = reason

    def _invite(self, tables: list[Table]) -> list[asyncio.Task[bool]]:
        """Ask new members to join, all at a time: one that does not answer holds up no other. Each task returns whether
        its member joined or refused."""
        invited = [(table.name, other) for table in tables for other in steps.invited(table)]
        for key in invited:
            if key not in self._invitations:
                task = self._invitations[key] = asyncio.create_task(self._join(*key))
                task.add_done_callback(partial(self._joined, key))
        return [self._invitations[key] for key in invited]

    async def _join(self, name: str, other: str) -> bool:
        try:
            return await self._ask_to_join(name, other)
        except (Unreachable, ApiError):
            return False
        except Exception as error:
            self._fault(name, other, error)
            return False

    def _joined(self, key: Key, task: asyncio.Task[bool]) -> None:
        del self._invitations[key]
        if not task.cancelled() and task.result():
            self.wake()

    async def _reconcile(self, tables: list[Table]) -> bool:
        """Apply shared settings that could not be applied before. Returns whether any was applied."""
        done = False
        for table in tables:
            if not shared.is_in_effect(table):
                done = await self.region.write(partial(_reconciled, self.region, table.name)) or done
        if done:
            self.region.wake()
        return done

    async def _ask_to_join(self, name: str, other: str) -> bool:
        asked = await self.region.read(partial(_invitation, self.region, name, other))
        if asked is None:
            return False
        answer = await self._exchange.ask(self.region.name, other, asked)
        await steps.take(self.region, name, other, answer)
        return answer.head["is_new"] or not answer.head["joined"]

    def progress(self, other: str) -> list[dict[str, Any]]:
        """The tables that are read from another region."""
        return [
            {"table": name, "backlog": state.pending, "lag_ms": state.lag_ms, "last_error": state.last_error}
            for (name, source), state in sorted(self.states.items())
            if source == other
        ]


def _links(tables: list[Table]) -> Iterator[Key]:
    for table in tables:
        for member in table.group.others if table.group is not None else ():
            yield table.name, member.region


def _question(region: Region, name: str, other: str, wait_ms: int, snapshot: Snapshot) -> Message | None:
    return steps.question(snapshot, region, name, other, wait_ms)


def _invitation(region: Region, name: str, other: str, snapshot: Snapshot) -> Message | None:
    return steps.invitation(snapshot, region, name, other)


def _reconciled(region: Region, name: str, tx: Transaction, stamp: Stamp) -> bool:
    table = membership.replica(tx, region, name)
    changed = None if table is None else shared.reconcile(tx, region, table, stamp.now_ms)
    if changed is None or changed == table:
        return False
    catalog.save(tx, changed)
    return True
