"""A disk that may lose what was not synced. It holds the files of one directory, and forgets nothing that was synced.

Every file has two contents: the *visible* one, which programs read, and the *durable* one. A write changes the visible
content and is pending, sector by sector, until a sync. A power cut keeps an arbitrary version of each pending sector:
the durable one, or any that was written since. The size of the file and the entries of the directory are lost or kept
in the same way. A kill loses nothing, but what was pending stays pending.

A sync that fails keeps some pending sectors and forgets the others, as Linux does: they are visible, but no later sync
writes them. Some file systems even show the durable content again.

Every call of a program is counted (`reached`). A `Plan` says at which calls something happens.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SMALL_SECTOR, LARGE_SECTOR = 512, 4096
MARK = "acknowledged"
CODES = {
    "read": apsw.SQLITE_IOERR_READ,
    "short": apsw.SQLITE_IOERR_SHORT_READ,
    "write": apsw.SQLITE_IOERR_WRITE,
    "full": apsw.SQLITE_FULL,
    "sync": apsw.SQLITE_IOERR_FSYNC,
    "truncate": apsw.SQLITE_IOERR_TRUNCATE,
    "delete": apsw.SQLITE_IOERR_DELETE,
    "open": apsw.SQLITE_CANTOPEN,
    "map": apsw.SQLITE_IOERR_SHMSIZE,
}


@dataclass(frozen=True)
class Fault:
    """Calls of this kind fail, from one call to another."""

    kind: str
    first: int
    last: float
    files: str = ""
    """The end of the names of the files that fail."""


@dataclass(frozen=True)
class Plan:
    faults: tuple[Fault, ...] = ()
    death: str = ""
    """"kill" or "cut"."""
    death_at: int = -1
    counts_syncs: bool = False
    """Whether death comes at this sync, not at this call of any kind."""


class File:
    def __init__(self, content: bytes = b"") -> None:
        self.writes = 0
        self.failed_syncs = 0
        self.set(content)

    def set(self, content: bytes) -> None:
        """This is durable, and nothing is pending."""
        self.visible = bytearray(content)
        self.durable = bytes(content)
        self.versions: dict[int, list[tuple[int, bytes]]] = {}
        """What was written into each sector since it was durable, with the number of the write."""
        self.sizes: list[tuple[int, int]] = []

    def write(self, data: bytes, offset: int, sector: int) -> None:
        self.writes += 1
        if len(self.visible) < offset:
            self.visible.extend(bytes(offset - len(self.visible)))
        self.visible[offset : offset + len(data)] = data
        for number in range(offset // sector, (offset + len(data) - 1) // sector + 1):
            self._note(number, sector)
        if len(self.visible) != (self.sizes[-1][1] if self.sizes else len(self.durable)):
            self.sizes.append((self.writes, len(self.visible)))

    def truncate(self, size: int, sector: int) -> None:
        self.writes += 1
        before = len(self.visible)
        del self.visible[size:]
        self.visible.extend(bytes(size - len(self.visible)))
        self.sizes.append((self.writes, size))
        for number in range(size // sector, before // sector + 1):
            self._note(number, sector)

    def _note(self, number: int, sector: int) -> None:
        content = bytes(self.visible[number * sector : (number + 1) * sector])
        self.versions.setdefault(number, []).append((self.writes, content.ljust(sector, b"\0")))

    def settle(self, writes: int, sector: int, lost: Callable[[], bool] = lambda: False) -> None:
        """The first so many writes are not pending any more. They are durable, but for the sectors that are `lost`."""
        size, content = len(self.durable), bytearray(self.durable)
        for number, versions in list(self.versions.items()):
            settled = [version for version in versions if version[0] <= writes]
            if settled and not lost():
                content.extend(bytes(max(0, number * sector - len(content))))
                content[number * sector : (number + 1) * sector] = settled[-1][1]
            self.versions[number] = versions[len(settled) :]
            if not self.versions[number]:
                del self.versions[number]
        while self.sizes and self.sizes[0][0] <= writes:
            size = self.sizes.pop(0)[1]
        del content[size:]
        content.extend(bytes(size - len(content)))
        self.durable = bytes(content)

    def cut(self, random_: random.Random, sector: int) -> None:
        """A power cut: all that is pending is lost, or nothing, or of each sector another version."""
        how = random_.choice(("lost", "kept", "mixed"))
        if how == "mixed":
            chosen = {number: random_.choice([None, *versions]) for number, versions in self.versions.items()}
            self.versions = {number: [version] for number, version in chosen.items() if version}
            self.sizes = self.sizes[: random_.randrange(len(self.sizes) + 1)]
        if how != "lost":
            self.settle(self.writes, sector)
        self.set(self.durable)


@dataclass
class Disk:
    random: random.Random
    directory: Path
    files: dict[str, File] = field(default_factory=dict)
    entries: dict[str, File] = field(default_factory=dict)
    """The directory as it is durable."""
    plan: Plan = Plan()
    calls: int = 0
    syncs: int = 0
    dead: str = ""
    struck: bool = False
    """Whether a fault of the plan happened."""
    failed_sync: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sector = self.random.choice((SMALL_SECTOR, LARGE_SECTOR))

    def begin(self, plan: Plan) -> None:
        self.plan, self.calls, self.syncs = plan, 0, 0
        self.struck = self.failed_sync = False

    def reached(self, name: str, *kinds: str) -> int:
        """A program has come to a call: the result code that it gets instead of success, or 0."""
        if self.dead:
            return apsw.SQLITE_IOERR
        self.calls += 1
        self.syncs += "sync" in kinds
        if (self.syncs if self.plan.counts_syncs else self.calls) == self.plan.death_at:
            self.die(self.plan.death)
            return apsw.SQLITE_IOERR
        for fault in self.plan.faults:
            if fault.kind in kinds and fault.first <= self.calls <= fault.last and name.endswith(fault.files):
                self.struck = True
                self.counts[fault.kind] += 1
                return CODES[fault.kind]
        return apsw.SQLITE_OK

    def die(self, how: str) -> None:
        self.dead = how
        self.counts[how] += 1

    # The calls. Each returns a result code.

    def open(self, name: str) -> None:
        self.files.setdefault(name, File())

    def write(self, name: str, data: bytes, offset: int) -> tuple[int, int]:
        """And how many bytes arrive."""
        if self.dead:
            return apsw.SQLITE_IOERR, 0
        code = self.reached(name, "write", "full")
        count = self._arriving(len(data), offset) if code else len(data)
        if count:
            self.files[name].write(data[:count], offset, self.sector)
        return code, count

    def _arriving(self, count: int, offset: int) -> int:
        """How much of a write is done when it fails, or when its program is killed: some whole sectors."""
        ends = range(offset // SMALL_SECTOR * SMALL_SECTOR + SMALL_SECTOR, offset + count, SMALL_SECTOR)
        return self.random.choice([0, *(end - offset for end in ends), *([count] if self.dead else [])])

    def truncate(self, name: str, size: int) -> int:
        if code := self.reached(name, "truncate"):
            return code
        self.files[name].truncate(size, self.sector)
        return apsw.SQLITE_OK

    def sync(self, name: str, told: int, *, until: int | None = None, directory: bool = False) -> int:
        """A sync through a descriptor that was `told` of so many failed ones: Linux tells all that are open. It makes
        durable what was written `until` it began."""
        code = self.reached(name, "sync")
        if self.dead:
            return code
        file = self.files[name]
        if code:
            self._fail_sync(name, file)
        elif told < file.failed_syncs:
            return CODES["sync"]
        else:
            file.settle(file.writes if until is None else until, self.sector)
            if directory:
                self.sync_directory()
        return code

    def _fail_sync(self, name: str, file: File) -> None:
        self.failed_sync = True
        file.failed_syncs += 1
        file.settle(file.writes, self.sector, lost=lambda: self.random.random() < 0.5)
        if name.endswith("-wal") and self.random.random() < 0.3:
            file.visible = bytearray(file.durable)
            with (self.directory / name).open("r+b") as real:
                real.write(file.durable)

    def delete(self, name: str, synced: bool) -> int:
        if code := self.reached(name, "delete"):
            return code
        self.files.pop(name, None)
        if synced:
            self.sync_directory()
        return apsw.SQLITE_OK

    def sync_directory(self) -> None:
        self.entries = dict(self.files)

    # Between two lives

    def revive(self, directory: Path) -> None:
        """The machine or the program starts again, in a new directory, because the dead one may still have the old
        files open."""
        if self.dead == "cut":
            self._cut()
        directory.mkdir()
        for name, file in self.files.items():
            (directory / name).write_bytes(file.visible)
        self.directory, self.dead = directory, ""
        self.begin(Plan())

    def _cut(self) -> None:
        files: dict[str, File] = {}
        for name in sorted({*self.files, *self.entries}):
            entries = [self.files.get(name), self.entries.get(name)]
            if file := self.random.choice(entries):
                files[name] = file
        for file in {id(file): file for file in files.values()}.values():
            file.cut(self.random, self.sector)
        self.files, self.entries = files, dict(files)

    def flip(self, name: str) -> None:
        """Flip a bit of a file."""
        file = self.files[name]
        bit = self.random.randrange(8 * len(file.visible))
        file.visible[bit // 8] ^= 1 << bit % 8
        file.set(bytes(file.visible))
        (self.directory / name).write_bytes(file.visible)
