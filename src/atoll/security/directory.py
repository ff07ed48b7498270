"""Read the users, groups and roles of accounts from documents. Pure.

    users.NAME    access_keys = {ID = SECRET}, groups, policies, boundary, tags, path, admin
    groups.NAME   policies
    roles.NAME    trust, policies, boundary, tags, path, max_session_duration
    policies.NAME a policy that the sections above name
    control_policies   service control policies, which limit the whole account
    providers."URL"    audiences, jwks (a file or the keys themselves): an issuer of web identities
    accounts.NUMBER    all of these for another account; those at the top belong to the default account

A policy is a document, its JSON as text, or the name of one in `policies`, of this account or of the managed ones.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from atoll.errors import identities as texts
from atoll.security.policies import document
from atoll.security.policies.decision import Attached, Policies, PolicyKind
from atoll.security.policies.document import Kind, Malformed, Policy
from atoll.security.policies.principals import Principal

ACCOUNT = re.compile("[0-9]{12}")
_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_PATH = re.compile(r"/([!-~]{0,510}/)?")
_SECTIONS = ("users", "groups", "roles", "policies", "control_policies", "providers")
MAX_SESSION_SECONDS = (3_600, 43_200)


def _everything(*actions: str) -> dict[str, Any]:
    return {
        "Version": document.VERSIONS[0],
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
    }


_READS = (
    *("BatchGetItem", "ConditionCheckItem", "Describe*", "Get*", "List*", "Query", "Scan", "SearchVectors"),
    "PartiQLSelect",
)
MANAGED = {
    "AdministratorAccess": _everything("*"),
    "AmazonDynamoDBFullAccess": _everything("dynamodb:*", "application-autoscaling:*", "cloudwatch:*"),
    "AmazonDynamoDBReadOnlyAccess": _everything(*(f"dynamodb:{action}" for action in _READS)),
}
"""Policies that every account has."""


class BadDirectory(Exception):
    """The document does not declare users and roles."""


@dataclass(frozen=True, eq=False)
class User:
    principal: Principal
    access_keys: Mapping[str, str]
    policies: Policies
    admin: bool


@dataclass(frozen=True, eq=False)
class Role:
    arn: str
    account: str
    name: str
    role_id: str
    trust: Policy
    policies: Policies
    tags: Mapping[str, str]
    max_seconds: int

    def session(self, name: str, tags: Mapping[str, str]) -> Principal:
        arn = f"arn:aws:sts::{self.account}:assumed-role/{self.name}/{name}"
        return Principal(
            arn, self.account, "AssumedRole", f"{self.role_id}:{name}", self.name, self.arn, {**self.tags, **tags}
        )


@dataclass(frozen=True, eq=False)
class Provider:
    """An issuer of web identities."""

    url: str
    arn: str
    audiences: tuple[str, ...]
    jwks: Any
    """The path of a file, or the keys themselves."""


@dataclass(frozen=True, eq=False)
class Account:
    number: str
    users: Mapping[str, User] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)
    policies: Mapping[str, Attached] = field(default_factory=dict)
    control: tuple[tuple[Attached, ...], ...] = ()
    providers: Mapping[str, Provider] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Directory:
    accounts: Mapping[str, Account]
    users: Mapping[str, User]
    """The users by access key."""

    def account(self, number: str) -> Account:
        return self.accounts.get(number) or Account(number)

    def role(self, arn: str) -> Role | None:
        """The role with this ARN."""
        parts = arn.split(":")
        if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or not parts[5].startswith("role/"):
            return None
        found = self.account(parts[4]).roles.get(parts[5].rpartition("/")[2])
        return found if found is not None and found.arn == arn else None

    def exists(self, principal: str) -> bool:
        """Whether a policy may name this principal. Any principal of an undeclared account may be named."""
        parts = principal.split(":")
        if len(parts) != 6 or parts[4] not in self.accounts:
            return True
        account, (kind, _, name) = self.accounts[parts[4]], parts[5].partition("/")
        if kind == "user":
            return any(user.principal.arn == principal for user in account.users.values())
        if kind == "role":
            return self.role(principal) is not None
        return kind != "assumed-role" or name.partition("/")[0] in account.roles


def merged(documents: Iterable[Mapping[str, Any]], default: str) -> dict[str, dict[str, Any]]:
    """The sections of each account, merged. Raises `BadDirectory`."""
    found: dict[str, dict[str, Any]] = {default: {}}
    for one in documents:
        more = _table(one.get("accounts", {}), "accounts")
        top = {name: value for name, value in one.items() if name != "accounts"}
        for number, sections in [(default, top), *more.items()]:
            if ACCOUNT.fullmatch(number) is None:
                raise BadDirectory(texts.not_account(number))
            _add(found.setdefault(number, {}), _table(sections, f"accounts.{number}"))
    return found


def _add(account: dict[str, Any], sections: Mapping[str, Any]) -> None:
    for section, rows in sections.items():
        if section not in _SECTIONS:
            raise BadDirectory(texts.unknown_member("policies", section))
        if section == "control_policies":
            account[section] = [*account.get(section, []), *_list(rows, section)]
            continue
        before = account.setdefault(section, {})
        for name, row in _table(rows, section).items():
            if name in before:
                raise BadDirectory(texts.twice(section, name))
            before[name] = row


def read(documents: Iterable[Mapping[str, Any]], default: str) -> Directory:
    """The directory that the documents together declare. Raises `BadDirectory`."""
    accounts = {number: _account(number, sections) for number, sections in merged(documents, default).items()}
    users: dict[str, User] = {}
    for account in accounts.values():
        for user in account.users.values():
            for access_key in user.access_keys:
                if access_key in users:
                    raise BadDirectory(texts.key_twice(access_key))
                users[access_key] = user
    return Directory(accounts, users)


def _account(number: str, sections: Mapping[str, Any]) -> Account:
    named = {}
    for name, given in {**MANAGED, **sections.get("policies", {})}.items():
        named[name] = Attached(PolicyKind.IDENTITY, name, _parsed(given, f"policies.{name}", Kind.IDENTITY))
    reader = _Reader(number, named)
    control = [_list(sections.get("control_policies", []), "control_policies")]
    levels = tuple(reader.policies(level, "control_policies", PolicyKind.CONTROL) for level in control if level)
    groups = {
        name: reader.group(_table(row, f"groups.{name}"), f"groups.{name}")
        for name, row in sections.get("groups", {}).items()
    }
    return Account(
        number,
        {name: reader.user(name, row, groups, levels) for name, row in sections.get("users", {}).items()},
        {name: reader.role(name, row, levels) for name, row in sections.get("roles", {}).items()},
        named,
        levels,
        {url: reader.provider(url, row) for url, row in sections.get("providers", {}).items()},
    )


@dataclass(frozen=True)
class _Reader:
    """Reads the rows of one account."""

    account: str
    named: Mapping[str, Attached]

    def policies(self, given: Any, place: str, source: PolicyKind = PolicyKind.IDENTITY) -> tuple[Attached, ...]:
        return tuple(
            self.policy(one, place if source is not PolicyKind.IDENTITY else f"{place}, policy {number}", source)
            for number, one in enumerate(_list(given, place), start=1)
        )

    def policy(self, given: Any, place: str, source: PolicyKind) -> Attached:
        if isinstance(given, str) and not given.lstrip().startswith("{"):
            found = self.named.get(re.sub(r"arn:aws:iam::(aws|\d{12}):policy/", "", given))
            if found is None:
                raise BadDirectory(texts.unknown_policy(place, given))
            return found._replace(source=source)
        return Attached(source, place, _parsed(given, place, Kind.IDENTITY))

    def boundary(self, row: Mapping[str, Any], place: str) -> tuple[Attached, ...] | None:
        if "boundary" not in row:
            return None
        return (self.policy(row["boundary"], f"{place}, boundary", PolicyKind.BOUNDARY),)

    def group(self, row: Mapping[str, Any], place: str) -> tuple[Attached, ...]:
        _members(row, place, "policies")
        return self.policies(row.get("policies", []), place)

    def user(
        self,
        name: str,
        given: Any,
        groups: Mapping[str, tuple[Attached, ...]],
        control: tuple[tuple[Attached, ...], ...],
    ) -> User:
        place = f"users.{name}"
        row = _table(given, place)
        _members(row, place, "access_keys", "groups", "policies", "boundary", "tags", "path", "admin")
        _check_name(name, "users")
        own = self.policies(row.get("policies", []), place)
        for group in _list(row.get("groups", []), place):
            if group not in groups:
                raise BadDirectory(texts.unknown_group(place, str(group)))
            own += groups[group]
        keys = _strings(row.get("access_keys", {}), f"{place}.access_keys")
        arn = f"arn:aws:iam::{self.account}:user{_path(row, place)}{name}"
        tags = _strings(row.get("tags", {}), f"{place}.tags")
        principal = Principal(arn, self.account, "User", unique_id("AIDA", arn), name, tags=tags)
        return User(principal, keys, Policies(own, self.boundary(row, place), None, control), row.get("admin") is True)

    def role(self, name: str, given: Any, control: tuple[tuple[Attached, ...], ...]) -> Role:
        place = f"roles.{name}"
        row = _table(given, place)
        _members(row, place, "trust", "policies", "boundary", "tags", "path", "max_session_duration")
        _check_name(name, "roles")
        if "trust" not in row:
            raise BadDirectory(texts.no_trust(place))
        seconds = row.get("max_session_duration", MAX_SESSION_SECONDS[0])
        if type(seconds) is not int or not MAX_SESSION_SECONDS[0] <= seconds <= MAX_SESSION_SECONDS[1]:
            raise BadDirectory(texts.wrong_type(f"{place}.max_session_duration", "from 3600 to 43200 seconds"))
        arn = f"arn:aws:iam::{self.account}:role{_path(row, place)}{name}"
        return Role(
            arn,
            self.account,
            name,
            unique_id("AROA", arn),
            _parsed(row["trust"], f"{place}.trust", Kind.TRUST),
            Policies(self.policies(row.get("policies", []), place), self.boundary(row, place), None, control),
            _strings(row.get("tags", {}), f"{place}.tags"),
            seconds,
        )

    def provider(self, url: str, given: Any) -> Provider:
        place = f"providers.{url}"
        row = _table(given, place)
        _members(row, place, "audiences", "jwks")
        if not url.startswith("https://") or "jwks" not in row:
            raise BadDirectory(texts.wrong_type(place, "an https:// URL with jwks"))
        audiences = _list(row.get("audiences", []), place)
        arn = f"arn:aws:iam::{self.account}:oidc-provider/{url.removeprefix('https://')}"
        return Provider(url, arn, tuple(map(str, audiences)), row["jwks"])


def _parsed(given: Any, place: str, kind: Kind) -> Policy:
    try:
        return document.parse(document.loads(given) if isinstance(given, str) else given, kind)
    except Malformed as fault:
        raise BadDirectory(texts.bad_policy(place, str(fault))) from None


def _table(given: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise BadDirectory(texts.not_a_table(place))
    return given


def _list(given: Any, place: str) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _strings(given: Any, place: str) -> Mapping[str, str]:
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        raise BadDirectory(texts.wrong_type(place, "a table of texts"))
    return given


def _members(row: Mapping[str, Any], place: str, *allowed: str) -> None:
    for name in row:
        if name not in allowed:
            raise BadDirectory(texts.unknown_member(place, name))


def _check_name(name: str, place: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise BadDirectory(texts.wrong_name(place, name))


def _path(row: Mapping[str, Any], place: str) -> str:
    path = row.get("path", "/")
    if not isinstance(path, str) or _PATH.fullmatch(path) is None:
        raise BadDirectory(texts.wrong_type(f"{place}.path", "text that begins and ends with /"))
    return path


def unique_id(prefix: str, arn: str) -> str:
    """The unique id of a user or role, the same for equal declarations on all servers."""
    return prefix + base64.b32encode(sha256(arn.encode()).digest())[:17].decode()
