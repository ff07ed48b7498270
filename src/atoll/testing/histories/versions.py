"""The order in which each item was written, as far as reads tell it.

A version of an item is named by the value that made it, the first one (the absent item) by None. A replacement starts a
*segment*: its own version and those of the appends up to the next replacement. Within a segment every read shows all
versions before the one it saw, so the longest list is the order, and every other must be the beginning of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from atoll.testing.histories.anomalies import Anomaly, show, show_chain
from atoll.testing.histories.operations import Operation, Write

Chain = tuple[str, ...]


@dataclass(slots=True)
class Segment:
    chain: Chain = ()
    witness: int = -1
    """An operation that saw the whole chain."""
    readers: dict[str | None, list[int]] = field(default_factory=dict)
    """By the version that they saw."""
    after: str | None = None
    """The first value of the segment that it is known to follow at once."""


@dataclass(slots=True)
class Item:
    name: str
    writers: dict[str, int] = field(default_factory=dict)
    segments: dict[str | None, Segment] = field(default_factory=lambda: {None: Segment()})
    """By their first value, None for the item before any replacement."""
    placed: set[str] = field(default_factory=set)
    replaced: dict[str | None, int] = field(default_factory=dict)
    """By the version, who saw it and replaced it."""


class Versions:
    """`operations` are atomic. `happened` are those that count: answered ones, and unanswered ones seen to be done."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
        self.items: dict[str, Item] = {}
        self.happened: set[int] = set()
        self.anomalies: list[Anomaly] = []
        self._told: set[tuple[str, str]] = set()
        for at, operation in enumerate(operations):
            for write in operation.writes:
                writers = self._item(write.item).writers
                if writers.setdefault(write.value, at) != at:
                    raise ValueError(f"two operations write {write.value} to {write.item}; values must be unique")
        self._unread = [at for at, operation in enumerate(operations) if operation.outcome != "unknown"]
        while self._unread:
            self._learn(self._unread.pop())

    def _item(self, name: str) -> Item:
        item = self.items.get(name)
        if item is None:
            item = self.items[name] = Item(name)
        return item

    def _learn(self, at: int) -> None:
        if at in self.happened:
            return
        self.happened.add(at)
        operation = self.operations[at]
        for name, before, write in accesses(operation):
            item = self._item(name)
            made = write is not None and write.replaces and self._observe(at, item, (write.value,))
            appended = (write.value,) if write is not None and not write.replaces else ()
            if before is None or not self._observe(at, item, before + appended):
                continue
            head, version = self._head(item, before), before[-1] if before else None
            item.segments[head].readers.setdefault(version, []).append(at)
            if made and write is not None:
                item.segments[write.value].after = head
                if (other := item.replaced.setdefault(version, at)) != at:
                    self._report("lost update", item, write.value, f"was replaced twice after {version}", at, other)

    def _observe(self, at: int, item: Item, chain: Chain) -> bool:
        """Whether what was seen fits what else is known; if it tells more, it is known from now on."""
        head = self._head(item, chain)
        segment = item.segments.get(head) or Segment()
        known = len(segment.chain)
        if segment.chain[: len(chain)] == chain:
            return True
        if chain[:known] != segment.chain:
            self._report_diverged(at, item, chain, segment)
            return False
        for position in range(known, len(chain)):
            if not self._may_be_placed(at, item, chain, position):
                return False
        item.segments[head] = segment
        segment.chain, segment.witness = chain, at
        for value in chain[known:]:
            item.placed.add(value)
            self._unread.append(item.writers[value])
        return True

    def _head(self, item: Item, chain: Chain) -> str | None:
        return chain[0] if chain and self._replaces(item, chain[0]) else None

    def _may_be_seen(self, at: int, item: Item, value: str) -> bool:
        writer = item.writers.get(value)
        if writer is None:
            return self._report("unwritten value", item, value, "holds a value that nobody wrote to it", at)
        if self.operations[writer].outcome == "failed":
            return self._report("aborted read", item, value, "holds a value of an operation that failed", at, writer)
        return True

    def _may_be_placed(self, at: int, item: Item, chain: Chain, position: int) -> bool:
        value = chain[position]
        if not self._may_be_seen(at, item, value):
            return False
        writer = item.writers[value]
        if value in item.placed or value in chain[:position]:
            return self._report("duplicated write", item, value, "holds the value of one write twice", at, writer)
        if position and self._replaces(item, value):
            return self._report("unwritten value", item, value, "holds something before a replacement", at, writer)
        return True

    def _replaces(self, item: Item, value: str) -> bool:
        writer = item.writers.get(value)
        write = self.operations[writer].write(item.name) if writer is not None else None
        return write is not None and write.replaces

    def _report_diverged(self, at: int, item: Item, chain: Chain, segment: Segment) -> None:
        """Both cannot be: one of two values took the other's place."""
        place = next(i for i, pair in enumerate(zip(chain, segment.chain, strict=False)) if pair[0] != pair[1])
        if not self._may_be_seen(at, item, chain[place]):
            return
        writers = [item.writers[one[place]] for one in (chain, segment.chain)]
        unanswered = any(self.operations[writer].outcome == "unknown" for writer in writers)
        ours, theirs = show_chain(chain[: place + 1]), show_chain(segment.chain[: place + 1])
        self._report(
            "dirty read" if unanswered else "lost update",
            item,
            chain[place],
            f"was seen to begin with {ours} and with {theirs}",
            *dict.fromkeys([at, segment.witness, *writers]),
        )

    def _report(self, kind: str, item: Item, value: str, text: str, *operations: int) -> bool:
        """Once for each value, since everybody who comes later sees it too."""
        if (item.name, value) not in self._told:
            self._told.add((item.name, value))
            lines = [f"{item.name} {text} ({value})", *(show(self.operations[at]) for at in operations)]
            self.anomalies.append(Anomaly(kind, "\n".join(lines), tuple(self.operations[at] for at in operations)))
        return False


def accesses(operation: Operation) -> Iterator[tuple[str, Chain | None, Write | None]]:
    """For each item what it held before, if that was seen, and what was written, if anything was."""
    failed = operation.outcome == "failed"
    for read in operation.reads:
        write = None if failed else operation.write(read.item)
        before: Chain | None = read.chain
        if write is not None and read.chain[-1:] == (write.value,):
            before = None if write.replaces else read.chain[:-1]
        yield read.item, before, write
    if not failed:
        for write in operation.writes:
            if operation.read(write.item) is None:
                yield write.item, None, write
