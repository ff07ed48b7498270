"""Errors of exports."""

from __future__ import annotations

from datetime import UTC, datetime

from atoll.errors import ApiError, validation

_INVALID_TIME = "InvalidExportTimeException"


def table_arn() -> ApiError:
    return validation("Invalid Request: Table ARN is invalid.")


def key_without_kms() -> ApiError:
    return validation("Invalid Request: KMS Key Id is not supported for this encryption type")


def not_incremental() -> ApiError:
    return validation(
        "Invalid Request: Export Type expected to be Incremental Export when incremental export specification is "
        "provided"
    )


def window_of_full_export() -> ApiError:
    return validation(
        "Invalid Request: When Export Type is Full Export , Incremental Export Specification should not be provided"
    )


def window_missing() -> ApiError:
    return validation(
        "Invalid Request: Incremental Export Specification expected when export type is set as Incremental Export"
    )


def from_time_missing() -> ApiError:
    return validation("Invalid Request: ExportFromTime must be provided in IncrementalExportSpecification")


def filter_empty() -> ApiError:
    return validation("Invalid Request: Invalid FilterSpecification: The specification can not be empty")


def conflict() -> ApiError:
    return ApiError(
        "ExportConflictException", "Export conflict: Duplicate request detected with conflicting parameters"
    )


def time_invalid() -> ApiError:
    return ApiError(_INVALID_TIME, "Export Time is invalid")


def time_too_late() -> ApiError:
    return ApiError(_INVALID_TIME, "Point in Time Recovery is not available for specified export time")


def window_before_table(created_ms: int) -> ApiError:
    return ApiError(
        _INVALID_TIME,
        f"Incremental export period from time cannot be less than the table creation time : {_time(created_ms)}",
    )


def window_in_future(now_ms: int) -> ApiError:
    return ApiError(
        _INVALID_TIME,
        f"Incremental export period to time cannot be greater than the current time : {_time(now_ms)}",
    )


def window_short() -> ApiError:
    return ApiError(
        _INVALID_TIME, "Difference between export period from time and export period to time is less than 15 minutes"
    )


def window_long() -> ApiError:
    """The text is assumed."""
    return ApiError(
        _INVALID_TIME, "Difference between export period from time and export period to time is greater than 24 hours"
    )


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"
