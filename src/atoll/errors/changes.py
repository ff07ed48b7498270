"""Errors of UpdateTable and DeleteTable: changes that exclude each other in one request, or a change under way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from atoll import limits
from atoll.errors import (
    AVAILABILITY,
    CORAL,
    ApiError,
    invalid_parameter,
    limit_exceeded,
    resource_not_found,
    validation,
)
from atoll.errors.tables import still_in_use

# One request

REQUIRED_MEMBERS = (
    "ProvisionedThroughput", "BillingMode", "UpdateStreamEnabled", "GlobalSecondaryIndexUpdates", "SSESpecification",
    "ReplicaUpdates", "MultiAccountReplicaReady", "ReplicaTransitRoleArn", "MultiRegionConsistency",
    "DeletionProtectionEnabled", "OnDemandThroughput", "WarmThroughput",
)  # fmt: skip


def nothing_to_update(sent: Sequence[str] = ()) -> ApiError:
    """The request changes nothing. `sent` are its members that do not count; the text omits them."""
    members = [member for member in REQUIRED_MEMBERS if member not in sent]
    return validation(f"At least one of {', '.join(members)} or TableClass is required")


def only_operation(subject: str) -> ApiError:
    return invalid_parameter(f"{subject} must be the only operation in the request")


def maxima_with_others() -> ApiError:
    return invalid_parameter("OnDemandThroughput can only be combined with BillingMode in an UpdateTable request")


def stream_with_units() -> ApiError:
    return invalid_parameter("You cannot modify stream status while updating table IOPS")


def index_with_units() -> ApiError:
    return invalid_parameter("You cannot create or delete index while updating table IOPS")


def index_with_stream() -> ApiError:
    return invalid_parameter("You cannot create or delete index while changing stream status")


def no_replica_action() -> ApiError:
    return validation("There are no actions specified in the Replica Update Action of the request.")


def empty_throughput() -> ApiError:
    """DynamoDB fails on an empty OnDemandThroughput or WarmThroughput that comes alone."""
    return ApiError("InternalFailure", "", status=500, prefix=CORAL)


# Capacity


def throughput_required() -> ApiError:
    return invalid_parameter("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")


def throughput_on_demand() -> ApiError:
    """The request has units together with the BillingMode PAY_PER_REQUEST."""
    return invalid_parameter("ProvisionedThroughput cannot be specified when BillingMode is PAY_PER_REQUEST")


def throughput_unchanged(of: str, current: tuple[int, int]) -> ApiError:
    """`of` is "table", or "index" and its name."""
    read, write = current
    kind = of.partition(" ")[0]
    return validation(
        f"The provisioned throughput for the {of} will not change. The requested value equals the current value. "
        f"Current ReadCapacityUnits provisioned for the {kind}: {read}. Requested ReadCapacityUnits: {read}. "
        f"Current WriteCapacityUnits provisioned for the {kind}: {write}. Requested WriteCapacityUnits: {write}. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


def warm_lower(member: str, index: str | None) -> ApiError:
    of = "table" if index is None else f"index {index}"
    return invalid_parameter(
        f"Requested {member} for WarmThroughput for {of} is lower than current WarmThroughput, decreasing "
        "WarmThroughput is not supported"
    )


# Budgets and cooldowns


def _date(ms: int) -> str:
    """The date as in: Sunday, November 22, 2026 at 1:04:21 PM Coordinated Universal Time"""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    hour = at.hour % 12 or 12
    return f"{at:%A, %B} {at.day}, {at.year} at {hour}:{at:%M:%S %p} Coordinated Universal Time"


def too_many_decreases(today: int, last_ms: int, next_ms: int) -> ApiError:
    return limit_exceeded(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        f"first {limits.THROUGHPUT_DECREASES} decreases, each subsequent decrease in the same UTC day can be performed "
        f"at most once every {limits.THROUGHPUT_DECREASE_INTERVAL_MS // 1000} seconds. Number of decreases today: "
        f"{today}. Last decrease at {_date(last_ms)}. Next decrease can be made at {_date(next_ms)}"
    )


def too_many_encryption_changes(count: int, now_ms: int, last_ms: int, next_ms: int) -> ApiError:
    """The part of the text after the time of the last change is assumed."""
    return limit_exceeded(
        f"Subscriber limit exceeded: Encryption mode changes are limited in the 24h window ending at {_date(now_ms)}. "
        f"After the first {limits.ENCRYPTION_CHANGES} change, each subsequent change in the same window can be "
        f"performed at most once every {limits.ENCRYPTION_CHANGE_INTERVAL_MS // 1000} seconds. Number of updates "
        f"today: {count}. Last change at {_date(last_ms)}. Next change can be made at {_date(next_ms)}"
    )


def too_many_class_changes(last_ms: int, next_ms: int) -> ApiError:
    """The text is assumed; the quota is published."""
    return limit_exceeded(
        f"Subscriber limit exceeded: Table class changes are limited to {limits.TABLE_CLASS_CHANGES} within "
        f"{limits.TABLE_CLASS_WINDOW_MS // 86_400_000} days. Last change at {_date(last_ms)}. Next change can be made "
        f"at {_date(next_ms)}"
    )


def protection_changed(table: str, next_ms: int) -> ApiError:
    again = datetime.fromtimestamp(next_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return ApiError(
        "ThrottlingException",
        f"Deletion protection setting for table {table} modified within the previous "
        f"{limits.PROTECTION_INTERVAL_MS} milliseconds. Please try again after {again}Z",
        prefix=AVAILABILITY,
    )


# Streams and encryption


def stream_view_required() -> ApiError:
    return invalid_parameter("If stream is being enabled then UpdateViewType is required")


def stream_view_without_stream() -> ApiError:
    return invalid_parameter("If stream is being disabled, then UpdateViewType must not be specified")


def stream_enabled_already(table: str) -> ApiError:
    return validation(f"Table already has an enabled stream: TableName: {table}")


def no_stream_to_disable(table: str) -> ApiError:
    return validation(f"Table has no stream to disable: TableName: {table}")


def encrypted_by_default() -> ApiError:
    return invalid_parameter("Table is already encrypted by default")


def encrypted_with_key() -> ApiError:
    return invalid_parameter(
        "Table is already encrypted with given KMSMasterKeyId. Use KMSMasterKeyId parameter if you want to change "
        "Master Key"
    )


# Indexes


def index_update_without_action() -> ApiError:
    return invalid_parameter(
        "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
        "GlobalSecondaryIndexUpdate.Delete must not be null"
    )


def index_update_with_actions() -> ApiError:
    return invalid_parameter("Only one global secondary index action is allowed per GlobalSecondaryIndexUpdate object")


def index_updated_twice(index: str) -> ApiError:
    return invalid_parameter(
        f"Only one global secondary index update per index is allowed simultaneously. Index: {index}"
    )


def index_warm_empty(index: str) -> ApiError:
    return invalid_parameter(
        "WarmThroughput must have at least one of ReadUnitsPerSecond or WriteUnitsPerSecond specified for index: "
        f"{index}"
    )


def index_not_found(index: str, table: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Index {index} for table {table}")


def index_is_local(action: str, index: str) -> ApiError:
    return validation(f"Cannot {action.lower()} an index that is not a GlobalSecondaryIndex: {index}")


def index_exists() -> ApiError:
    return validation("Attempting to create an index which already exists")


def one_index_at_a_time() -> ApiError:
    return limit_exceeded(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )


def too_many_global_indexes() -> ApiError:
    return limit_exceeded(
        "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of "
        f"{limits.GLOBAL_INDEXES}"
    )


def index_throughput_on_demand(index: str) -> ApiError:
    return invalid_parameter(
        f"The only Updates for index: {index} when TableThroughputMode is PAY_PER_REQUEST can be to "
        "OnDemandThroughput, WarmThroughput"
    )


def definitions_required(index: str) -> ApiError:
    return invalid_parameter(f"AttributeDefinitions is not specified for index: {index}")


Keys = Sequence[tuple[str, str, str]]
"""The name, type and kind (HASH, RANGE) of each key attribute."""


def attribute_redefined(existing: Keys, new: Keys) -> ApiError:
    return invalid_parameter(
        "Attributes cannot be redefined. Please check that your attribute has the same type as previously defined. "
        f"Existing schema: {_schema(existing)} New schema: {_schema(new)}"
    )


def _schema(keys: Keys) -> str:
    return "Schema:[" + ", ".join(f"SchemaElement: key{{{name}:{type_}:{kind}}}" for name, type_, kind in keys) + "]"


# Changes under way. `indexes` are the indexes that are being created or deleted.


def units_being_updated(table: str) -> ApiError:
    return still_in_use(f"Table IOPS are currently being updated. Table: {table}")


def units_while_stream(table: str, label: str, operation: str) -> ApiError:
    return still_in_use(
        f"Can't change table IOPS when stream status is being updated. Table: {table} Stream: {label} "
        f"Operation: {operation}"
    )


def units_while_index(table: str, indexes: Sequence[str], what: str) -> ApiError:
    """`what` is created or deleted."""
    return still_in_use(
        f"Can't change table IOPS when an index is being {what}. Table: {table} Indexes: [{', '.join(indexes)}]"
    )


def index_while_units(table: str) -> ApiError:
    return still_in_use(f"Can't create or delete indexes while table IOPS are being updated. Table: {table}")


def index_while_stream() -> ApiError:
    return still_in_use("Can't create or delete an index when stream status is being updated.")


def stream_while_units(table: str) -> ApiError:
    return still_in_use(f"Can't enable or disable stream while table IOPS are being updated. Table: {table}")


def stream_while_index(table: str, indexes: Sequence[str], what: str) -> ApiError:
    return still_in_use(
        f"Can't change stream status when an index is being {what}. Table: {table} Indexes: [{', '.join(indexes)}]"
    )


def refused_while_class(action: str, table: str, table_class: str) -> ApiError:
    """The text is known for the action "change stream status", and assumed for others."""
    return still_in_use(
        f"Can't {action} when a table class update is in progress. Table: {table} "
        f"TableClassUpdateInProgress: {table_class}"
    )


def class_while(cause: str, table: str) -> ApiError:
    """The text is known for the cause "stream status is", and assumed for others."""
    return still_in_use(f"Can't update table class when {cause} being updated. Table: {table}")


def class_while_index(table: str, indexes: Sequence[str], what: str) -> ApiError:
    """The text is assumed. `what` is created or deleted."""
    return still_in_use(
        f"Can't update table class when an index is being {what}. Table: {table} Indexes: [{', '.join(indexes)}]"
    )


def maxima_while(cause: str) -> ApiError:
    """The text is known for the cause "stream status", and assumed for others."""
    return still_in_use(f"OnDemandThroughput cannot be updated while {cause} update is in progress")


def maxima_while_index(indexes: Sequence[str], what: str) -> ApiError:
    """`what` is creation or deletion."""
    return still_in_use(
        f"OnDemandThroughput cannot be updated while index {what} is in progress for indexes: [{', '.join(indexes)}]"
    )


def encryption_being_updated() -> ApiError:
    return still_in_use("Server-Side Encryption is still being updated")


def warm_under_maintenance() -> ApiError:
    """DynamoDB's error for warm throughput while an index is being created."""
    return ApiError("InternalServerError", "Table is under system maintenance, please try again later", status=500)


def table_being_updated(table: str) -> ApiError:
    """The text is assumed for changes whose errors are unknown."""
    return still_in_use(f"Table is being updated: {table}")


def index_being_allocated(table: str, index: str) -> ApiError:
    return still_in_use(
        "Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is "
        f"active. Table: {table} Index: {index}"
    )


def index_not_backfilling(table: str, index: str) -> ApiError:
    return still_in_use(f"Index is being created but is not backfilling yet. Table: {table} Index: {index}")


def index_being_deleted(table: str, index: str) -> ApiError:
    return still_in_use(f"Index is being deleted. Table: {table} Index: {index}")


def index_being_updated(table: str, index: str) -> ApiError:
    return still_in_use(f"Index is being updated. Table: {table} Index: {index}")


def deletion_while_updating(table: str) -> ApiError:
    return still_in_use(f"Table: {table} is in the process of being updated.")


def deletion_while_indexes_change() -> ApiError:
    return still_in_use("Cannot delete table while indexes are being created, updated, or deleted.")
