"""Errors of global tables, contributor insights and resource policies."""

from __future__ import annotations

from atoll.errors import ApiError, access_denied, invalid_parameter, resource_not_found, validation

# Global tables


def global_table_name_length() -> ApiError:
    return validation("TableName must be at least 3 characters long and at most 255 characters long")


def global_tables_of_2017() -> ApiError:
    """The service does not create global tables of 2017 any more."""
    return invalid_parameter(
        "DynamoDB global tables version 2017.11.29 is not supported. We recommend using DynamoDB global tables version "
        "2019.11.21, instead of version 2017.11.29 (Legacy)."
    )


def global_table_not_found(name: str) -> ApiError:
    """For the operations of 2017."""
    return ApiError(
        "GlobalTableNotFoundException", f"Global table not found: Global table with name: '{name}' does not exist."
    )


def no_global_table(name: str) -> ApiError:
    return resource_not_found(f"Global table with name: '{name}' does not exist.")


# Contributor insights, resource policies


def index_name_length() -> ApiError:
    return validation("IndexName must be at least 3 characters long and at most 255 characters long")


TOO_MANY_INSIGHT_RULES = {
    "ExceptionName": "LimitExceededException",
    "ExceptionDescription": (
        "Per-account Amazon CloudWatch Contributor Insights rule limit reached. Please disable Contributor Insights "
        "for other tables/indexes OR disable Contributor Insights rules before retrying."
    ),
}
"""The FailureException of contributor insights."""


def insights_of_inactive(what: str) -> ApiError:
    """`what` is Table or Index."""
    return validation(
        "Table or Index is not in a valid state to update Key Access Insights: "
        f"{what}Status must be ACTIVE to enable ContributorInsights."
    )


def bad_number(member: str, most: int) -> ApiError:
    """For the admin API."""
    return validation(f"{member} has to be a number from 1 to {most}")


def index_not_found(index: str, table: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Index: {index} not found for table: {table}")


def stream_not_found(label: str, table: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Stream: {label} not found for Table: {table}")


def foreign_account() -> ApiError:
    return access_denied("This action is only supported by accounts that match the resource owner’s account.")


def resource_elsewhere(arn: str) -> ApiError:
    """The resource belongs to another region or partition."""
    return validation(f"Invalid resource Arn: {arn}")


def no_policy(arn: str) -> ApiError:
    return ApiError("PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {arn}")
