"""Callers, policies and requests for tests of decisions."""

from __future__ import annotations

from typing import Any

from atoll.security.policies.decision import Attached, Decision, Policies, PolicyKind, Question, narrow
from atoll.security.policies.document import Kind, parse
from atoll.security.policies.principals import Principal, root

OWNER, OTHER = "111122223333", "444455556666"
NOTES = f"arn:aws:dynamodb:us-east-1:{OWNER}:table/Notes"
BY_DATE = f"{NOTES}/index/byDate"


def user(name: str = "ana", account: str = OWNER, **tags: str) -> Principal:
    return Principal(f"arn:aws:iam::{account}:user/{name}", account, "User", f"AIDA{name.upper()}", name, tags=tags)


def session(role: str = "ops", name: str = "s1", account: str = OWNER) -> Principal:
    return Principal(
        f"arn:aws:sts::{account}:assumed-role/{role}/{name}", account, "AssumedRole", f"AROA{role.upper()}:{name}",
        role, f"arn:aws:iam::{account}:role/{role}",
    )  # fmt: skip


ANA, S1, ROOT = user(), session(), root(OWNER)


def statement(effect: str, action: Any, resource: Any = NOTES, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def allow(action: Any, resource: Any = NOTES, **more: Any) -> dict[str, Any]:
    return statement("Allow", action, resource, **more)


def deny(action: Any, resource: Any = NOTES, **more: Any) -> dict[str, Any]:
    return statement("Deny", action, resource, **more)


def document(*statements: dict[str, Any], version: str | None = "2012-10-17") -> dict[str, Any]:
    return {**({} if version is None else {"Version": version}), "Statement": list(statements)}


def attached(source: PolicyKind, *statements: dict[str, Any], version: str | None = "2012-10-17") -> Attached:
    kind = Kind.RESOURCE if source is PolicyKind.RESOURCE else Kind.IDENTITY
    return Attached(source, source.name.lower(), parse(document(*statements, version=version), kind))


def decide(
    caller: Principal,
    action: str,
    resource: str = NOTES,
    keys: dict[str, Any] | None = None,
    *,
    id: Any = (),
    rp: Any = None,
    pb: Any = None,
    sp: Any = None,
    scp: Any = None,
    version: str | None = "2012-10-17",
) -> Decision:
    def policy(source: PolicyKind, statements: Any) -> tuple[Attached, ...]:
        return (attached(source, *statements, version=version),) if statements else ()

    policies = Policies(
        policy(PolicyKind.IDENTITY, id),
        None if pb is None else policy(PolicyKind.BOUNDARY, pb),
        None if sp is None else policy(PolicyKind.SESSION, sp),
        () if scp is None else (policy(PolicyKind.CONTROL, scp),),
    )
    question = Question(caller, f"dynamodb:{action}", resource)
    narrowed = narrow(question, policies, next(iter(policy(PolicyKind.RESOURCE, rp)), None), OWNER)
    return narrowed.decide(context(caller, keys or {}))


def context(caller: Principal, keys: dict[str, Any]):
    own = {
        "aws:principalarn": caller.key,
        "aws:principalaccount": caller.account,
        **({"aws:username": caller.name} if caller.kind == "User" else {}),
        **{f"aws:principaltag/{name}": value for name, value in caller.tags.items()},
    }
    given = own | {name.lower(): value for name, value in keys.items()}

    def get(key: str) -> tuple[str, ...]:
        found = given.get(key, ())
        return (found,) if isinstance(found, str) else tuple(found)

    return get


def outcome(decision: Decision) -> str:
    """As in the tables: allow, or who refuses, and whether explicitly."""
    if decision.allowed:
        return "allow"
    assert decision.source is not None
    return f"{'explicit' if decision.explicit else 'implicit'} {decision.source.name.lower()}"
