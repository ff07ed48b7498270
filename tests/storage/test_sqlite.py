from __future__ import annotations

import asyncio
import gc
import itertools
import os
import resource
import signal
import sqlite3
import weakref
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import apsw
import pytest

from atoll.storage import checkpoints, sqlite, sqlitefile
from atoll.storage.commit_sequence import CommitSequence
from atoll.storage.engine import Corrupt, Damaged, Full, Locked
from atoll.storage.sqlite import SQLiteEngine


def run(directory, scenario, **options):
    async def play():
        engine = SQLiteEngine.open(directory, **options)
        try:
            return await scenario(engine)
        finally:
            await engine.close()

    return asyncio.run(play())


def everything(engine):
    return engine.read(lambda s: dict(s.scan(b"", b"\xff")))


def test_closed_store_is_found_again_without_its_log(tmp_path):
    run(tmp_path, lambda engine: engine.transact(lambda tx: (tx.put(b"k", b"v"), tx.add_number(b"n", 7))))
    assert not list(tmp_path.glob("atoll.db-*"))
    assert run(tmp_path, lambda engine: engine.read(lambda s: (s.get(b"k"), s.number(b"n")))) == (b"v", 7)


def test_a_counter_that_is_zero_again_leaves_nothing_behind(tmp_path):
    """Shards are opened and closed for years, each with a counter."""

    async def scenario(engine):
        await engine.transact(lambda tx: tx.add_number(b"n", 7))
        await engine.transact(lambda tx: tx.add_number(b"n", -7))
        assert await engine.read(lambda s: s.number(b"n")) == 0
        assert await engine.transact(lambda tx: tx.add_number(b"n", 2)) == 2
        await engine.transact(lambda tx: tx.add_number(b"n", -2))

    run(tmp_path, scenario)
    with sqlite3.connect(tmp_path / "atoll.db") as connection:
        assert connection.execute("SELECT count(*) FROM counters").fetchone() == (0,)
    connection.close()


def test_closed_store_takes_no_more_writes(tmp_path):
    async def scenario(engine):
        await engine.close()
        with pytest.raises(RuntimeError):
            await engine.transact(lambda tx: tx.put(b"k", b"v"))

    run(tmp_path, scenario)


def change(path, sql):
    with sqlite3.connect(path) as connection:
        connection.executescript(sql)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("PRAGMA user_version = 99", "has format version 99; this Atoll reads version 4"),
        ("PRAGMA application_id = 5", "was not written by Atoll"),
        ("PRAGMA application_id = 0; PRAGMA user_version = 0", "was not written by Atoll"),
    ],
)
def test_file_of_another_version_or_application_is_refused_and_left_alone(tmp_path, sql, message):
    run(tmp_path, lambda engine: engine.transact(lambda tx: tx.put(b"k", b"v")))
    change(tmp_path / "atoll.db", sql)
    before = (tmp_path / "atoll.db").read_bytes()
    with pytest.raises(Corrupt, match=message):
        SQLiteEngine.open(tmp_path)
    assert (tmp_path / "atoll.db").read_bytes() == before


def test_a_file_that_is_not_a_database_is_refused(tmp_path):
    (tmp_path / "atoll.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(Corrupt, match=r"atoll\.db: file is not a database"):
        SQLiteEngine.open(tmp_path)


@pytest.mark.parametrize("workers", [1, 2])
def test_files_are_private_whatever_the_caller_s_mask_is(tmp_path, workers):
    """A server in a test's process has the mask of the tests."""

    async def scenario(engine):
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "store").iterdir()}
        assert len(modes) > 4
        assert set(modes.values()) == {0o600}, modes
        assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700

    mask = os.umask(0)
    try:
        run(tmp_path / "store", scenario, workers=workers)
    finally:
        os.umask(mask)


def test_second_server_on_a_directory_is_refused_until_the_first_has_gone(tmp_path):
    async def scenario(engine):
        for workers in (1, 2):
            with pytest.raises(Locked):
                SQLiteEngine.open(tmp_path, workers=workers)

    run(tmp_path, scenario)
    run(tmp_path, everything, workers=2)


def test_a_single_worker_is_refused_while_several_run(tmp_path):
    async def scenario(engine):
        with pytest.raises(Locked):
            SQLiteEngine.open(tmp_path)
        await SQLiteEngine.open(tmp_path, workers=2).close()

    run(tmp_path, scenario, workers=2)


def test_writes_that_arrive_together_share_a_commit(tmp_path):
    async def scenario(engine):
        commits = []
        engine._connections[0].set_commit_hook(lambda: bool(commits.append(1)))
        await asyncio.gather(
            *(engine.transact(lambda tx, n=n: tx.put(b"%d" % n, b"")) for n in range(sqlite.BATCH + 1))
        )
        assert len(commits) == 2

    run(tmp_path, scenario)


def test_writers_that_come_back_one_by_one_share_commits_still(tmp_path):
    async def scenario(engine):
        commits = []
        engine._connections[0].set_commit_hook(lambda: bool(commits.append(1)))

        async def writer(n, rounds):
            for _ in range(rounds):
                await engine.transact(lambda tx: tx.put(b"%d" % n, b""))
                for _ in range(n):  # turns of the loop until the next write
                    await asyncio.sleep(0)

        await asyncio.gather(*(writer(n, 10) for n in range(6)))
        assert len(commits) == 10
        commits.clear()
        await asyncio.gather(*(writer(n, 10) for n in (0, 6, 12)))  # all in all they take longer than anybody waits
        assert len(commits) == 10
        await writer(0, 1)
        assert engine._expected_writers == 1  # nobody else came back, and the next one waits for nobody

    run(tmp_path, scenario)


def test_writers_that_come_while_others_are_answered_share_their_next_commit(tmp_path):
    async def scenario(engine):
        commits = []
        committing = asyncio.Event()
        engine._connections[0].set_commit_hook(lambda: bool(commits.append(1) or committing.set()))

        async def writer(n):
            if n >= 3:
                await committing.wait()
            for _ in range(10):
                await engine.transact(lambda tx: tx.put(b"%d" % n, b""))

        await asyncio.gather(*(writer(n) for n in range(6)))
        assert len(commits) == 11

    run(tmp_path, scenario, durability="relaxed")


def test_a_commit_waits_for_fewer_turns_where_each_takes_long(tmp_path):
    class Slow:
        now = 0.0

        def __getattr__(self, name):
            return getattr(asyncio.get_running_loop(), name)

        def time(self):
            self.now += 0.001
            return self.now

    async def scenario(engine):
        turns_until = []
        for loop in (asyncio.get_running_loop(), Slow()):
            await asyncio.gather(*(engine.transact(lambda tx, n=n: tx.put(b"%d" % n, b"")) for n in range(3)))
            engine._loop = loop
            committed = asyncio.Event()
            engine._connections[0].set_commit_hook(lambda committed=committed: committed.set() is not None)
            alone = asyncio.create_task(engine.transact(lambda tx: tx.put(b"alone", b"")))
            turns = 0
            while not committed.is_set():
                await asyncio.sleep(0)
                turns += 1
            turns_until.append(turns)
            await alone
        quick, slow = turns_until
        assert slow < sqlite.GATHER_TURNS < quick

    run(tmp_path, scenario)


def test_full_store_refuses_the_whole_batch_and_works_again_when_there_is_room(tmp_path):
    async def scenario(engine):
        await engine.transact(lambda tx: (tx.put(b"small", b"1"), tx.add_number(b"n", 1)))
        write = engine._connections[0]
        write.pragma("max_page_count", write.pragma("page_count") + 2)
        outcomes = await asyncio.gather(
            engine.transact(lambda tx: (tx.put(b"small", b"2"), tx.add_number(b"n", 1))),
            engine.transact(lambda tx: tx.put(b"large", b"x" * 100_000)),
            engine.transact(lambda tx: dict[str, int]()["a mistake of its own"]),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [Full, Full, Full]
        assert await everything(engine) == {b"small": b"1"}
        assert await engine.transact(lambda tx: tx.add_number(b"n", 1)) == 2
        write.pragma("max_page_count", 1_000_000)
        await engine.transact(lambda tx: tx.put(b"large", b"x" * 100_000))
        assert len(await everything(engine)) == 2

    run(tmp_path, scenario)


def test_disk_that_fails_at_the_commit_refuses_the_batch_and_works_again(tmp_path):
    """A limit on the size of files stands for the disk: the log cannot grow, so the COMMIT itself fails."""

    async def scenario(engine):
        await engine.transact(lambda tx: (tx.put(b"k", b"1"), tx.add_number(b"n", 1)))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "atoll.db-wal").stat().st_size + 5_000, hard))
        try:
            outcomes = await asyncio.gather(
                *(engine.transact(lambda tx: (tx.put(b"k", b"x" * 50_000), tx.add_number(b"n", 1))) for _ in range(3)),
                return_exceptions=True,
            )
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [type(outcome) for outcome in outcomes] == [Full] * 3
        assert await engine.read(lambda s: (s.get(b"k"), s.number(b"n"))) == (b"1", 1)
        assert await engine.transact(lambda tx: (tx.get(b"k"), tx.add_number(b"n", 1))) == (b"1", 2)

    run(tmp_path, scenario)
    assert run(tmp_path, lambda engine: engine.read(lambda s: s.number(b"n"))) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_commits_of_a_killed_process_are_durable_before_they_are_visible(tmp_path, monkeypatch, processes, workers):
    other = processes.start("commit_on_request", tmp_path)
    other.stdout.readline()
    other.stdin.write("1\n")
    other.stdin.flush()
    other.stdout.readline()
    other.kill()
    other.wait()
    sizes = []
    monkeypatch.setattr(sqlite, "sync_again", lambda path: sizes.append(path.stat().st_size))
    assert run(tmp_path, lambda engine: engine.read(lambda s: s.get(b"a")), workers=workers) == b"1"
    assert len(sizes) == 1
    assert sizes[0] > 0


def test_objects_held_by_a_failed_transaction_are_freed_at_once(tmp_path):
    """And not when the collector of cycles comes."""

    class Refusal(Exception):
        pass

    def refuse(tx):
        raise Refusal

    async def scenario(engine):
        refusals = []
        for _ in range(2):
            try:
                await engine.transact(refuse)
            except Refusal as refusal:
                refusals.append(weakref.ref(refusal))
        return [refusal() for refusal in refusals]

    gc.disable()
    try:
        assert run(tmp_path, scenario) == [None, None]
    finally:
        gc.enable()


class HeldSync:
    """A disk that takes its time: the test says when a sync is over, and how."""

    def __init__(self, engine):
        engine._sync.close()
        engine._sync = self
        self.done = []

    def start(self, done):
        self.done.append(done)

    def close(self):
        pass


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_write_is_visible_only_once_durable(tmp_path):
    async def scenario(engine):
        await engine.transact(lambda tx: (tx.put(b"k", b"old"), tx.add_number(b"n", 1)))
        disk = HeldSync(engine)
        write = asyncio.ensure_future(engine.transact(lambda tx: (tx.put(b"k", b"new"), tx.add_number(b"n", 1))))
        await turns()
        refused = asyncio.ensure_future(engine.transact(lambda tx: dict[str, int]()["refused"]))
        await turns()
        for _ in range(2):
            assert await engine.read(lambda s: (s.get(b"k"), s.number(b"n"))) == (b"old", 1)
        assert not write.done()
        assert not refused.done()
        disk.done.pop()(None)
        assert await engine.read(lambda s: (s.get(b"k"), s.number(b"n"))) == (b"new", 2)
        await write
        with pytest.raises(KeyError):
            await refused

    run(tmp_path, scenario)


def test_log_that_cannot_be_synced_stops_all_writes_and_is_never_shown(tmp_path):
    async def scenario(engine):
        await engine.transact(lambda tx: tx.put(b"k", b"old"))
        disk = HeldSync(engine)
        write = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"k", b"new")))
        await turns()
        waiting = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"k", b"newer")))
        await turns()
        disk.done.pop()(OSError(5, "Input/output error"))
        for refused in (write, waiting, engine.transact(lambda tx: tx.put(b"k", b"newest"))):
            with pytest.raises(Corrupt, match="the log could not be synced"):
                await refused
        assert disk.done == []
        for _ in range(2):
            assert await engine.read(lambda s: s.get(b"k")) == b"old"

    run(tmp_path, scenario)


@pytest.mark.parametrize("workers", [1, 2])
def test_log_does_not_grow_without_bound_under_constant_load(tmp_path, monkeypatch, workers):
    for name, pages in {"CHECKPOINT_PAGES": 100, "CHECKPOINT_REST_PAGES": 70, "LOG_PAGES": 600}.items():
        monkeypatch.setattr(checkpoints, name, pages)

    async def client(engine, number):
        for turn in range(200):
            value = b"%08d" % turn * 400
            await engine.transact(lambda tx, value=value: tx.put(b"%d" % number, value))
            await engine.read(lambda s: s.get(b"%d" % number))

    async def scenario(engine):
        await asyncio.gather(*(client(engine, number) for number in range(32)))
        written = 200 * 32 * 4_096
        assert (tmp_path / "atoll.db-wal").stat().st_size < written / 3

    run(tmp_path, scenario, durability="relaxed", workers=workers)


def test_file_that_cannot_be_synced_stops_all_writes_and_keeps_the_log(tmp_path, monkeypatch):
    def fail(connection):
        raise Corrupt("no sync")

    async def scenario(engine):
        monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 1)
        monkeypatch.setattr(checkpoints, "sync_file", fail)
        with pytest.raises(Corrupt, match="no sync"):
            for number in range(1000):
                await engine.transact(lambda tx, number=number: tx.put(b"%d" % number, b"x"))
        return len(await everything(engine))

    kept = run(tmp_path, scenario)
    assert (tmp_path / "atoll.db-wal").stat().st_size > 0
    assert kept and len(run(tmp_path, everything)) == kept


@pytest.mark.parametrize("workers", [1, 2])
def test_a_checkpoint_that_fails_fails_no_write(tmp_path, monkeypatch, workers):
    def fail(connection, mode):
        raise apsw.CorruptError("a bad page")

    async def scenario(engine):
        monkeypatch.setattr(checkpoints, "LOG_PAGES", 1)
        engine._checkpoints._connection = SimpleNamespace(wal_checkpoint=partial(fail, None), filename="x")
        outcomes: list[int | None] = []
        for number in range(3):
            try:
                await engine.transact(lambda tx, number=number: tx.put(b"%d" % number, b""))
                outcomes.append(number)
            except Corrupt:
                outcomes.append(None)
        engine._checkpoints._connection = engine._connections[2]
        return outcomes, await everything(engine)

    outcomes, found = run(tmp_path, scenario, workers=workers)
    assert {b"%d" % number: b"" for number in outcomes if number is not None} == found
    assert outcomes[0] == 0
    assert outcomes[-1] is None


def test_a_failing_read_shows_no_commit_that_is_not_durable(tmp_path):
    def fail(snapshot):
        raise apsw.IOError("a bad page")

    async def scenario(engine):
        await engine.transact(lambda tx: tx.put(b"k", b"old"))
        disk = HeldSync(engine)
        write = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"k", b"new")))
        await turns()
        for read in (fail, lambda s: s.get(b"k")):
            with pytest.raises(Full):
                await engine.read(read)
        disk.done.pop()(None)
        await write
        assert await engine.read(lambda s: s.get(b"k")) == b"new"

    run(tmp_path, scenario)


def test_a_store_that_cannot_be_opened_is_let_go(tmp_path, monkeypatch):
    def fail(path):
        raise OSError("no sync")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="no sync"):
        patched.setattr(sqlite, "open_sync", fail)
        SQLiteEngine.open(tmp_path)
    assert run(tmp_path, everything) == {}


# Several processes. `processes.start` runs one of the small programs of processes.py.


def test_two_reads_of_one_function_share_a_snapshot_while_another_process_commits(tmp_path, processes):
    other = processes.start("commit_on_request", tmp_path)
    other.stdout.readline()

    def commit(value):
        other.stdin.write(f"{value}\n")
        other.stdin.flush()
        other.stdout.readline()

    async def scenario(engine):
        commit(1)

        def fn(s):
            first = s.get(b"a"), s.number(b"n")
            if first[1] == 1:
                commit(2)
            rows = s.scan(b"a", b"z")
            return first, s.get(b"b"), list(rows), s.number(b"n")

        assert await engine.read(fn) == ((b"1", 1), b"1", [(b"a", b"1"), (b"b", b"1")], 1)
        assert await engine.read(fn) == ((b"2", 2), b"2", [(b"a", b"2"), (b"b", b"2")], 2)

    run(tmp_path, scenario, workers=2)


def test_counter_read_first_is_that_of_the_moment_of_the_rows(tmp_path, processes):
    other = processes.start("commit_on_request", tmp_path)
    other.stdout.readline()
    asked: list[object] = []

    def commit(value):
        other.stdin.write(f"{value}\n")
        other.stdin.flush()
        other.stdout.readline()

    async def scenario(engine):
        commit(1)
        assert await engine.read(lambda s: s.number(b"n")) == 1

        def fn(s):
            count = s.number(b"n")
            if not asked:
                asked.append(commit(2))
            return count, s.get(b"a")

        assert await engine.read(fn) == (1, b"1")
        assert await engine.read(fn) == (2, b"2")
        commit(3)
        assert await engine.read(lambda s: s.number(b"n")) == 3
        assert await engine.transact(lambda tx: tx.add_number(b"n", 1)) == 4

    run(tmp_path, scenario, workers=2)


@pytest.mark.parametrize("died", [False, True], ids=["nobody died", "somebody died while committing"])
def test_reads_of_one_turn_see_what_another_process_commits_between_them(tmp_path, processes, died):
    other = processes.start("commit_on_request", tmp_path)
    other.stdout.readline()
    dead = CommitSequence(tmp_path / "moment").committing() if died else nullcontext()
    dead.__enter__()

    async def scenario(engine):
        assert await engine.read(lambda s: s.get(b"a")) is None
        for value in ("1", "2", "3"):
            other.stdin.write(f"{value}\n")
            other.stdin.flush()
            other.stdout.readline()
            for _ in range(2):
                found = await engine.read(lambda s: (s.get(b"a"), s.number(b"n")))
                assert found == (value.encode(), int(value))

    run(tmp_path, scenario, workers=2)


@pytest.mark.parametrize("died", [False, True], ids=["nobody died", "somebody died while committing"])
def test_reads_share_no_transaction_during_a_commit(tmp_path, died):
    moment = CommitSequence(tmp_path / "moment")
    before = moment.settled()
    assert moment.is_still(before)
    if died:
        dead = moment.committing()
        dead.__enter__()
        assert not moment.is_still(before) and not moment.is_still(moment.settled())
    with moment.committing():
        during = moment.settled()
        assert not moment.is_still(before) and not moment.is_still(during)
    assert not moment.is_still(before) and not moment.is_still(during)
    assert moment.is_still(moment.settled())


@pytest.mark.parametrize("step", ["hold", "read"])
def test_a_read_transaction_that_began_but_showed_nothing_is_ended(tmp_path, step):
    async def scenario(engine):
        read = engine._connections[1]
        failures = [apsw.IOError("no rows")]

        def trace(cursor, sql, bindings):
            if sql.startswith("SELECT") and failures:
                raise failures.pop()
            return True

        read.set_exec_trace(trace)
        with pytest.raises(Full):
            if step == "hold":
                await engine.transact(lambda tx: tx.put(b"a", b"1"))
            else:
                await engine.read(lambda s: s.get(b"a"))
        assert not read.in_transaction
        await engine.transact(lambda tx: tx.put(b"a", b"2"))
        assert await engine.read(lambda s: s.get(b"a")) == b"2"

    run(tmp_path, scenario)


def test_with_several_workers_reads_share_a_transaction_for_one_turn_only(tmp_path):
    async def scenario(engine):
        statements = []
        read = engine._connections[1]
        read.set_exec_trace(lambda cursor, sql, bindings: bool(statements.append(sql)) or True)
        for _ in range(5):
            await engine.read(lambda s: s.get(b"a"))
        assert statements.count("BEGIN") == 1
        assert read.in_transaction
        await asyncio.sleep(0)
        assert not read.in_transaction

    run(tmp_path, scenario, workers=2)


def test_increments_of_two_processes_are_all_counted_and_none_is_locked_out(tmp_path, processes):
    others = [processes.start("increment", tmp_path, 40, 8) for _ in range(2)]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    assert [other.wait() for other in others] == [0, 0]
    counted = run(tmp_path, lambda engine: engine.read(lambda s: (s.get(b"row"), s.number(b"n"))))
    assert counted == (b"640", 640)


def test_worker_is_not_starved_by_another_under_load(tmp_path, processes):
    other = processes.start("increment", tmp_path, 1_000_000, 10)
    other.stdout.readline()
    other.stdin.write("go\n")
    other.stdin.flush()

    async def scenario(engine):
        counts = [
            await engine.transact(lambda tx: (int(tx.get(b"row") or 0), tx.add_number(b"mine", 1))) for _ in range(50)
        ]
        assert counts[-1][0] > counts[0][0], "the other is at work"
        assert max(later[0] - earlier[0] for earlier, later in itertools.pairwise(counts)) < 1_000

    run(tmp_path, scenario, workers=2)


def test_lease_passes_on_when_its_process_is_killed(tmp_path, processes):
    other = processes.start("commit_on_request", tmp_path)
    assert other.stdout.readline() == "True\n"

    async def scenario(engine):
        assert not await engine.lease()
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert await engine.lease()

    run(tmp_path, scenario, workers=2)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_acknowledged_write_outlives_kill_9_and_none_is_half_there(tmp_path, processes, workers):
    acknowledged = []
    for kill in range(2):
        others = [processes.start("write_until_killed", tmp_path, workers, f"{kill}-{n}-") for n in range(workers)]
        for other in others:
            acknowledged += [other.stdout.readline().strip() for _ in range(200)]
        for other in others:
            other.send_signal(signal.SIGKILL)
            acknowledged += other.stdout.read().split("\n")[:-1]
            other.wait()
    found = run(tmp_path, everything)
    whole = {key[1:] for key in found if key.startswith(b"x")}
    assert whole == {key[1:] for key in found if key.startswith(b"y")}
    assert whole >= {key.encode() for key in acknowledged}
    assert all(found[b"x" + key] == key * 50 for key in whole)


DAMAGES = [
    "UPDATE kv SET v = CAST(x'00' || substr(v, 2) AS BLOB) WHERE k = x'6b32'",
    "UPDATE kv SET v = 'text' WHERE k = x'6b32'",
    "UPDATE kv SET v = CAST(x'ff' || substr(v, 2) AS TEXT) WHERE k = x'6b32'",
    "UPDATE kv SET c = CAST(x'ff' AS TEXT) WHERE k = x'6b32'",
    "UPDATE kv SET v = substr(v, 2) WHERE k = x'6b32'",
    "UPDATE kv SET c = c + 1 WHERE k = x'6b32'",
    "UPDATE kv SET (v, c) = (SELECT v, c FROM kv WHERE k = x'6b31') WHERE k = x'6b32'",  # another row's content
]


@pytest.mark.parametrize("serves", [False, True])
@pytest.mark.parametrize("damage", DAMAGES)
def test_row_that_does_not_match_its_checksum_is_never_returned(tmp_path, damage, serves):
    async def fill(engine):
        for number in range(4):
            await engine.transact(lambda tx, n=number: tx.put(b"k%d" % n, b"value %d" % n))

    async def look(engine):
        assert await engine.read(lambda s: s.get(b"k1")) == b"value 1"
        for read in (
            lambda s: s.get(b"k2"),
            lambda s: s.get_many([b"k1", b"k2"]),
            lambda s: list(s.scan(b"k", b"l")),
            lambda s: list(s.scan(b"k", b"l", reverse=True)),
            lambda s: s.first([(b"k2", b"k3")]),
        ):
            with pytest.raises(Corrupt, match=r"atoll\.db: .* 6b32 does not match its checksum"):
                await engine.read(read)
            with pytest.raises(Corrupt):
                await engine.transact(read)
        assert await engine.read(lambda s: s.get(b"k3")) == b"value 3"
        if serves:
            await engine.transact(lambda tx: tx.put(b"k4", b""))
        else:
            with pytest.raises(Corrupt, match="refuses writes, because it is damaged"):
                await engine.transact(lambda tx: tx.put(b"k4", b""))
        assert (await engine.read(lambda s: s.get(b"k4")) is not None) is serves

    run(tmp_path, fill)
    change(tmp_path / "atoll.db", damage)
    run(tmp_path, look, on_damage="serve" if serves else "stop")


def test_row_whose_key_has_become_a_number_is_reported():
    with pytest.raises(Damaged):
        list(sqlitefile._verified([(7, b"value", 0)], bytes))  # type: ignore[list-item]


def test_file_that_cannot_be_opened_or_written_is_a_disk_that_fails(tmp_path):
    (tmp_path / "atoll.db").mkdir()
    with pytest.raises(Full, match=r"atoll\.db: unable to open"):
        SQLiteEngine.open(tmp_path)

    async def scenario(engine):
        engine._connections[0].pragma("query_only", True)
        with pytest.raises(Full, match="readonly"):
            await engine.transact(lambda tx: tx.put(b"k", b"v"))

    run(tmp_path / "other", scenario)


@pytest.mark.parametrize("change_to", ["n = 8", "n = 'text'", "n = CAST(x'ff' AS TEXT)", "c = CAST(x'ff' AS TEXT)"])
@pytest.mark.parametrize("kind", [0, 1])
def test_counter_that_does_not_match_its_checksum_is_never_returned(tmp_path, kind, change_to):
    async def fill(engine):
        await engine.transact(lambda tx: (tx.add_number(b"n", 7), tx.add_tally(b"n", 7)))

    async def look(engine):
        read = (lambda s: s.number(b"n")) if kind == 0 else (lambda s: s.tally(b"n"))
        with pytest.raises(Corrupt, match="6e does not match its checksum"):
            await engine.read(read)

    run(tmp_path, fill)
    change(tmp_path / "atoll.db", f"UPDATE counters SET {change_to} WHERE kind = {kind}")
    run(tmp_path, look)
