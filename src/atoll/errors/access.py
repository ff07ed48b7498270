"""Refusals of callers by policies: AccessDeniedException, as the service writes it."""

from __future__ import annotations

from typing import Protocol

from atoll.errors import ApiError, access_denied


class Refused(Protocol):
    """The decision of policies to refuse a request."""

    @property
    def explicit(self) -> bool: ...

    @property
    def source(self) -> NamedKind | None: ...


class NamedKind(Protocol):
    """A kind of policy."""

    @property
    def value(self) -> str: ...


def denied(principal: str, action: str, resource: str, decision: Refused) -> ApiError:
    return access_denied(reason(principal, action, resource, decision))


def reason(principal: str, action: str, resource: str, decision: Refused) -> str:
    start = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
    kind = "" if decision.source is None else decision.source.value
    if decision.explicit:
        return f"{start} with an explicit deny in {'the' if kind.startswith('role') else _article(kind)} {kind}"
    return f"{start} because no {kind} allows the {action} action"


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
