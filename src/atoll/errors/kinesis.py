"""Errors of Kinesis destinations."""

from __future__ import annotations

from atoll.errors import ApiError, validation

# The descriptions of a destination that could not be enabled.
NO_PERMISSION = "User does not have a permission to use kinesis stream"
ELSEWHERE = "The kinesis Arn used to enable kinesis replication belongs to a stream which is not in the current region"
INACTIVE = "The kinesis Arn used to enable kinesis replication belongs to a stream which is not in Active state"
NO_ENDPOINT = "This server sends to no Kinesis: start it with --kinesis"

_INVALID_STATE = "Table is not in a valid state to {} Kinesis Streaming Destination: "


def not_disabled() -> ApiError:
    return validation(
        _INVALID_STATE.format("enable")
        + "EnableKinesisStreamingDestination must be DISABLED or ENABLE_FAILED to perform ENABLE operation."
    )


def not_active() -> ApiError:
    return validation(
        _INVALID_STATE.format("disable") + "KinesisStreamingDestination must be ACTIVE to perform DISABLE operation."
    )


def configuration_while_disabling() -> ApiError:
    return validation("Stream cannot be disabled using EnableKinesisStreamingConfiguration parameters")


def no_destination(stream: str, table: str) -> ApiError:
    return validation(f"No streaming destination with streamArn: {stream} found for table with tableName: {table}")


def update_inactive(table: str) -> ApiError:
    return validation(
        _INVALID_STATE.format("update")
        + "Kinesis streaming is not in ACTIVE state. Updates are only allowed in ACTIVE state. "
        f"TableName: {table}"
    )


def update_empty() -> ApiError:
    return validation(
        "Streaming destination cannot be updated with given parameters: UpdateKinesisStreamingConfiguration cannot be "
        "null or contain only null values"
    )


def precision_set(precision: str, table_id: str, stream: str) -> ApiError:
    return validation(
        f"Invalid Request: Precision is already set to the desired value of {precision} for tableId: {table_id}, "
        f"kdsArn: {stream}"
    )
