"""Errors of DynamoDB's own operations on replicas: UpdateTable's ReplicaUpdates, and the global tables of 2017."""

from __future__ import annotations

from collections.abc import Iterable

from atoll.errors import ApiError, invalid_parameter, resource_in_use, validation

# One request


def more_than_one_replica() -> ApiError:
    return validation("Update table operation with more than one create or delete replica actions not allowed")


def replica_actions_mixed() -> ApiError:
    return validation("Update table operation with more than one type of replica actions not allowed")


def strong_replica_count() -> ApiError:
    return validation("Unsupported replica count for global tables with MultiRegionConsistency set to STRONG.")


def witness_without_strong() -> ApiError:
    return validation(
        "MultiRegionConsistency must be set as STRONG when GlobalTableWitnessUpdates parameter is present."
    )


def replicas_with_others() -> ApiError:
    return validation("Requests that modify replicas or witnesses must not also modify other fields")


# Against the table


def in_use() -> ApiError:
    return resource_in_use("The resource which you are attempting to change is in use.")


def replica_exists(table: str) -> ApiError:
    return validation(
        f"Failed to create a the new replica of table with name: ‘{table}’ because one or more replicas already "
        "existed as tables."
    )


def not_replicas(regions: Iterable[str]) -> ApiError:
    return validation(
        "Update global table operation failed because one or more replicas were not part of the global table. Please "
        f"retry the request without these replicas: [{', '.join(regions)}]."
    )


def unsupported_region(region: str) -> ApiError:
    """The text is assumed."""
    return validation(f"Unsupported region: {region}")


def write_capacity_not_scaled(of: str) -> ApiError:
    """`of` is Table or GSI."""
    return validation(f"{of} write capacity should either be Pay-Per-Request or AutoScaled.")


def stream_required() -> ApiError:
    return invalid_parameter("Disabling Stream is not allowed for a Global Table replica.")


def other_view_type() -> ApiError:
    """The text is assumed."""
    return invalid_parameter("The stream of a Global Table replica must have the view type NEW_AND_OLD_IMAGES.")


def replica_was_source() -> ApiError:
    return validation(
        "Replica cannot be deleted because it has acted as a source region for new replica(s) being added to the table "
        "in the last 24 hours."
    )


def settings_replication_of_replica() -> ApiError:
    """The text is assumed."""
    return invalid_parameter("GlobalTableSettingsReplicationMode can only be changed for a Regional Table.")


def read_units_on_demand() -> ApiError:
    """The text is assumed."""
    return invalid_parameter("ProvisionedThroughputOverride cannot be specified when BillingMode is PAY_PER_REQUEST")


def key_without_encryption() -> ApiError:
    """The text is assumed."""
    return invalid_parameter("KMSMasterKeyId of a replica requires a table with SSEType KMS")


def has_one_master(table: str) -> ApiError:
    """An error of Atoll's own."""
    return validation(f"Table {table} has read replicas, which ReplicaUpdates cannot change.")


# Global tables of 2017. The service does not create them any more, so texts are assumed; codes are published.


def is_global_table_of_2017() -> ApiError:
    return validation("The table is a replica of a global table of version 2017.11.29 (Legacy): upgrade it first.")


def global_table_exists(name: str) -> ApiError:
    return ApiError("GlobalTableAlreadyExistsException", f"Global table already exists: {name}")


def table_not_in_region(name: str, region: str) -> ApiError:
    return ApiError("TableNotFoundException", f"Table not found: {name} in region {region}")


def regions_required() -> ApiError:
    return invalid_parameter("ReplicationGroup must name at least one region, and each region once")


def own_region_required(region: str) -> ApiError:
    return invalid_parameter(f"ReplicationGroup must include the region of the request, {region}")


def unfit(name: str, region: str, reason: str) -> ApiError:
    """`reason` completes the sentence."""
    return invalid_parameter(f"Table {name} in region {region} {reason}")


def one_action_required() -> ApiError:
    return invalid_parameter("One of ReplicaUpdate.Create, ReplicaUpdate.Delete must be specified")


def already_replica(region: str) -> ApiError:
    return ApiError("ReplicaAlreadyExistsException", f"Replica already exists in region: {region}")


def no_replica(region: str) -> ApiError:
    return ApiError("ReplicaNotFoundException", f"Replica not found in region: {region}")


def index_not_found(name: str) -> ApiError:
    return ApiError("IndexNotFoundException", f"Index not found: {name}")


def units_required() -> ApiError:
    return invalid_parameter(
        "GlobalTableProvisionedWriteCapacityUnits, and ReplicaProvisionedReadCapacityUnits of each replica, must be "
        "specified when the billing mode becomes PROVISIONED, likewise of each global secondary index"
    )


def units_on_demand() -> ApiError:
    return invalid_parameter("Capacity units cannot be specified when the billing mode is PAY_PER_REQUEST")
