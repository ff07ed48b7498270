"""Put the items of files into a table.

Several threads put a chunk of items; then the state file counts it. So an interrupted run resumes with the next chunk
of each file. It puts at most one chunk twice, which changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from atoll.clock import monotonic_ns
from atoll.files.items import Item
from atoll.files.sources import InputFile
from atoll.replicate import keys
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.failures import Failed
from atoll.replicate.progress import Counters, Display
from atoll.replicate.writing import BATCH, Writer, put

THREADS = 8
CHUNK = 8 * BATCH
SAVE_EVERY_S = 1.0


def unchanged(item: Item) -> Item:
    return item


class ImportProgress:
    """The number of items that were put from each file: a JSON file, replaced as a whole."""

    def __init__(self, path: Path, table: str) -> None:
        self._path = path
        self._table = table
        self.done: dict[str, int] = {}
        self._saved_ns = monotonic_ns()

    def load(self) -> None:
        try:
            stored = json.loads(self._path.read_text())
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise Failed(f"{self._path}: {error}") from None
        if stored.get("table") != self._table:
            raise Failed(f"{self._path} records an import into another table: delete it to start again")
        self.done = stored["done"]

    def save(self, *, now: bool = False) -> None:
        if not now and monotonic_ns() - self._saved_ns < SAVE_EVERY_S * 1e9:
            return
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps({"table": self._table, "done": self.done}))
        new.replace(self._path)
        self._saved_ns = monotonic_ns()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def run(
    sources: Sequence[InputFile],
    names: Sequence[str],
    writer: Writer,
    state: ImportProgress,
    pauses: Pauses,
    counters: Counters,
    display: Display,
    change: Callable[[Item], Item],
) -> None:
    """Import the files. `names` are the attributes of the table's key. `change` is applied to each item before anything
    else."""
    state.load()
    counters.phase = "import"
    sizes = [source.path.stat().st_size for source in sources]
    total = max(sum(sizes), 1)
    with crew(THREADS, pauses) as pool:
        for at, source in enumerate(sources):
            name, before = str(source.path.resolve()), sum(sizes[:at])
            done = state.done.get(name, 0)
            found = source.items()
            counters.add(items=sum(1 for _ in islice(found, done)))
            try:
                while chunk := [change(item) for item in islice(found, CHUNK)]:
                    for _ in pool.map(writer.write, _batches(chunk, names)):
                        pauses.check()
                    done = state.done[name] = done + len(chunk)
                    counters.add(items=len(chunk))
                    share = (before + sizes[at] * source.read()) / total
                    counters.expected = max(counters.items, round(counters.items / max(share, 1e-6)))
                    state.save()
                    display.tick()
                    pauses.check()
            finally:
                state.save(now=True)
    counters.expected = counters.items
    state.remove()


def _batches(chunk: Sequence[Item], names: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """Batches of a chunk's items. Of items with the same key only the last one is put."""
    distinct: dict[Any, Item] = {}
    for item in chunk:
        try:
            distinct[keys.identity(item, names)] = item
        except (ArithmeticError, ValueError, TypeError):
            raise Failed(f"an item has an invalid key: {str(item)[:200]}") from None
    requests = [put(item) for item in distinct.values()]
    for first in range(0, len(requests), BATCH):
        yield requests[first : first + BATCH]
