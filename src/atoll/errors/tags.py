"""Errors of tags and of the ARNs that carry them."""

from __future__ import annotations

from atoll import limits
from atoll.arns import Arn
from atoll.errors import (
    ApiError,
    access_denied,
    invalid_parameter,
    limit_exceeded,
    resource_not_found,
    validation,
)


def nothing_to_tag() -> ApiError:
    return validation("Atleast one Tag needs to be provided as Input.")


def nothing_to_untag() -> ApiError:
    return validation("Atleast one Tag Key needs to be provided as Input.")


def invalid_key(key: str | None) -> ApiError:
    return validation(f"The Tag Key provided is invalid, Key: {'null' if key is None else key}")


def invalid_value(value: str | None) -> ApiError:
    return validation(f"The Tag Value provided is invalid, Value: {'null' if value is None else value}")


def reserved_key(key: str) -> ApiError:
    return validation(f"Tag Key cannot be prefixed with aws:, Key: {key}")


def repeated_key(key: str) -> ApiError:
    return validation(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {key}")


def too_many() -> ApiError:
    return validation("Number of Tags exceed the current limit for the provided ResourceArn")


def too_large(size: int) -> ApiError:
    return validation(f"Tag set size {size} bytes is above max size limit of {limits.TAGS_BYTES} bytes")


def being_updated(table: str) -> ApiError:
    return limit_exceeded(f"Subscriber limit exceeded: Table tags are being updated: {table}")


# ARNs


def not_an_arn(text: str) -> ApiError:
    return invalid_parameter(f"ARNs must start with 'arn:': {text}")


def foreign_resource(arn: str, account: str) -> ApiError:
    user = Arn("iam", "", account, "root")
    return access_denied(f"User: {user} is not authorized to access the resource: {arn}")


def resource_of_table_part(arn: str) -> ApiError:
    return invalid_parameter(
        f"Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
    )


def not_a_resource(arn: str) -> ApiError:
    return invalid_parameter(f"Provided Arn is not a DynamoDB resource arn: {arn}")


def invalid_resource_arn(arn: str) -> ApiError:
    return validation(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")


def resource_not_found_by_arn(arn: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: ResourceArn: {arn} not found")
