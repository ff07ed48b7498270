"""The progress of a table's creation or deletion. Some operations do not find a table early in CREATING or late in
DELETING. This shows only with a delay of the control plane.

The shares of the time were measured on the service, and rounded.
"""

from __future__ import annotations

from atoll.database.region import Region
from atoll.database.schema import Table

UNKNOWN = 1 / 2
"""Before this share, time to live, backups and contributor insights do not find a table that is CREATING."""
UNTAGGED = 4 / 5
"""Before this share, tags do not find a table that is CREATING."""
FORGOTTEN = 1 / 3
"""From this share on, tags and backups do not find a table that is DELETING."""


def share(region: Region, table: Table, now_ms: int) -> float:
    """The share of the time of CREATING or DELETING that has passed."""
    delay_ms = region.settings.control_plane_delay_ms
    return 1 - (table.due_ms - now_ms) / delay_ms if delay_ms else 1


def creating_before(region: Region, table: Table, now_ms: int, until: float) -> bool:
    return table.status_at(now_ms) == "CREATING" and share(region, table, now_ms) < until


def deleting_after(region: Region, table: Table, now_ms: int, since: float = FORGOTTEN) -> bool:
    return table.status_at(now_ms) == "DELETING" and share(region, table, now_ms) >= since
