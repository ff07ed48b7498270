"""What was found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoll.testing.histories.operations import Operation

if TYPE_CHECKING:
    from atoll.testing.histories.cycles import Dependency
    from atoll.testing.histories.versions import Versions


@dataclass(frozen=True)
class Anomaly:
    """Something that cannot happen where transactions are serializable and items linearizable.

    | kind | what happened |
    |---|---|
    | unwritten value | an item holds what nobody wrote |
    | aborted read | somebody saw a write of an operation that failed |
    | dirty read | somebody saw an unanswered write that did not last |
    | duplicated write | one write was applied twice |
    | lost update | an acknowledged write vanished, or two were made upon the same state |
    | dirty write | two operations overwrote each other in turn |
    | circular reads | operations saw each other's writes in a circle |
    | fractured read | an operation saw a transaction's write of one item and missed that of another |
    | read skew | an operation saw items at moments that were never together |
    | write skew | operations each missed what the next one wrote |
    | future read | an operation saw a write, or followed one, that was invoked after it had completed |
    | stale read | an operation missed a write that had completed before it was invoked |
    """

    kind: str
    text: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}".replace("\n", "\n  ")


def show(operation: Operation) -> str:
    did = [f"saw {read.item} = {show_chain(read.chain)}" for read in operation.reads]
    did += [f"{'put' if write.replaces else 'appended'} {write.item} <- {write.value}" for write in operation.writes]
    until = "?" if operation.completed is None else operation.completed
    outcome = "" if operation.outcome == "ok" else f" {operation.outcome}"
    return f"{operation.name} by {operation.process} [{operation.invoked}..{until}]{outcome}: {', '.join(did)}"


def show_chain(chain: tuple[str, ...]) -> str:
    shown = chain if len(chain) <= 4 else ("...", *chain[-3:])
    return f"[{' '.join(shown)}]"


def explain(versions: Versions, cycle: Sequence[Dependency]) -> Anomaly:
    """Each operation of the cycle has to come before the next, and the last before the first."""
    names = {dependency.source: f"T{number}" for number, dependency in enumerate(cycle, 1)}
    operations = [versions.operations[dependency.source] for dependency in cycle]
    lines = [f"no order explains these {len(cycle)} operations"]
    lines += [f"{name}: {show(operation)}" for name, operation in zip(names.values(), operations, strict=True)]
    for one in cycle:
        first, second = names[one.source], names[one.target]
        lines.append(f"{first} before {second}: {_reason(versions, one, first, second)}")
    return Anomaly(_kind(versions, cycle), "\n".join(lines), tuple(operations))


def _reason(versions: Versions, dependency: Dependency, first: str, second: str) -> str:
    if dependency.kind == "rt":
        return f"{first} had completed before {second} was invoked"
    source, target = (versions.operations[at] for at in (dependency.source, dependency.target))
    written, wrote = source.write(dependency.item), target.write(dependency.item)
    if dependency.kind == "wr":
        return f"{second} saw {written and written.value}, which {first} wrote to {dependency.item}"
    if dependency.kind == "ww":
        return f"{second} wrote {wrote and wrote.value} to {dependency.item} over {first}'s {written and written.value}"
    return f"{first} saw {dependency.item} without {wrote and wrote.value}, which {second} wrote"


def _kind(versions: Versions, cycle: Sequence[Dependency]) -> str:
    kinds = [dependency.kind for dependency in cycle]
    missed = [dependency for dependency in cycle if dependency.kind == "rw"]
    if "rt" in kinds:
        if not missed:
            return "future read"
        return "lost update" if any(_never_seen(versions, one) for one in missed) else "stale read"
    if not missed:
        return "circular reads" if "wr" in kinds else "dirty write"
    if len(missed) > 1:
        return "write skew"
    one = missed[0]
    if versions.operations[one.source].write(one.item) is not None and {d.item for d in cycle} == {one.item}:
        return "lost update"
    return "fractured read" if len(cycle) == 2 else "read skew"


def _never_seen(versions: Versions, dependency: Dependency) -> bool:
    """Whether the write that was missed is in no state of the item that anybody saw."""
    write = versions.operations[dependency.target].write(dependency.item)
    return write is not None and write.value not in versions.items[dependency.item].placed
