"""Random transactions, and a check of the store's contents after a fault.

Every transaction also appends a row with its own number to a log in the store. So the store itself tells which
transactions it holds, and in which order. The judge applies them in that order to a dict, and compares everything.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from atoll.storage.engine import Snapshot, Transaction

SEQUENCE = b"sequence"
LOG, LOG_END = b"log/", b"log0"
KEYS = [b"k%02d" % number for number in range(24)]
COUNTERS = [b"c%d" % number for number in range(4)]
SIZES = (10, 10, 300, 300, 3_000, 9_000)


class Violation(AssertionError):
    """The store broke a promise."""


class Refused(Exception):
    """The transaction refuses itself."""


@dataclass
class StoredState:
    rows: dict[bytes, bytes] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)
    tallies: dict[bytes, int] = field(default_factory=dict)

    def copy(self) -> StoredState:
        return StoredState(dict(self.rows), dict(self.numbers), dict(self.tallies))


@dataclass(frozen=True)
class Change:
    number: int
    steps: tuple[tuple[Any, ...], ...]
    refuses: bool = False

    def run(self, tx: Transaction) -> None:
        place = tx.add_number(SEQUENCE, 1)
        tx.put(LOG + b"%08d" % place, b"%d" % self.number)
        for kind, *arguments in self.steps:
            if kind == "copy":
                source, target = arguments
                tx.put(target, tx.get(source) or b"")
            else:
                getattr(tx, kind)(*arguments)
        if self.refuses:
            raise Refused

    def apply(self, state: StoredState) -> None:
        for kind, *arguments in self.steps:
            if kind == "put":
                state.rows[arguments[0]] = arguments[1]
            elif kind == "copy":
                state.rows[arguments[1]] = state.rows.get(arguments[0]) or b""
            elif kind == "delete":
                state.rows.pop(arguments[0], None)
            elif kind == "delete_range":
                for key in [key for key in state.rows if arguments[0] <= key < arguments[1]]:
                    del state.rows[key]
            else:
                counters = state.numbers if kind == "add_number" else state.tallies
                counters[arguments[0]] = counters.get(arguments[0], 0) + arguments[1]


def change(random_: random.Random, number: int) -> Change:
    steps: list[tuple[Any, ...]] = []
    for step in range(random_.choice((1, 1, 2, 3, 5))):
        kind = random_.choice(("put", "put", "put", "copy", "delete", "delete_range", "add_number", "add_tally"))
        if kind == "put":
            value = b"%d.%d " % (number, step)
            steps.append((kind, random_.choice(KEYS), value * (random_.choice(SIZES) // len(value) + 1)))
        elif kind == "copy":
            steps.append((kind, *random_.sample(KEYS, 2)))
        elif kind == "delete":
            steps.append((kind, random_.choice(KEYS)))
        elif kind == "delete_range":
            at = random_.randrange(len(KEYS) - 3)
            steps.append((kind, KEYS[at], KEYS[at + random_.randrange(3)]))
        else:
            steps.append((kind, random_.choice(COUNTERS), random_.randint(-3, 9)))
    return Change(number, tuple(steps), refuses=random_.random() < 0.05)


@dataclass
class Found:
    """Everything that a snapshot shows."""

    log: list[int]
    state: StoredState


def look(snapshot: Snapshot) -> Found:
    log = list(snapshot.scan(LOG, LOG_END))
    for place, (key, _) in enumerate(log, 1):
        if key != LOG + b"%08d" % place:
            raise Violation(f"row {place} of the log has the key {key!r}")
    if snapshot.number(SEQUENCE) != len(log):
        raise Violation(f"{len(log)} transactions are in the log, {snapshot.number(SEQUENCE)} are counted")
    rows = dict(snapshot.scan(b"k", b"l"))
    if list(snapshot.scan(b"k", b"l", reverse=True)) != sorted(rows.items(), reverse=True):
        raise Violation("a scan backwards finds other rows than a scan")
    if {key: value for key in KEYS if (value := snapshot.get(key)) is not None} != rows:
        raise Violation("a get finds other rows than a scan")
    state = StoredState(
        rows,
        {key: snapshot.number(key) for key in COUNTERS},
        {key: snapshot.tally(key) for key in COUNTERS},
    )
    return Found([int(value) for _, value in log], state)


class History:
    """The transactions and their outcomes as clients know them."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self._count = 0
        self.base = Found([], StoredState())
        """As the store was found last."""
        self.began: dict[int, Change] = {}
        """Since then."""
        self.acknowledged: set[int] = set()
        self.refused: set[int] = set()
        self.shown: set[int] = set()
        """Those that a read saw."""

    def begin(self) -> Change:
        self._count += 1
        self.began[self._count] = change(self._random, self._count)
        if self.began[self._count].refuses:
            self.refused.add(self._count)
        return self.began[self._count]

    def see(self, found: Found) -> None:
        """A read of a running store. What it saw must stay."""
        self._judge(found, set())
        self.shown.update(found.log[len(self.base.log) :])

    def find(self, found: Found) -> None:
        """The contents of a store that was opened again. From now on it must have exactly these."""
        self._judge(found, self.acknowledged | self.shown)
        self.base = found
        self.began, self.acknowledged, self.refused, self.shown = {}, set(), set(), set()

    def _judge(self, found: Found, needed: set[int]) -> None:
        known = self.base.log
        if found.log[: len(known)] != known:
            raise Violation(f"old transactions are missing or changed: {found.log} instead of {known}, ...")
        new = found.log[len(known) :]
        if lost := needed - set(new):
            raise Violation(f"acknowledged transactions are lost: {sorted(lost)} of {sorted(needed)}; found {new}")
        if wrong := set(new) & self.refused:
            raise Violation(f"refused transactions are there: {sorted(wrong)}")
        if len(set(new)) < len(new) or not set(new) <= self.began.keys():
            raise Violation(f"transactions that nobody began now, or twice: {new}")
        expected = self.base.state.copy()
        for number in new:
            self.began[number].apply(expected)
        self.compare(found.state, expected)

    def compare(self, found: StoredState, expected: StoredState) -> None:
        defaults: dict[str, int | None] = {"rows": None, "numbers": 0, "tallies": 0}
        for name, nothing in defaults.items():
            ours, theirs = getattr(expected, name), getattr(found, name)
            for key in sorted({*ours, *theirs}):
                if theirs.get(key, nothing) != ours.get(key, nothing):
                    raise Violation(f"{name}[{key!r}] is {brief(theirs.get(key))}, not {brief(ours.get(key))}")


def brief(value: object) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:30]}... ({len(text)} characters)"
