"""The violations found, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atoll.testing.histories.operations import Operation, Version, Write


@dataclass(frozen=True)
class Anomaly:
    """A violation of serializable transactions or linearizable items.

    | kind | what happened |
    |---|---|
    | unwritten value | an item holds a value that no operation wrote |
    | aborted read | a read saw a write of a failed operation |
    | dirty read | a read saw an unanswered write that later vanished |
    | duplicated write | one write was applied twice |
    | lost update | an acknowledged write vanished, or two writes were based on the same state |
    | dirty write | two operations overwrote each other |
    | circular reads | operations saw each other's writes in a circle |
    | fractured read | an operation saw a transaction's write of one item and missed that of another |
    | read skew | an operation saw item states that never existed at the same time |
    | write skew | operations each missed what the next one wrote |
    | future read | an operation saw a write, or followed one, that was invoked after it had completed |
    | stale read | an operation missed a write that had completed before it was invoked |

    A deletion counts as a write: a read of the absent item saw it, a read of an older version missed it.
    """

    kind: str
    text: str
    operations: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}".replace("\n", "\n  ")


def show(operation: Operation) -> str:
    did = [f"saw {read.item} = {show_chain(read.chain)}" for read in operation.reads]
    did += [_show_write(write) for write in operation.writes]
    until = "?" if operation.completed is None else operation.completed
    outcome = "" if operation.outcome == "ok" else f" {operation.outcome}"
    return f"{operation.name} by {operation.process} [{operation.invoked}..{until}]{outcome}: {', '.join(did)}"


def _show_write(write: Write) -> str:
    if write.value is None:
        return f"deleted {write.item}"
    return f"{'put' if write.replaces else 'appended'} {write.item} <- {write.value}"


def show_chain(chain: Sequence[Version]) -> str:
    shown = chain if len(chain) <= 4 else ["...", *chain[-3:]]
    return f"[{' '.join(map(str, shown))}]"
