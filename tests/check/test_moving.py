"""A check that moves from snapshot to snapshot, while clients write and tables change, raises no false alarm."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from atoll.api import tables
from atoll.check import file
from atoll.check import findings as on
from atoll.check.findings import Context, Finding
from atoll.check.sections import check
from atoll.database import backfill, garbage, ttl
from atoll.database import format as fmt
from atoll.database.log import maintenance
from atoll.errors import ApiError
from atoll.storage import sqlitefile
from tests.check.worlds import create, findings, full_world, index, save, slow_world, write
from tests.database.conftest import ManualRegion

ACTIONS = ("write", "write", "write", "write", "time", "rotate", "trim", "index", "unindex", "expiry", "delete", "job")


class Moving:
    """The current state of a store in memory, which something changes at each move."""

    def __init__(self, world: ManualRegion, between: Callable[[], None]) -> None:
        self._now = world.read(lambda snapshot: snapshot)
        self._between = between
        self.moves = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)

    def move(self) -> None:
        self.moves += 1
        self._between()


def checked(world: ManualRegion, between: Callable[[], None]) -> tuple[list[Finding], int]:
    moving = Moving(world, between)
    found = list(check(moving, Context(world.clock.now_ms())))
    return found, moving.moves


class Life:
    """Does something to a table, which is made again after its deletion."""

    def __init__(self, world: ManualRegion, seed: int) -> None:
        self.world, self.rng = world, random.Random(seed)
        self.done: set[str] = set()

    def act(self) -> None:
        action = self.rng.choice(ACTIONS)
        try:
            self._act(action)
        except ApiError:  # the table is in no state for it
            return
        self.done.add(action)

    def _act(self, action: str) -> None:
        world, rng = self.world, self.rng
        if action == "write":
            write(world, rng)
        elif action == "time":
            world.clock.advance(rng.choice((1, 5_000, 60_000, 3_700_000)))
        elif action == "rotate":
            world.by_hand(rng.choice((maintenance.force_rotate, maintenance.force_split)), "Things")
        elif action == "trim":
            now_ms = world.clock.now_ms()
            world.transact(lambda tx: maintenance.force_trim(tx, world.region, "Things", now_ms, limit=3))
        elif action == "index":
            self._update({"Create": index("new", "ALL", "l", "pk")})
        elif action == "unindex":
            self._update({"Delete": {"IndexName": rng.choice(("by-g", "by-h", "new"))}})
        elif action == "expiry":
            world.set_ttl(enabled=world.ttl_status() == "DISABLED")
        elif action == "job":
            world.settle()
        elif rng.random() < 0.2:
            world.call(tables.delete_table, TableName="Things")
            world.pass_time(11_000)
            create(world, expires=False)

    def _update(self, change: dict[str, Any]) -> None:
        definitions = [{"AttributeName": n, "AttributeType": t} for n, t in (("l", "N"), ("pk", "S"))]
        self.world.call(tables.update_table, TableName="Things", GlobalSecondaryIndexUpdates=[change],
                        AttributeDefinitions=definitions)  # fmt: skip


def test_no_false_alarm_whatever_happens_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "ITEMS", 3)
    monkeypatch.setattr(ttl, "BUILT_ITEMS", 3)
    monkeypatch.setattr(garbage, "SWEEP_ROWS", 4)
    done: set[str] = set()
    for seed in range(40):
        monkeypatch.setattr(on, "SLICE_ROWS", 1 + seed % 3)
        world = slow_world()
        life = Life(world, seed)
        for _ in range(40):
            life.act()
        found, moves = checked(world, life.act)
        assert found == [], seed
        assert moves > 3
        assert findings(world) == [], seed
        done |= life.done
    assert done == set(ACTIONS)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("index", lambda tx, t: tx.delete(next(iter(tx.scan(*fmt.space_range(t.index("by-g").space))))[0])),
        ("counter", lambda tx, t: tx.add_tally(fmt.count_counter(t.space), 1)),
        ("counter", lambda tx, t: tx.add_tally(fmt.bytes_counter(t.index("by-l").space), 1)),
        ("counter", lambda tx, t: tx.add_tally(fmt.collection_counter(
            fmt.collection_prefix(next(iter(tx.scan(*fmt.space_range(t.space))))[0], "S")), 1)),
        ("change", lambda tx, t: tx.delete(list(tx.scan(*fmt.space_range(t.log_space)))[3][0])),
    ],
)  # fmt: skip
def test_damage_is_found_nevertheless(kind: str, damage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on, "SLICE_ROWS", 2)
    rng = random.Random(1)
    world = slow_world()
    world.create("Other")
    for _ in range(80):
        write(world, rng)
    world.transact(lambda tx: damage(tx, world.table()))
    found, moves = checked(world, lambda: None)
    assert kind in {one.kind for one in found}
    assert moves > 40


def test_records_trimmed_meanwhile_are_not_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on, "SLICE_ROWS", 2)
    world = ManualRegion()
    world.create()
    for number in range(60):
        world.put("a", number % 3, v={"N": str(number)})
    trimmed = 0

    def trim() -> None:
        nonlocal trimmed
        trimmed += 5
        now_ms = world.clock.now_ms()
        world.transact(lambda tx: maintenance.force_trim(tx, world.region, "Things", now_ms, limit=5))

    found, moves = checked(world, trim)
    assert found == []
    assert 2 * moves < trimmed


def test_a_check_lets_the_server_reset_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite resets the write-ahead log only while there are no readers."""
    path = save(full_world(), tmp_path)
    monkeypatch.setattr(file, "LOG_PAGES", 20)
    with closing(sqlitefile.connect(path, synced=False)) as server, closing(file.open_file(path)) as own:
        pages = 0

        def note(connection: apsw.Connection, name: str, count: int) -> int:
            nonlocal pages
            pages = count
            return int(apsw.SQLITE_OK)

        def write() -> None:
            server.execute("UPDATE kv SET v = randomblob(9000), c = 0 WHERE id = (SELECT min(id) FROM kv)").fetchall()

        def reset(seconds: float) -> None:
            """The work of the server meanwhile."""
            server.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            write()

        server.set_wal_hook(note)
        monkeypatch.setattr(file, "sleep", reset)
        snapshot = file.MovingFileSnapshot(own)
        with snapshot.transaction():
            while pages <= 20:
                write()
                assert snapshot.get(b"none") is None
            grown = pages
            snapshot.move()
            assert pages < grown
            with closing(file.open_file(path)) as look:
                assert file.MovingFileSnapshot(look)._log_pages() == pages


def test_a_check_does_not_wait_for_a_server_that_does_not_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(full_world(), tmp_path)
    monkeypatch.setattr(file, "LOG_PAGES", 5)
    waits: list[float] = []
    monkeypatch.setattr(file, "sleep", waits.append)
    with closing(sqlitefile.connect(path, synced=False)) as server, closing(file.open_file(path)) as own:
        server.execute("UPDATE kv SET v = randomblob(50000), c = 0 WHERE id = (SELECT min(id) FROM kv)").fetchall()
        snapshot = file.MovingFileSnapshot(own)
        with snapshot.transaction():
            for _ in range(5):
                snapshot.move()
    assert len(waits) == file.RESET_LOOKS
