"""Errors of tables and indexes: definitions, changes and statuses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from atoll import limits
from atoll.arns import Arn
from atoll.errors import (
    ApiError,
    access_denied,
    fails_transaction,
    invalid_parameter,
    limit_exceeded,
    resource_in_use,
    resource_not_found,
    validation,
)

# Existence and status


def table_not_found(name: str) -> ApiError:
    return resource_not_found(f"Requested resource not found: Table: {name} not found")


def table_exists(name: str) -> ApiError:
    return resource_in_use(f"Table already exists: {name}")


def _still_in_use(what: str) -> ApiError:
    return resource_in_use(f"Attempt to change a resource which is still in use: {what}")


def table_being_created(name: str) -> ApiError:
    return _still_in_use(f"Table is being created: {name}")


def table_being_updated(name: str) -> ApiError:
    return _still_in_use(f"Table is being updated: {name}")


def table_being_deleted(name: str) -> ApiError:
    return _still_in_use(f"Table is being deleted: {name}")


def index_not_active(table: str, index: str, status: str) -> ApiError:
    return _still_in_use(f"Index is in {status} status. Table: {table} Index: {index}")


def table_protected() -> ApiError:
    return validation(
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    )


def too_many_tables() -> ApiError:
    return limit_exceeded(f"Subscriber limit exceeded: There is a limit of {limits.TABLES} tables per subscriber")


# Items against indexes


def index_key_type(name: str, expected: str, actual: str, index: str) -> ApiError:
    return invalid_parameter(
        f"Type mismatch for Index Key {name} Expected: {expected} Actual: {actual} IndexName: {index}"
    )


def empty_index_key(name: str, type_: str, index: str) -> ApiError:
    kind = "string" if type_ == "S" else "binary"
    text = (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        f"AttributeValue for a key attribute cannot contain an empty {kind} value. IndexName: {index}, IndexKey: {name}"
    )
    return fails_transaction(validation(text))


def index_key_update() -> ApiError:
    """An update computes a value whose type differs from the index key's."""
    return validation("The update expression attempted to update the secondary index key to unsupported type")


def empty_index_key_update(type_: str) -> ApiError:
    kind = "string" if type_ == "S" else "binary"
    text = (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty "
        f"{kind} value."
    )
    return fails_transaction(validation(text))


def item_collection_too_large() -> ApiError:
    return ApiError("ItemCollectionSizeLimitExceededException", "Collection size exceeded.")


# Keys and attribute definitions


def _names(names: Iterable[str]) -> str:
    return f"[{', '.join(names)}]"


def key_undefined() -> ApiError:
    return validation("Invalid KeySchema: Some index key attribute have no definition")


def keys_undefined(keys: Iterable[str], defined: Iterable[str]) -> ApiError:
    return invalid_parameter(
        "Some index key attributes are not defined in AttributeDefinitions. "
        f"Keys: {_names(keys)}, AttributeDefinitions: {_names(defined)}"
    )


def definitions_do_not_match() -> ApiError:
    return invalid_parameter(
        "Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions"
    )


def definitions_unused(defined: Iterable[str], used: Iterable[str]) -> ApiError:
    return invalid_parameter(
        f"Some AttributeDefinitions are not used. AttributeDefinitions: {_names(defined)}, keys used: {_names(used)}"
    )


def definition_repeated() -> ApiError:
    return validation("Cannot have two attributes with the same name")


def definition_differs(name: str) -> ApiError:
    return invalid_parameter(f"Attribute type of {name} differs from that in the existing AttributeDefinitions")


def key_repeated() -> ApiError:
    return validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")


def first_key_not_hash() -> ApiError:
    return validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")


def second_key_not_range() -> ApiError:
    return validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def hash_key_after_range() -> ApiError:
    return validation("Invalid KeySchema: All HASH key elements must precede the RANGE key elements")


def too_many_keys(kind: str) -> ApiError:
    return validation(
        f"Invalid KeySchema: The number of {kind} key elements exceeds the limit of {limits.INDEX_KEY_ATTRIBUTES}"
    )


# Indexes


def no_indexes(member: str) -> ApiError:
    """`member`, LocalSecondaryIndexes or GlobalSecondaryIndexes, is an empty list."""
    return invalid_parameter(f"List of {member} is empty")


def table_without_range_key() -> ApiError:
    return invalid_parameter(
        "Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex"
    )


def index_without_range_key(index: str) -> ApiError:
    return invalid_parameter(f"Index KeySchema does not have a range key for index: {index}")


def index_hash_key_differs(index: str, index_key: str, table_key: str) -> ApiError:
    return invalid_parameter(
        f"Index KeySchema does not have the same leading hash key as table KeySchema for index: {index}. "
        f"index hash key: {index_key}, table hash key: {table_key}"
    )


def duplicate_index(index: str) -> ApiError:
    return invalid_parameter(f"Duplicate index name: {index}")


def too_many_local_indexes() -> ApiError:
    return invalid_parameter(
        f"Number of LocalSecondaryIndexes exceeds per-table limit of {limits.LOCAL_INDEXES}",
    )


def too_many_global_indexes() -> ApiError:
    return invalid_parameter(f"GlobalSecondaryIndex count exceeds the per-table limit of {limits.GLOBAL_INDEXES}")


def no_projection_type() -> ApiError:
    return invalid_parameter("Unknown ProjectionType: null")


def attributes_not_included(projection_type: str) -> ApiError:
    return invalid_parameter(f"ProjectionType is {projection_type}, but NonKeyAttributes is specified")


def nothing_included() -> ApiError:
    return invalid_parameter("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")


def projected_attribute_repeated(name: str) -> ApiError:
    return invalid_parameter(f"Duplicate value in NonKeyAttributes: {name}")


def too_many_projected_attributes() -> ApiError:
    return invalid_parameter(
        f"Number of NonKeyAttributes over all indexes exceeds per-table limit of {limits.PROJECTED_ATTRIBUTES}"
    )


# Capacity


def units_on_demand() -> ApiError:
    return invalid_parameter(
        "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
    )


def units_required() -> ApiError:
    return invalid_parameter(
        "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
    )


def throughput_required() -> ApiError:
    return invalid_parameter("ProvisionedThroughput must be specified when BillingMode is PROVISIONED")


def units_out_of_bounds(units: int, member: str) -> ApiError:
    return validation(f"Given value {units} for {member} is out of bounds")


def index_units_on_demand(index: str) -> ApiError:
    return invalid_parameter(
        f"ProvisionedThroughput should not be specified for index: {index} when BillingMode is PAY_PER_REQUEST"
    )


def index_units_required(index: str) -> ApiError:
    return invalid_parameter(f"ProvisionedThroughput is not specified for index: {index}")


def indexes_units_required(indexes: Iterable[str]) -> ApiError:
    """A switch to provisioned mode must set the units of all global indexes, too."""
    return invalid_parameter(f"ProvisionedThroughput must be specified for index: {','.join(indexes)}")


def throughput_unchanged(of: str, current: tuple[int, int]) -> ApiError:
    """`of` is "table", or "index" and its name."""
    read, write = current
    kind = of.partition(" ")[0]
    return validation(
        f"The provisioned throughput for the {of} will not change. The requested value equals the current value. "
        f"Current ReadCapacityUnits provisioned for the {kind}: {read}. Requested ReadCapacityUnits: {read}. "
        f"Current WriteCapacityUnits provisioned for the {kind}: {write}. Requested WriteCapacityUnits: {write}. "
        "Refer to the Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


def too_many_decreases(today: int, last_ms: int, next_ms: int) -> ApiError:
    return limit_exceeded(
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        f"first {limits.THROUGHPUT_DECREASES} decreases, each subsequent decrease in the same UTC day can be performed "
        f"at most once every {limits.THROUGHPUT_DECREASE_INTERVAL_MS // 1000} seconds. Number of decreases today: "
        f"{today}. Last decrease at {_date(last_ms)}. Next decrease can be made at {_date(next_ms)}"
    )


def _date(ms: int) -> str:
    """Sunday, November 22, 2026 at 1:04:21 PM Coordinated Universal Time"""
    at = datetime.fromtimestamp(ms / 1000, UTC)
    hour = at.hour % 12 or 12
    return f"{at:%A, %B} {at.day}, {at.year} at {hour}:{at:%M:%S %p} Coordinated Universal Time"


def on_demand_maximum_provisioned() -> ApiError:
    return invalid_parameter("OnDemandThroughput cannot be specified when BillingMode is PROVISIONED")


def on_demand_maximum_out_of_bounds(units: int, member: str) -> ApiError:
    return invalid_parameter(f"Given value {units} for {member} must be -1 or at least 1")


def warm_throughput_lower(member: str, of: str) -> ApiError:
    """`of` is "table", or "index" and its name."""
    return invalid_parameter(
        f"Requested {member} for WarmThroughput for {of} is lower than current WarmThroughput, decreasing "
        "WarmThroughput is not supported"
    )


# Streams, encryption, tags


def stream_view_required() -> ApiError:
    return validation("Invalid StreamViewType: Stream ViewType must not be null or empty when enabling streams.")


def stream_view_without_stream() -> ApiError:
    return validation("Invalid StreamViewType: Stream StreamEnabled was false but a StreamViewType was present.")


def stream_enabled_already(table: str) -> ApiError:
    return validation(f"Table already has an enabled stream: TableName: {table}")


def no_stream_to_disable(table: str) -> ApiError:
    return validation(f"Table has no stream to disable: TableName: {table}")


def encryption_type_unsupported(type_: str) -> ApiError:
    return invalid_parameter(f"SSEType {type_} is not supported")


def encryption_key_without_encryption() -> ApiError:
    return invalid_parameter("KMSMasterKeyId cannot be specified when SSE is not enabled")


def encrypted_by_default() -> ApiError:
    return invalid_parameter("Table is already encrypted by default")


def encrypted_with_key() -> ApiError:
    return invalid_parameter("Table is already encrypted with given KMSMasterKeyId")


def nothing_to_tag() -> ApiError:
    return validation("Atleast one Tag needs to be provided as Input.")


def nothing_to_untag() -> ApiError:
    return validation("Atleast one Tag Key needs to be provided as Input.")


def tag_repeated() -> ApiError:
    return invalid_parameter("Duplicate tag keys found in the request")


def tag_reserved() -> ApiError:
    return invalid_parameter("Tag keys starting with aws: are reserved for system use")


def invalid_resource_arn(arn: str) -> ApiError:
    return validation(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")


def foreign_resource(arn: str, account: str) -> ApiError:
    user = Arn("iam", "", account, "root")
    return access_denied(f"User: {user} is not authorized to access the resource: {arn}")


def resource_arn_not_found(arn: str) -> ApiError:
    # DynamoDB's text lacks the letter, too.
    return resource_not_found(f"Requested resource not found: ResourcArn: {arn} not found")


def too_many_tags() -> ApiError:
    return invalid_parameter(f"Number of tags exceeds the limit of {limits.TAGS}")


# Changes of a table


def not_served(member: str) -> ApiError:
    """Atoll's own text: DynamoDB supports this, Atoll does not."""
    return validation(f"{member} is not served by this server")


def nothing_to_update() -> ApiError:
    return validation(
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or "
        "SSESpecification or ReplicaUpdates is required"
    )


def several_kinds_of_change() -> ApiError:
    return invalid_parameter("Only one kind of change can be made to a table in one call of UpdateTable")


def index_update_has_not_one_kind() -> ApiError:
    return invalid_parameter(
        "One of GlobalSecondaryIndexUpdate.Update, GlobalSecondaryIndexUpdate.Create, "
        "GlobalSecondaryIndexUpdate.Delete must not be null"
    )


def index_updated_twice(index: str) -> ApiError:
    return invalid_parameter(
        f"Only one global secondary index update per index is allowed simultaneously. Index: {index}"
    )


def one_index_at_a_time() -> ApiError:
    return limit_exceeded(
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )


def index_exists() -> ApiError:
    return validation("Attempting to create an index which already exists")
