"""Pure checks of CreateTable beyond the shape of the request; `update_rules` has those of UpdateTable.

The checks run in the service's order: capacity, keys, attribute definitions as a whole, local indexes, global indexes,
vector indexes, the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from atoll import limits
from atoll.api import capacity_rules as capacity
from atoll.api import tag_rules, vector_rules
from atoll.api.definitions import encrypts
from atoll.database.schema import PROVISIONED
from atoll.errors import tables as table_errors

Body = dict[str, Any]

TABLE_CLASSES = ("STANDARD", "STANDARD_INFREQUENT_ACCESS")

# Table features that Atoll lacks. Requests for them are refused, so that no client believes it has them.
NOT_SERVED = ("GlobalTableSourceArn",)


def check_create(body: Body) -> None:
    """Check CreateTable, or the table parameters of an import."""
    check_served(body)
    mode = body.get("BillingMode") or PROVISIONED
    declared = [a["AttributeName"] for a in body["AttributeDefinitions"]]
    capacity.check_table_units(mode, body)
    _check_table_keys(body, declared)
    _check_all_used(body, declared)
    names: set[str] = set()
    if body.get("LocalSecondaryIndexes") is not None:
        _check_local_indexes(body, declared, names)
    if body.get("GlobalSecondaryIndexes") is not None:
        _check_global_indexes(body["GlobalSecondaryIndexes"], mode, declared, names)
    vector_indexes = body.get("VectorIndexes") or []
    if vector_indexes:
        vector_rules.check_created(vector_indexes, mode, declared)
    for index in vector_indexes:
        check_projection(index)
        _check_new_name(index["IndexName"], names)
    indexes = [*(body.get("LocalSecondaryIndexes") or ()), *(body.get("GlobalSecondaryIndexes") or ())]
    check_projected([*map(included, indexes), *map(vector_rules.projected, vector_indexes)])
    _check_stream(body)
    check_encryption(body)
    check_class(body)
    capacity.check_new_warm(mode, body, None)
    tags = body.get("Tags") or []
    tag_rules.check(tags)
    tag_rules.check_set({tag["Key"]: tag["Value"] for tag in tags})


def check_served(body: Body) -> None:
    for member in NOT_SERVED:
        if body.get(member):
            raise table_errors.not_served(member)


# Keys


def _names(schema: list[Body]) -> list[str]:
    return [element["AttributeName"] for element in schema]


def _check_table_keys(body: Body, declared: list[str]) -> None:
    schema = body["KeySchema"]
    if len(schema) > len(declared):
        raise table_errors.key_undefined()
    _check_defined(schema, declared)
    _check_pair(schema)
    seen: set[str] = set()
    for name in declared:
        if name in seen:
            raise table_errors.definition_repeated(name)
        seen.add(name)
    indexes = ("LocalSecondaryIndexes", "GlobalSecondaryIndexes", "VectorIndexes")
    indexed = any(body.get(member) is not None for member in indexes)
    if not indexed and len(schema) != len(declared):
        raise table_errors.definitions_do_not_match()


def _check_defined(schema: list[Body], declared: Iterable[str]) -> None:
    if not set(_names(schema)) <= set(declared):
        raise table_errors.keys_undefined(_names(schema), declared)


def _check_pair(schema: list[Body]) -> None:
    """Check the keys of a table or local index: HASH, or HASH and RANGE."""
    if len(set(_names(schema))) < len(schema):
        raise table_errors.key_repeated()
    if schema[0]["KeyType"] != "HASH":
        raise table_errors.first_key_not_hash()
    if len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        raise table_errors.second_key_not_range()


def _check_lists(schema: list[Body]) -> None:
    """Check the keys of a global index: up to four HASH attributes, then up to four RANGE attributes."""
    kinds = [element["KeyType"] for element in schema]
    if len(set(_names(schema))) < len(schema):
        raise table_errors.key_repeated() if kinds == ["HASH", "RANGE"] else table_errors.key_repeated_in_list()
    if kinds[0] != "HASH":
        raise table_errors.first_key_not_hash()
    if kinds != sorted(kinds):
        raise table_errors.hash_key_after_range()
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > limits.INDEX_KEY_ATTRIBUTES:
            raise table_errors.too_many_keys(kind)


def _check_all_used(body: Body, declared: list[str]) -> None:
    used = dict.fromkeys(_names(body["KeySchema"]))
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        for index in body.get(member) or ():
            used |= dict.fromkeys(_names(index["KeySchema"]))
    for index in body.get("VectorIndexes") or ():
        used |= dict.fromkeys([*vector_rules.schema_names(index), vector_rules.vector_name(index)])
    if not used.keys() >= set(declared):
        raise table_errors.definitions_unused(declared, _in_java_order(used))


# The most key attributes that a table with all its indexes can have; more are not sorted, which would only take time.
_MOST_KEYS = 2 + 2 * limits.LOCAL_INDEXES + 2 * limits.INDEX_KEY_ATTRIBUTES * limits.GLOBAL_INDEXES


def _in_java_order(names: Iterable[str]) -> list[str]:
    """Names in the order of Java's HashSet, which the service prints."""
    found = list(names)
    if len(found) > _MOST_KEYS:
        return found
    buckets = 16
    while len(found) > buckets * 3 // 4:
        buckets *= 2
    return sorted(found, key=lambda name: _java_hash(name) % buckets)


def _java_hash(name: str) -> int:
    """The hash of a String, mixed as a HashMap does."""
    code = 0
    for unit in memoryview(name.encode("utf-16-le")).cast("H"):
        code = (31 * code + unit) & 0xFFFFFFFF
    return code ^ code >> 16


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
        check_projection(index)
        _check_new_name(name, names)
    if len(indexes) > limits.LOCAL_INDEXES:
        raise table_errors.too_many_local_indexes()


def _check_global_indexes(indexes: list[Body], mode: str, declared: list[str], names: set[str]) -> None:
    if not indexes:
        raise table_errors.no_indexes("GlobalSecondaryIndexes")
    for index in indexes:
        check_global_index(index, mode, declared)
        _check_new_name(index["IndexName"], names)
    if len(indexes) > limits.GLOBAL_INDEXES:
        raise table_errors.too_many_global_indexes()


def check_global_index(index: Body, mode: str, declared: Iterable[str]) -> None:
    _check_defined(index["KeySchema"], declared)
    _check_lists(index["KeySchema"])
    check_projection(index)
    capacity.check_index_units(mode, index)


def _check_new_name(name: str, names: set[str]) -> None:
    if name in names:
        raise table_errors.duplicate_index(name)
    names.add(name)


def check_projection(index: Body) -> None:
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


def included(index: Body) -> int:
    return len(index["Projection"].get("NonKeyAttributes") or ())


def check_projected(counts: Iterable[int]) -> None:
    """Check the number of projected attributes; an attribute projected into two indexes counts twice."""
    if sum(counts) > limits.PROJECTED_ATTRIBUTES:
        raise table_errors.too_many_projected_attributes()


# Streams, encryption, class


def _check_stream(body: Body) -> None:
    given = body.get("StreamSpecification")
    if given is None:
        return
    if given["StreamEnabled"] and given.get("StreamViewType") is None:
        raise table_errors.stream_view_required_at_creation()
    if not given["StreamEnabled"] and given.get("StreamViewType") is not None:
        raise table_errors.stream_view_without_stream_at_creation()


def check_encryption(body: Body) -> None:
    given = body.get("SSESpecification") or {}
    if given.get("Enabled") is False:
        for member in ("SSEType", "KMSMasterKeyId"):
            if given.get(member) is not None:
                raise table_errors.encryption_member_without_encryption(member)
    if given.get("SSEType") not in (None, "KMS"):
        raise table_errors.encryption_type_unsupported(given["SSEType"])
    if given.get("KMSMasterKeyId") is not None and not (encrypts(given) and given.get("SSEType")):
        raise table_errors.encryption_key_without_type()


def check_class(body: Body) -> None:
    """Check the table's class and the replication of its settings, whose error texts differ from the shape's."""
    check_class_name(body.get("TableClass"))
    if body.get("GlobalTableSettingsReplicationMode") == "ENABLED_WITH_OVERRIDES":
        raise table_errors.replication_with_overrides(body["GlobalTableSettingsReplicationMode"])


def check_class_name(given: str | None) -> None:
    if given not in (None, *TABLE_CLASSES):
        raise table_errors.unknown_table_class(TABLE_CLASSES)
