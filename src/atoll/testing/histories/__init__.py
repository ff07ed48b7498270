"""Checks a history of concurrent operations: transactions serializable, every item linearizable.

Record what your clients do (`Operation`), give it to `check`, and read what it found:

    from atoll.testing.histories import Operation, Read, Write, check

    history = [
        Operation("PutItem", "client 1", invoked=0, completed=5, writes=(Write("x", "a", replaces=True),)),
        Operation("GetItem", "client 2", invoked=7, completed=9, reads=(Read("x", ()),)),
    ]
    for anomaly in check(history):
        print(anomaly)  # stale read: ...

A recorder must follow these rules. They keep the check fast, since reads then show which write came when:
- Every write has a value that no other write of the history has, whether it succeeds or not.
- An item is a list, and a write appends its value (`SET chain = list_append(chain, :value)`, or a put of the whole list
  on condition that it is unchanged). So every read shows the order of all earlier writes. A write may also replace the
  list by its own value alone (a plain put). Then only times show the order, and the check does not detect lost appends
  before a replacement that no read saw.
- A deleted item holds nothing, and an append starts a new list. A read of an absent item does not show which deletion
  it saw. So the order of deletions follows only from times, and from the deleted lists that deletions return.
- Switch to new items from time to time, so that lists stay short and deletions per item few.

An operation has an outcome. "ok": it was answered. "failed": it was rejected, so no read may ever see its writes, but
the items that it returned count as reads. "unknown" (a timeout, a killed server): it may have happened once, at any
time after it was invoked. If any read saw one of its writes, the check requires all of them.

    operations    the format, and its lines of JSON
    segments      the states of an item, and their order
    absences      the times at which a deleted item was absent
    versions      the versions of each item according to reads, and reads that fit no order
    graph         the dependencies between operations
    cycles        the cycles in the graph
    explanations  why a cycle fits no order
    anomalies     the violations found, in words
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll.testing.histories.anomalies import Anomaly
from atoll.testing.histories.cycles import cycles
from atoll.testing.histories.explanations import explain
from atoll.testing.histories.graph import dependencies
from atoll.testing.histories.operations import Operation, Outcome, Read, Write, dump, load, parts
from atoll.testing.histories.versions import Versions

__all__ = ["Anomaly", "Operation", "Outcome", "Read", "Write", "check", "dump", "load"]


def check(history: Iterable[Operation], *, strict: bool = True) -> list[Anomaly]:
    """The anomalies that no serial order of the operations explains; empty for a correct history.

    With `strict`, an operation that completed before another was invoked must also precede it in the serial order.
    Without it, this holds only for operations that share an item.
    """
    versions = Versions([part for operation in history for part in parts(operation)])
    graph = dependencies(versions, strict=strict)
    return versions.anomalies + [explain(versions, cycle) for cycle in cycles(graph)]
