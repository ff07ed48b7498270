"""A meter that also records the units that each request consumes.

A request's units are what a tally gains between one use of a tally and the next one: a tally is used at once
(`Meter.tally`), and all uses are on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from atoll.capacity.meter import Key, Meter, Tally


class Consumption:
    """The units that a request has consumed so far, by table: of reads, of writes."""

    __slots__ = ("meters", "tables")

    def __init__(self) -> None:
        self.tables: dict[str, tuple[float, float]] = {}
        self.meters: set[UnitsMeter] = set()
        """Those that may have a tally of this request to compare."""

    def add(self, table: str, read: float, written: float) -> None:
        before = self.tables.get(table, (0.0, 0.0))
        self.tables[table] = before[0] + read, before[1] + written

    def end(self) -> None:
        for meter in self.meters:
            meter.settle()


current: ContextVar[Consumption | None] = ContextVar("consumption", default=None)
"""The units of the running request. A request that has waited continues in its own context."""


class UnitsMeter(Meter):
    def __init__(self) -> None:
        super().__init__()
        self._settle: Callable[[], None] | None = None

    def tally(self, table: str, index: str | None, operation: str) -> Tally:
        self.settle()
        found = super().tally(table, index, operation)
        consumption = current.get()
        if consumption is not None:
            consumption.meters.add(self)
            read, written = found.read_units, found.write_units

            def settle() -> None:
                gained = found.read_units - read, found.write_units - written
                if any(gained) and not found.counts_bytes:
                    consumption.add(table, *gained)

            self._settle = settle
        return found

    def settle(self) -> None:
        settle, self._settle = self._settle, None
        if settle is not None:
            settle()

    def take(self) -> dict[Key, Tally]:
        self.settle()
        return super().take()
