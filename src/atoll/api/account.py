"""DescribeLimits, DescribeEndpoints: what a client asks about the service itself."""

from __future__ import annotations

from typing import Any

from atoll import limits
from atoll.database.region import Region

Body = dict[str, Any]


async def describe_limits(region: Region, body: Body) -> Body:
    return {
        "AccountMaxReadCapacityUnits": limits.ACCOUNT_READ_UNITS,
        "AccountMaxWriteCapacityUnits": limits.ACCOUNT_WRITE_UNITS,
        "TableMaxReadCapacityUnits": limits.TABLE_READ_UNITS,
        "TableMaxWriteCapacityUnits": limits.TABLE_WRITE_UNITS,
    }


async def describe_endpoints(region: Region, body: Body) -> Body:
    """A client that discovers endpoints goes where this points: to us, by the address this node is known by."""
    return {"Endpoints": [{"Address": region.endpoint, "CachePeriodInMinutes": 1440}]}
