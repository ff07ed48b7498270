"""The promises of every engine."""

from __future__ import annotations

import asyncio

import pytest

from atoll.storage.engine import Planned, RowRead

ROWS = [(b"a", b"1"), (b"b", b"2"), (b"b\x00", b"3"), (b"c", b"4"), (b"d", b"5")]
ALL = (b"", b"\xff")


class Refused(Exception):
    pass


def put_all(tx, rows=ROWS):
    for key, value in rows:
        tx.put(key, value)


async def everything(engine):
    return await engine.read(lambda snapshot: list(snapshot.scan(*ALL)))


def test_committed_row_is_read_and_missing_one_is_none(run):
    async def scenario(engine):
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        assert await engine.read(lambda s: (s.get(b"k"), s.get(b"other"))) == (b"v", None)

    run(scenario)


def test_reads_in_two_steps_see_the_same_as_other_reads(run):
    def refuse(snapshot):
        raise Refused(snapshot.number(b"n"))

    async def scenario(engine):
        await engine.transact(lambda tx: (put_all(tx), tx.add_number(b"n", 1)))
        row = RowRead(lambda s: (s.number(b"n"), b"b"))
        missing = RowRead(lambda s: (s.get(b"a"), b"x"))
        page = Planned(lambda s: s.number(b"n"), lambda s, n: (n, list(s.scan(b"a", b"c"))))
        for _ in range(2):
            assert await engine.read(row) == (1, b"b", b"2")
            assert await engine.read(missing) == (b"1", b"x", None)
            assert await engine.read(page) == (1, ROWS[:3])
            for one in (
                RowRead(refuse),
                Planned(refuse, lambda s, n: None),
                Planned(lambda s: s, lambda s, n: refuse(s)),
            ):
                with pytest.raises(Refused):
                    await engine.read(one)

    run(scenario)


def test_put_replaces_and_empty_values_are_values(run):
    async def scenario(engine):
        await engine.transact(lambda tx: tx.put(b"k", b"v"))
        await engine.transact(lambda tx: tx.put(b"k", b""))
        assert await engine.read(lambda s: s.get(b"k")) == b""

    run(scenario)


def test_transaction_reads_its_own_writes_before_others_do(run):
    def write(tx):
        tx.put(b"k", b"new")
        tx.delete(b"gone")
        return tx.get(b"k"), tx.get(b"gone"), tx.get_many([b"gone", b"kept", b"k"])

    async def scenario(engine):
        await engine.transact(lambda tx: put_all(tx, [(b"k", b"old"), (b"gone", b"x"), (b"kept", b"y")]))
        assert await engine.transact(write) == (b"new", None, [None, b"y", b"new"])

    run(scenario)


def test_function_that_raises_leaves_nothing(run):
    def fail(tx):
        put_all(tx, [(b"a", b"changed"), (b"z", b"new")])
        tx.delete(b"b")
        tx.delete_range(b"c", b"e")
        tx.add_number(b"n", 5)
        raise Refused("no")

    async def scenario(engine):
        await engine.transact(put_all)
        with pytest.raises(Refused, match="no"):
            await engine.transact(fail)
        assert await everything(engine) == ROWS
        assert await engine.read(lambda s: s.number(b"n")) == 0

    run(scenario)


def test_refusals_and_writes_at_the_same_time_have_their_own_outcomes(run):
    def write(number):
        def fn(tx):
            seen = len(list(tx.scan(*ALL)))
            tx.put(b"%02d" % number, b"")
            if number % 3 == 0:
                raise Refused(number)
            return seen

        return fn

    async def scenario(engine):
        outcomes = await asyncio.gather(*(engine.transact(write(n)) for n in range(12)), return_exceptions=True)
        assert [type(outcome) is Refused for outcome in outcomes] == [n % 3 == 0 for n in range(12)]
        assert sorted(seen for seen in outcomes if type(seen) is int) == list(range(8))
        assert len(await everything(engine)) == 8

    run(scenario)


def test_stop_iteration_out_of_a_function_spoils_no_other(run):
    async def scenario(engine):
        outcomes: list[object] = await asyncio.gather(
            engine.transact(lambda tx: next(tx.scan(b"x", b"y"))),
            engine.transact(lambda tx: tx.put(b"k", b"v")),
            return_exceptions=True,
        )
        wrong, right = outcomes
        assert isinstance(wrong, RuntimeError) and right is None
        assert await everything(engine) == [(b"k", b"v")]

    run(scenario)


def test_a_caller_that_disconnects_stops_no_other(run):
    async def scenario(engine):
        lost = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"a", b"")))
        kept = asyncio.ensure_future(engine.transact(lambda tx: tx.put(b"b", b"")))
        await asyncio.sleep(0)
        lost.cancel()
        await kept
        await engine.transact(lambda tx: tx.put(b"c", b""))
        assert [key for key, _ in await everything(engine)][-2:] == [b"b", b"c"]

    run(scenario)


@pytest.mark.parametrize(
    ("start", "end", "options", "found"),
    [
        (b"", b"\xff", {}, ROWS),
        (b"b", b"c", {}, ROWS[1:3]),
        (b"b\x00", b"d", {}, ROWS[2:4]),
        (b"", b"\xff", {"reverse": True}, ROWS[::-1]),
        (b"b", b"d", {"reverse": True}, ROWS[3:0:-1]),
        (b"", b"\xff", {"limit": 2}, ROWS[:2]),
        (b"", b"\xff", {"limit": 2, "reverse": True}, ROWS[:2:-1]),
        (b"", b"\xff", {"limit": 0}, []),
        (b"", b"\xff", {"limit": 100}, ROWS),
        (b"b", b"b", {}, []),
        (b"c", b"a", {}, []),
        (b"x", b"y", {}, []),
    ],
)
def test_scan_is_ordered_and_bounded(run, start, end, options, found):
    half = ROWS[::2]

    def overlaid(tx):
        tx.put(b"b", b"other")
        tx.put(b"bb", b"deleted again")
        put_all(tx, ROWS[1::2])
        tx.delete(b"bb")
        return list(tx.scan(start, end, **options))

    async def scenario(engine):
        await engine.transact(lambda tx: put_all(tx, half))
        assert await engine.transact(overlaid) == found
        assert await engine.read(lambda s: list(s.scan(start, end, **options))) == found

    run(scenario)


def test_scan_in_a_transaction_merges_puts_deletes_and_deleted_ranges(run):
    def fn(tx):
        tx.delete(b"a")
        tx.put(b"b0", b"dropped by the range")
        tx.delete_range(b"b", b"c")
        tx.put(b"b", b"after the range")
        tx.put(b"c", b"changed")
        rows = list(tx.scan(*ALL))
        assert rows[::-1] == list(tx.scan(*ALL, reverse=True))
        assert rows[:2] == list(tx.scan(*ALL, limit=2))
        assert tx.get_many([b"b0", b"b\x00", b"b"]) == [None, None, b"after the range"]
        return rows

    async def scenario(engine):
        await engine.transact(put_all)
        rows = [(b"b", b"after the range"), (b"c", b"changed"), (b"d", b"5")]
        assert await engine.transact(fn) == rows
        assert await everything(engine) == rows

    run(scenario)


def test_a_scan_sees_all_writes_before_its_begin(run):
    def double(tx):
        for key, value in tx.scan(*ALL):
            tx.put(key + key, value)
            tx.delete(key)

    async def scenario(engine):
        await engine.transact(lambda tx: put_all(tx, [(b"a", b"1"), (b"b", b"2")]))
        await engine.transact(double)
        assert await everything(engine) == [(b"aa", b"1"), (b"bb", b"2")]

    run(scenario)


def test_two_scans_may_be_read_in_turns_and_left_unfinished(run):
    def zipped(snapshot):
        up, down = snapshot.scan(*ALL), snapshot.scan(*ALL, reverse=True)
        return [(next(up)[0], next(down)[0]) for _ in range(2)]

    async def scenario(engine):
        await engine.transact(put_all)
        assert await engine.read(zipped) == [(b"a", b"d"), (b"b", b"c")]
        assert await engine.transact(zipped) == [(b"a", b"d"), (b"b", b"c")]
        await engine.transact(lambda tx: tx.put(b"e", b"6"))
        assert await everything(engine) == [*ROWS, (b"e", b"6")]

    run(scenario)


def test_delete_range_takes_the_start_and_leaves_the_end(run):
    async def scenario(engine):
        await engine.transact(put_all)
        await engine.transact(lambda tx: tx.delete_range(b"b", b"c"))
        assert await everything(engine) == [ROWS[0], ROWS[3], ROWS[4]]

    run(scenario)


def test_deleting_an_absent_row_is_allowed(run):
    async def scenario(engine):
        await engine.transact(lambda tx: (tx.delete(b"none"), tx.delete_range(b"x", b"y"), tx.delete_range(b"y", b"x")))
        assert await everything(engine) == []

    run(scenario)


def test_counters_start_at_zero_and_are_a_key_space_of_their_own(run):
    def count(tx):
        tx.put(b"n", b"row")
        return tx.number(b"n"), tx.add_number(b"n", 3), tx.add_number(b"n", -1), tx.number(b"n"), tx.get(b"n")

    async def scenario(engine):
        assert await engine.transact(count) == (0, 3, 2, 2, b"row")
        assert await engine.transact(lambda tx: tx.add_number(b"n", 2**40)) == 2 + 2**40
        assert await engine.read(lambda s: (s.number(b"n"), s.number(b"m"))) == (2 + 2**40, 0)

    run(scenario)


def test_a_counter_is_never_older_than_the_rows_of_its_snapshot(run):
    """Every transaction counts and writes the number; whoever reads both, in either order, reads the same."""

    def write(tx):
        tx.put(b"row", b"%d" % tx.add_number(b"n", 1))

    async def scenario(engine):
        await engine.transact(write)
        writers = [asyncio.ensure_future(engine.transact(write)) for _ in range(200)]
        while not all(writer.done() for writer in writers):
            count, row = await engine.read(lambda s: (s.number(b"n"), s.get(b"row")))
            assert b"%d" % count == row
            row, count = await engine.read(lambda s: (s.get(b"row"), s.number(b"n")))
            assert b"%d" % count == row
            await asyncio.sleep(0)
        assert await engine.read(lambda s: s.number(b"n")) == 201

    run(scenario)


def test_acknowledged_write_is_seen_by_the_next_read(run):
    async def write_then_read(engine, number):
        key = b"%d" % number
        await engine.transact(lambda tx: (tx.put(key, key), tx.add_number(b"c" + key, number)))
        assert await engine.read(lambda s: (s.get(key), s.number(b"c" + key))) == (key, number)

    async def scenario(engine):
        await asyncio.gather(*(write_then_read(engine, number) for number in range(100)))

    run(scenario)


def test_the_lease_stays_with_its_holder(run):
    async def scenario(engine):
        assert await engine.lease()
        assert await engine.lease()

    run(scenario)


def test_pending_transactions_are_committed_by_close(run):
    async def scenario(engine):
        pending = [asyncio.ensure_future(engine.transact(lambda tx: tx.add_number(b"n", 1))) for _ in range(50)]
        await asyncio.sleep(0)
        await engine.close()
        assert sorted([await one for one in pending]) == list(range(1, 51))

    run(scenario)


LONG = [b"p" * 2_400, *(b"p" * 2_400 + bytes([n]) * (1 + 100 * n) for n in (1, 2, 3, 20, 9)), b"p" * 2_399 + b"q"]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_keys_of_kilobytes_are_in_order_too(run, reverse):
    async def scenario(engine):
        rows = sorted((key, b"%d" % number) for number, key in enumerate(LONG))
        await engine.transact(lambda tx: put_all(tx, rows))
        assert await engine.read(lambda s: s.get_many([key for key, _ in rows])) == [value for _, value in rows]
        for start in (b"", *LONG):
            for end in (b"\xff", *LONG):
                expected = [row for row in rows if start <= row[0] < end]
                expected = expected[::-1] if reverse else expected
                for limit in (None, 1, 3):
                    found = await engine.read(
                        lambda s, start=start, end=end, limit=limit: list(
                            s.scan(start, end, reverse=reverse, limit=limit)
                        )
                    )
                    assert found == expected[:limit]

    run(scenario)


@pytest.mark.parametrize("start", range(len(LONG)))
def test_delete_range_between_keys_of_kilobytes(run, start):
    async def scenario(engine):
        keys = sorted(LONG)
        await engine.transact(lambda tx: put_all(tx, [(key, b"v") for key in keys]))
        await engine.transact(lambda tx: tx.delete_range(keys[start], keys[-2]))
        assert [key for key, _ in await everything(engine)] == keys[:start] + keys[max(start, len(keys) - 2) :]

    run(scenario)


def test_scan_of_many_rows_is_read_in_pages(run):
    async def scenario(engine):
        rows = [(b"%05d" % number, b"v" * 900) for number in range(4_000)]
        await engine.transact(lambda tx: put_all(tx, rows))
        assert await everything(engine) == rows
        assert await engine.read(lambda s: list(s.scan(*ALL, reverse=True))) == rows[::-1]
        assert await engine.transact(lambda tx: len(list(tx.scan(b"01000", b"03500")))) == 2_500

    run(scenario)
