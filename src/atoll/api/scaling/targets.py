"""RegisterScalableTarget, DeregisterScalableTarget, DescribeScalableTargets, and the tags of targets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from atoll import limits
from atoll.api.scaling import requests
from atoll.api.scaling.requests import AAS, acting
from atoll.database.region import Region
from atoll.errors import scaling as errors
from atoll.scaling import policies, replicas, store
from atoll.scaling.targets import Id, ScalableTarget, Suspended
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]


async def register_scalable_target(region: Region, body: Body) -> Body:
    id_, number, now_ms = requests.target_id(body), uuid.uuid4().hex, region.clock.now_ms()
    tags = body.get("Tags") or {}
    _check_tags(tags)

    def register(tx: Transaction) -> ScalableTarget:
        old = store.target(tx, id_)
        requests.units(region, tx, id_)
        if old is None:
            return _add(tx, id_, number, body, now_ms)
        if tags:
            raise errors.tags_of_existing_target()
        new = replace(
            old,
            least=_given(body, "MinCapacity", old.least),
            most=_given(body, "MaxCapacity", old.most),
            suspended=_suspended(body, old.suspended),
        )
        _check_bounds(new)
        store.save_target(tx, new)
        return new

    registered = await region.transact(register)
    await region.state(acting).clamp(id_)
    region.wake()
    return {"ScalableTargetARN": region.arn(registered.arn_resource, AAS)}


def _add(tx: Transaction, id_: Id, number: str, body: Body, now_ms: int) -> ScalableTarget:
    if body.get("MinCapacity") is None or body.get("MaxCapacity") is None:
        raise errors.bounds_required()
    tags = body.get("Tags") or {}
    suspended = _suspended(body, Suspended())
    new = ScalableTarget(*id_, body["MinCapacity"], body["MaxCapacity"], number, now_ms, suspended, tuple(tags.items()))
    _check_bounds(new)
    if len(tags) > limits.SCALABLE_TARGET_TAGS:
        raise errors.too_many_tags(id_.resource)
    if store.count(tx, store.TARGET) >= limits.SCALABLE_TARGETS:
        raise errors.too_many_targets(limits.SCALABLE_TARGETS)
    store.add_target(tx, new)
    return new


def _given(body: Body, member: str, otherwise: int) -> int:
    found = body.get(member)
    return otherwise if found is None else int(found)


def _check_bounds(target: ScalableTarget) -> None:
    if target.least > target.most:
        raise errors.bounds_reversed()
    if target.least < 1:
        raise errors.minimum_too_low()


def _suspended(body: Body, old: Suspended) -> Suspended:
    given = body.get("SuspendedState") or {}

    def flag(member: str, otherwise: bool) -> bool:
        found = given.get(member)
        return otherwise if found is None else bool(found)

    return Suspended(
        flag("DynamicScalingInSuspended", old.falls),
        flag("DynamicScalingOutSuspended", old.rises),
        flag("ScheduledScalingSuspended", old.schedules),
    )


async def deregister_scalable_target(region: Region, body: Body) -> Body:
    id_, now_ms = requests.target_id(body), region.clock.now_ms()

    def deregister(tx: Transaction) -> None:
        old = store.target(tx, id_)
        if old is None:
            raise errors.target_not_found(*id_)
        policies.deregister(tx, old, now_ms)

    await region.transact(deregister)
    return {}


async def describe_scalable_targets(region: Region, body: Body) -> Body:
    resources, dimension = body.get("ResourceIds"), body.get("ScalableDimension")
    first = {"ResourceId": resources[0]} if resources else {}
    wanted = requests.names({**body, **first})
    after = requests.after(body, 2)

    def read(snapshot: Snapshot) -> Body:
        found = iter(()) if wanted is None else _found(snapshot, resources, dimension, after)
        limit = body.get("MaxResults") or limits.SCALING_PAGE
        return requests.page("ScalableTargets", found, limit, lambda one: _described(region, one), lambda one: one.id)

    return await region.read(read)


def _found(
    snapshot: Snapshot, resources: list[str] | None, dimension: str | None, after: tuple[str, ...] | None
) -> Iterator[ScalableTarget]:
    if not resources:
        yield from store.targets(snapshot, after=after)
        return
    for resource in sorted(set(resources)):
        for target in store.targets(snapshot, resource):
            if dimension in (None, target.dimension) and (after is None or target.id > after):
                yield target


def _described(region: Region, target: ScalableTarget) -> Body:
    suspended = target.suspended
    return {
        **store.members(target),
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": replicas.role_arn(region),
        "CreationTime": target.created_ms / 1000,
        "SuspendedState": {
            "DynamicScalingInSuspended": suspended.falls,
            "DynamicScalingOutSuspended": suspended.rises,
            "ScheduledScalingSuspended": suspended.schedules,
        },
        "ScalableTargetARN": region.arn(target.arn_resource, AAS),
    }


# Tags


async def tag_resource(region: Region, body: Body) -> Body:
    arn, given = body["ResourceARN"], body["Tags"]
    _check_tags(given)

    def tag(tx: Transaction) -> None:
        target = _tagged(region, tx, arn)
        tags = {**dict(target.tags), **given}
        if len(tags) > limits.SCALABLE_TARGET_TAGS:
            raise errors.too_many_tags(arn)
        store.save_target(tx, replace(target, tags=tuple(tags.items())))

    await region.transact(tag)
    return {}


async def untag_resource(region: Region, body: Body) -> Body:
    arn, keys = body["ResourceARN"], frozenset(body["TagKeys"])

    def untag(tx: Transaction) -> None:
        target = _tagged(region, tx, arn)
        kept = tuple((key, value) for key, value in target.tags if key not in keys)
        store.save_target(tx, replace(target, tags=kept))

    await region.transact(untag)
    return {}


async def list_tags_for_resource(region: Region, body: Body) -> Body:
    def read(snapshot: Snapshot) -> Body:
        return {"Tags": dict(_tagged(region, snapshot, body["ResourceARN"]).tags)}

    return await region.read(read)


def _tagged(region: Region, snapshot: Snapshot, arn: str) -> ScalableTarget:
    resource = region.resource(arn, AAS) or ""
    found = store.target_of(snapshot, resource.removeprefix("scalable-target/"))
    if found is None:
        raise errors.resource_not_tagged(arn)
    return found


def _check_tags(tags: dict[str, str]) -> None:
    for key in tags:
        if key.lower().startswith("aws:"):
            raise errors.reserved_tag(key)
