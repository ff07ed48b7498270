"""Operations as the gateway calls them, without HTTP."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from atoll.api import services
from atoll.api.call import Caller, Desk
from atoll.database.region import Region

NOBODY = Caller(None, "000000000000", admin=True)


def call(
    region: Region, operation: str, body: dict[str, Any], target: str = "DynamoDB_20120810"
) -> Coroutine[Any, Any, Any]:
    """The answer of an operation of DynamoDB or its streams in this region."""
    desk = Desk({services.REGION: lambda _: region})
    row = services.TARGETS[f"{target}.{operation}".encode()]
    return desk.call(row, region.name, NOBODY, body, region.clock.now_ms())
