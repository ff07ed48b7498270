"""Decides whether a caller may run an operation, and raises the service's AccessDeniedException if not.

A decision that no condition can change is cached for its caller, action and resource, until a table of the region
changes its definition: the usual request costs one look-up. Otherwise the statements that concern the request are
cached, and their conditions are tested for each request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from atoll import arns
from atoll.api.authorization import global_keys, item_keys
from atoll.api.authorization.checks import ACROSS_ACCOUNTS, ALL, Body, Check, Part, checks_of, part_of
from atoll.api.authorization.global_keys import Asked
from atoll.api.authorization.new_policies import locks_out, names_unknown
from atoll.api.authorization.resource_policies import Policy, ResourcePolicies
from atoll.api.call import Caller
from atoll.api.resource_policy_rules import checked
from atoll.api.services import ADMIN, REGION, STS, Operation
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import ApiError, access, requests
from atoll.errors import resource_policies as policy_errors
from atoll.security.directory import Directory
from atoll.security.identities import Access
from atoll.security.policies.decision import Decision, Narrowed, Question, narrow

_KEPT = 4_096
"""The most decisions cached for each caller."""

_KEEPS = frozenset({"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"})
"""Operations whose decisions are cached: without conditions, they depend only on the table and the index."""


class Verdict(NamedTuple):
    """A decision, as the audit log shows it."""

    caller: Caller
    operation: str
    action: str
    resource: str
    decision: Decision
    now_ms: int
    keys: Mapping[str, tuple[str, ...]]
    """The condition keys that were looked up."""


@dataclass(frozen=True, slots=True)
class OwnedResource:
    """A resource, and the region that has it."""

    arn: str
    owner: str
    region: Region | None
    table: str
    stream: str | None


class Kept(NamedTuple):
    """The part of a decision that is the same for all requests of a caller for an action on a resource."""

    generation: int
    """The generation of the region's table definitions."""
    narrowed: Narrowed | None
    """The conditions; None if there are none."""
    target: OwnedResource
    table: Table | None


class Authorizer:
    """`region_of(name, account)` returns the region of another account; it raises for an account that does not exist.
    `directory` has the principals that a policy may name. `enforces`: whether refusals are raised. `record` gets every
    decision; without it, decisions that no condition can change are cached. `context` replaces condition keys."""

    def __init__(
        self,
        region_of: Callable[[str, str], Region],
        *,
        directory: Callable[[], Directory] | None = None,
        enforces: bool = True,
        record: Callable[[Verdict], None] | None = None,
        context: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._region_of = region_of
        self._directory = directory
        self._enforces = enforces
        self._record = record
        self._given = context or {}
        self._policies = ResourcePolicies()

    def __call__(
        self, caller: Caller, operation: Operation, body: Body, on: Any, now_ms: int
    ) -> Awaitable[Region | None] | None:
        """Raises if the caller may not run the operation. Returns None or an awaitable, which gives the region of the
        account that owns the resources if it is not the caller's."""
        given = caller.access
        if given is None or operation.service in (ADMIN, STS):
            return None
        if operation.name in _KEEPS and self._record is None:
            kept = given.kept.get((operation.name, body["TableName"], body.get("IndexName"), on))
            if kept is not None and kept.generation == on.catalog.known.generation:
                if kept.narrowed is not None:
                    self._test(kept, given, caller, operation.name, body, now_ms)
                return None
        return self._authorize(given, caller, operation, body, on, now_ms)

    async def _authorize(
        self, given: Access, caller: Caller, operation: Operation, body: Body, on: Any, now_ms: int
    ) -> Region | None:
        region: Region | None = on if operation.subject == REGION else None
        generation = -1 if region is None else region.catalog.known.generation
        checks = checks_of(operation, body)
        where = region if region is not None else _region_name(on)
        other, kept = await self.decide(checks, given, caller, operation.name, where, now_ms)
        if kept is not None and other is None and operation.name in _KEEPS and kept.generation == generation:
            if len(given.kept) >= _KEPT:
                given.kept.clear()
            given.kept[operation.name, body["TableName"], body.get("IndexName"), on] = kept
        return other

    def _test(self, kept: Kept, given: Access, caller: Caller, operation: str, body: Body, now_ms: int) -> None:
        """Test the conditions of a cached decision."""
        assert kept.narrowed is not None
        context = Context({}, given, caller, part_of(operation, body), kept.target, kept.table, now_ms)
        decision = kept.narrowed.decide(context)
        if not decision.allowed and self._enforces:
            raise access.denied(given.principal.arn, f"dynamodb:{operation}", kept.target.arn, decision)

    async def decide(
        self, checks: list[Check], given: Access, caller: Caller, operation: str, on: Region | str, now_ms: int
    ) -> tuple[Region | None, Kept | None]:
        """Decide all checks; raises at the first refusal. Returns the region of the account that owns the resources if
        it is not the caller's, and the part of the last decision that can be cached. `on` is the caller's region or its
        name."""
        region = on if isinstance(on, Region) else None
        name = on.name if isinstance(on, Region) else on
        other: Region | None = None
        kept: Kept | None = None
        targets: dict[str, OwnedResource] = {}
        for check in checks:
            target = targets.get(check.resource)
            if target is None:
                target = targets[check.resource] = self._target(check, region, name, given)
                if target.region is not region:
                    if len(targets) > 1:
                        raise requests.foreign_table(target.arn)
                    other = target.region
                elif other is not None:
                    raise requests.foreign_table(target.arn)
            kept = await self._check(given, caller, operation, check, target, now_ms)
            if check.action == "dynamodb:PutResourcePolicy":
                self._check_policy(given, caller, check, target, now_ms)
        return other, kept

    async def _check(
        self, given: Access, caller: Caller, operation: str, check: Check, target: OwnedResource, now_ms: int
    ) -> Kept | None:
        """Decide one check; returns the part of the decision that can be cached."""
        region = target.region
        policy = await self._policies.of(region, target.table, target.stream)
        generation = -1 if region is None else region.catalog.known.generation
        narrowed = self._narrowed(given, check, target, policy)
        context = Context(dict(self._given), given, caller, check.part, target, None, now_ms)
        if narrowed.constant is None:
            context.table = await _table(target)
        decision = narrowed.decide(context)
        if self._record is not None:
            self._record(Verdict(caller, operation, check.action, target.arn, decision, now_ms, context.keys))
        if not decision.allowed and self._enforces:
            raise access.denied(given.principal.arn, check.action, target.arn, decision)
        if policy.until_ms is not None or (narrowed.constant is None and context.table is None):
            return None
        return Kept(generation, None if narrowed.constant is not None else narrowed, target, context.table)

    def _check_policy(self, given: Access, caller: Caller, check: Check, target: OwnedResource, now_ms: int) -> None:
        """Refuse a new policy that names an unknown principal or locks its caller out. The operation itself refuses
        malformed ones."""
        body = check.part.body
        if not self._enforces:
            return
        try:
            text = checked(body.get("Policy", body.get("ResourcePolicy")), stream=target.stream is not None).text
        except ApiError:
            return
        if self._directory is not None and names_unknown(text, self._directory()):
            raise policy_errors.unknown_principal()
        if "Policy" not in body or body.get("ConfirmRemoveSelfResourceAccess") is True:
            return
        context = Context({}, given, caller, check.part, target, None, now_ms)
        if locks_out(given.principal, given.policies, text, target.arn, target.owner, context):
            raise policy_errors.locks_out()

    def _narrowed(self, given: Access, check: Check, target: OwnedResource, policy: Policy) -> Narrowed:
        found = given.narrowed.get((check.action, target.arn))
        if found is not None and found[0] is policy.attached:
            return found[1]
        attached = policy.attached
        if target.owner != given.principal.account and check.action not in ACROSS_ACCOUNTS:
            attached = None
        narrowed = narrow(Question(given.principal, check.action, target.arn), given.policies, attached, target.owner)
        if len(given.narrowed) >= _KEPT:
            given.narrowed.clear()
        given.narrowed[check.action, target.arn] = policy.attached, narrowed
        return narrowed

    def _target(self, check: Check, region: Region | None, name: str, given: Access) -> OwnedResource:
        account, resource = given.principal.account, check.resource
        if resource == ALL:
            return OwnedResource(ALL, account, region, "", None)
        arn = arns.parse(resource.replace("{region}", name).replace("{account}", account))
        if arn is None:
            arn = arns.Arn("dynamodb", name, account, f"table/{resource}")
        # A policy names resources by ARN, even if the request has only a name.
        arn = arn._replace(partition="aws", resource=arn.resource.rstrip("/"))
        if arn.table and not arn.region:
            arn = arn._replace(region=name)
        if arn.service != "dynamodb" or not arn.table:
            return OwnedResource(str(arn), arn.account or account, region, "", None)
        owner = region
        if region is not None and arn.account != account and arn.region == name:
            owner = self._region_of(arn.account, name)
        part = arn.resource.removeprefix(f"table/{arn.table}").removeprefix("/")
        kind, _, label = part.partition("/")
        if kind not in ("", "index", "stream"):
            return OwnedResource(str(arn), arn.account, owner, "", None)
        return OwnedResource(str(arn), arn.account, owner, arn.table, label if kind == "stream" else None)


def _region_name(on: Any) -> str:
    region = getattr(on, "region", None)
    return region.name if isinstance(region, Region) else "us-east-1"


async def _table(target: OwnedResource) -> Table | None:
    """The definition of the target's table, for its key schema and tags."""
    region, name = target.region, target.table
    if region is None or not name:
        return None
    known = region.catalog.known.tables.get(name)
    if known is not None:
        return known
    return await region.read(lambda snapshot: region.catalog.find(snapshot, name))


class Context:
    """The condition keys of a part of a request, each computed when a policy asks for it."""

    __slots__ = ("_access", "_asked", "_caller", "_now_ms", "_part", "_target", "keys", "table")

    def __init__(
        self,
        keys: dict[str, tuple[str, ...]],
        given: Access,
        caller: Caller,
        part: Part,
        target: OwnedResource,
        table: Table | None,
        now_ms: int,
    ) -> None:
        self.keys = keys
        self.table = table
        self._access = given
        self._caller = caller
        self._part = part
        self._target = target
        self._now_ms = now_ms
        self._asked: Asked | None = None

    def __call__(self, key: str) -> tuple[str, ...]:
        found = self.keys.get(key)
        if found is None:
            if key.startswith("dynamodb:"):
                found = item_keys.value(key.removeprefix("dynamodb:"), self._part, self.table)
            elif key == "aws:username":  # the most common one
                principal = self._access.principal
                found = (principal.name,) if principal.kind == "User" else ()
            else:
                found = global_keys.value(key, self._asked or self._ask())
            self.keys[key] = found
        return found

    def _ask(self) -> Asked:
        region, tags = self._target.region, {} if self.table is None else dict(self.table.tags)
        name, now_ms = ("", self._now_ms) if region is None else (region.name, region.clock.now_ms())
        self._asked = Asked(self._access, self._caller.origin, now_ms, name, self._target.owner, tags, self._part.whole)
        return self._asked
