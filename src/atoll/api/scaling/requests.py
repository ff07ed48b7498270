"""Common parts of the requests of Application Auto Scaling: the names of targets, and the tokens of pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import orjson

from atoll.alarms.actions import Event
from atoll.api import tables
from atoll.database.region import Region
from atoll.errors import scaling as errors
from atoll.scaling import policies, store, targets
from atoll.scaling.acting import Scaling
from atoll.scaling.targets import Id, ScalableTarget
from atoll.storage.engine import Snapshot

Body = dict[str, Any]
T = TypeVar("T")

AAS = "application-autoscaling"
"""The service in the ARNs of targets."""


def acting(region: Region) -> Scaling:
    """The object that acts for the region's targets: `region.state(acting)`."""
    return Scaling(region, tables.update_table)


class ScalingWork:
    """The background `Work` of auto scaling, and the callable that alarms run as an action."""

    def __init__(self, region: Region) -> None:
        self._region = region

    async def settle(self, now_ms: int) -> int | None:
        return await self._region.state(acting).settle(now_ms)

    async def act(self, region: Region, event: Event, arn: str) -> None:
        await region.state(acting).act(event, arn)

    async def stop(self) -> None:
        """Does nothing: no task of auto scaling outlives a call."""


def target_id(body: Body) -> Id:
    """The target that a request names."""
    id_ = targets.parse(body["ResourceId"], body["ScalableDimension"])
    if body["ServiceNamespace"] != targets.NAMESPACE or id_ is None:
        raise errors.unsupported_dimension()
    return id_


def registered(snapshot: Snapshot, id_: Id) -> ScalableTarget:
    found = store.target(snapshot, id_)
    if found is None:
        raise errors.not_registered(*id_)
    return found


def units(region: Region, snapshot: Snapshot, id_: Id) -> int | None:
    """The present units of a table or index, which must exist; None if it is on-demand."""
    table = policies.find_table(region, snapshot, id_.table_name)
    if table is None:
        raise errors.table_missing(f"table/{id_.table_name}")
    if targets.part(table, id_) is None:
        raise errors.index_missing(id_.resource)
    return targets.units(table, id_)


# Lists


def names(body: Body) -> tuple[str, ...] | None:
    """The names with which the ids of the wanted targets begin; None if the request's namespace has no targets."""
    resource, dimension = body.get("ResourceId"), body.get("ScalableDimension")
    if dimension is not None and resource is None:
        raise errors.dimension_without_resource()
    if body["ServiceNamespace"] != targets.NAMESPACE:
        return None
    return tuple(name for name in (resource, dimension) if name is not None)


def after(body: Body, length: int) -> tuple[str, ...] | None:
    """The names after which a page begins."""
    token = body.get("NextToken")
    if token is None:
        return None
    try:
        found = orjson.loads(base64.b64decode(token.encode(), altchars=b"-_", validate=True))
    except (ValueError, UnicodeEncodeError, binascii.Error):
        raise errors.invalid_next_token() from None
    if not isinstance(found, list) or len(found) != length or not all(isinstance(name, str) for name in found):
        raise errors.invalid_next_token()
    return tuple(found)


def token(names: Iterable[str]) -> str:
    return base64.b64encode(orjson.dumps(list(names)), altchars=b"-_").decode()


def page(
    member: str, found: Iterator[T], limit: int, describe: Callable[[T], Body], name: Callable[[T], Iterable[str]]
) -> Body:
    """The answer with at most `limit` of `found`, and a token if there are more."""
    answer: Body = {member: []}
    last: T | None = None
    for one in found:
        if last is not None and len(answer[member]) == limit:
            answer["NextToken"] = token(name(last))
            break
        answer[member].append(describe(one))
        last = one
    return answer
