"""Record decisions: lines of the audit log, warnings of `--auth iam-log`, and the policy that an application needs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from atoll.api.authorization.authorizer import Verdict
from atoll.api.call import Call, Caller
from atoll.api.resources import Body
from atoll.api.services import ADMIN, STS, Operation
from atoll.clock import monotonic_ns
from atoll.errors import ApiError, access
from atoll.logs import Repeats
from atoll.security.audit import AuditLog

_log = logging.getLogger(__name__)

_PRINCIPALS, _USES = 1_000, 2_000
"""The most principals that are remembered, and the most uses of each."""


class Observed:
    """Which actions on which resources each principal used: the least policy that would allow it all."""

    def __init__(self) -> None:
        self._uses: dict[str, dict[tuple[str, str], None]] = {}

    def add(self, verdict: Verdict) -> None:
        assert verdict.caller.access is not None
        principal = verdict.caller.access.principal.key
        uses = self._uses.get(principal)
        if uses is None:
            if len(self._uses) >= _PRINCIPALS:
                return
            uses = self._uses[principal] = {}
        if len(uses) < _USES:
            uses[verdict.action, verdict.resource] = None

    def policies(self) -> dict[str, Any]:
        """The minimal policies, by the ARN of the principal."""
        return {principal: minimal(uses) for principal, uses in sorted(self._uses.items())}


def minimal(uses: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A policy that allows these actions on these resources, and nothing else."""
    by_resource: dict[str, list[str]] = {}
    for action, resource in uses:
        by_resource.setdefault(resource, []).append(action)
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource, actions in by_resource.items():
        by_actions.setdefault(tuple(sorted(set(actions))), []).append(resource)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(actions), "Resource": sorted(resources)}
            for actions, resources in sorted(by_actions.items())
        ],
    }


class Auditor:
    """Gets every decision. `log` is the audit log, if there is one; `observed` collects for `iam-log`."""

    def __init__(
        self, log: AuditLog | None, observed: Observed | None, next_id: Callable[[], str | None], *, enforces: bool
    ) -> None:
        self._log = log
        self._observed = observed
        self._next_id = next_id
        self._enforces = enforces
        self._repeats = Repeats(_log, monotonic_ns)

    @property
    def writes(self) -> bool:
        return self._log is not None

    @property
    def needs_all(self) -> bool:
        """Whether it needs every decision, even one that no condition can change."""
        return self._log is not None or self._observed is not None

    def decided(self, verdict: Verdict) -> None:
        decision = verdict.decision
        if self._observed is not None:
            self._observed.add(verdict)
            if not decision.allowed:
                self._warn(verdict)
        if self._log is not None:
            line = self._line(verdict.caller, verdict.now_ms) | {
                "operation": verdict.operation,
                "action": verdict.action,
                "resource": verdict.resource,
                "decision": "allowed" if decision.allowed else "denied" if self._enforces else "logged",
                "by": because(verdict),
            }
            self._log.write(line)

    def _warn(self, verdict: Verdict) -> None:
        assert verdict.caller.access is not None
        principal = verdict.caller.access.principal.arn
        text = access.reason(principal, verdict.action, verdict.resource, verdict.decision)
        extra = {"operation": verdict.operation, "request_id": self._next_id()}
        key = (principal, verdict.action, verdict.resource)
        self._repeats.log(key, logging.WARNING, f"policies would refuse this request: {text}", extra)

    def called(self, caller: Caller, operation: Operation, body: Body, error: ApiError | None, now_ms: int) -> None:
        """Record a request that no policy decided."""
        assert self._log is not None
        try:
            touched = list(operation.touches(body))
        except (KeyError, TypeError, AttributeError):  # not of the operation's shape
            touched = []
        self._log.write(
            self._line(caller, now_ms)
            | {"operation": operation.name, "resource": ",".join(touched) or None, "error": error and error.code}
        )

    def unverified(self, origin: Any, error: ApiError, now_ms: int) -> None:
        """Record a request whose signature was refused."""
        assert self._log is not None
        target = origin.headers.get(b"x-amz-target", b"").decode("latin-1")
        line = self._line(Caller(None, "", admin=False, origin=origin), now_ms)
        self._log.write(line | {"operation": target.rpartition(".")[2] or None, "error": error.code})

    def _line(self, caller: Caller, now_ms: int) -> dict[str, Any]:
        origin, principal = caller.origin, None if caller.access is None else caller.access.principal
        agent = None if origin is None else origin.headers.get(b"user-agent")
        return {
            "time": datetime.fromtimestamp(now_ms / 1000, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "request": self._next_id(),
            "account": caller.account or None,
            "principal": None if principal is None else principal.arn,
            "access_key": caller.access_key,
            "source": None if origin is None else origin.peer or None,
            "user_agent": None if agent is None else agent.decode("latin-1"),
        }


def because(verdict: Verdict) -> str | None:
    """The reason of the decision, in words."""
    decision, found = verdict.decision, verdict.decision.because
    if found is not None:
        name = f", {found.policy}" if found.policy != found.source.value else ""
        return f"statement {found.sid or found.number} of the {found.source.value}{name}"
    return None if decision.source is None else f"no {decision.source.value}"


def auditing(call: Call, auditor: Auditor, *, evaluates: bool) -> Call:
    """The call, extended to audit also requests that no policy decides."""

    async def audited(operation: Operation, region: str, caller: Caller, body: Body, now_ms: int) -> Any:
        if evaluates and caller.access is not None and operation.service not in (ADMIN, STS):
            return await call(operation, region, caller, body, now_ms)
        try:
            answer = await call(operation, region, caller, body, now_ms)
        except ApiError as error:
            auditor.called(caller, operation, body, error, now_ms)
            raise
        auditor.called(caller, operation, body, None, now_ms)
        return answer

    return audited
