"""Pure checks of CreateTable and UpdateTable beyond the shape of the request.

`check_create` and `check_update` need only the request; `check_update_of` compares it with the existing table. The
checks run in the service's order: capacity, keys, local indexes, global indexes, attribute definitions as a whole, the
rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from atoll import errors, limits
from atoll.api import capacity_rules as capacity
from atoll.database.schema import ON_DEMAND, PROVISIONED, WARM_ON_DEMAND, Index, Table
from atoll.errors import tables as table_errors

Body = dict[str, Any]

# One UpdateTable call may make only one of these kinds of changes (the guide names throughput and indexes). Changes
# that are not listed go with any kind, because Terraform sends them together.
KINDS: dict[str, str] = {
    "ProvisionedThroughput": "capacity",
    "OnDemandThroughput": "capacity",
    "WarmThroughput": "capacity",
    "TableClass": "class",
    "ReplicaUpdates": "replicas",
    "GlobalTableWitnessUpdates": "replicas",
    "MultiRegionConsistency": "replicas",
}
CHANGES = (
    *KINDS,
    "BillingMode",
    "GlobalSecondaryIndexUpdates",
    "StreamSpecification",
    "SSESpecification",
    "DeletionProtectionEnabled",
)


def check_create(body: Body) -> None:
    """Check CreateTable, or the table parameters of an import."""
    _check_served(body)
    mode = body.get("BillingMode") or PROVISIONED
    declared = [a["AttributeName"] for a in body["AttributeDefinitions"]]
    capacity.check_table_units(mode, body)
    _check_table_keys(body, declared)
    names: set[str] = set()
    if body.get("LocalSecondaryIndexes") is not None:
        _check_local_indexes(body, declared, names)
    if body.get("GlobalSecondaryIndexes") is not None:
        _check_global_indexes(body["GlobalSecondaryIndexes"], mode, declared, names)
    _check_all_used(body, declared)
    indexes = [*(body.get("LocalSecondaryIndexes") or ()), *(body.get("GlobalSecondaryIndexes") or ())]
    _check_projected(_included(index) for index in indexes)
    _check_stream(body)
    _check_encryption(body)
    capacity.check_warm(body, "table", WARM_ON_DEMAND if mode == ON_DEMAND else None)
    check_tags(body.get("Tags") or [])


def check_tags(tags: list[Body]) -> None:
    """Check the tags of one request; the caller checks the resource's total number."""
    keys = [tag["Key"] for tag in tags]
    if len(set(keys)) < len(keys):
        raise table_errors.tag_repeated()
    if any(key.startswith("aws:") for key in keys):
        raise table_errors.tag_reserved()
    if len(keys) > limits.TAGS:
        raise table_errors.too_many_tags()


# Keys


def _names(schema: list[Body]) -> list[str]:
    return [element["AttributeName"] for element in schema]


def _check_table_keys(body: Body, declared: list[str]) -> None:
    schema = body["KeySchema"]
    if len(schema) > len(declared):
        raise table_errors.key_undefined()
    _check_defined(schema, declared)
    _check_pair(schema)
    if len(set(declared)) < len(declared):
        raise table_errors.definition_repeated()
    indexed = body.get("LocalSecondaryIndexes") is not None or body.get("GlobalSecondaryIndexes") is not None
    if not indexed and len(schema) != len(declared):
        raise table_errors.definitions_do_not_match()


def _check_defined(schema: list[Body], declared: Iterable[str]) -> None:
    if not set(_names(schema)) <= set(declared):
        raise table_errors.keys_undefined(_names(schema), declared)


def _check_pair(schema: list[Body]) -> None:
    """Check the keys of a table or local index: HASH, or HASH and RANGE."""
    _check_distinct(schema)
    if schema[0]["KeyType"] != "HASH":
        raise table_errors.first_key_not_hash()
    if len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        raise table_errors.second_key_not_range()


def _check_lists(schema: list[Body]) -> None:
    """Check the keys of a global index: up to four HASH attributes, then up to four RANGE attributes."""
    _check_distinct(schema)
    if schema[0]["KeyType"] != "HASH":
        raise table_errors.first_key_not_hash()
    kinds = [element["KeyType"] for element in schema]
    if kinds != sorted(kinds):
        raise table_errors.hash_key_after_range()
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > limits.INDEX_KEY_ATTRIBUTES:
            raise table_errors.too_many_keys(kind)


def _check_distinct(schema: list[Body]) -> None:
    if len(set(_names(schema))) < len(schema):
        raise table_errors.key_repeated()


def _check_all_used(body: Body, declared: list[str]) -> None:
    used = dict.fromkeys(_names(body["KeySchema"]))
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in body.get(member) or ():
            used |= dict.fromkeys(_names(index["KeySchema"]))
    if not used.keys() >= set(declared):
        raise table_errors.definitions_unused(declared, used)


# Indexes


def _check_local_indexes(body: Body, declared: list[str], names: set[str]) -> None:
    indexes = body["LocalSecondaryIndexes"]
    if not indexes:
        raise table_errors.no_indexes("LocalSecondaryIndexes")
    if len(body["KeySchema"]) < 2:
        raise table_errors.table_without_range_key()
    table_key = body["KeySchema"][0]["AttributeName"]
    for index in indexes:
        schema, name = index["KeySchema"], index["IndexName"]
        _check_defined(schema, declared)
        _check_pair(schema)
        if len(schema) < 2:
            raise table_errors.index_without_range_key(name)
        if schema[0]["AttributeName"] != table_key:
            raise table_errors.index_hash_key_differs(name, schema[0]["AttributeName"], table_key)
        _check_projection(index)
        _check_new_name(name, names)
    if len(indexes) > limits.LOCAL_INDEXES:
        raise table_errors.too_many_local_indexes()


def _check_global_indexes(indexes: list[Body], mode: str, declared: list[str], names: set[str]) -> None:
    if not indexes:
        raise table_errors.no_indexes("GlobalSecondaryIndexes")
    for index in indexes:
        _check_global_index(index, mode, declared)
        _check_new_name(index["IndexName"], names)
    if len(indexes) > limits.GLOBAL_INDEXES:
        raise table_errors.too_many_global_indexes()


def _check_global_index(index: Body, mode: str, declared: Iterable[str]) -> None:
    _check_defined(index["KeySchema"], declared)
    _check_lists(index["KeySchema"])
    _check_projection(index)
    capacity.check_index_units(mode, index)


def _check_new_name(name: str, names: set[str]) -> None:
    if name in names:
        raise table_errors.duplicate_index(name)
    names.add(name)


def _check_projection(index: Body) -> None:
    kind, included = index["Projection"].get("ProjectionType"), index["Projection"].get("NonKeyAttributes")
    if kind is None:
        raise table_errors.no_projection_type()
    if kind != "INCLUDE" and included is not None:
        raise table_errors.attributes_not_included(kind)
    if kind == "INCLUDE" and included is None:
        raise table_errors.nothing_included()
    for position, name in enumerate(included or ()):
        if name in included[:position]:
            raise table_errors.projected_attribute_repeated(name)


def _included(index: Body) -> int:
    return len(index["Projection"].get("NonKeyAttributes") or ())


def _check_projected(counts: Iterable[int]) -> None:
    """An attribute that is projected into two indexes counts twice."""
    if sum(counts) > limits.PROJECTED_ATTRIBUTES:
        raise table_errors.too_many_projected_attributes()


# Streams and encryption


def _check_stream(body: Body) -> None:
    given = body.get("StreamSpecification")
    if given is None:
        return
    if given["StreamEnabled"] and given.get("StreamViewType") is None:
        raise table_errors.stream_view_required()
    if not given["StreamEnabled"] and given.get("StreamViewType") is not None:
        raise table_errors.stream_view_without_stream()


def _check_encryption(body: Body) -> None:
    given = body.get("SSESpecification") or {}
    if given.get("SSEType") not in (None, "KMS"):
        raise table_errors.encryption_type_unsupported(given["SSEType"])
    if given.get("KMSMasterKeyId") is not None and not given.get("Enabled"):
        raise table_errors.encryption_key_without_encryption()


# Changes


# Table features that Atoll lacks. Requests for them are refused, so that no client believes it has them.
NOT_SERVED = (
    "ReplicaUpdates",
    "MultiRegionConsistency",
    "GlobalTableWitnessUpdates",
    "GlobalTableSourceArn",
    "ResourcePolicy",
    "VectorIndexes",
    "VectorIndexUpdates",
)


def _check_served(body: Body) -> None:
    for member in NOT_SERVED:
        if body.get(member):
            raise table_errors.not_served(member)


def check_update(body: Body) -> None:
    _check_served(body)
    if not any(body.get(member) not in (None, []) for member in CHANGES):
        raise table_errors.nothing_to_update()
    if body.get("BillingMode") == PROVISIONED and body.get("ProvisionedThroughput") is None:
        raise table_errors.throughput_required()
    capacity.check_bounds(body.get("ProvisionedThroughput"))
    names: set[str] = set()
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        if len(update.keys() & {"Create", "Update", "Delete"}) != 1:
            raise table_errors.index_update_has_not_one_kind()
        name = next(iter(_actions(update)))["IndexName"]
        if name in names:
            raise table_errors.index_updated_twice(name)
        names.add(name)
    _check_stream(body)
    _check_encryption(body)


def _actions(update: Body) -> Iterator[Body]:
    return (update[kind] for kind in ("Create", "Update", "Delete") if kind in update)


def check_update_of(table: Table, body: Body, now_ms: int) -> None:
    """Check the request against the existing table; call `check_update` first."""
    _check_one_kind(table, body)
    mode = body.get("BillingMode") or table.billing_mode
    _check_new_units(table, mode, body, now_ms)
    _check_index_updates(table, mode, body, now_ms)
    _check_new_stream(table, body)
    _check_new_encryption(table, body)


def _check_one_kind(table: Table, body: Body) -> None:
    kinds = {kind for member, kind in KINDS.items() if body.get(member) is not None}
    if body.get("BillingMode") not in (None, table.billing_mode):
        kinds.add("capacity")
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        kinds.add("capacity" if "Update" in update else "index")
    if len(kinds) > 1:
        raise table_errors.several_kinds_of_change()


def _check_new_units(table: Table, mode: str, body: Body, now_ms: int) -> None:
    given = body.get("ProvisionedThroughput")
    if given is not None:
        if mode == ON_DEMAND:
            raise table_errors.units_on_demand()
        if table.billing_mode == PROVISIONED:
            capacity.check_new_units(table.throughput, given, "table", now_ms)
    if mode == PROVISIONED and table.billing_mode == ON_DEMAND:
        updated = {u["Update"]["IndexName"] for u in body.get("GlobalSecondaryIndexUpdates") or () if "Update" in u}
        missing = [index.name for index in table.global_indexes if index.name not in updated]
        if missing:
            raise table_errors.indexes_units_required(missing)
    capacity.check_maxima(mode, body)
    capacity.check_warm(body, "table", table.warm_throughput())


def _check_index_updates(table: Table, mode: str, body: Body, now_ms: int) -> None:
    updates = body.get("GlobalSecondaryIndexUpdates") or ()
    for update in updates:
        if "Create" not in update:
            index = table.index(next(iter(_actions(update)))["IndexName"])
            if index is None or index.local:
                raise errors.resource_not_found()
            if "Delete" in update:
                _check_deletable(table, index, now_ms)
            else:
                _check_index_update(table, index, mode, update["Update"], now_ms)
    created = [update["Create"] for update in updates if "Create" in update]
    if any(table.index(index["IndexName"]) is not None for index in created):
        raise table_errors.index_exists()
    if len(created) + sum("Delete" in update for update in updates) > 1:
        raise table_errors.one_index_at_a_time()
    if created:
        if table.changing_index(now_ms) is not None:
            raise table_errors.one_index_at_a_time()
        _check_created(table, mode, created[0], body)


def _check_deletable(table: Table, index: Index, now_ms: int) -> None:
    """An index may be deleted during its backfill, but not before the backfill starts."""
    changing = table.changing_index(now_ms)
    if changing is not None and changing.name != index.name:
        raise table_errors.one_index_at_a_time()
    status = index.status_at(now_ms)
    if status != "ACTIVE" and not index.filling_at(now_ms):
        raise table_errors.index_not_active(table.name, index.name, status)


def _check_index_update(table: Table, index: Index, mode: str, given: Body, now_ms: int) -> None:
    units = given.get("ProvisionedThroughput")
    if units is None:
        if mode == PROVISIONED and not given.keys() & {"OnDemandThroughput", "WarmThroughput"}:
            raise table_errors.index_units_required(index.name)
    elif mode == ON_DEMAND:
        raise table_errors.index_units_on_demand(index.name)
    else:
        capacity.check_bounds(units)
        if index.throughput is not None:
            capacity.check_new_units(index.throughput, units, f"index {index.name}", now_ms)
    capacity.check_maxima(mode, given)
    capacity.check_warm(given, f"index {index.name}", table.warm_throughput(index))


def _check_created(table: Table, mode: str, created: Body, body: Body) -> None:
    """The request must define all key attributes of the new index, even existing ones. Its other definitions, perhaps
    for later indexes, must match the existing ones."""
    known = dict(table.keys.types)
    for index in table.indexes:
        known |= index.keys.types
    declared = {a["AttributeName"]: a["AttributeType"] for a in body.get("AttributeDefinitions") or ()}
    _check_global_index(created, mode, declared)
    for name, type_ in declared.items():
        if known.get(name, type_) != type_:
            raise table_errors.definition_differs(name)
    if len(table.global_indexes) >= limits.GLOBAL_INDEXES:
        raise table_errors.too_many_global_indexes()
    _check_projected([_included(created), *(len(index.projection.attributes) for index in table.indexes)])


def _check_new_stream(table: Table, body: Body) -> None:
    given = body.get("StreamSpecification")
    if given is None:
        return
    enabled = table.stream is not None and table.stream.enabled
    if given["StreamEnabled"] and enabled:
        raise table_errors.stream_enabled_already(table.name)
    if not given["StreamEnabled"] and not enabled:
        raise table_errors.no_stream_to_disable(table.name)


def _check_new_encryption(table: Table, body: Body) -> None:
    given = body.get("SSESpecification")
    if given is None:
        return
    if not given.get("Enabled") and table.encryption is None:
        raise table_errors.encrypted_by_default()
    if given.get("Enabled") and table.encryption is not None:
        key = given.get("KMSMasterKeyId") or "alias/aws/dynamodb"
        if table.encryption.key_arn.endswith(key):
            raise table_errors.encrypted_with_key()
