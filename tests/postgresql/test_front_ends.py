"""Two front ends on one region: each has its own connections, and neither knows the other's commits in advance."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from atoll.storage.engine import Corrupt, Planned, RowRead
from atoll.storage.postgresql import url
from atoll.storage.postgresql.cluster import MOST_CONNECTIONS, Cluster
from atoll.storage.postgresql.engine import PostgreSQLEngine
from tests import postgres

GENERATION = b"g"

Scenario = Callable[[PostgreSQLEngine, PostgreSQLEngine], Awaitable[None]]


@pytest.fixture
def run() -> Callable[[Scenario], None]:
    async def play(scenario: Scenario) -> None:
        schema = postgres.Schema()
        await schema.empty()
        clusters = [Cluster(url.parse(postgres.URL)) for _ in range(2)]
        for cluster in clusters:
            await cluster.start()
        one, other = [PostgreSQLEngine(cluster, schema.name, ride_along=[GENERATION]) for cluster in clusters]
        try:
            await scenario(one, other)
        finally:
            await one.close()
            await other.close()
            for cluster in clusters:
                await cluster.close()

    return lambda scenario: postgres.run(play(scenario))


def test_acknowledged_write_is_seen_by_the_other_front_end(run):
    async def scenario(one, other):
        for number in range(50):
            value = b"%d" % number
            await one.transact(lambda tx, value=value: (tx.put(b"k", value), tx.add_number(GENERATION, 1)))
            found = await other.read(lambda s: (s.number(GENERATION), s.get(b"k")))
            assert found == (number + 1, value)
            one, other = other, one

    run(scenario)


def test_increments_of_two_front_ends_are_all_counted(run):
    def increment(tx):
        value = int(tx.get(b"row") or b"0") + 1
        tx.put(b"row", b"%d" % value)
        tx.add_tally(b"t", 1)
        return tx.add_number(b"n", 1), value

    async def scenario(one, other):
        outcomes = await asyncio.gather(*(engine.transact(increment) for _ in range(300) for engine in (one, other)))
        assert sorted(outcomes) == [(n, n) for n in range(1, 601)]
        assert await one.read(lambda s: (s.number(b"n"), s.tally(b"t"), s.get(b"row"))) == (600, 600, b"600")

    run(scenario)


def test_of_two_conditional_writes_exactly_one_succeeds(run):
    class Taken(Exception):
        pass

    def take(key, owner):
        def fn(tx):
            if tx.get(key) is not None:
                raise Taken(tx.get(key))
            tx.put(key, owner)

        return fn

    async def scenario(one, other):
        for number in range(60):
            key = b"k%d" % number
            outcomes = await asyncio.gather(
                one.transact(take(key, b"one")), other.transact(take(key, b"other")), return_exceptions=True
            )
            lost = [outcome for outcome in outcomes if isinstance(outcome, Taken)]
            assert len(lost) == 1 and outcomes.count(None) == 1
            assert lost[0].args[0] == await one.read(lambda s, key=key: s.get(key))

    run(scenario)


def test_rows_that_appear_in_a_scanned_range_are_a_conflict(run):
    """Each takes the next number of a range that it scans: no number is taken twice."""

    def append(tx):
        number = len(list(tx.scan(b"r", b"s")))
        tx.put(b"r%05d" % number, b"")
        return number

    async def scenario(one, other):
        taken = await asyncio.gather(*(engine.transact(append) for _ in range(40) for engine in (one, other)))
        assert sorted(taken) == list(range(80))

    run(scenario)


def test_money_moved_by_two_front_ends_is_neither_made_nor_lost(run):
    accounts = [b"account%d" % number for number in range(6)]

    def move(pair, amount):
        source, target = pair

        def fn(tx):
            has, gets = (int(value) for value in tx.get_many([source, target]))
            if has >= amount:
                tx.put(source, b"%d" % (has - amount))
                tx.put(target, b"%d" % (gets + amount))

        return fn

    def total(snapshot):
        return sum(int(value) for value in snapshot.get_many(accounts))

    def total_in_two_trips(snapshot):
        return sum(int(snapshot.get(account)) for account in accounts)

    async def scenario(one, other):
        rng = random.Random(1)
        await one.transact(lambda tx: [tx.put(account, b"100") for account in accounts])
        done = False

        async def watch(engine, look):
            while not done:
                assert await engine.read(look) == 600

        watching = [asyncio.ensure_future(watch(engine, look)) for engine in (one, other)
                    for look in (total, total_in_two_trips)]  # fmt: skip
        moves = [move(rng.sample(accounts, 2), rng.randint(1, 80)) for _ in range(400)]
        await asyncio.gather(*(rng.choice((one, other)).transact(fn) for fn in moves))
        done = True
        await asyncio.gather(*watching)

    run(scenario)


def test_number_that_rides_along_is_never_older_than_the_rows(run):
    def change(tx):
        tx.put(b"definition", b"%d" % tx.add_number(GENERATION, 1))

    def look(tx):
        number, row = tx.number(GENERATION), tx.get(b"definition")
        assert int(row or b"0") == number
        tx.put(b"seen", b"%d" % number)
        return number

    async def scenario(one, other):
        for _ in range(40):
            await asyncio.gather(*(engine.transact(fn) for engine in (one, other) for fn in (change, look)))
            assert await one.read(lambda s: (s.number(GENERATION), int(s.get(b"definition")))) == (
                await other.read(lambda s: (s.number(GENERATION), int(s.get(b"definition"))))
            )

    run(scenario)


def test_a_plan_of_an_older_generation_is_not_used(run):
    """Where a row is depends on a number that the other front end has changed."""
    row = RowRead(lambda s: (s.number(GENERATION), b"row%d" % s.number(GENERATION)))
    page = Planned(row.plan, lambda s, plan: (*plan, next(s.scan(plan[1], plan[1] + b"\xff"))[1]))

    def move(tx):
        number = tx.add_number(GENERATION, 1)
        tx.put(b"row%d" % number, b"%d" % number)

    async def scenario(one, other):
        for number in range(1, 20):
            await other.transact(move)
            found = await asyncio.gather(*(one.read(fn) for fn in (row, page) for _ in range(3)))
            assert found == [(number, b"row%d" % number, b"%d" % number)] * 6
            one, other = other, one

    run(scenario)


def test_the_lease_has_one_holder_and_passes_on_when_it_closes(run):
    async def scenario(one, other):
        assert await one.lease()
        assert not await other.lease()
        await one.close()
        other._lease_renewed -= 10
        assert await other.lease()

    run(scenario)


def test_one_function_that_cannot_be_stored_fails_alone(run):
    async def scenario(one, other):
        outcomes = await asyncio.gather(
            *(one.transact(lambda tx, n=n: tx.put(b"k%d" % n, b"")) for n in range(20)),
            one.transact(lambda tx: tx.add_number(b"n", 2**70)),
            *(one.transact(lambda tx, n=n: tx.put(b"l%d" % n, b"")) for n in range(20)),
            return_exceptions=True,
        )
        assert [type(outcome).__name__ for outcome in outcomes if outcome is not None] == ["DataError"]
        assert len(await other.read(lambda s: list(s.scan(b"k", b"m")))) == 40

    run(scenario)


def test_a_long_function_delays_no_other(run):
    def long(tx):
        tx.announce_long()
        tx.put(b"long", tx.get(b"k") or b"")

    async def scenario(one, other):
        await one.transact(lambda tx: tx.put(b"k", b"v"))
        await asyncio.gather(one.transact(long), *(one.transact(lambda tx: tx.add_number(b"n", 1)) for _ in range(50)))
        assert await other.read(lambda s: (s.get(b"long"), s.number(b"n"))) == (b"v", 50)

    run(scenario)


def test_failing_work_outside_transactions_keeps_no_connection(run):
    async def scenario(one, other):
        cluster, soon = one._cluster, asyncio.get_running_loop().time() + 10
        for _ in range(MOST_CONNECTIONS + 1):
            with pytest.raises(Corrupt):
                async with cluster.use(soon) as connection:
                    await connection.fetch("select * from no_such_table")
        await one.transact(lambda tx: tx.put(b"k", b"v"))

    run(scenario)
