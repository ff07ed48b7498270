"""Determine which period of an item's absence a read saw: the one before the first write, or the one after some
deletion.

The read itself does not show it, but times usually do: all absences but one are too early or too late. The same
question arises for each list started on an absent item, since its first write saw the item absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nlargest, nsmallest

from atoll.testing.histories.operations import Operation, Version
from atoll.testing.histories.segments import Item, Span, runs, span, whole


class Absences:
    """The absences possible by current knowledge of an item. More knowledge can only rule out more of them."""

    def __init__(self, operations: Sequence[Operation], item: Item, unseen: Sequence[str]) -> None:
        """`unseen` are values written to the item that no read saw."""
        self._operations, self._item = operations, item
        self._runs = [(run, whole(run)) for run in runs(operations, item)]
        self._known = [joined for _, joined in self._runs]
        self._known += [span(operations, [item.writers[value]]) for value in unseen]
        unanswered = [span(operations, [at], at) for at in item.deletions if at not in item.segments]
        self._runs += [([one], one) for one in unanswered]

    def possible(self, reader: int) -> list[Version | None]:
        """The absences that an operation may have seen, named by their segments."""
        write = self._operations[reader].write(self._item.name)
        made = write and write.value
        began = next((known for known in self._known if made is not None and known.heads[:1] == [made]), None)
        own = began or span(self._operations, [reader])
        near = self._near(own)
        found: list[Version | None] = []
        for run, joined in self._runs:
            together = joined.joined(own)
            if joined is own or any(one is not joined and together.contradicts(one) for one in near):
                continue
            if began is None:
                found += [head for head in self._looked(run, own) if not isinstance(head, str)]
            elif not isinstance(run[-1].heads[0], str) and not own.precedes(joined):
                found.append(run[-1].heads[0])
        return found

    def _near(self, own: Span) -> list[Span]:
        """The nearest runs before and after a span. They decide whether any other run can be joined with it."""
        others = [known for known in self._known if known is not own]
        before = nlargest(2, (one for one in others if one.precedes(own)), key=lambda one: one.lasted)
        after = nsmallest(2, (one for one in others if own.precedes(one)), key=lambda one: one.began)
        return before + after

    def _looked(self, run: list[Span], own: Span) -> list[Version | None]:
        """The segments that a reader may have seen: after the segment began and before the next one did."""
        found: list[Version | None] = []
        for position, one in enumerate(run):
            head = one.heads[0]
            earlier = [*run[:position], span(self._operations, [head] if isinstance(head, int) else [])]
            later = run[position + 1 :]
            if not any(own.precedes(one) for one in earlier) and not any(one.precedes(own) for one in later):
                found.append(head)
        return found
