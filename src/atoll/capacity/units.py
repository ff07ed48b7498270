"""What an operation costs in read and write units, by the published arithmetic.

Source: Amazon DynamoDB Developer Guide, "Read consistency" and "Capacity unit consumption for read / write
operations". Sizes are bytes by the published item formula.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from atoll import limits
from atoll.database.indexes import Arm
from atoll.database.schema import Index
from atoll.database.writes import Check, Outcome, Write

MODES = ("TOTAL", "INDEXES")
"""The values of ReturnConsumedCapacity that ask for it."""


def read_units(size: int, *, consistent: bool = False) -> float:
    """A read of one item, or of what a Query or Scan examined: steps of 4 KB, at least one; half if eventual."""
    steps = max(1, -(-size // limits.READ_UNIT_BYTES))
    return float(steps) if consistent else steps / 2


def write_units(size: int) -> float:
    """A write of one item or index entry: steps of 1 KB, at least one."""
    return float(max(1, -(-size // limits.WRITE_UNIT_BYTES)))


def arm_units(arm: Arm) -> float:
    """An index entry that was written, replaced or deleted; one that moved was deleted and written."""
    if arm.moved:
        return write_units(arm.before or 0) + write_units(arm.after or 0)
    return write_units(max(arm.before or 0, arm.after or 0))


@dataclass(slots=True)
class Consumed:
    """The units of one operation on one table; `answer` gives them in the form that the request asked for."""

    table_name: str
    table: float = 0.0
    local: dict[str, float] = field(default_factory=dict)
    global_: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return self.table + sum(self.local.values()) + sum(self.global_.values())

    def add_index(self, index: Index, units: float) -> None:
        arms = self.local if index.local else self.global_
        arms[index.name] = arms.get(index.name, 0.0) + units

    def add_write(self, write: Write, outcome: Outcome, factor: int = 1) -> None:
        """`factor` is 2 for a transaction, which doubles the table's part only. A check is charged as a read."""
        if isinstance(write, Check):
            self.table += factor * read_units(outcome.table_bytes, consistent=True)
        else:
            self.table += factor * write_units(outcome.table_bytes)
        for arm in outcome.arms:
            self.add_index(arm.index, arm_units(arm))

    def answer(self, mode: str, *, kind: str | None = None) -> dict[str, Any]:
        """`mode` is TOTAL or INDEXES; `kind` (Read or Write) adds the typed members that transactions answer."""

        def units(amount: float) -> dict[str, float]:
            typed = {f"{kind}CapacityUnits": amount} if kind else {}
            return {**typed, "CapacityUnits": amount}

        answer: dict[str, Any] = {"TableName": self.table_name, **units(self.total)}
        if mode == "INDEXES":
            answer["Table"] = units(self.table)
            if self.local:
                answer["LocalSecondaryIndexes"] = {name: units(u) for name, u in self.local.items()}
            if self.global_:
                answer["GlobalSecondaryIndexes"] = {name: units(u) for name, u in self.global_.items()}
        return answer


def answers(consumed: Iterable[Consumed], mode: str, *, kind: str | None = None) -> list[dict[str, Any]]:
    return [one.answer(mode, kind=kind) for one in consumed]


def reads_of_transaction(reads: Iterable[tuple[str, int]], mode: str) -> list[dict[str, Any]]:
    """`reads` are the tables that items were read from, as the answer names them, and the items' sizes (0 for none).
    Each is charged as two consistent reads."""
    consumed: dict[str, Consumed] = {}
    for table_name, size in reads:
        consumed.setdefault(table_name, Consumed(table_name)).table += 2 * read_units(size, consistent=True)
    return answers(consumed.values(), mode, kind="Read")
