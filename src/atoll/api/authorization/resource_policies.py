"""The resource policies of tables and streams: how they are stored, and which one is in force.

    document 'resource-policy' TABLE [LABEL]   {"policy", "revision_ms", "changed_ms", "before"}

`policy` is the document as the service shows it, None after a deletion; `before` is the one that was in force until the
change is visible, `--control-plane-delay` after `changed_ms`. A change of a policy counts as a change of the catalog,
so decisions that were kept before it are made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from atoll.database import documents
from atoll.database.region import Region
from atoll.security.policies import document
from atoll.security.policies.decision import Attached, Source
from atoll.security.policies.document import Kind
from atoll.storage.engine import Snapshot

KIND = "resource-policy"
_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Policy:
    attached: Attached | None
    until_ms: int | None = None
    """When another one is in force."""


NONE = Policy(None)


@lru_cache(_KEPT)
def compiled(text: str) -> Attached:
    return Attached(Source.RESOURCE, "resource policy", document.parse(orjson.loads(text), Kind.RESOURCE))


def stored(snapshot: Snapshot, table: str, stream: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = documents.get(snapshot, KIND, *names(table, stream))
    return found


def names(table: str, stream: str | None) -> tuple[str, ...]:
    return (table,) if stream is None else (table, stream)


class ResourcePolicies:
    """Those of all regions, kept until the definitions of a region's tables change."""

    def __init__(self) -> None:
        self._known: dict[tuple[Region, str, str | None], tuple[int, Policy]] = {}

    async def of(self, region: Region | None, table: str, stream: str | None) -> Policy:
        if region is None or not table:
            return NONE
        key, generation = (region, table, stream), region.catalog.known.generation
        known = self._known.get(key)
        if known is not None and known[0] == generation:
            policy = known[1]
            if policy.until_ms is None or region.clock.now_ms() < policy.until_ms:
                return policy
        row = await region.read(lambda snapshot: stored(snapshot, table, stream))
        policy = in_force(row, region.clock.now_ms(), region.settings.control_plane_delay_ms)
        if len(self._known) >= _KEPT:
            self._known.clear()
        # Unknown definitions are loaded by the request itself.
        if generation == region.catalog.known.generation:
            self._known[key] = generation, policy
        return policy


def in_force(row: dict[str, Any] | None, now_ms: int, delay_ms: int) -> Policy:
    if row is None:
        return NONE
    visible_ms = row["changed_ms"] + delay_ms
    waits = now_ms < visible_ms
    text = row["before"] if waits else row["policy"]
    return Policy(None if text is None else compiled(text), visible_ms if waits else None)
