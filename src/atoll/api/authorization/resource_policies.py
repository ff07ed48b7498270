"""Find the resource policy in force for a table or stream, compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import orjson

from atoll.database import resource_policies
from atoll.database.region import Region
from atoll.database.resource_policies import ResourcePolicy
from atoll.security.policies import document
from atoll.security.policies.decision import Attached, PolicyKind
from atoll.security.policies.document import Kind

_KEPT = 4_096


@dataclass(frozen=True, slots=True)
class Policy:
    attached: Attached | None
    until_ms: int | None = None
    """The time from which another policy is in force."""


NONE = Policy(None)


@lru_cache(_KEPT)
def compiled(text: str) -> Attached:
    return Attached(PolicyKind.RESOURCE, "resource policy", document.parse(orjson.loads(text), Kind.RESOURCE))


class ResourcePolicies:
    """The compiled policies of all regions, cached until the definitions of a region's tables change."""

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
        row = await region.read(lambda snapshot: resource_policies.get(snapshot, table, stream))
        policy = in_force(row, region.clock.now_ms(), region.settings.control_plane_delay_ms)
        if len(self._known) >= _KEPT:
            self._known.clear()
        # Unknown definitions are loaded by the request itself.
        if generation == region.catalog.known.generation:
            self._known[key] = generation, policy
        return policy


def in_force(row: ResourcePolicy | None, now_ms: int, delay_ms: int) -> Policy:
    if row is None:
        return NONE
    text, _ = row.visible(now_ms, delay_ms)
    visible_ms = row.changed_ms + delay_ms
    return Policy(None if text is None else compiled(text), visible_ms if now_ms < visible_ms else None)
