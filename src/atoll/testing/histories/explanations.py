"""Explains why the operations of a cycle fit no order, and names the anomaly."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.testing.histories.anomalies import Anomaly, show
from atoll.testing.histories.cycles import Dependency
from atoll.testing.histories.versions import Versions


def explain(versions: Versions, cycle: Sequence[Dependency]) -> Anomaly:
    """Explain a cycle: each operation must precede the next, and the last must precede the first."""
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
    item = dependency.item
    source, target = (versions.operations[at].write(item) for at in (dependency.source, dependency.target))
    written, wrote = source and source.value, target and target.value
    if dependency.kind == "wr":
        if written is None:
            return f"{second} saw {item} absent, which {first} deleted"
        return f"{second} saw {written}, which {first} wrote to {item}"
    if dependency.kind == "ww":
        if wrote is None:
            return f"{second} deleted {item} after {first}'s {written or 'deletion'}"
        return f"{second} wrote {wrote} to {item} over {first}'s {written or 'deletion'}"
    if wrote is None:
        return f"{first} saw {item} as it was before {second} deleted it"
    return f"{first} saw {item} without {wrote}, which {second} wrote"


def _kind(versions: Versions, cycle: Sequence[Dependency]) -> str:
    kinds = [dependency.kind for dependency in cycle]
    missed = [dependency for dependency in cycle if dependency.kind == "rw"]
    if "rt" in kinds:
        if any(_never_seen(versions, one) for one in cycle if one.kind in ("rw", "ww")):
            return "lost update"
        return "stale read" if missed else "future read"
    if not missed:
        return "circular reads" if "wr" in kinds else "dirty write"
    if len(missed) > 1:
        return "write skew"
    one = missed[0]
    if versions.operations[one.source].write(one.item) is not None and {d.item for d in cycle} == {one.item}:
        return "lost update"
    return "fractured read" if len(cycle) == 2 else "read skew"


def _never_seen(versions: Versions, dependency: Dependency) -> bool:
    """Whether no read saw a state of the item that includes the later write."""
    item = versions.items[dependency.item]
    write = versions.operations[dependency.target].write(dependency.item)
    return write is not None and not item.seen(write.version(dependency.target))
