"""Errors of streams, shards and shard iterators."""

from __future__ import annotations

from atoll import limits
from atoll.errors import ApiError, invalid_parameter, limit_exceeded, resource_not_found, validation


def no_stream(table: str) -> ApiError:
    """Atoll's own text, for forced rotation, splitting or trimming of shards."""
    return validation(f"The table has no stream: {table}")


def arn_invalid() -> ApiError:
    return validation("Invalid StreamArn")


def stream_not_found(arn: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Stream: {arn} not found")


def shard_not_found() -> ApiError:
    return resource_not_found("Shard does not exist")


def too_many_listed() -> ApiError:
    return invalid_parameter(f"Limit cannot be greater than the maximum allowed size: {limits.STREAMS_LISTED}")


def too_many_shards_listed() -> ApiError:
    return invalid_parameter(f"Limit cannot be greater than the maximum: {limits.STREAM_SHARDS_LISTED}")


def too_many_records() -> ApiError:
    return invalid_parameter(f"Limit should be less than or equal to {limits.STREAM_RECORDS}")


def sequence_number_invalid() -> ApiError:
    """Missing although the iterator type needs it, or not from this shard."""
    return invalid_parameter("Invalid SequenceNumber")


def sequence_number_unexpected() -> ApiError:
    return invalid_parameter("SequenceNumber should not be passed for this iterator type")


def timestamp_invalid() -> ApiError:
    """Missing although the iterator type needs it, or in the future."""
    return invalid_parameter("Invalid Timestamp")


def iterator_invalid() -> ApiError:
    return validation("Invalid ShardIterator")


def iterator_expired() -> ApiError:
    return ApiError("ExpiredIteratorException", "The shard iterator has expired and can no longer be used")


def trimmed() -> ApiError:
    return ApiError(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard",
    )


def too_many_readers() -> ApiError:
    return limit_exceeded(
        f"Subscriber limit exceeded: More than {limits.STREAM_READERS} processes are reading from the same streams "
        "shard at the same time"
    )
