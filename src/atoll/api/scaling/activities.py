"""DescribeScalingActivities: the newest first."""

from __future__ import annotations

from functools import partial
from typing import Any

from atoll import limits
from atoll.api.scaling import requests
from atoll.database.region import Region
from atoll.scaling import store
from atoll.scaling.targets import Activity

Body = dict[str, Any]

PIECE = 500
"""The activities that one read takes: few of them may belong to the wanted target."""


async def describe_scaling_activities(region: Region, body: Body) -> Body:
    wanted, after = requests.names(body), requests.after(body, 2)
    limit = body.get("MaxResults") or limits.SCALING_PAGE
    with_others, oldest_ms = bool(body.get("IncludeNotScaledActivities")), region.clock.now_ms() - _KEPT_MS
    answer: Body = {"ScalingActivities": []}
    shown: list[Body] = answer["ScalingActivities"]
    key: store.Key | None = None if after is None else (after[0], after[1])
    last: store.Key | None = None
    while wanted is not None:
        piece = await region.read(partial(store.activities, after=key, limit=PIECE))
        for key, one in piece:
            if one.start_ms < oldest_ms:
                return answer
            if one.id[: len(wanted)] != wanted or (one.reasons and not with_others):
                continue
            if last is not None and len(shown) == limit:
                return {**answer, "NextToken": requests.token(last)}
            shown.append(_described(one))
            last = key
        if len(piece) < PIECE:
            break
    return answer


_KEPT_MS = limits.SCALING_ACTIVITIES_MS


def _described(activity: Activity) -> Body:
    described: Body = {
        "ActivityId": activity.number,
        "ServiceNamespace": "dynamodb",
        "ResourceId": activity.resource,
        "ScalableDimension": activity.dimension,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.start_ms / 1000,
        "StatusCode": activity.status,
    }
    if activity.end_ms is not None:
        described["EndTime"] = activity.end_ms / 1000
    if activity.message is not None:
        described["StatusMessage"] = activity.message
    if activity.reasons:
        described["NotScaledReasons"] = list(activity.reasons)
    return described
