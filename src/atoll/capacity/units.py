"""The cost of an operation in read and write units, by the published arithmetic.

Source: Amazon DynamoDB Developer Guide, "Read consistency" and "Capacity unit consumption for read / write
operations". Sizes are bytes by the published item formula.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from atoll import limits
from atoll.capacity.meter import Meter
from atoll.database.indexes import IndexWrite
from atoll.database.schema import Index, Table
from atoll.database.writes import Check, Outcome, Write

Kind = Literal["Read", "Write"]


def read_units(size: int, *, consistent: bool = False) -> float:
    """Units to read one item, or a page of Query or Scan: steps of 4 KB, at least one; half if eventually
    consistent."""
    steps = -(-size // limits.READ_UNIT_BYTES) or 1
    return float(steps) if consistent else steps / 2


def write_units(size: int) -> float:
    """Units to write one item or index entry: steps of 1 KB, at least one."""
    return float(-(-size // limits.WRITE_UNIT_BYTES) or 1)


def index_write_units(index_write: IndexWrite) -> float:
    """Units to write, replace or delete an index entry; a moved entry is deleted and written."""
    if index_write.moved:
        return write_units(index_write.before or 0) + write_units(index_write.after or 0)
    return write_units(max(index_write.before or 0, index_write.after or 0))


def row_units(write: Write, size: int) -> float:
    """The table's part of a write's cost. A ConditionCheck is charged as a read."""
    return read_units(size, consistent=True) if isinstance(write, Check) else write_units(size)


@dataclass(slots=True)
class Consumed:
    """The units of one operation on one table; `answer` formats them as the request asked."""

    of: Table
    kind: Kind
    table_name: str
    """The table's name or ARN as in the answer."""
    table: float = 0.0
    local: dict[str, float] = field(default_factory=dict)
    global_: dict[str, float] = field(default_factory=dict)
    vector: dict[str, float] | None = None
    """The bytes written to vector indexes, which cost no units; None if there are none."""

    @property
    def total(self) -> float:
        return self.table + sum(self.local.values()) + sum(self.global_.values())

    def add_index(self, index: Index, units: float) -> None:
        index_writes = self.local if index.local else self.global_
        index_writes[index.name] = index_writes.get(index.name, 0.0) + units

    def add_write(self, write: Write, outcome: Outcome, factor: int = 1) -> None:
        self.add_row(write, outcome.table_bytes, factor)
        for index_write in outcome.index_writes:
            self.add_index(index_write.index, index_write_units(index_write))
        for one in outcome.vector_writes:
            if self.vector is None:
                self.vector = {}
            self.vector[one.index.name] = self.vector.get(one.index.name, 0.0) + one.size

    def add_row(self, write: Write, size: int, factor: int = 1) -> None:
        """Add the table's part of a write, even of a refused one. `factor` is 2 in a transaction, which doubles this
        part only."""
        self.table += factor * row_units(write, size)

    def drawn(self, index: Index | None) -> float:
        """Units to subtract from the table's bucket, which its local indexes share, or from a global index's bucket."""
        if index is None:
            return self.table + sum(self.local.values())
        return self.global_.get(index.name, 0.0)

    def measure(self, meter: Meter, operation: str, items: int = 0) -> None:
        """Add the units, and the number of items returned from the table, to the meter."""
        for index, units in ((None, self.table), *self.local.items(), *self.global_.items()):
            tally = meter.tally(self.of.name, index, operation)
            if self.kind == "Read":
                tally.reads[units] += 1
            else:
                tally.writes[units] += 1
        for name, size in (self.vector or {}).items():
            meter.of_vectors(self.of.name, name, operation).writes[size] += 1
        if items:
            meter.tally(self.of.name, None, operation).returned(items)

    def answer(self, mode: str, *, typed: bool = False) -> dict[str, Any]:
        """The ConsumedCapacity entry. `mode` is TOTAL or INDEXES; `typed` adds ReadCapacityUnits or
        WriteCapacityUnits, which transactions return."""

        def units(amount: float) -> dict[str, float]:
            member = {f"{self.kind}CapacityUnits": amount} if typed else {}
            return {**member, "CapacityUnits": amount}

        answer: dict[str, Any] = {"TableName": self.table_name, **units(self.total)}
        if mode == "INDEXES":
            answer["Table"] = units(self.table)
            if self.local:
                answer["LocalSecondaryIndexes"] = {name: units(u) for name, u in self.local.items()}
            if self.global_:
                answer["GlobalSecondaryIndexes"] = {name: units(u) for name, u in self.global_.items()}
            if self.vector:
                answer["VectorIndexes"] = {name: {"VectorWriteRequestBytes": n} for name, n in self.vector.items()}
        return answer


def answers(consumed: Iterable[Consumed], mode: str, *, typed: bool = False) -> list[dict[str, Any]]:
    return [one.answer(mode, typed=typed) for one in consumed]


def written(done: Iterable[tuple[str, Write, Outcome]], factor: int = 1) -> list[Consumed]:
    """The cost of writes per table, named as in the answer; for `factor` see `Consumed.add_row`."""
    consumed: dict[str, Consumed] = {}
    for name, write, outcome in done:
        if name not in consumed:
            consumed[name] = Consumed(write.table, "Write", name)
        consumed[name].add_write(write, outcome, factor)
    return list(consumed.values())


def read_in_transaction(reads: Iterable[tuple[str, Table, int]]) -> list[Consumed]:
    """The cost of transactional reads per table, named as in the answer, from the items' sizes (0 for a missing item).
    Each is charged as two consistent reads."""
    consumed: dict[str, Consumed] = {}
    for name, table, size in reads:
        consumed.setdefault(name, Consumed(table, "Read", name)).table += 2 * read_units(size, consistent=True)
    return list(consumed.values())
