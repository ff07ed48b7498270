"""Histories whose truth is known: from a serial store, and a slow judge of tiny ones that tries every order."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import permutations

from atoll.testing.histories import Operation, Outcome, Read, Write

Chain = tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """The operations of simulated clients."""

    operations: int
    clients: int = 8
    items: int = 10
    fresh_after: int = 500
    """Operations after which other items are used, so that lists stay short."""
    width: int = 3
    """Items in an operation, at most."""
    replacing: float = 0.0
    conditional_replacing: bool = True
    """Whether who replaces an item may have read it."""
    deleting: float = 0.0
    failing: float = 0.1
    unanswered: float = 0.02


def serial(seed: object, shape: Shape) -> list[Operation]:
    """Clients whose operations overlap, each taking effect at one moment between its invocation and its answer."""
    random_ = random.Random(str(seed))
    free_at = [random_.random() for _ in range(shape.clients)]
    planned = []
    for number in range(shape.operations):
        client = min(range(shape.clients), key=free_at.__getitem__)
        invoked = free_at[client]
        effect = invoked + random_.random()
        completed = effect + random_.random()
        free_at[client] = completed + random_.random() / 10
        planned.append((effect, number, client, invoked, completed))
    store: dict[str, Chain] = {}
    history = []
    for _, number, client, invoked, completed in sorted(planned):
        generation = number // shape.fresh_after
        names = [f"{generation}.{item}" for item in range(shape.items)]
        chosen = random_.sample(names, random_.randint(1, min(shape.width, shape.items)))
        reads, writes = _accesses(random_, shape, chosen, f"v{number}", store)
        outcomes: tuple[Outcome, ...] = ("failed", "unknown", "ok")
        weights = (shape.failing, shape.unanswered, 1 - shape.failing - shape.unanswered)
        outcome = random_.choices(outcomes, weights)[0]
        if outcome == "ok" or (outcome == "unknown" and random_.random() < 0.5):
            for write in writes:
                _apply(store, write)
        known = tuple(reads) if outcome != "unknown" else ()
        times = round(invoked * 1e6), None if outcome == "unknown" else round(completed * 1e6)
        history.append(Operation("Simulated", f"client {client}", *times, outcome, known, tuple(writes)))
    return history


def _accesses(
    random_: random.Random, shape: Shape, items: list[str], value: str, store: dict[str, Chain]
) -> tuple[list[Read], list[Write]]:
    reads, writes = [], []
    for item in items:
        kind = random_.choice(("read", "write", "both"))
        replaces = random_.random() < shape.replacing
        if kind == "read" or (kind == "both" and (shape.conditional_replacing or not replaces)):
            reads.append(Read(item, store.get(item, ())))
        if kind != "read":
            deletes = random_.random() < shape.deleting
            writes.append(Write(item, None) if deletes else Write(item, value, replaces))
    return reads, writes


def _apply(store: dict[str, Chain], write: Write) -> None:
    before = () if write.replaces else store.get(write.item, ())
    store[write.item] = () if write.value is None else (*before, write.value)


def disturbed(seed: object, history: list[Operation]) -> list[Operation]:
    """Make some results or times of the operations wrong."""
    random_ = random.Random(f"{seed} disturbed")
    known: dict[str, list[Chain]] = {}
    for operation in history:
        for read in operation.reads:
            known.setdefault(read.item, [()]).append(read.chain)
    changed = []
    for operation in history:
        reads = tuple(
            replace(read, chain=random_.choice(known[read.item])) if random_.random() < 0.3 else read
            for read in operation.reads
        )
        changed.append(replace(operation, reads=reads))
    return changed


def explainable(history: list[Operation]) -> bool:
    """Whether some order of the operations, with unanswered ones done or not, explains everything. By trying."""
    doubtful = [operation for operation in history if operation.outcome == "unknown"]
    certain = [operation for operation in history if operation.outcome != "unknown"]
    for chosen in range(2 ** len(doubtful)):
        done = certain + [operation for bit, operation in enumerate(doubtful) if chosen >> bit & 1]
        if any(_explains(order) for order in permutations(done)):
            return True
    return False


def _explains(order: tuple[Operation, ...]) -> bool:
    for earlier, operation in enumerate(order):
        for later in order[earlier + 1 :]:
            if later.completed is not None and later.completed < operation.invoked:
                return False
    store: dict[str, Chain] = {}
    for operation in order:
        before = dict(store)
        if operation.outcome != "failed":
            for write in operation.writes:
                _apply(store, write)
        for read in operation.reads:
            write_ = operation.write(read.item)
            sees_own = write_ is not None and read.chain[-1:] == (write_.value,)
            if (store if sees_own else before).get(read.item, ()) != read.chain:
                return False
    return True
