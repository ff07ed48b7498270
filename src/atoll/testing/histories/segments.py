"""The states of an item, and their order.

A version of an item is named by the value that its write added, a deletion by its operation, and the initial absent
item by None. A replacement, a deletion, or the first write to a deleted item starts a *segment*: its own version and
those of the appends up to the next segment. A *run* is a sequence of segments known to follow each other directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from atoll.testing.histories.operations import Operation, Version

Chain = tuple[Version, ...]
"""Versions of a segment, oldest first."""


@dataclass(slots=True)
class Segment:
    chain: Chain = ()
    witness: int = -1
    """An operation that saw the whole chain."""
    readers: dict[Version | None, list[int]] = field(default_factory=dict)
    """Readers by the version that they saw."""


@dataclass(slots=True)
class Item:
    name: str
    deleted: bool = False
    """Whether any operation tried to delete the item. Only then can it be absent more than once."""
    deletions: list[int] = field(default_factory=list)
    """The operations that may have deleted the item, without those that failed or found it absent."""
    writers: dict[Version, int] = field(default_factory=dict)
    segments: dict[Version | None, Segment] = field(default_factory=lambda: {None: Segment()})
    """Segments by their first version."""
    following: dict[Version | None, Version] = field(default_factory=dict)
    """From a segment to the one known to follow it directly."""
    placed: set[Version] = field(default_factory=set)
    undecided: list[int] = field(default_factory=list)
    """Operations that saw the item absent, while it is unknown which absence they saw."""

    def seen(self, version: Version) -> bool:
        """Whether any operation saw this version, including a write that returned its own result."""
        return version in self.placed if isinstance(version, str) else bool(self.segments[version].readers)


@dataclass(slots=True)
class Span:
    """A run of segments, or a part of one."""

    heads: list[Version | None]
    began: float = inf
    """The earliest completion of an operation in it."""
    lasted: float = -inf
    """The latest invocation of an operation in it."""

    def precedes(self, other: Span) -> bool:
        """Whether an operation in it completed before one in the other was invoked."""
        return self.began < other.lasted

    def contradicts(self, other: Span) -> bool:
        return self.precedes(other) and other.precedes(self)

    def joined(self, other: Span) -> Span:
        return Span(self.heads + other.heads, min(self.began, other.began), max(self.lasted, other.lasted))


def span(operations: Sequence[Operation], inside: Iterable[int], *heads: Version | None) -> Span:
    """The span of these operations."""
    found = Span([*heads])
    for at in inside:
        operation = operations[at]
        found.lasted = max(found.lasted, operation.invoked)
        if operation.completed is not None:
            found.began = min(found.began, operation.completed)
    return found


def segment_span(operations: Sequence[Operation], item: Item, head: Version | None) -> Span:
    segment = item.segments[head]
    inside = [item.writers[version] for version in segment.chain]
    inside += [reader for readers in segment.readers.values() for reader in readers]
    found = span(operations, inside, head)
    if head is None:
        found.began = -inf  # nothing comes before it
    return found


def runs(operations: Sequence[Operation], item: Item) -> list[list[Span]]:
    """The runs: segments grouped by direct succession."""
    found = []
    followers = {*item.following.values()}
    for start in item.segments:
        if start in followers:
            continue
        heads = [start]
        while (head := item.following.get(heads[-1])) is not None:
            heads.append(head)
        found.append([segment_span(operations, item, head) for head in heads])
    return found


def whole(run: Sequence[Span]) -> Span:
    joined = run[0]
    for one in run[1:]:
        joined = joined.joined(one)
    return joined
