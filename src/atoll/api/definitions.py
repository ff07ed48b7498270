"""Convert members of CreateTable and UpdateTable, which `table_rules` has checked, to the dataclasses of `schema`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from atoll.database.encryption import MANAGED_KEY, key_arn
from atoll.database.region import Region
from atoll.database.schema import (
    ON_DEMAND,
    PROVISIONED,
    Encryption,
    Index,
    KeyAttribute,
    KeySchema,
    OnDemandThroughput,
    Projection,
    Table,
    Throughput,
    WarmThroughput,
    unwarmed,
)
from atoll.database.vectors.definition import VectorIndex

Body = dict[str, Any]


def types(body: Body) -> dict[str, str]:
    """The types of the attributes that the request declares."""
    return {a["AttributeName"]: a["AttributeType"] for a in body.get("AttributeDefinitions") or ()}


def key_schema(body: Body, declared: dict[str, str] | None = None) -> KeySchema:
    declared = types(body) if declared is None else declared
    by_kind: dict[str, list[KeyAttribute]] = {"HASH": [], "RANGE": []}
    for element in body["KeySchema"]:
        name = element["AttributeName"]
        by_kind[element["KeyType"]].append(KeyAttribute(name, declared[name]))
    return KeySchema(tuple(by_kind["HASH"]), tuple(by_kind["RANGE"]))


def indexes(body: Body, new_space: Callable[[], int]) -> tuple[Index, ...]:
    declared = types(body)
    local = [_local_index(entry, declared, new_space()) for entry in body.get("LocalSecondaryIndexes") or ()]
    mode = body.get("BillingMode") or PROVISIONED
    entries = body.get("GlobalSecondaryIndexes") or ()
    global_ = [global_index(entry, declared, new_space(), mode) for entry in entries]
    return tuple(local + global_)


def _local_index(entry: Body, declared: dict[str, str], space: int) -> Index:
    return Index(entry["IndexName"], key_schema(entry, declared), _projection(entry), local=True, space=space)


def global_index(entry: Body, declared: dict[str, str], space: int, mode: str) -> Index:
    provisioned = entry.get("ProvisionedThroughput")
    throughput = _throughput(provisioned) if provisioned else None
    return Index(
        entry["IndexName"],
        key_schema(entry, declared),
        _projection(entry),
        local=False,
        space=space,
        throughput=throughput,
        on_demand=_on_demand(entry, None),
        warm=_warm(entry, unwarmed(mode, throughput)),
    )


def vector_indexes(body: Body, new_space: Callable[[], int]) -> tuple[VectorIndex, ...]:
    declared = types(body)
    return tuple([vector_index(entry, declared, new_space) for entry in body.get("VectorIndexes") or ()])


def vector_index(entry: Body, declared: dict[str, str], new_space: Callable[[], int]) -> VectorIndex:
    by_kind: dict[str, list[KeyAttribute]] = {"HASH": [], "INLINE_FILTER": []}
    for element in entry.get("SearchSchema") or ():
        name = element["AttributeName"]
        by_kind[element["SearchSchemaElementType"]].append(KeyAttribute(name, declared[name]))
    return VectorIndex(
        entry["IndexName"],
        entry["VectorAttribute"]["AttributeName"],
        entry["Dimensions"],
        entry["DistanceFunction"],
        _projection(entry),
        new_space(),
        new_space(),
        partition=next(iter(by_kind["HASH"]), None),
        filters=tuple(by_kind["INLINE_FILTER"]),
    )


def _projection(entry: Body) -> Projection:
    given = entry["Projection"]
    return Projection(given["ProjectionType"], tuple(given.get("NonKeyAttributes") or ()))


def _throughput(given: Body) -> Throughput:
    return Throughput(given["ReadCapacityUnits"], given["WriteCapacityUnits"])


def maxima(given: Body | None) -> OnDemandThroughput | None:
    """An OnDemandThroughput of a new table or index."""
    return _on_demand({"OnDemandThroughput": given}, None)


def _on_demand(entry: Body, current: OnDemandThroughput | None) -> OnDemandThroughput | None:
    """The maxima with the values of the request; a value that it omits stays as it is."""
    given, old = entry.get("OnDemandThroughput"), current or OnDemandThroughput()
    if not given:
        return current
    return OnDemandThroughput(
        given.get("MaxReadRequestUnits", old.max_read), given.get("MaxWriteRequestUnits", old.max_write)
    )


def _warm(entry: Body, current: WarmThroughput) -> WarmThroughput:
    """New warm throughput; the read or write value that the request omits stays as it is. While it rises, a request may
    name the old value, which changes nothing."""
    given = entry.get("WarmThroughput") or {}
    return WarmThroughput(
        max(given.get("ReadUnitsPerSecond", 0), current.read), max(given.get("WriteUnitsPerSecond", 0), current.write)
    )


def _warmed(of: Table | Index, mode: str, current: WarmThroughput) -> WarmThroughput:
    """Warm throughput follows rising units and the switch to on-demand, and never falls."""
    needed = unwarmed(mode, of.throughput)
    return WarmThroughput(max(current.read, needed.read), max(current.write, needed.write))


def settings(body: Body, region: Region, now_ms: int) -> dict[str, Any]:
    """The fields of a new Table besides its keys and indexes."""
    mode = body.get("BillingMode") or PROVISIONED
    provisioned = body.get("ProvisionedThroughput")
    throughput = _throughput(provisioned) if provisioned and mode == PROVISIONED else Throughput(0, 0)
    return {
        "billing_mode": mode,
        "billing_changed_ms": now_ms if mode == ON_DEMAND else None,
        "throughput": throughput,
        "on_demand": _on_demand(body, None),
        "warm": _warm(body, unwarmed(mode, throughput)),
        "table_class": body.get("TableClass"),
        "deletion_protection": body.get("DeletionProtectionEnabled") is True,
        "encryption": encryption(body, region),
        "replication_mode": body.get("GlobalTableSettingsReplicationMode"),
        "tags": tuple((tag["Key"], tag["Value"]) for tag in body.get("Tags") or ()),
    }


def encrypts(given: Body) -> bool:
    """Whether an SSESpecification selects a KMS key."""
    return given.get("Enabled") is True or ("Enabled" not in given and given.get("SSEType") == "KMS")


def encryption(body: Body, region: Region) -> Encryption | None:
    """The KMS key that the request names, or else the service's managed key."""
    given = body.get("SSESpecification")
    if given is None or not encrypts(given):
        return None
    return Encryption("ENABLED", "KMS", key_arn(given.get("KMSMasterKeyId") or MANAGED_KEY, region))


def with_settings(table: Table, body: Body, region: Region, now_ms: int) -> Table:
    """The table with the request's class, deletion protection, encryption, maxima and warm throughput."""
    protected, class_ = body.get("DeletionProtectionEnabled"), body.get("TableClass")
    if protected is not None and protected != table.deletion_protection:
        table = replace(table, deletion_protection=protected, protection_changed_ms=now_ms)
    if class_ is not None and class_ != (table.table_class or "STANDARD"):
        times = (*table.table_class_changes_ms[-9:], now_ms)
        table = replace(table, table_class=class_, table_class_changed_ms=now_ms, table_class_changes_ms=times)
    if "SSESpecification" in body:
        times = (*table.encryption_changes_ms[-30:], now_ms)
        table = replace(table, encryption=encryption(body, region), encryption_changes_ms=times)
    if "OnDemandThroughput" in body and table.billing_mode == ON_DEMAND:
        table = replace(table, on_demand=_on_demand(body, table.on_demand))
    if "WarmThroughput" in body:
        table = replace(table, warm=_warm(body, table.warm_throughput()))
    if "GlobalTableSettingsReplicationMode" in body:
        table = replace(table, replication_mode=body["GlobalTableSettingsReplicationMode"])
    return table


def with_capacity(table: Table, body: Body, now_ms: int) -> Table:
    """The table with the request's billing mode and provisioned throughput."""
    mode = body.get("BillingMode") or table.billing_mode
    given = body.get("ProvisionedThroughput")
    warm = table.warm_throughput()
    if mode == ON_DEMAND and table.billing_mode == ON_DEMAND:
        return table
    if mode == ON_DEMAND:
        changed = replace(
            table,
            billing_mode=ON_DEMAND,
            billing_changed_ms=now_ms,
            throughput=replace(table.throughput, read=0, write=0),
            indexes=tuple(_on_demand_index(table, index, now_ms) for index in table.indexes),
        )
    elif given:
        changed = replace(table, throughput=changed_throughput(table.throughput, given, now_ms))
    else:
        return table
    if mode == PROVISIONED and table.billing_mode == ON_DEMAND:
        # Maxima do not survive provisioned mode, warm throughput does.
        kept = (replace(i, on_demand=None, warm=None if i.local else table.warm_throughput(i)) for i in table.indexes)
        changed = replace(changed, billing_mode=PROVISIONED, on_demand=None, indexes=tuple(kept))
    return replace(changed, warm=_warmed(changed, mode, warm))


def _on_demand_index(table: Table, index: Index, now_ms: int) -> Index:
    """The switch to on-demand counts as a decrease of each global index, though not of the table."""
    if index.local:
        return index
    units = index.throughput or Throughput(0, 0)
    fallen = changed_throughput(units, {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}, now_ms)
    return replace(index, throughput=fallen, warm=_warmed(index, ON_DEMAND, table.warm_throughput(index)))


def with_index_capacity(table: Table, index: Index, entry: Body, now_ms: int) -> Index:
    """The index with the capacity of the entry; the table has its new billing mode."""
    warm = table.warm_throughput(index)
    given = entry.get("ProvisionedThroughput")
    if given:
        index = replace(index, throughput=changed_throughput(index.throughput or Throughput(0, 0), given, now_ms))
    if table.billing_mode == ON_DEMAND:
        index = replace(index, on_demand=_on_demand(entry, index.on_demand))
    warm = _warmed(index, table.billing_mode, warm)
    return replace(index, warm=_warm(entry, warm))


def changed_throughput(old: Throughput, given: Body, now_ms: int) -> Throughput:
    """The new units, with the times of the last increase and decreases."""
    new = replace(old, read=given["ReadCapacityUnits"], write=given["WriteCapacityUnits"])
    if new.read > old.read or new.write > old.write:
        new = replace(new, increased_ms=now_ms)
    if new.read < old.read or new.write < old.write:
        new = replace(new, decreased_ms=now_ms, decreases_ms=(*old.decreases_ms[-30:], now_ms))
    return new
