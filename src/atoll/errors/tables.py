"""Errors of tables and indexes: statuses, definitions and quotas; `changes` has those of UpdateTable."""

from __future__ import annotations

from collections.abc import Iterable

from atoll import limits
from atoll.errors import (
    ApiError,
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


def still_in_use(what: str) -> ApiError:
    return resource_in_use(f"Attempt to change a resource which is still in use: {what}")


def table_being_created(name: str) -> ApiError:
    return still_in_use(f"Table is being created: {name}")


def table_being_deleted(name: str) -> ApiError:
    return still_in_use(f"Table is being deleted: {name}")


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


def definition_repeated(name: str) -> ApiError:
    return validation(f"Attribute Name is duplicated: {name}")


def key_repeated() -> ApiError:
    return validation("Both the Hash Key and the Range Key element in the KeySchema have the same name")


def first_key_not_hash() -> ApiError:
    return validation("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")


def second_key_not_range() -> ApiError:
    return validation("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def key_repeated_in_list() -> ApiError:
    """An attribute occurs twice in a global index's keys; only if it has more keys than a table may have."""
    return validation("The KeySchema contains multiple key attributes with the same name")


def hash_key_after_range() -> ApiError:
    return invalid_parameter("All HASH key attributes must precede RANGE key attributes in the KeySchema")


def too_many_keys(kind: str) -> ApiError:
    return invalid_parameter(f"The KeySchema exceeds the maximum allowed number of {kind} key attributes")


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
    return invalid_parameter(f"Duplicate element in NonKeyAttributes: {name}")


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


def units_out_of_bounds(units: int, member: str) -> ApiError:
    return validation(f"Given value {units} for {member} is out of bounds")


def index_units_on_demand(index: str) -> ApiError:
    return invalid_parameter(
        f"ProvisionedThroughput should not be specified for index: {index} when BillingMode is PAY_PER_REQUEST"
    )


def index_units_required(index: str) -> ApiError:
    return invalid_parameter(f"ProvisionedThroughput is not specified for index: {index}")


def index_units_required_by_mode(indexes: Iterable[str]) -> ApiError:
    """A table in provisioned mode needs units of each global index that changes."""
    return invalid_parameter(f"ProvisionedThroughput must be specified for index: {','.join(indexes)}")


ON_DEMAND_PAGE = (
    "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
    "on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
)


def maximum_on_new_provisioned_table(member: str, index: str | None) -> ApiError:
    of = "" if index is None else f" for index: {index}"
    return invalid_parameter(
        f"{member} for OnDemandThroughput{of} cannot be specified when table BillingMode is PROVISIONED."
    )


def maximum_on_provisioned_table(member: str, index: str | None) -> ApiError:
    """The text is that of UpdateTable."""
    of = "" if index is None else f" for index : {index}"
    return invalid_parameter(
        f"{member} for OnDemandThroughput{of} cannot be specified when the table BillingMode is PROVISIONED"
    )


def maximum_out_of_range(member: str, index: str | None) -> ApiError:
    of = "table" if index is None else f"index : {index}"
    return invalid_parameter(f"Requested {member} for OnDemandThroughput for {of} is outside of valid range")


def warm_below_initial(member: str, index: str | None) -> ApiError:
    of = "table" if index is None else f"index {index}"
    return invalid_parameter(
        f"Requested {member} for WarmThroughput for {of} is lower than initial throughput for OnDemand. "
        f"See: {ON_DEMAND_PAGE}"
    )


# Streams, encryption, class


def stream_view_required_at_creation() -> ApiError:
    return invalid_parameter("Table is being created with a stream enabled, UpdateViewType is required")


def stream_view_without_stream_at_creation() -> ApiError:
    return invalid_parameter("Table is being created with a stream disabled, UpdateViewType should not be specified")


def encryption_type_unsupported(type_: str) -> ApiError:
    return invalid_parameter(f"SSEType {type_} is not supported")


def encryption_member_without_encryption(member: str) -> ApiError:
    return invalid_parameter(f"{member} can not be specified if Enabled is false")


def encryption_key_without_type() -> ApiError:
    return invalid_parameter("SSEType KMS is required if KMSMasterKeyId is specified")


def unknown_table_class(classes: Iterable[str]) -> ApiError:
    return validation(
        f"Invalid table-class parameter provided. Please try again with a valid table-class value: {_names(classes)}."
    )


def replication_with_overrides(mode: str) -> ApiError:
    return validation(
        f"Value '{mode}' at 'GlobalTableSettingsReplicationMode' failed to satisfy constraint: Only ENABLED and "
        "DISABLED settings replication are supported for a Regional Table."
    )


def not_served(member: str) -> ApiError:
    """Atoll's own text: DynamoDB supports this, Atoll does not."""
    return validation(f"{member} is not served by this server")


# Quotas


def units_above_maximum(member: str, units: int, index: str | None, region: str) -> ApiError:
    """The service's text names the maximum of a table, even if the units are those of an index."""
    of, part = ("", "table") if index is None else (f" for index {index}", "index")
    return limit_exceeded(
        f"The requested {member}{of}, {units}, is above the per {part} maximum for the account in {region}. Per table "
        f"maximum: {limits.TABLE_READ_UNITS if member.startswith('Read') else limits.TABLE_WRITE_UNITS}. Refer to the "
        "Amazon DynamoDB Developer Guide for current limits and how to request higher limits."
    )


def account_units_exceeded(member: str, reserved: int, requested: int, region: str) -> ApiError:
    limit = limits.ACCOUNT_READ_UNITS if member.startswith("Read") else limits.ACCOUNT_WRITE_UNITS
    return limit_exceeded(
        f"This request would have caused the {member} limit to be exceeded for the account in {region}. Current "
        f"{member} reserved by the account: {reserved}. Limit: {limit}. Requested: {requested}"
    )


def throughput_above_account(member: str, setting: str, index: str | None, region: str) -> ApiError:
    """`setting` is OnDemandThroughput or WarmThroughput."""
    colon = " :" if setting == "OnDemandThroughput" else ""
    of = "table" if index is None else f"index{colon} {index}"
    kind = "Read" if "Read" in member else "Write"
    return limit_exceeded(
        f"Subscriber limit exceeded: Requested {member} for {setting} for {of} exceeds TableMax{kind}CapacityUnits of "
        f"the account in region {region}"
    )
