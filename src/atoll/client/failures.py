"""The errors of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atoll.logs import one_line

TRANSACTION_CANCELED = "TransactionCanceledException"
NOT_FOUND = "ResourceNotFoundException"

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TransactionInProgressException",
}
_PASSING_REASONS = {"None", "ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
STREAM_OPERATIONS = frozenset({"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"})
_SERVER_FAILED = 500


class Misconfigured(Exception):
    """The given endpoint, region or credentials cannot be used. The text says why."""


class CallError(Exception):
    """A call failed. The text says why, in one line without control characters: servers choose parts of it."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))

    passes = False
    """Whether the same call may succeed later."""


class Unreachable(CallError):
    """The endpoint cannot be reached, or its answer did not arrive completely."""

    passes = True


class Misshapen(Unreachable):
    """The endpoint answered with an object that no answer of this operation is: another attempt would not help."""

    passes = False


class Refusal(CallError):
    """The endpoint answered with an error."""

    def __init__(self, operation: str, status: int, body: Mapping[str, Any], request_id: str = "") -> None:
        kind = str(body.get("__type") or body.get("code") or "")
        self.operation = operation
        self.status = status
        self.code = kind.rpartition("#")[2].partition(":")[0] or f"HTTP status {status}"
        self.message = str(body.get("message") or body.get("Message") or "")
        self.request_id = request_id
        self.body = body
        super().__init__(f"{self.code}: {self.message}" if self.message else self.code)

    @property
    def reasons(self) -> list[str]:
        """The codes of the reasons why a transaction was cancelled, one for each of its items."""
        reasons = self.body.get("CancellationReasons")
        found = reasons if isinstance(reasons, list) else []
        return [str(one.get("Code", "None")) if isinstance(one, dict) else "" for one in found]

    @property
    def throttled(self) -> bool:
        if self.code == TRANSACTION_CANCELED:
            return set(self.reasons) <= _PASSING_REASONS
        if self.code == "LimitExceededException":  # for streams: too many readers or calls; for tables: a quota
            return self.operation in STREAM_OPERATIONS
        return self.code in _THROTTLED

    @property
    def passes(self) -> bool:  # type: ignore[override]
        return self.throttled or self.status >= _SERVER_FAILED
