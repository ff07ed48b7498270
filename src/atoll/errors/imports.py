"""Errors of imports. The texts of the last five functions are assumed; the last four concern single records."""

from __future__ import annotations

from atoll.errors import ApiError, validation

ITEMS_FAILED = (
    "Some of the items failed validation checks and were not imported. Please check CloudWatch error logs for more "
    "details."
)


def table_exists(name: str) -> ApiError:
    return ApiError("ResourceInUseException", f"Table already exists: {name}")


def conflict() -> ApiError:
    return ApiError(
        "ImportConflictException", "Import conflict: Duplicate request detected with conflicting parameters"
    )


def options(format_: str) -> ApiError:
    return validation(f"Invalid Request: Unsupported InputFormatOptions for the given input format: {format_}.")


def not_installed(package: str) -> ApiError:
    return validation(f"Atoll reads this format with the package {package}: install atoll[files]")


def too_many() -> ApiError:
    return ApiError(
        "LimitExceededException",
        "Subscriber limit exceeded: Only 50 import operations can be done simultaneously",
    )


def no_item() -> ApiError:
    return validation("The record has no Item")


def condition_malformed() -> ApiError:
    """For a record of a bulk operation."""
    return validation("The record's condition is malformed")


def ion_type(kind: str) -> ApiError:
    return validation(f"Unsupported Ion type: {kind}")


def csv_columns(expected: int, actual: int) -> ApiError:
    return validation(f"The row has {actual} columns, the header has {expected}")
