"""Errors of resource policies."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from atoll import limits
from atoll.errors import AVAILABILITY, ApiError, access_denied, invalid_parameter, resource_in_use, validation


def too_large() -> ApiError:
    return invalid_parameter(f"Maximum policy size of {limits.RESOURCE_POLICY_BYTES} bytes exceeded")


def invalid_document(fault: str) -> ApiError:
    return invalid_parameter(f"Invalid policy document: {fault}")


def syntax_error(line: int, column: int) -> ApiError:
    return invalid_document(f"Syntax error at position ({line},{column})")


def invalid_resource(relative: str, arn: str) -> ApiError:
    return invalid_document(f'The relative-id "{relative}" is invalid for ARN "{arn}"')


def invalid_actions(names: Iterable[str]) -> ApiError:
    listed = ", ".join(f'"{name}"' for name in names)
    return invalid_document(f"The following action names are invalid: {listed}")


def unknown_principal() -> ApiError:
    return invalid_parameter("Invalid principal in policy document.")


def unbounded() -> ApiError:
    """Block Public Access's refusal of a public policy."""
    return validation(
        "Resource-based policy grants unbounded access in one or more elements. "
        "Please revise the policy to ensure least-privilege form of access"
    )


def locks_out() -> ApiError:
    return access_denied("The new resource policy will not allow you to update the resource policy in the future.")


def no_policy(detail: str) -> ApiError:
    return ApiError(
        "PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {detail}"
    )


def other_revision(expected: str, what: str, revision: int) -> ApiError:
    return no_policy(
        f"Requested update for policy with revision id {expected}, but the policy associated to target {what} has "
        f"revision id {revision}."
    )


def no_revision(expected: str, what: str) -> ApiError:
    return no_policy(f"Requested update for policy with revision id {expected}, but {what} has no associated policy.")


def update_pending(table: str) -> ApiError:
    return resource_in_use(f"Table is pending previous resource-based policy update: {table}")


def deletion_while_pending(table: str) -> ApiError:
    return resource_in_use(f"Table: {table} has a pending resource-based policy update.")


def changed_recently(table: str, next_ms: int) -> ApiError:
    again = datetime.fromtimestamp(next_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return ApiError(
        "ThrottlingException",
        f"Resource-based policy for table {table} modified within the previous {limits.RESOURCE_POLICY_INTERVAL_MS} "
        f"milliseconds. Please try again after {again}Z.",
        prefix=AVAILABILITY,
    )
