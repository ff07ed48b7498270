"""Write a table into a directory, by a parallel scan.

    table.json                 the table's definition, as CreateTable takes it
    data/segment-000.json.gz   a line {"Item": {...}} for each item; a page of the scan is a member of the gzip file
    manifest.json              written last: the files with their sizes, counts and MD5
    progress.json              during the export: for each segment the last key and the size of its file

A run that resumes an interrupted one cuts the files to the sizes in `progress.json`, and continues the scan from there,
so each page is written once. The items are as they were when the scan read them; the export is not a snapshot.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.files import items
from atoll.replicate import tables
from atoll.replicate.crew import Pauses, crew
from atoll.replicate.ends import End
from atoll.replicate.failures import Failed
from atoll.replicate.pacing import Rate
from atoll.replicate.progress import Counters, Display, units

TICK_S = 0.2
LEVEL = 1
PROGRESS, MANIFEST, DEFINITION = "progress.json", "manifest.json", "table.json"


@dataclass
class Part:
    """A segment of the scan with its file."""

    number: int
    size: int = 0
    items: int = 0
    last_key: Any = None
    done: bool = False

    @property
    def name(self) -> str:
        return f"data/segment-{self.number:03d}.json.gz"


class FileExport:
    def __init__(
        self, source: End, table: str, directory: Path, rate: Rate, pauses: Pauses, counters: Counters, display: Display
    ) -> None:
        self._source = source
        self._table = table
        self._directory = directory
        self._rate = rate
        self._pauses = pauses
        self._counters = counters
        self._display = display
        self._lock = threading.Lock()
        self._identity = ""
        self._parts: list[Part] = []

    def run(self, segments: int) -> None:
        description = tables.describe(self._source, self._table)
        if description is None:
            raise Failed(f"there is no table {self._table}")
        self._identity = tables.identity(description)
        self._counters.phase = "export"
        (self._directory / "data").mkdir(parents=True, exist_ok=True)
        if (self._directory / MANIFEST).exists():
            raise Failed(f"{self._directory} has a complete export")
        self._parts = self._begun() or [Part(number) for number in range(segments)]
        self._counters.add(items=sum(part.items for part in self._parts))
        self._counters.expected = max(int(description.get("ItemCount", 0)), self._counters.items)
        definition = tables.definition(description, self._table)
        self._write(DEFINITION, definition)
        with crew(len(self._parts), self._pauses) as pool:
            running = {pool.submit(self._walk, part) for part in self._parts if not part.done}
            while running:
                finished, running = wait(running, timeout=TICK_S, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                self._display.tick()
                self._pauses.check()
        self._finish()

    def _begun(self) -> list[Part]:
        """The segments of an interrupted run, with their files cut to the sizes in `progress.json`."""
        path = self._directory / PROGRESS
        if not path.exists():
            return []
        stored = json.loads(path.read_text())
        if stored["table"] != self._identity:
            raise Failed(f"{self._directory} has a part of an export of another table")
        parts = [Part(**part) for part in stored["parts"]]
        for part in parts:
            file = self._directory / part.name
            if (file.stat().st_size if file.exists() else 0) < part.size:
                raise Failed(f"{file} is shorter than it was")
            if file.exists():
                os.truncate(file, part.size)
        return parts

    def _walk(self, part: Part) -> None:
        with (self._directory / part.name).open("ab") as file:
            while not part.done:
                self._pauses.check()
                start = {} if part.last_key is None else {"ExclusiveStartKey": part.last_key}
                answer = self._source.call(
                    "Scan", self._rate.wait, TableName=self._table, Segment=part.number,
                    TotalSegments=len(self._parts), ConsistentRead=True, ReturnConsumedCapacity="TOTAL", **start,
                )  # fmt: skip
                self._rate.spend(units(answer))
                page = answer["Items"]
                lines = b"".join(_line(item) for item in page)
                written = gzip.compress(lines, LEVEL) if lines else b""
                file.write(written)
                file.flush()
                os.fsync(file.fileno())
                last_key = answer.get("LastEvaluatedKey")
                with self._lock:
                    part.size, part.items = part.size + len(written), part.items + len(page)
                    part.last_key = last_key
                    part.done = last_key is None
                    self._write(PROGRESS, {"table": self._identity, "parts": [vars(one) for one in self._parts]})
                self._counters.add(items=len(page))

    def _finish(self) -> None:
        files = [self._described(part) for part in self._parts]
        count = sum(part.items for part in self._parts)
        self._write(MANIFEST, {"table": self._table, "itemCount": count, "files": files})
        (self._directory / PROGRESS).unlink()

    def _described(self, part: Part) -> dict[str, Any]:
        digest = hashlib.md5(usedforsecurity=False)
        with (self._directory / part.name).open("rb") as file:
            while piece := file.read(1024**2):
                digest.update(piece)
        md5 = base64.b64encode(digest.digest()).decode()
        return {"name": part.name, "itemCount": part.items, "size": part.size, "md5Checksum": md5}

    def _write(self, name: str, content: Any) -> None:
        new = self._directory / f"{name}.new"
        new.write_text(json.dumps(content, default=str) + "\n")
        new.replace(self._directory / name)


def _line(item: items.Item) -> bytes:
    return json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def files_of(directory: Path) -> Sequence[Path]:
    """The data files of a complete export, verified. Raises `Failed`."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text())
        listed = [(directory / one["name"], one["md5Checksum"]) for one in manifest["files"]]
        for file, expected in listed:
            md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).digest()
            if base64.b64encode(md5).decode() != expected:
                raise Failed(f"{file} does not have the checksum in {path}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Failed(f"{path}: {error}") from None
    return [file for file, _ in listed]
