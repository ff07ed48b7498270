"""Global tables in the admin API: the conflict report, and the upgrade of a global table of 2017.

    GET  /_atoll/replication/conflicts?table=T&region=R&limit=100    all members may be left out
    POST /_atoll/replication/upgrade   {"table": a table, "region": the region of one of its replicas}

A region reports the conflicts that it has detected. The answer has those of all regions of this server, the latest
first, and each region's total. An upgrade begins in one replica; the others follow when they learn of it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from atoll import limits
from atoll.api.admin import Body, Server, check_members, region_of, text_of
from atoll.errors import replicas as replica_errors
from atoll.errors import replication as replication_errors
from atoll.replication import conflicts, legacy
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

_LONGEST_LIMIT = 9
"""The most digits of a valid number."""


async def show_conflicts(server: Server, body: Body) -> Body:
    check_members(body, ("table", "region", "limit"))
    limit, table = limit_of(body.get("limit", limits.CONFLICTS_KEPT)), body.get("table")
    found: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for name in [region_of(server, body).name] if body.get("region") else server.links.regions:
        listed, seen[name] = await server.region(name).read(partial(_conflicts, table, limit))
        found += [{"seen_in": name, **entry} for entry in listed]
    found.sort(key=lambda entry: -entry["found_ms"])
    return {"conflicts": found[:limit], "seen": seen}


def _conflicts(table: str | None, limit: int, snapshot: Snapshot) -> tuple[list[dict[str, Any]], int]:
    return conflicts.listed(snapshot, table, limit), conflicts.counted(snapshot)


async def upgrade(server: Server, body: Body) -> Body:
    check_members(body, ("table", "region"))
    name, region = text_of(body, "table"), region_of(server, body)

    def run(tx: Transaction, stamp: Stamp) -> Body:
        table = region.catalog.changeable(tx, name, stamp.now_ms)
        if table.group is None or not table.group.is_legacy:
            raise replication_errors.no_legacy_global_table(name)
        if table.group.is_changing:
            raise replica_errors.in_use()
        group = legacy.upgrade(tx, stamp, table).group
        assert group is not None
        return {"table": name, "version": group.kind, "replicas": [member.region for member in group.present]}

    answer = await region.write(run)
    region.wake()
    return answer


def limit_of(value: Any) -> int:
    """The value of `limit`: text from a query string, a number from JSON."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _LONGEST_LIMIT:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise replication_errors.bad_limit(value)
    return value
