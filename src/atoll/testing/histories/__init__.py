"""Checks a history of concurrent operations: transactions serializable, every item linearizable.

Record what your clients do (`Operation`), give it to `check`, and read what it found:

    from atoll.testing.histories import Operation, Read, Write, check

    history = [
        Operation("PutItem", "client 1", invoked=0, completed=5, writes=(Write("x", "a", replaces=True),)),
        Operation("GetItem", "client 2", invoked=7, completed=9, reads=(Read("x", ()),)),
    ]
    for anomaly in check(history):
        print(anomaly)  # stale read: ...

What a recorder has to keep to makes the check fast, for who wrote what, and in which order, can then be read off:
- every write writes a value that no other write of the history writes, whether it succeeds or not;
- an item is a list to which writes append their value (`SET chain = list_append(chain, :value)`, or a whole put on
  condition that the list is the one read before), so that every read tells the order of all writes before it. A write
  may also replace the list by its own value alone (a plain put). Where it does, order is known only as far as time
  tells it, and appends that were swallowed by a replacement that nobody saw are not missed;
- an item that is deleted holds nothing, and an append begins it anew. To see an item absent does not tell since when,
  so the order of deletions is known only as far as time, and what they tell of the item deleted, tell it;
- new items are taken from time to time, so that lists stay short and lives are few.

An operation has an outcome. "ok": it was answered. "failed": it was refused, so nobody may ever see its writes, but
what it was shown is a read. "unknown" (a timeout, a killed server): it may have happened, once, at any time after it
was invoked; the check takes it for done if somebody saw any of its writes, and then all of them must be there.

    operations    the format, and its lines of JSON
    segments      the states of an item, and in which order they came
    absences      when an item that was deleted was absent
    versions      what each item was, as far as reads tell, and reads that fit no order
    graph         operations as a graph of what must come before what
    cycles        the cycles in it
    explanations  why a cycle fits no order
    anomalies     what was found, in words
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
    """What no serial order of the operations explains; nothing for a history without fault.

    `strict` asks that an operation which completed before another was invoked also comes before it in the serial order,
    whatever the two touch. Otherwise only those that have an item in common are held to that.
    """
    versions = Versions([part for operation in history for part in parts(operation)])
    graph = dependencies(versions, strict=strict)
    return versions.anomalies + [explain(versions, cycle) for cycle in cycles(graph)]
