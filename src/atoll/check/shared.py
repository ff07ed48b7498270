"""`atoll store check --store URL`: check the regions of a store in PostgreSQL, and repair them if asked to.

A check reads one snapshot of each region, so front ends may go on. A repair needs them stopped. It makes the changes
that the findings name, checks again within the same transaction until none is left, and commits all at once. Rows
that it changes or deletes are kept in the table `before_repair` of the region's schema.

PostgreSQL itself verifies its pages if the servers have data checksums; the checks of the rows' relations are the
same as those of a store in a file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from atoll.check import command, sections
from atoll.check import findings as on
from atoll.check.command import CANNOT_RUN, CLEAN, DAMAGED
from atoll.check.findings import Context, Finding, Fix
from atoll.check.repair import BATCH, ROUNDS
from atoll.check.report import Report
from atoll.check.snapshot import RegionSnapshot
from atoll.check.store import Progress
from atoll.storage.buffer import Buffer
from atoll.storage.engine import Corrupt, Unavailable
from atoll.storage.postgresql import longkeys, statements
from atoll.storage.postgresql.direct import Direct
from atoll.storage.postgresql.url import BadStore

BEGIN_CHECK = "begin isolation level repeatable read read only"


def run(url: str, now_ms: int, *, as_json: bool, repairs: bool) -> int:
    """Check the store; return the exit code. Changes nothing unless `repairs`."""
    reports: dict[str, dict[str, Any]] = {}
    code = CLEAN
    try:
        with opened(url) as direct:
            direct.require_format()
            if repairs:
                direct.claim()
            for schema in direct.regions():
                name = f"{direct}, {schema}"
                progress = command.progress(name, quiet=as_json)
                direct.execute(BEGIN_CHECK)
                report = _check(direct, schema, now_ms, progress)
                direct.execute("rollback")
                command.show(name, report, as_json=as_json)
                if repairs and report.is_repairable:
                    report = _repair(direct, schema, report, now_ms, progress)
                    command.show_repair(name, report, as_json=as_json)
                reports[schema] = report.as_json()
                code = code if report.is_clean and code == CLEAN else DAMAGED
    except (BadStore, Corrupt, Unavailable) as error:
        print(f"atoll: {error}", file=sys.stderr)
        return CANNOT_RUN
    if as_json:
        command.print_json(code, reports)
    return code


@contextmanager
def opened(url: str) -> Iterator[Direct]:
    direct = Direct(url)
    try:
        yield direct
    finally:
        direct.close()


def _check(direct: Direct, schema: str, now_ms: int, progress: Progress) -> Report:
    """Check a region, in the open transaction."""
    report = Report()
    section, done = "counting rows", 0

    def tick(rows: int) -> None:
        nonlocal done
        done += rows
        progress(section, min(done, report.rows), report.rows)

    snapshot = RegionSnapshot(direct, schema, tick)
    try:
        report.rows = snapshot.count()
        for one in sections.of(snapshot):
            section = one.name
            tick(0)
            for finding in one.check(snapshot, Context(now_ms)):
                report.add(finding)
    except Corrupt as damage:
        report.add(Finding(on.FILE, None, None, f"{damage}, in the part: {section}", is_loss=True))
    return report


def _repair(direct: Direct, schema: str, report: Report, now_ms: int, progress: Progress) -> Report:
    """Repair a region in one transaction; returns the report of a check after the repair."""
    direct.execute(statements.lock(schema))
    name = statements.quoted(schema)
    direct.execute(
        f"create table if not exists {name}.before_repair (repaired timestamptz not null, key bytea not null,"
        " value bytea not null)"
    )
    snapshot, context = RegionSnapshot(direct, schema), Context(now_ms)
    for number in range(ROUNDS):
        fixes: list[Fix] = []
        found = 0
        for finding in sections.check(snapshot, context):
            if finding.fixes:
                found += 1
                report.repaired[finding.kind] += 1
                fixes += finding.fixes
                if finding.is_loss:
                    report.lost.append(finding)
        progress(f"repair, pass {number + 1}", found, found)
        if not fixes:
            break
        for start in range(0, len(fixes), BATCH):
            _apply(direct, schema, snapshot, fixes[start : start + BATCH])
    after = _check(direct, schema, now_ms, progress)
    direct.commit()
    after.repaired, after.lost, after.kept_file = report.repaired, report.lost, f"{name}.before_repair"
    return after


def _apply(direct: Direct, schema: str, snapshot: RegionSnapshot, fixes: list[Fix]) -> None:
    buffer = Buffer(snapshot)
    for fix in fixes:
        fix.apply(buffer)
    rows = {longkeys.stored_key(key): value for key, value in buffer.rows.items()}
    name = statements.quoted(schema)
    keep = f"insert into {name}.before_repair select now(), key, value from {name}.rows where"
    direct.fetch(f"{keep} key = any($1::bytea[])", [*rows])
    for start, end in buffer.cleared:
        direct.fetch(f"{keep} key >= $1 and key < $2", longkeys.first_stored(start), longkeys.end_stored(end))
    put = sorted([longkeys.stored_row(key, value) for key, value in buffer.rows.items() if value is not None])
    direct.fetch(
        statements.commit_batch(schema),
        direct.value(statements.commits(schema)),
        [start for start, _ in buffer.cleared],
        [end for _, end in buffer.cleared],
        [key for key, value in rows.items() if value is None],
        [key for key, _ in put],
        [value for _, value in put],
        [*buffer.numbers],
        [*buffer.numbers.values()],
        [*buffer.tallies],
        [*buffer.tallies.values()],
    )
