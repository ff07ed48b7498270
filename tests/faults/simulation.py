"""The lives of a store: opened, judged, written by concurrent clients while calls of its disk fail, and ended.

A life ends with `close`, or with a kill or a power cut at any call; both may also come while the store is opened or
closed. All choices come from the seed.

    honest   only kills and power cuts: no acknowledged write may be lost
    failing  calls fail as well: once, for a while, or until the end of the life
    damaged  bits flip between two lives: what is lost must be reported
"""

from __future__ import annotations

import asyncio
import math
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

from atoll.storage import checkpoints
from atoll.storage.engine import Corrupt, Full
from atoll.storage.sqlite import SQLiteEngine
from tests.faults.disk import Disk, Fault, Plan
from tests.faults.history import KEYS, History, Refused, Violation, brief, look
from tests.faults.sqlite_calls import intercepted
from tests.faults.turns import Loop, Turns

MODES = ("honest", "failing", "damaged")
LIVES = 4
STORE, WAL = "atoll.db", "atoll.db-wal"
KINDS = (
    ("sync", ""), ("sync", "-wal"), ("sync", ".db"), ("full", ""), ("full", "-wal"), ("full", ".db"), ("write", ""),
    ("write", ".db"), ("read", ""), ("short", "-wal"), ("truncate", ""), ("delete", ""), ("open", ""), ("map", ""),
)  # fmt: skip


def simulate(mode: str, seed: int) -> Counter[str]:
    """Raises a Violation that tells how to repeat it; returns how often what happened."""
    with tempfile.TemporaryDirectory() as directory:
        simulation = Simulation(mode, seed, Path(directory))
        try:
            simulation.run()
        except BaseException as error:
            error.add_note(f"repeat it: make faults MODES={mode} SEEDS=1 FIRST={seed}")
            raise
        return simulation.disk.counts


class Simulation:
    def __init__(self, mode: str, seed: int, directory: Path) -> None:
        self.random = random.Random(f"{mode} {seed}")
        self.mode, self.directory = mode, directory
        self.workers = self.random.choice((1, 1, 2))
        self.history = History(self.random)
        self.disk = Disk(self.random, directory / "0")
        self.disk.directory.mkdir()
        # A power cut may undo the mark: then no store can tell that its log is damaged as well.
        self.deaths = ("kill",) if mode == "damaged" else ("kill", "cut")
        self.serves = False
        """The store has reported damage; it is opened nevertheless."""
        self.damaged = ""
        """The file of which bits may have flipped before this life."""
        self.engines: list[SQLiteEngine] = []

    def run(self) -> None:
        for life in range(1, LIVES + 1):
            turns = Turns(self.random)
            with (
                intercepted(self.disk, turns, self.random),
                self._small_limits(),
                asyncio.Runner(
                    loop_factory=lambda turns=turns: Loop(turns)  # type: ignore[misc]
                ) as runner,
            ):
                runner.run(self._life(last=life == LIVES))
            self.disk.revive(self.directory / str(life))
            if self.serves:
                return
            if self.mode == "damaged":
                self._damage()

    @contextmanager
    def _small_limits(self) -> Iterator[None]:
        pages = self.random.choice((4, 10, 30, 1000))
        limits: dict[str, Any] = {
            "CHECKPOINT_PAGES": pages,
            "CHECKPOINT_REST_PAGES": self.random.choice((0, pages // 2)),
            "LOG_PAGES": pages * self.random.choice((2, 8)),
        }
        with mock.patch.multiple(checkpoints, **limits):
            yield

    async def _life(self, last: bool) -> None:
        try:
            if not await self._open():
                return
            if not await self._judge() or last:
                return
            self.disk.begin(self._plan(800))
            await asyncio.gather(*(self._client() for _ in range(self.random.choice((1, 3, 6)))))
            if not self.disk.dead:
                await self._end()
        finally:
            self.disk.dead = self.disk.dead or "kill"
            await self._close_all()

    # Opening

    async def _open(self) -> bool:
        """Whether the store is open; else the disk has died, or the store has reported damage."""
        if self.random.random() < 0.4:
            self.disk.begin(self._plan(60))
        try:
            self._open_engines()
        except (Corrupt, Full, OSError) as error:
            if self.disk.dead:
                return False
            if self.disk.struck:
                self._end_faults()
                await self._close_all()
                return await self._open_calm()
            return await self._opened_damaged(error)
        self._end_faults()
        return not self.disk.dead

    async def _open_calm(self) -> bool:
        try:
            self._open_engines()
        except (Corrupt, Full, OSError) as error:
            return await self._opened_damaged(error)
        return True

    async def _opened_damaged(self, error: Exception) -> bool:
        if not (self.mode == "damaged" and isinstance(error, Corrupt) and STORE in str(error)):
            raise Violation(f"the store was not opened: {error!r}") from error
        self.disk.counts["reported"] += 1
        await self._close_all()
        self.serves = True
        with suppress(Corrupt, Violation):  # what is left may be anything
            self._open_engines()
            await self.engines[0].read(look)
        return False

    def _open_engines(self) -> None:
        for _ in range(self.workers):
            self.engines.append(
                SQLiteEngine.open(
                    self.disk.directory, workers=self.workers, on_damage="serve" if self.serves else "stop"
                )
            )

    async def _close_all(self) -> None:
        for engine in self.engines:
            try:
                await engine.close()
            finally:
                for connection in engine._connections:
                    connection.close(True)
        self.engines = []

    async def _judge(self) -> bool:
        """Whether the store may continue. It may not once it has reported damage of its rows."""
        for engine in self.engines:
            try:
                self.history.find(await engine.read(look))
            except (Corrupt, Violation) as error:
                if not self._may_report(error) and not (isinstance(error, Violation) and self.damaged == STORE):
                    raise
                await self._judge_rows(engine)
                self.serves = True
                return False
        return True

    async def _judge_rows(self, engine: SQLiteEngine) -> None:
        """Read row by row. A row is right or reported, or not found: SQLite's index of the keys has no checksums."""
        for key in KEYS:
            with suppress(Corrupt):
                found = await engine.read(lambda snapshot, key=key: snapshot.get(key))  # type: ignore[misc]
                expected = self.history.base.state.rows.get(key)
                if found != expected and (found is not None or self.damaged != STORE):
                    raise Violation(f"{key!r} is {brief(found)}, not {brief(expected)}, and nothing is reported")

    # Working

    def _plan(self, calls: int) -> Plan:
        def some_call() -> int:
            return round(math.exp(self.random.uniform(0, math.log(calls))))

        faults = []
        if self.mode == "failing":
            for _ in range(self.random.choice((1, 1, 2))):
                kind, files = self.random.choice(KINDS)
                first = some_call()
                last = first + self.random.choice((0, 3, 30, math.inf))
                faults.append(Fault(kind, first, last, files))
        if self.mode == "damaged" or self.random.random() < 0.3:
            return Plan(tuple(faults))
        counts_syncs = self.random.random() < 0.5
        at = some_call() // (10 if counts_syncs else 1) + 1
        return Plan(tuple(faults), self.random.choice(self.deaths), at, counts_syncs)

    def _end_faults(self) -> None:
        self.disk.plan = Plan()

    async def _client(self) -> None:
        engine = self.random.choice(self.engines)
        for _ in range(self.random.randrange(1, 30)):
            if self.disk.dead:
                return
            if self.random.random() < 0.2:
                await self._read(engine)
            else:
                await self._write(engine)

    async def _read(self, engine: SQLiteEngine) -> None:
        try:
            found = await engine.read(look)
        except (Full, Corrupt) as error:
            self._allow(error)
        else:
            if not self.disk.dead:
                self.history.see(found)

    async def _write(self, engine: SQLiteEngine) -> None:
        change = self.history.begin()
        try:
            await engine.transact(change.run)
        except Refused:
            return
        except (Full, Corrupt) as error:
            self._allow(error)
            if isinstance(error, Full) and not self.disk.dead:
                self.history.refused.add(change.number)
        else:
            if not self.disk.dead:
                self.history.acknowledged.add(change.number)

    def _allow(self, error: Exception) -> None:
        if not self.disk.dead and not self.disk.struck and not self._may_report(error):
            raise Violation(f"nothing failed, but: {error!r}") from error

    def _may_report(self, error: Exception) -> bool:
        return self.mode == "damaged" and isinstance(error, Corrupt)

    # Ending

    async def _end(self) -> None:
        if self.mode != "damaged" and self.random.random() < 0.5:
            self._end_faults()
            await self._work_again()
        if self.mode == "damaged" and not await self._judge():  # so that the next one knows exactly what was there
            return
        if self.random.random() < 0.5:
            await self._close_all()
        self.disk.dead = self.disk.dead or self.random.choice(self.deaths)

    async def _work_again(self) -> None:
        """Where no sync failed, a fault that has passed stops nothing."""
        for engine in self.engines:
            before = len(self.history.acknowledged)
            for _ in range(10):
                await self._write(engine)
            if len(self.history.acknowledged) == before and not engine._broken:
                raise Violation(f"no write is accepted after the fault has passed: {engine.damage}")
            if engine._broken and not self.disk.failed_sync:
                raise Violation(f"takes no writes, but no sync failed: {engine._broken}")

    # Damage

    def _damage(self) -> None:
        """Of one file: no store can tell that both its log and its mark are damaged."""
        files = self.disk.files
        self.damaged = self.random.choice([name for name in sorted(files) if files[name].visible])
        for _ in range(self.random.choice((0, 1, 1, 2))):
            self.disk.flip(self.damaged)
