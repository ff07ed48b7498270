"""Errors of throttling: a table or an index has used up its throughput, or the server its memory or connections."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import AVAILABILITY, ApiError

THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException")
"""The codes of throttling errors."""


def provisioned_exceeded(kind: str, arns: Sequence[str], *, index: bool) -> ApiError:
    """`kind` is Read or Write; `arns` are those of the throttled table or indexes."""
    if index:
        message = (
            "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
            "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "
            "with the UpdateTable API."
        )
    else:
        message = (
            "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
            "provisioning level with the UpdateTable API."
        )
    reasons = _reasons(kind, "ProvisionedThroughputExceeded", arns, index)
    return ApiError("ProvisionedThroughputExceededException", message, fields={"ThrottlingReasons": reasons})


def maximum_exceeded(kind: str, arns: Sequence[str], *, index: bool) -> ApiError:
    """An on-demand table exceeded its configured maximum."""
    reasons = _reasons(kind, "MaxOnDemandThroughputExceeded", arns, index)
    return ApiError(
        "ThrottlingException",
        "Throughput exceeds the maximum OnDemandThroughput configured on table or index",
        prefix=AVAILABILITY,
        fields={"throttlingReasons": reasons},
    )


def memory_is_full() -> ApiError:
    """Atoll's own, in the form of the service's throttling."""
    return _busy("The requests and answers in flight have reached --memory-limit; try again")


def too_many_connections() -> ApiError:
    return _busy("The connections to this server have reached --max-connections; try again")


def _busy(message: str) -> ApiError:
    return ApiError("ThrottlingException", message, prefix=AVAILABILITY)


def _reasons(kind: str, limit: str, arns: Sequence[str], index: bool) -> list[dict[str, str]]:
    reason = f"{'Index' if index else 'Table'}{kind}{limit}"
    return [{"reason": reason, "resource": arn} for arn in arns]
