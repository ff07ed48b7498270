"""`atoll store copy`: from a data directory to PostgreSQL, or back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from atoll.copying.contents import CannotCopy, CopySource, CopyTarget
from atoll.copying.database import SourceDatabase, TargetDatabase
from atoll.copying.directory import SourceDirectory, TargetDirectory
from atoll.options import INTERRUPTED
from atoll.progress import Progress
from atoll.storage.engine import Corrupt, Full, Locked, Unavailable
from atoll.storage.postgresql.url import BadStore
from atoll.storage.sqlitefile import fault


def to_database(data: Path, directories: list[Path], url: str) -> int:
    """Copy a data directory to PostgreSQL; returns the exit code."""
    with (
        exit_code() as code,
        closing(SourceDirectory(data, directories)) as source,
        closing(TargetDatabase(url)) as to,
    ):
        copy(source, to)
    return code[0]


def to_directory(url: str, data: Path) -> int:
    """Copy a store in PostgreSQL to a data directory; returns the exit code."""
    with exit_code() as code, closing(SourceDatabase(url)) as source, closing(TargetDirectory(data)) as to:
        copy(source, to)
    return code[0]


@contextmanager
def exit_code() -> Iterator[list[int]]:
    """Yields a list of one number, which errors change."""
    code = [0]
    try:
        yield code
    except KeyboardInterrupt:
        print("\natoll: stopped; run the same command again to continue", file=sys.stderr)
        code[0] = INTERRUPTED
    except apsw.Error as error:
        print(f"atoll: {fault(error)}", file=sys.stderr)
        code[0] = 2
    except (BadStore, CannotCopy, Corrupt, Full, Locked, OSError, Unavailable) as error:
        print(f"atoll: {error}", file=sys.stderr)
        code[0] = 2


def copy(source: CopySource, target: CopyTarget) -> None:
    """Copy all regions, or go on with a copy. Raises `CannotCopy`."""
    regions = source.regions()
    if not regions:
        raise CannotCopy(f"there are no stores in {source}")
    if not target.begin(regions):
        for region in regions:
            _copy_region(source, target, region)
        for name in target.documents:
            if (content := source.document(name)) is not None:
                target.write_document(name, content)
    target.complete()
    print(f"{target}: complete; regions: {', '.join(regions)}")


def _copy_region(source: CopySource, target: CopyTarget, region: str) -> None:
    total, done = source.count(region), target.count(region)
    show = Progress(region, total)
    show(done)
    for batch in source.batches(region, target.position(region)):
        target.write(region, batch)
        done += len(batch.rows)
        show(done)
    numbers, tallies = (source.counters(region, tallies=one) for one in (False, True))
    target.write_counters(region, numbers, tallies)
    found, expected = target.sums(region), source.sums(region)
    if found != expected:
        raise CannotCopy(
            f"{region}: the copy differs from {source}, which has changed since the copy began: empty {target} and"
            " begin again"
        )
    rows = expected[0]
    print(f"{region}: {rows.rows:,} rows, {len(numbers) + len(tallies):,} counters, verified ({rows.digest:x})")
