"""The size of a region's store and of its parts, in the admin API:

    GET /_atoll/storage   ?region=eu-west-1

The sizes of the store are exact, those of its parts are estimates. Both were measured at `measured_at`, at most ten
seconds ago.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

from atoll.api.admin import check_members, text_of
from atoll.database.footprint import Amount, Footprint, Footprints, TableRoom
from atoll.database.region import Region

Body = dict[str, Any]


class Server(Protocol):
    footprints: Footprints

    def region(self, name: str = "") -> Region: ...


async def show_storage(server: Server, body: Body) -> Body:
    check_members(body, ("region",))
    region = server.region(text_of({"region": "", **body}, "region"))
    return {"region": region.key, **_shown(await server.footprints.of(region))}


def _shown(found: Footprint) -> Body:
    at = datetime.fromtimestamp(found.measured_ms / 1000, UTC)
    store = found.store
    return {
        "measured_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "store": store and {"bytes": store.total, "unused_bytes": store.unused, "log_bytes": store.log},
        "tables": [{"table": name, "bytes": room.bytes, **_parts(room)} for name, room in sorted(found.tables.items())],
        "discarded": _amount(found.discarded),
        "other_bytes": found.other_bytes,
    }


def _parts(room: TableRoom) -> Body:
    return {
        "items": _amount(room.items),
        "indexes": {name: _amount(amount) for name, amount in room.indexes.items()},
        "log": _amount(room.log),
        "backups": _amount(room.backups),
        **{member: _amount(amount) for member, amount in room.further.items()},
    }


def _amount(amount: Amount) -> Body:
    return {"rows": amount.rows, "bytes": amount.bytes}
