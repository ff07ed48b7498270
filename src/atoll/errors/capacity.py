"""Throttling errors: a table or index has exhausted its throughput, or the server its memory or connections."""

from __future__ import annotations

from collections.abc import Sequence

from atoll.errors import AVAILABILITY, ApiError

THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
"""The codes of throttling errors."""


PROVISIONED = "ProvisionedThroughputExceeded"
MAXIMUM = "MaxOnDemandThroughputExceeded"
KEY_RANGE = "KeyRangeThroughputExceeded"
ACCOUNT = "AccountLimitExceeded"
"""The exceeded limits, as throttling reasons name them."""

Exhausted = tuple[str, bool, str]
"""The ARN of a throttled table or index, whether it is an index, and the exceeded limit."""


def exceeded(kind: str, exhausted: Sequence[Exhausted], *, on_demand: bool) -> ApiError:
    """`kind` is Read or Write. The first of the throttled parts decides the error."""
    _, index, limit = exhausted[0]
    reasons = [
        {"reason": f"{'Index' if of_index else 'Table'}{kind}{exceeded}", "resource": arn}
        for arn, of_index, exceeded in exhausted
    ]
    if limit == ACCOUNT:
        return ApiError("RequestLimitExceeded", _ACCOUNT_TEXT, fields={"ThrottlingReasons": reasons})
    if not on_demand:
        text = _PROVISIONED_INDEX_TEXT if index else _PROVISIONED_TEXT
        return ApiError("ProvisionedThroughputExceededException", text, fields={"ThrottlingReasons": reasons})
    growing = _GROWING_INDEX_TEXT if index else _GROWING_TEXT
    text = _MAXIMUM_TEXT if limit == MAXIMUM else growing
    return ApiError("ThrottlingException", text, prefix=AVAILABILITY, fields={"throttlingReasons": reasons})


_PROVISIONED_INDEX_TEXT = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes "
    "with the UpdateTable API."
)
_PROVISIONED_TEXT = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your "
    "provisioning level with the UpdateTable API."
)
_MAXIMUM_TEXT = "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
_GROWING_TEXT = (
    "Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling your table or "
    "index so please try again shortly. If exceptions persist, check if you have a hot key: "
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"
)
_GROWING_INDEX_TEXT = (
    "Throughput exceeds the current capacity for one or more global secondary indexes. DynamoDB is automatically "
    "scaling your index so please try again shortly."
)
_ACCOUNT_TEXT = (
    "Throughput exceeds the current throughput limit for your account. Please contact AWS Support at "
    "https://aws.amazon.com/support request a limit increase"
)


def memory_is_full() -> ApiError:
    """An error of Atoll's own, in the form of the service's throttling."""
    return _busy("The requests and answers in flight have reached --memory-limit; try again")


def too_many_connections() -> ApiError:
    return _busy("The connections to this server have reached --max-connections; try again")


def _busy(message: str) -> ApiError:
    return ApiError("ThrottlingException", message, prefix=AVAILABILITY)
