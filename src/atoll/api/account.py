"""DescribeLimits and DescribeEndpoints: requests about the service itself."""

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
    """Return this node's public address, so that clients with endpoint discovery stay on this server."""
    return {"Endpoints": [{"Address": region.endpoint, "CachePeriodInMinutes": 1440}]}
