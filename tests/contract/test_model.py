"""Any history of transactions: the engines agree with each other (through the mirror) and with a dict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from atoll.storage.memory import MemoryEngine
from atoll.storage.mirror import MirrorEngine
from atoll.storage.sqlite import SQLiteEngine

KEYS = st.binary(max_size=3).map(lambda key: bytes(byte % 3 for byte in key)) | st.sampled_from([b"\xff", b"\x00\xff"])
TALLIES = KEYS.map(lambda key: b"t" + key)
VALUES = st.binary(max_size=3) | st.sampled_from([b"long" * 600, b"longer" * 3_000])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("delete_range"), KEYS, KEYS),
    st.tuples(st.just("add_number"), KEYS, st.integers(-5, 5)),
    st.tuples(st.just("add_tally"), TALLIES, st.integers(-5, 5)),
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("number"), KEYS),
    st.tuples(st.just("tally"), TALLIES),
    st.tuples(st.just("get_many"), st.lists(KEYS, max_size=4)),
    st.tuples(st.just("scan"), KEYS, KEYS, st.booleans(), st.none() | st.integers(0, 4)),
)


class Refused(Exception):
    pass


class Model:
    """The contract in the fewest words."""

    def __init__(self, rows, counters):
        self.rows, self.counters = dict(rows), dict(counters)

    def put(self, key, value):
        self.rows[key] = value

    def delete(self, key):
        self.rows.pop(key, None)

    def delete_range(self, start, end):
        self.rows = {key: value for key, value in self.rows.items() if not start <= key < end}

    def add_number(self, key, amount):
        self.counters[key] = self.number(key) + amount
        return self.counters[key]

    def add_tally(self, key, amount):
        self.add_number(key, amount)

    def get(self, key):
        return self.rows.get(key)

    def number(self, key):
        return self.counters.get(key, 0)

    tally = number

    def get_many(self, keys):
        return [self.rows.get(key) for key in keys]

    def scan(self, start, end, reverse, limit):
        return sorted((row for row in self.rows.items() if start <= row[0] < end), reverse=reverse)[:limit]


def play(view, steps):
    def one(name, *arguments):
        if name == "scan" and not isinstance(view, Model):
            start, end, reverse, limit = arguments
            return list(view.scan(start, end, reverse=reverse, limit=limit))
        return getattr(view, name)(*arguments)

    return [one(*step) for step in steps]


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.engine = self.open()
        self.model = Model({}, {})

    def open(self):
        self.memory = MemoryEngine()
        return MirrorEngine(self.memory, SQLiteEngine.open(self.directory, durability="relaxed"))

    @rule(steps=st.lists(STEPS, max_size=8), refuse=st.booleans())
    def transact(self, steps, refuse):
        after = Model(self.model.rows, self.model.counters)
        expected = play(after, steps)

        def fn(tx):
            assert play(tx, steps) == expected
            if refuse:
                raise Refused

        try:
            self.runner.run(self.engine.transact(fn))
        except Refused:
            assert refuse
        else:
            self.model = after

    @rule(
        steps=st.lists(STEPS.filter(lambda step: step[0] in {"get", "get_many", "scan", "number", "tally"}), max_size=5)
    )
    def read(self, steps):
        assert self.runner.run(self.engine.read(lambda s: play(s, steps))) == play(self.model, steps)

    @rule()
    def restart(self):
        state = self.memory.snapshot()
        self.runner.run(self.engine.close())
        self.engine = self.open()
        self.memory.restore(state)

    @invariant()
    def all_rows_agree(self):
        rows = self.runner.run(self.engine.read(lambda s: list(s.scan(b"", b"\xff\xff"))))
        assert rows == sorted(self.model.rows.items())

    def teardown(self):
        self.runner.run(self.engine.close())
        self.runner.close()
        shutil.rmtree(self.directory)


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=15)
