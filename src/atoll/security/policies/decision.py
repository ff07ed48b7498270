"""Decide a request: combine the policies that concern it.

`narrow` keeps the statements whose principal, action and resource fit: they are `Narrowed` policies. `Narrowed.decide`
tests their conditions. Without conditions there is one decision for all requests.

Within one account: a Deny in any policy refuses. Each level of service control policies must allow. A resource policy
that names the user, the session or everybody is enough to allow. Otherwise an identity policy must allow (not for the
root, nor if a resource policy names the session's role), and so must the boundary and the session policies, if there
are any. Across two accounts, both must allow: the caller's by identity policy, boundary and session policies, the
owner's by the resource policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from atoll.security.policies.conditions import Test
from atoll.security.policies.document import Policy, Statement
from atoll.security.policies.patterns import Context
from atoll.security.policies.principals import Grant, Principal


class PolicyKind(Enum):
    """A kind of policy, as messages name it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    CONTROL = "service control policy"
    TRUST = "role trust policy"


class Attached(NamedTuple):
    """A policy with its name, as explanations show it."""

    source: PolicyKind
    name: str
    policy: Policy


@dataclass(frozen=True)
class Policies:
    """The policies of a caller."""

    identity: tuple[Attached, ...] = ()
    boundary: tuple[Attached, ...] | None = None
    """None if there is no boundary, and so no limit."""
    session: tuple[Attached, ...] | None = None
    control: tuple[tuple[Attached, ...], ...] = ()
    """The service control policies by level: those of the organisation's root, of its units, of the account."""


class Because(NamedTuple):
    """The statement that decided."""

    source: PolicyKind
    policy: str
    number: int
    sid: str | None


class Decision(NamedTuple):
    allowed: bool
    explicit: bool
    """Whether a Deny refused it."""
    source: PolicyKind | None
    """The kind of policy that denies, or that does not allow."""
    because: Because | None


class Candidate(NamedTuple):
    """A statement that applies if its tests hold."""

    tests: tuple[Test, ...]
    because: Because
    grant: Grant | None


Candidates = Sequence[Candidate]


def _first(candidates: Candidates, context: Context) -> Candidate | None:
    for one in candidates:
        for test in one.tests:
            if not test(context):
                break
        else:
            return one
    return None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The part of a decision that depends on conditions."""

    is_root: bool
    is_own: bool
    """Whether the resource belongs to the caller's account."""
    denies: Candidates
    control: Sequence[Candidates]
    resource: Candidates
    """The most direct grants first."""
    identity: Candidates
    boundary: Candidates | None
    session: Candidates | None
    constant: Decision | None = None
    """The decision, if no request can change it."""

    def decide(self, context: Context) -> Decision:
        return self.constant or self._decide(context)

    def is_granted(self, context: Context) -> bool:
        """Whether the resource policy allows, with any kind of grant."""
        return _first(self.resource, context) is not None

    def _decide(self, context: Context) -> Decision:
        denied = _first(self.denies, context)
        if denied is not None:
            return Decision(False, True, denied.because.source, denied.because)
        for level in self.control:
            if _first(level, context) is None:
                return _implicit(PolicyKind.CONTROL)
        granted = _first(self.resource, context)
        if self.is_own:
            if granted is not None and granted.grant is Grant.DIRECT:
                return _allowed(granted)
            spared = granted is not None and granted.grant is Grant.ROLE
            return self._of_caller(context, granted if spared else None)
        own = self._of_caller(context, None)
        if not own.allowed:
            return own
        return _implicit(PolicyKind.RESOURCE) if granted is None else _allowed(granted)

    def _of_caller(self, context: Context, granted: Candidate | None) -> Decision:
        """The decision of the caller's own policies; `granted` replaces an identity policy."""
        allowed = granted or _first(self.identity, context)
        if allowed is None and not self.is_root:
            return _implicit(PolicyKind.IDENTITY)
        for source, limits in ((PolicyKind.BOUNDARY, self.boundary), (PolicyKind.SESSION, self.session)):
            if limits is not None and _first(limits, context) is None:
                return _implicit(source)
        return Decision(True, False, None, None) if allowed is None else _allowed(allowed)


def _implicit(source: PolicyKind) -> Decision:
    return Decision(False, False, source, None)


def _allowed(candidate: Candidate) -> Decision:
    return Decision(True, False, None, candidate.because)


class Question(NamedTuple):
    caller: Principal
    action: str
    """service:Name"""
    resource: str
    """The resource: an ARN, or `*`."""


def _candidates(policies: Iterable[Attached], question: Question, *, allow: bool) -> list[Candidate]:
    found: list[Candidate] = []
    for source, name, policy in policies:
        for statement in policy.statements:
            if statement.allow is allow and statement.has_action(question.action):
                candidate = _candidate(source, name, statement, question)
                found += [] if candidate is None else [candidate]
    # After a statement without conditions, later ones do not matter. The first denial is reported.
    unconditional = [one for one in found if not one.tests and (one.grant is None or one.grant is Grant.DIRECT)]
    if not unconditional:
        return sorted(found, key=lambda one: one.grant or 0)
    return unconditional[:1] if allow else found[: found.index(unconditional[0]) + 1]


def _candidate(source: PolicyKind, name: str, statement: Statement, question: Question) -> Candidate | None:
    grant = None
    if statement.principals is not None:
        grant = statement.principals.grant(question.caller, statement.allow)
        if grant is None:
            return None
        if not statement.allow:
            grant = Grant.DIRECT
    tests = statement.tests
    if statement.is_static:
        if not statement.has_resource(question.resource, _nothing):
            return None
    else:
        tests = (_resource_test(statement, question.resource), *tests)
    return Candidate(tests, Because(source, name, statement.number, statement.sid), grant)


def _resource_test(statement: Statement, resource: str) -> Test:
    return lambda context: statement.has_resource(resource, context)


def _nothing(key: str) -> tuple[str, ...]:
    return ()


def narrow(question: Question, policies: Policies, resource_policy: Attached | None, owner: str) -> Narrowed:
    """`owner` is the account of the resource."""
    caller = question.caller
    of_resource = () if resource_policy is None else (resource_policy,)
    limits = [policies.boundary or (), policies.session or (), *policies.control]
    everything = (*policies.identity, *of_resource, *(one for some in limits for one in some))

    def allows(some: tuple[Attached, ...] | None) -> list[Candidate] | None:
        return None if some is None else _candidates(some, question, allow=True)

    narrowed = Narrowed(
        is_root=caller.is_root,
        is_own=caller.account == owner,
        denies=_candidates(everything, question, allow=False),
        control=[_candidates(level, question, allow=True) for level in policies.control],
        resource=_candidates(of_resource, question, allow=True),
        identity=_candidates(policies.identity, question, allow=True),
        boundary=allows(policies.boundary),
        session=allows(policies.session),
    )
    return replace(narrowed, constant=_constant(narrowed))


def _constant(narrowed: Narrowed) -> Decision | None:
    """The decision if no test can change it: the same whether all tests hold or none does."""
    allows = (narrowed.resource, narrowed.identity, narrowed.boundary or (), narrowed.session or ())
    groups = (narrowed.denies, *narrowed.control, *allows)
    if (narrowed.denies and not narrowed.denies[0].tests) or not any(one.tests for group in groups for one in group):
        return narrowed.decide(_nothing)
    return None
