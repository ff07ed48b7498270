"""The versions of each item and their order, according to reads.

Within a segment, every read shows all earlier versions. So the longest list is the order, and every other list must be
a prefix of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from atoll.testing.histories.absences import Absences
from atoll.testing.histories.anomalies import Anomaly, show, show_chain
from atoll.testing.histories.operations import Operation, Version, Write
from atoll.testing.histories.segments import Chain, Item, Segment


class Versions:
    """`operations` are atomic. `happened` are the answered ones, and unanswered ones whose writes were seen."""

    def __init__(self, operations: list[Operation]) -> None:
        self.operations = operations
        self.items: dict[str, Item] = {}
        self.happened: set[int] = set()
        self.anomalies: list[Anomaly] = []
        self._reported: set[tuple[str, Version]] = set()
        for at, operation in enumerate(operations):
            for write in operation.writes:
                self._declare(at, operation, write)
        self._unread = [at for at, operation in enumerate(operations) if operation.outcome != "unknown"]
        self._doubtful: dict[str, Item] = {}
        """Items with new knowledge since their absences were last decided."""
        while self._unread or self._doubtful:
            if self._unread:
                self._learn(self._unread.pop())
            else:
                self._decide(self._doubtful.popitem()[1])
        for item in self.items.values():
            if len(item.segments) > 1:
                # The reads of a segment all precede such a write or all follow it; otherwise they would show it.
                for value in self.unseen(item):
                    item.segments[value] = Segment((value,), item.writers[value])

    def _declare(self, at: int, operation: Operation, write: Write) -> None:
        item = self._item(write.item)
        if item.writers.setdefault(write.version(at), at) != at:
            raise ValueError(f"two operations write {write.value} to {write.item}; values must be unique")
        if write.value is None:
            item.deleted = True
            read = operation.read(write.item)
            if operation.outcome != "failed" and (read is None or read.chain):
                item.deletions.append(at)

    def unseen(self, item: Item) -> list[str]:
        """The written values that no read saw."""
        return [
            version
            for version, at in item.writers.items()
            if isinstance(version, str) and version not in item.placed and self._lasts(at)
        ]

    def _lasts(self, at: int) -> bool:
        return at in self.happened and self.operations[at].outcome != "failed"

    def _item(self, name: str) -> Item:
        item = self.items.get(name)
        if item is None:
            item = self.items[name] = Item(name)
        return item

    def _learn(self, at: int) -> None:
        if at in self.happened:
            return
        self.happened.add(at)
        for name, before, write in accesses(self.operations[at]):
            item = self._item(name)
            if item.deleted:
                self._doubtful[name] = item
            if write is not None and write.starts and (write.value is not None or before != ()):
                self._observe(at, item, (write.version(at),))
            appended = (write.version(at),) if write is not None and not write.starts else ()
            if before is None or not self._observe(at, item, before + appended):
                continue
            if before or not item.deleted:
                self._saw(at, item, self._head(item, before), before[-1] if before else None)
            elif not appended:
                item.undecided.append(at)

    def _observe(self, at: int, item: Item, chain: Chain) -> bool:
        """Whether a read fits the known order. If so, add its new versions to it."""
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
        if not known and item.deleted and not self._starts(item, chain[0]):
            item.undecided.append(item.writers[chain[0]])
        item.segments[head] = segment
        segment.chain, segment.witness = chain, at
        for version in chain[known:]:
            item.placed.add(version)
            self._unread.append(item.writers[version])
        return True

    def _head(self, item: Item, chain: Chain) -> Version | None:
        return chain[0] if chain and (item.deleted or self._starts(item, chain[0])) else None

    def _saw(self, at: int, item: Item, head: Version | None, version: Version | None) -> None:
        """Record that an operation saw a version of a segment, and whether it began the next segment on it."""
        item.segments[head].readers.setdefault(version, []).append(at)
        write = self.operations[at].write(item.name)
        if write is None or not self._lasts(at) or (made := write.version(at)) not in item.segments or made == head:
            return
        if (other := item.following.setdefault(head, made)) != made:
            text = f"was replaced twice after {version}" if isinstance(version, str) else "was created twice in a row"
            writers = [at, item.writers[other]]
            self._report(self._lost(writers), item, made, text, *writers)

    def _decide(self, item: Item) -> None:
        """Decide which absence each undecided operation saw, where only one is possible."""
        if not item.undecided:
            return
        absences = Absences(self.operations, item, self.unseen(item))
        undecided, item.undecided = item.undecided, []
        for at in undecided:
            possible = absences.possible(at)
            if len(possible) > 1:
                item.undecided.append(at)
                continue
            earlier = self._deletions_before(at, item)
            if not possible and earlier and self.operations[earlier[-1]].outcome == "failed":
                text = "was absent after an operation that failed to delete it"
                self._report("aborted read", item, earlier[-1], text, at, earlier[-1])
                continue
            # If no absence is possible, assume the last one: a cycle will report the writes that this operation missed.
            known = [None, *(deletion for deletion in earlier if deletion in item.segments)]
            absence = possible[0] if possible else known[-1]
            if isinstance(absence, int):
                self._learn(absence)
            self._saw(at, item, absence, absence)
            self._doubtful[item.name] = item

    def _deletions_before(self, at: int, item: Item) -> list[int]:
        """All attempted deletions invoked before the operation completed, in the order of their invocation."""
        until = self.operations[at].completed
        tried = [version for version in item.writers if isinstance(version, int) and version != at]
        earlier = [d for d in tried if until is None or self.operations[d].invoked <= until]
        return sorted(earlier, key=lambda d: self.operations[d].invoked)

    def _may_be_seen(self, at: int, item: Item, value: Version) -> bool:
        writer = item.writers.get(value)
        if writer is None:
            return self._report("unwritten value", item, value, "holds a value that no operation wrote to it", at)
        if self.operations[writer].outcome == "failed":
            return self._report("aborted read", item, value, "holds a value of an operation that failed", at, writer)
        return True

    def _may_be_placed(self, at: int, item: Item, chain: Chain, position: int) -> bool:
        value = chain[position]
        if not self._may_be_seen(at, item, value):
            return False
        writer = item.writers[value]
        if value in chain[:position]:
            return self._report("duplicated write", item, value, "holds the value of one write twice", at, writer)
        if value in item.placed:
            other = next(segment for segment in item.segments.values() if value in segment.chain)
            text = f"was seen after {show_chain(chain[:position])} and as {show_chain(other.chain)}"
            return self._report("duplicated write", item, value, text, at, other.witness, writer)
        if position and self._starts(item, value):
            return self._report("unwritten value", item, value, "holds something before a replacement", at, writer)
        return True

    def _starts(self, item: Item, version: Version) -> bool:
        writer = item.writers.get(version)
        write = self.operations[writer].write(item.name) if writer is not None else None
        return write is not None and write.starts

    def _report_diverged(self, at: int, item: Item, chain: Chain, segment: Segment) -> None:
        """Report two reads that contradict each other: two values in the same place."""
        place = next(i for i, pair in enumerate(zip(chain, segment.chain, strict=False)) if pair[0] != pair[1])
        if not self._may_be_seen(at, item, chain[place]):
            return
        writers = [item.writers[one[place]] for one in (chain, segment.chain)]
        ours, theirs = show_chain(chain[: place + 1]), show_chain(segment.chain[: place + 1])
        self._report(
            self._lost(writers),
            item,
            chain[place],
            f"was seen to begin with {ours} and with {theirs}",
            *dict.fromkeys([at, segment.witness, *writers]),
        )

    def _lost(self, writers: Iterable[int]) -> str:
        """The anomaly's name if one of two writes took the other's place."""
        unanswered = any(self.operations[writer].outcome == "unknown" for writer in writers)
        return "dirty read" if unanswered else "lost update"

    def _report(self, kind: str, item: Item, version: Version, text: str, *operations: int) -> bool:
        """Report once per version, since all later reads see the same fault."""
        if (item.name, version) not in self._reported:
            self._reported.add((item.name, version))
            what = f"{item.name} {text} ({version})" if isinstance(version, str) else f"{item.name} {text}"
            lines = [what, *(show(self.operations[at]) for at in operations)]
            self.anomalies.append(Anomaly(kind, "\n".join(lines), tuple(self.operations[at] for at in operations)))
        return False


def accesses(operation: Operation) -> Iterator[tuple[str, Chain | None, Write | None]]:
    """For each item, the state before the operation, if seen, and the write, if any."""
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
