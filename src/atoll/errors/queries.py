"""Errors of Query and Scan."""

from __future__ import annotations

from atoll.errors import ENVELOPE, ApiError, invalid_parameter, validation


def no_key_condition() -> ApiError:
    return validation("Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.")


def no_such_index(name: str) -> ApiError:
    return validation(f"The table does not have the specified index: {name}")


def index_backfilling(name: str) -> ApiError:
    return validation(f"Cannot read from backfilling global secondary index: {name}")


def consistent_global_read() -> ApiError:
    return validation("Consistent reads are not supported on global secondary indexes")


def select_all_projected_without_index() -> ApiError:
    newer = "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"
    error = invalid_parameter(newer)
    error.newer = newer
    return error


def of_select(error: ApiError, of_query: bool) -> ApiError:
    """An error of the members that go with Select. Since 2026 its text has an envelope in Query, and none in Scan."""
    text = error.message if error.newer is None else error.newer
    error.newer = f"{ENVELOPE}{text}" if of_query else text
    error.everywhere = True
    return error


def select_all_on_global_index(name: str) -> ApiError:
    return invalid_parameter(
        f"Select type ALL_ATTRIBUTES is not supported for global secondary index {name} because its projection type "
        "is not ALL"
    )


def not_projected(name: str, attributes: list[str]) -> ApiError:
    return invalid_parameter(f"Global secondary index {name} does not project [{', '.join(attributes)}]")


def select_with_projection(select: str, member: str) -> ApiError:
    what = {
        "ALL_ATTRIBUTES": "ALL_ATTRIBUTES",
        "ALL_PROJECTED_ATTRIBUTES": "ALL_PROJECTED_ATTRIBUTES",
        "COUNT": "only the Count",
    }[select]
    return validation(f"Cannot specify the {member} when choosing to get {what}")


def select_specific_without_projection() -> ApiError:
    return validation(
        "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
    )


def filter_on_key(name: str, *, legacy: bool) -> ApiError:
    what = "QueryFilter" if legacy else "Filter Expression"
    return validation(f"{what} can only contain non-primary key attributes: Primary key attribute: {name}")


def filter_not_projected(index: str, attributes: list[str]) -> ApiError:
    listed = ", ".join(attributes)
    return invalid_parameter(f"Secondary index {index} does not project one or more filter attributes: [{listed}]")


def total_segments_missing() -> ApiError:
    return validation(
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
    )


def segment_missing() -> ApiError:
    return validation(
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
    )


def segment_outside(segment: int, total: int) -> ApiError:
    return validation(
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
        f"Segment: {segment} is not less than TotalSegments: {total}"
    )
