"""Answers about features that no table has yet: Kinesis destinations.

Each operation finds nothing, with the service's own errors for unknown tables and bad input, so tools that read
everything about a table can read one.
"""

from __future__ import annotations

from typing import Any

from atoll.api.table_names import table_name
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import features as feature_errors

Body = dict[str, Any]

NAME_CHARS = (3, 255)


async def _table(region: Region, body: Body) -> Table:
    name, now_ms = table_name(region, body), region.clock.now_ms()
    return await region.read(lambda snapshot: region.catalog.described(snapshot, name, now_ms))


# Global tables


def global_table_name(body: Body) -> str:
    """Of an operation of 2017."""
    name: str = body["GlobalTableName"]
    if not NAME_CHARS[0] <= len(name) <= NAME_CHARS[1]:
        raise feature_errors.global_table_name_length()
    return name


# Kinesis destinations


async def describe_kinesis_streaming_destination(region: Region, body: Body) -> Body:
    table = await _table(region, body)
    return {"TableName": table.name, "KinesisDataStreamDestinations": []}
