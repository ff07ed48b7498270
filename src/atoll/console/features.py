"""Find the features that the endpoint has, because the console shows only these."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from atoll.console.endpoint import CALLER, METRICS, SCALING, STREAMS, TRIGGERS, CallFailed, Connection

CLOCK, LINKS, STORAGE, DUE = "clock", "links", "storage", "due"
EVENTS, METERS, TARGETS, MAPPINGS, BACKUPS = "streams", "metrics", "scaling", "triggers", "backups"


class Features:
    """The features that requests with one credential found in a region, and the caller's account."""

    def __init__(self, found: frozenset[str], account: str, regions: list[str]) -> None:
        self.found = found
        self.account = account
        self.regions = regions

    def __contains__(self, feature: str) -> bool:
        return feature in self.found


async def probe(connection: Connection) -> Features:
    wanted: dict[str, Coroutine[Any, Any, Any]] = {
        EVENTS: connection.call("list_streams", STREAMS, Limit=1),
        BACKUPS: connection.call("list_backups", Limit=1),
        METERS: connection.call(
            "list_metrics", METRICS, Namespace="AWS/DynamoDB", MetricName="ConsumedReadCapacityUnits"
        ),
        TARGETS: connection.call("describe_scalable_targets", SCALING, ServiceNamespace="dynamodb", MaxResults=1),
        MAPPINGS: connection.call("list_event_source_mappings", TRIGGERS, MaxItems=1),
        "caller": connection.call("get_caller_identity", CALLER),
    }
    if connection.is_atoll:
        wanted |= {
            CLOCK: connection.ask("clock"),
            LINKS: connection.ask("replication/links"),
            STORAGE: connection.ask("storage", region=connection.region),
            DUE: connection.ask("due", region=connection.region, limit=1),
            "health": connection.ask("health"),
        }
    answers = dict(zip(wanted, await asyncio.gather(*wanted.values(), return_exceptions=True), strict=True))
    found = set()
    for name, answer in answers.items():
        if isinstance(answer, dict):
            found.add(name)
        elif not isinstance(answer, CallFailed):
            raise answer
    caller, health = answers["caller"], answers.get("health")
    account = str(caller.get("Account", "")) if isinstance(caller, dict) else ""
    named = health.get("regions") if isinstance(health, dict) else None
    regions = [str(one) for one in named] if isinstance(named, list | dict) else []
    return Features(frozenset(found), account, regions)
