"""Callers (principals), and the names that refer to them in a policy's Principal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

ANYONE = "*"


class Grant(IntEnum):
    """How directly a Principal names a caller, which determines the other policies that must also allow the request.
    The least is the most direct."""

    DIRECT = 1
    """The user, the session, or everybody: no other policy is needed."""
    ROLE = 2
    """The session's role: a boundary and the session's policies must allow, too."""
    ACCOUNT = 3
    """The caller's account: identity policies must allow, too."""


@dataclass(frozen=True)
class Principal:
    """A user, a session of a role, the root of an account, or a web identity."""

    arn: str
    account: str
    kind: str
    """The value of `aws:PrincipalType` (Account, User, AssumedRole, FederatedUser), or WebIdentity."""
    user_id: str
    name: str = ""
    """The name of the user or role."""
    role: str | None = None
    """The ARN of a session's role."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_root(self) -> bool:
        return self.kind == "Account"

    @cached_property
    def key(self) -> str:
        """The value of `aws:PrincipalArn`; for a session, the ARN of its role."""
        return self.role or self.arn

    @cached_property
    def identities(self) -> Mapping[tuple[str, str], Grant]:
        """The names that refer to the caller, each with its section of a Principal."""
        if self.kind == "WebIdentity":
            return {("Federated", self.arn): Grant.DIRECT, ("Federated", ANYONE): Grant.DIRECT}
        found = {
            ("AWS", ANYONE): Grant.DIRECT,
            ("AWS", root_arn(self.account)): Grant.ACCOUNT,
            ("AWS", self.user_id): Grant.DIRECT,
        }
        if self.role is not None:
            found["AWS", self.role] = Grant.ROLE
        if not self.is_root:
            found["AWS", self.arn] = Grant.DIRECT
        return found

    @cached_property
    def required(self) -> frozenset[tuple[str, str]]:
        """The names that a NotPrincipal must all have to exclude the caller."""
        if self.kind == "WebIdentity":
            return frozenset([("Federated", self.arn)])
        own = {("AWS", self.arn), ("AWS", root_arn(self.account))}
        return frozenset(own | ({("AWS", self.role)} if self.role is not None else set()))


def root_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:root"


def root(account: str) -> Principal:
    return Principal(root_arn(account), account, "Account", account)


@dataclass(frozen=True)
class Principals:
    """The Principal or NotPrincipal of a statement: names by section. An account is its root's ARN."""

    names: frozenset[tuple[str, str]]
    everybody: bool
    negated: bool

    def grant(self, caller: Principal, allow: bool) -> Grant | None:
        """How the statement refers to the caller; None if it does not."""
        if not self.negated:
            if self.everybody:
                return Grant.DIRECT
            found = self.names & caller.identities.keys()
            return min((caller.identities[name] for name in found), default=None)
        if self.everybody:
            return None
        if allow:
            return None if self.names & caller.identities.keys() else Grant.DIRECT
        return None if caller.required <= self.names or ("AWS", ANYONE) in self.names else Grant.DIRECT


def section_names(section: str, given: Any) -> list[tuple[str, str]]:
    values = given if isinstance(given, list) else [given]
    return [(section, normal(section, value)) for value in values]


def normal(section: str, value: str) -> str:
    """The name in its normal form: an account's number becomes the ARN of its root."""
    return root_arn(value) if section == "AWS" and len(value) == 12 and value.isdigit() else value
