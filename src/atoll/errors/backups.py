"""Errors of backups, point-in-time recovery, restores, exports and imports."""

from __future__ import annotations

from datetime import UTC, datetime

from atoll.errors import ApiError, access_denied, invalid_parameter, validation

# Backups, exports, imports


def table_not_found(name: str) -> ApiError:
    """A missing table, with the code that only backup operations use."""
    return ApiError("TableNotFoundException", f"Table not found: {name}")


def time_range_reversed() -> ApiError:
    return invalid_parameter("Time range lower bound must be less than or equal to upper bound")


def job_arn_invalid(kind: str) -> ApiError:
    """`kind` is Backup, Export or Import."""
    return validation(f"Invalid {kind} ARN")


def backup_arn_foreign() -> ApiError:
    """The service, partition or region does not exist."""
    return validation("BackupArn is not valid")


def job_denied() -> ApiError:
    return access_denied("Access is denied")


def backup_not_found(arn: str) -> ApiError:
    return ApiError("BackupNotFoundException", f"Backup not found: {arn}")


def job_not_found(kind: str, arn: str) -> ApiError:
    return ApiError(f"{kind}NotFoundException", f"{kind} not found: {kind} not found: {arn}")


def job_elsewhere(kind: str) -> ApiError:
    return ApiError(f"{kind}NotFoundException", f"{kind} not found: Invalid {kind.lower()} arn")


def table_arn_invalid() -> ApiError:
    return invalid_parameter("tableArn is not a valid ARN")


def next_token_invalid(token: str) -> ApiError:
    return validation(f"Invalid Request: Provided nextToken is invalid: {token}")


# Point-in-time recovery


def backups_unavailable(table: str) -> ApiError:
    return ApiError(
        "ContinuousBackupsUnavailableException",
        f"Backups are being enabled for the table: {table}. Please retry later",
    )


def period_while_disabling() -> ApiError:
    return validation("Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time recovery.")


def recovery_off(table: str) -> ApiError:
    return ApiError(
        "PointInTimeRecoveryUnavailableException", f"Point in time recovery is not enabled for table '{table}'"
    )


# Backups


def system_backup(arn: str, expires_ms: int) -> ApiError:
    return validation(
        f"User is not allowed to delete the system backup with arn {arn}. It will automatically expire on "
        f"{_seconds(expires_ms)}"
    )


def backup_restoring(table_arn: str) -> ApiError:
    return ApiError("BackupInUseException", f"Backup is being used to restore table: {table_arn}")


def backup_restoring_another(table_arn: str) -> ApiError:
    return ApiError("BackupInUseException", f"Backup is being used to restore another table: {table_arn}")


def backup_being_created(arn: str) -> ApiError:
    return ApiError("BackupInUseException", f"Backup is being created: {arn}")


# Restores


def both_times() -> ApiError:
    return validation(
        "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for point-in-time restore "
        "request. Please specify only one of them"
    )


def no_time() -> ApiError:
    return validation(
        "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be specified, but not both"
    )


def both_sources() -> ApiError:
    return validation("Must provide exactly one of: sourceTableArn, sourceTableName")


def no_source() -> ApiError:
    return validation("The parameter 'TableName' is required")


def source_arn_invalid() -> ApiError:
    return validation("sourceTableArn is not a valid ARN")


def source_foreign() -> ApiError:
    return access_denied("This action is only supported by accounts that match the resource owner's account")


def restore_time(asked_ms: int, earliest_ms: int, latest_ms: int) -> ApiError:
    asked, earliest, latest = (_seconds(ms) for ms in (asked_ms, earliest_ms, latest_ms))
    return ApiError(
        "InvalidRestoreTimeException",
        f"RestoreDateTime '{asked}' must be within EarliestRestorableDateTime '{earliest}' and "
        f"LatestRestorableDateTime '{latest}'",
    )


def target_exists(table: str) -> ApiError:
    return ApiError("TableAlreadyExistsException", f"Table already exists: {table}")


def target_restoring(table: str, source_arn: str) -> ApiError:
    return ApiError("TableInUseException", f"Table: {table} is already being restored from backup: {source_arn}")


def table_restoring(table: str) -> ApiError:
    """The error of CreateTable and DeleteTable for a table that is being restored."""
    return ApiError("ResourceInUseException", f"Table is being used: {table}")


def too_many_restores() -> ApiError:
    return ApiError(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 50 restore operations can be done simultaneously",
    )


def encryption_missing() -> ApiError:
    return validation("Invalid Request: sseSpecificationOverride must be provided for cross-region restores")


def no_such_index(name: str) -> ApiError:
    return validation(
        f"Index {name} does not match a secondary index that existed in the source table and cannot be created during "
        "the restore operation"
    )


def throughput_without_mode() -> ApiError:
    return validation("Cannot override ProvisionedThroughput unless BillingMode is PROVISIONED")


def throughput_missing(index: str | None) -> ApiError:
    if index is None:
        return validation("Must override ProvisionedThroughput if BillingMode is overridden to PROVISIONED")
    return validation(f"Must specify provisioned throughput for index {index}")


def throughput_on_demand(index: str) -> ApiError:
    return validation(
        f"Cannot override ProvisionedThroughput if BillingMode is overridden to PAY_PER_REQUEST for index {index}"
    )


def maximum_without_mode(member: str) -> ApiError:
    return validation(f"Cannot override {member} for OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST")


def _seconds(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
