"""The settings that all replicas of a table share."""

from __future__ import annotations

from typing import Any

from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.storage.engine import Transaction


def of(table: Table) -> dict[str, Any]:
    return {}


def adopt(tx: Transaction, region: Region, table: Table, settings: dict[str, Any], now_ms: int) -> Table:
    return table
