"""The Security Token Service: the identity of the caller, and temporary credentials of users and roles.

A session's token contains the session (`security.sessions`); nothing is stored. A role's trust policy decides who may
assume it only if the server evaluates policies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from atoll.api.authorization import global_keys
from atoll.api.authorization.global_keys import Asked
from atoll.errors import sts as errors
from atoll.security import web_identity
from atoll.security.directory import MAX_SESSION_SECONDS, Role, unique_id
from atoll.security.identities import Access, Identities
from atoll.security.policies import document
from atoll.security.policies.decision import Attached, Policies, PolicyKind, Question, narrow
from atoll.security.policies.document import Kind, Malformed
from atoll.security.policies.principals import Principal
from atoll.security.sessions import TOKEN_CHARS, Session, new_access_key

Body = dict[str, Any]

SESSION_SECONDS = 43_200
ROOT_SECONDS = CHAINED_SECONDS = 3_600
POLICY_CHARS = 2_048


class Caller(Protocol):
    """See `call.Caller`."""

    @property
    def access(self) -> Access | None: ...

    @property
    def origin(self) -> Any: ...


@dataclass(frozen=True)
class Service:
    """`evaluates`: whether policies decide who may assume a role. `is_open`: whether any role may be, even one that is
    not declared."""

    identities: Identities
    account: str
    evaluates: bool
    is_open: bool

    def asked(self, caller: Caller, now_ms: int) -> Request:
        return Request(self, caller, caller.access or self.identities.root(self.account), now_ms)


@dataclass(frozen=True)
class Request:
    service: Service
    caller: Caller
    access: Access
    now_ms: int

    @property
    def now_s(self) -> int:
        return self.now_ms // 1000


async def get_caller_identity(on: Request, body: Body) -> Body:
    principal = on.access.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


async def get_session_token(on: Request, body: Body) -> Body:
    if on.access.session is not None:
        raise errors.session_of_session()
    principal = on.access.principal
    longest = ROOT_SECONDS if principal.is_root else SESSION_SECONDS
    seconds = body.get("DurationSeconds", longest)
    if principal.is_root and seconds > ROOT_SECONDS:
        raise errors.longer_than_root_may()
    session = Session(new_access_key(), principal.account, principal.name, None, on.now_s, on.now_s + seconds)
    return {"Credentials": _credentials(on, session)[0]}


async def assume_role(on: Request, body: Body) -> Body:
    service, principal, arn = on.service, on.access.principal, body["RoleArn"]
    if service.evaluates and principal.is_root:
        raise errors.root_assumes_no_role()
    role = _role(on, arn)
    if role is None:
        raise errors.not_authorized(principal.arn, "sts:AssumeRole", arn)
    before = on.access.session
    chained = before is not None and before.is_role
    inherited = _inherited(before)
    tags = _tags(body, inherited)
    if service.evaluates:
        actions = ["sts:AssumeRole"]
        actions += ["sts:TagSession"] if tags else []
        actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in body else []
        keys = _request_keys(body, tags)
        for action in actions:
            if not _trusts(on, role, action, keys):
                raise errors.not_authorized(principal.arn, action, arn)
    session = Session(
        new_access_key(),
        role.account,
        role.name,
        body["RoleSessionName"],
        on.now_s,
        on.now_s + _seconds(body, role, chained),
        *_policies(on, role, body),
        tags={**inherited, **tags},
        transitive=tuple({*inherited, *body.get("TransitiveTagKeys", ())}),
        source_identity=body.get("SourceIdentity") or (before.source_identity if before is not None else None),
        chained=chained,
    )
    return _assumed(on, role, session, body)


async def assume_role_with_web_identity(on: Request, body: Body) -> Body:
    arn = body["RoleArn"]
    role = _role(on, arn)
    if role is None:
        raise errors.web_identity_not_trusted()
    account = on.service.identities.directory.account(role.account)
    found = web_identity.verified(account, body["WebIdentityToken"], on.now_s)
    host = found.provider.url.removeprefix("https://")
    if on.service.evaluates:
        caller = Principal(found.provider.arn, role.account, "WebIdentity", found.subject)
        keys = {
            f"{host}:aud": (found.audience,),
            f"{host}:sub": (found.subject,),
            "sts:rolesessionname": (body["RoleSessionName"],),
        }
        if not _holds(caller, role, "sts:AssumeRoleWithWebIdentity", keys.get):
            raise errors.web_identity_not_trusted()
    session = Session(
        new_access_key(),
        role.account,
        role.name,
        body["RoleSessionName"],
        on.now_s,
        on.now_s + _seconds(body, role, chained=False),
        *_policies(on, role, body),
        provider=found.provider.arn,
        web={"iss": found.provider.url, "aud": found.audience, "sub": found.subject},
    )
    answer = _assumed(on, role, session, body)
    return {
        **answer,
        "SubjectFromWebIdentityToken": found.subject,
        "Provider": found.provider.arn,
        "Audience": found.audience,
    }


def _role(on: Request, arn: str) -> Role | None:
    found = on.service.identities.directory.role(arn)
    parts = arn.split(":")
    if found is None and on.service.is_open and len(parts) == 6 and parts[5].startswith("role/"):
        name = parts[5].rpartition("/")[2]
        return Role(arn, parts[4], name, unique_id("AROA", arn), document.EMPTY, Policies(), {}, MAX_SESSION_SECONDS[1])
    return found


def _seconds(body: Body, role: Role, chained: bool) -> int:
    seconds: int = body.get("DurationSeconds", MAX_SESSION_SECONDS[0])
    if chained and seconds > CHAINED_SECONDS:
        raise errors.longer_than_chain_allows()
    if seconds > role.max_seconds:
        raise errors.longer_than_role_allows()
    return seconds


# Trust


def _trusts(on: Request, role: Role, action: str, keys: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether the role's trust policy and the caller's own policies allow the action."""
    caller = on.access.principal
    asked = Asked(on.access, on.caller.origin, on.now_ms, "", role.account, role.tags, {})

    def context(key: str) -> tuple[str, ...]:
        return keys[key] if key in keys else global_keys.value(key, asked)

    trust = Attached(PolicyKind.TRUST, role.arn, role.trust)
    narrowed = narrow(Question(caller, action, role.arn), on.access.policies, trust, role.account)
    # Unlike other resource policies, a trust policy must allow the action even if an identity policy does.
    return narrowed.decide(context).allowed and narrowed.is_granted(context)


def _holds(caller: Principal, role: Role, action: str, keys: Callable[[str], tuple[str, ...] | None]) -> bool:
    narrowed = narrow(
        Question(caller, action, role.arn), Policies(), Attached(PolicyKind.TRUST, role.arn, role.trust), role.account
    )
    return narrowed.decide(lambda key: keys(key) or ()).allowed


def _request_keys(body: Body, tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (body["RoleSessionName"],)}
    for member, key in (("ExternalId", "sts:externalid"), ("SourceIdentity", "sts:sourceidentity")):
        if member in body:
            found[key] = (body[member],)
    if tags:
        found["aws:tagkeys"] = tuple(tags)
        found |= {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    if body.get("TransitiveTagKeys"):
        found["sts:transitivetagkeys"] = tuple(body["TransitiveTagKeys"])
    return found


# Tags and policies of sessions


def _inherited(before: Session | None) -> dict[str, str]:
    if before is None:
        return {}
    return {key: value for key, value in before.tags.items() if key in before.transitive}


def _tags(body: Body, inherited: Mapping[str, str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    known = {key.lower() for key in inherited}
    for number, one in enumerate(body.get("Tags") or (), start=1):
        for member in ("Key", "Value"):
            if member not in one:
                raise errors.tag_lacks(number, member)
        key = one["Key"]
        if key.lower() in {given.lower() for given in tags}:
            raise errors.tag_twice(key)
        if key.lower() in known:
            raise errors.inherited_tag(key)
        tags[key] = one["Value"]
    for key in body.get("TransitiveTagKeys") or ():
        if key not in tags:
            raise errors.transitive_tag_unknown(key)
    return tags


def _policies(on: Request, role: Role, body: Body) -> tuple[tuple[str, ...], bool]:
    """The session policies, and whether there are any."""
    found: list[str] = []
    text = body.get("Policy")
    if text is not None:
        if len(text) > POLICY_CHARS:
            raise errors.packed_too_large(100 * len(text) // POLICY_CHARS)
        try:
            document.parse(document.loads(text), Kind.IDENTITY)
        except Malformed as fault:
            raise errors.malformed_policy(str(fault)) from None
        found.append(text.strip())
    known = on.service.identities.directory.account(role.account).policies
    for one in body.get("PolicyArns") or ():
        arn = one.get("arn", "")
        name = arn.rpartition("/")[2]
        if name not in known and not on.service.is_open:
            raise errors.unknown_policy(arn)
        found.append(name)
    return tuple(found), bool(found)


def _assumed(on: Request, role: Role, session: Session, body: Body) -> Body:
    credentials, percent = _credentials(on, session)
    principal = role.session(body["RoleSessionName"], session.tags)
    answer: Body = {
        "Credentials": credentials,
        "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
    }
    if session.has_policies or session.tags:
        answer["PackedPolicySize"] = percent
    if session.source_identity is not None:
        answer["SourceIdentity"] = session.source_identity
    return answer


def _credentials(on: Request, session: Session) -> tuple[Body, int]:
    """The credentials, and the used share of their token's size, in percent."""
    tokens = on.service.identities.tokens
    token = tokens.token(session)
    percent = max(1, 100 * len(token) // TOKEN_CHARS)
    if len(token) > TOKEN_CHARS:
        raise errors.packed_too_large(percent)
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": tokens.secret(session.access_key),
        "SessionToken": token,
        "Expiration": session.expires_s,
    }, percent
