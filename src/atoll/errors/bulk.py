"""Errors of bulk operations. All texts are assumed: only the shapes are published."""

from __future__ import annotations

from atoll.errors import ApiError, limit_exceeded, resource_not_found, validation

CANCELLED = "The operation was cancelled by a request"


def not_found(arn: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Bulk operation: {arn} not found")


def arn_invalid() -> ApiError:
    return validation("Invalid Bulk Operation ARN")


def has_ended(status: str) -> ApiError:
    return validation(f"Invalid Request: The bulk operation cannot be cancelled, its status is {status}")


def too_many(most: int) -> ApiError:
    return limit_exceeded(f"Subscriber limit exceeded: Only {most} bulk operations can be done simultaneously")


def output_bucket_missing() -> ApiError:
    return validation("Invalid Request: S3Bucket must be specified in OutputS3Configuration")
