"""Explain which statement allows or denies a request, for `POST /_atoll/policies/explain` (`api.policies`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll import arns
from atoll.api.authorization.auditing import because
from atoll.api.authorization.authorizer import Authorizer, Verdict
from atoll.api.authorization.checks import ALL, Check, Part
from atoll.api.call import Caller
from atoll.api.services import TARGETS, Operation
from atoll.clock import Clock
from atoll.database.region import Region
from atoll.errors import access as access_errors
from atoll.errors import admin as admin_errors
from atoll.security.identities import Access, Identities

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Origin:
    """The HTTP request of a hypothetical request: it has no headers."""

    headers: dict[bytes, bytes]
    peer: str = ""
    secure: bool = False


class Explanations:
    """`region_of` returns a region of an account; an empty name is the default region."""

    def __init__(self, callers: Identities, region_of: Callable[[str, str], Region], clock: Clock) -> None:
        self._callers = callers
        self._region_of = region_of
        self._clock = clock

    async def explain(self, body: Body) -> Body:
        access, context = self._access(body), _context(body)
        region = self._region_of(access.principal.account, str(body.get("region", "")))
        found: list[Verdict] = []
        authorizer = Authorizer(self._region_of, enforces=False, record=found.append, context=context)
        caller = Caller(None, access.principal.account, admin=False, access=access, origin=_Origin({}))
        now_ms = self._clock.now_ms()
        action, resource, operation = body.get("action"), body.get("resource"), body.get("operation")
        if isinstance(action, str) and isinstance(resource, str):
            if resource != ALL and arns.parse(resource) is None:
                raise admin_errors.bad_resource(resource)
            name = action.rpartition(":")[2]
            check = Check(action if ":" in action else f"dynamodb:{action}", resource, Part(name, {}))
            await authorizer.decide([check], access, caller, name, region, now_ms)
        elif isinstance(operation, str) and isinstance(body.get("request", {}), dict):
            row = _row(operation)
            request = body.get("request", {})
            row.check(request)
            pending = authorizer(caller, row, request, region, now_ms)
            if pending is not None:
                await pending
        else:
            raise admin_errors.one_of(["operation and request", "action and resource"])
        return {"allowed": all(one.decision.allowed for one in found), "checks": [_shown(one) for one in found]}

    def _access(self, body: Body) -> Access:
        name = body.get("principal")
        found = self._callers.named(name, str(body.get("account", ""))) if isinstance(name, str) else None
        if found is None:
            raise admin_errors.unknown_principal(name)
        return found


def _row(operation: str) -> Operation:
    for target in ("DynamoDB_20120810", "DynamoDBStreams_20120810"):
        found = TARGETS.get(f"{target}.{operation}".encode("utf-8", "replace"))
        if found is not None:
            return found
    raise admin_errors.unknown_operation(operation)


def _context(body: Body) -> Mapping[str, tuple[str, ...]]:
    given = body.get("context", {})
    if not isinstance(given, dict):
        raise admin_errors.bad_context()
    context = {}
    for key, value in given.items():
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise admin_errors.bad_context()
        context[key.lower()] = tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)
    return context


def _shown(verdict: Verdict) -> Body:
    decision, found = verdict.decision, verdict.decision.because
    assert verdict.caller.access is not None
    principal = verdict.caller.access.principal.arn
    if decision.allowed:
        text = f"allowed by {because(verdict) or 'the root of the account, who needs no identity-based policy'}"
    else:
        text = access_errors.reason(principal, verdict.action, verdict.resource, decision)
    return {
        "action": verdict.action,
        "resource": verdict.resource,
        "decision": "allowed" if decision.allowed else "explicitDeny" if decision.explicit else "implicitDeny",
        "reason": text,
        "statement": None
        if found is None
        else {"kind": found.source.value, "policy": found.policy, "number": found.number, "sid": found.sid},
        "keys": {key: list(values) for key, values in verdict.keys.items()},
    }
