"""Convert members of CreateTable and UpdateTable to the dataclasses of `schema`. `table_rules` has checked them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

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

Body = dict[str, Any]


def types(table: Table | None, body: Body) -> dict[str, str]:
    """The types of all declared attributes."""
    known: dict[str, str] = {}
    if table is not None:
        for keys in (table.keys, *(index.keys for index in table.indexes)):
            known.update(keys.types)
    known.update({a["AttributeName"]: a["AttributeType"] for a in body.get("AttributeDefinitions") or ()})
    return known


def key_schema(body: Body, declared: dict[str, str] | None = None) -> KeySchema:
    declared = types(None, body) if declared is None else declared
    by_kind: dict[str, list[KeyAttribute]] = {"HASH": [], "RANGE": []}
    for element in body["KeySchema"]:
        name = element["AttributeName"]
        by_kind[element["KeyType"]].append(KeyAttribute(name, declared[name]))
    return KeySchema(tuple(by_kind["HASH"]), tuple(by_kind["RANGE"]))


def indexes(body: Body, new_space: Callable[[], int]) -> tuple[Index, ...]:
    declared = types(None, body)
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
        on_demand=_on_demand(entry),
        warm=_warm(entry, unwarmed(mode, throughput)),
    )


def _projection(entry: Body) -> Projection:
    given = entry["Projection"]
    return Projection(given["ProjectionType"], tuple(given.get("NonKeyAttributes") or ()))


def _throughput(given: Body) -> Throughput:
    return Throughput(given["ReadCapacityUnits"], given["WriteCapacityUnits"])


def _on_demand(entry: Body) -> OnDemandThroughput | None:
    given = entry.get("OnDemandThroughput")
    if given is None:
        return None
    return OnDemandThroughput(_maximum(given.get("MaxReadRequestUnits")), _maximum(given.get("MaxWriteRequestUnits")))


def _maximum(units: int | None) -> int | None:
    return None if units == -1 else units


def _warm(entry: Body, current: WarmThroughput) -> WarmThroughput | None:
    """New warm throughput; the read or write value that the request omits stays as it is."""
    given = entry.get("WarmThroughput")
    if given is None:
        return None
    read, write = given.get("ReadUnitsPerSecond"), given.get("WriteUnitsPerSecond")
    return WarmThroughput(current.read if read is None else read, current.write if write is None else write)


def settings(body: Body, region: Region, now_ms: int) -> dict[str, Any]:
    """The fields of a new Table besides its keys and indexes."""
    mode = body.get("BillingMode") or PROVISIONED
    provisioned = body.get("ProvisionedThroughput")
    throughput = _throughput(provisioned) if provisioned and mode == PROVISIONED else Throughput(0, 0)
    return {
        "billing_mode": mode,
        "billing_changed_ms": now_ms if mode == ON_DEMAND else None,
        "throughput": throughput,
        "on_demand": _on_demand(body),
        "warm": _warm(body, unwarmed(mode, throughput)),
        "table_class": body.get("TableClass"),
        "deletion_protection": body.get("DeletionProtectionEnabled") is True,
        "encryption": encryption(body, region),
        "tags": tuple((tag["Key"], tag["Value"]) for tag in body.get("Tags") or ()),
    }


def encryption(body: Body, region: Region) -> Encryption | None:
    """Enabled selects a KMS key: the one that the request names, or else the service's managed key."""
    given = body.get("SSESpecification")
    if given is None or not given.get("Enabled"):
        return None
    key = given.get("KMSMasterKeyId") or "alias/aws/dynamodb"
    if not key.startswith("arn:"):
        key = region.arn(key if key.startswith("alias/") else f"key/{key}", service="kms")
    return Encryption("ENABLED", given.get("SSEType") or "KMS", key)


def with_settings(table: Table, body: Body, region: Region, now_ms: int) -> Table:
    """The table with the request's class, deletion protection, encryption, maxima and warm throughput."""
    if "DeletionProtectionEnabled" in body:
        table = replace(table, deletion_protection=body["DeletionProtectionEnabled"])
    if "TableClass" in body and body["TableClass"] != (table.table_class or "STANDARD"):
        table = replace(table, table_class=body["TableClass"], table_class_changed_ms=now_ms)
    if "SSESpecification" in body:
        table = replace(table, encryption=encryption(body, region))
    if "OnDemandThroughput" in body:
        table = replace(table, on_demand=_on_demand(body))
    if "WarmThroughput" in body:
        table = replace(table, warm=_warm(body, table.warm_throughput()))
    return table


def with_capacity(table: Table, body: Body, now_ms: int) -> Table:
    """The table with the request's billing mode and provisioned throughput."""
    mode = body.get("BillingMode") or table.billing_mode
    if mode == ON_DEMAND:
        if table.billing_mode == ON_DEMAND:
            return table
        bare = tuple(index if index.local else replace(index, throughput=None) for index in table.indexes)
        return replace(
            table, billing_mode=ON_DEMAND, billing_changed_ms=now_ms, throughput=Throughput(0, 0), indexes=bare
        )
    given = body.get("ProvisionedThroughput")
    changed = replace(table, billing_mode=PROVISIONED)
    return replace(changed, throughput=changed_throughput(table.throughput, given, now_ms)) if given else changed


def with_index_capacity(table: Table, index: Index, entry: Body, now_ms: int) -> Index:
    given = entry.get("ProvisionedThroughput")
    if given:
        index = replace(index, throughput=changed_throughput(index.throughput or Throughput(0, 0), given, now_ms))
    if "OnDemandThroughput" in entry:
        index = replace(index, on_demand=_on_demand(entry))
    if "WarmThroughput" in entry:
        index = replace(index, warm=_warm(entry, table.warm_throughput(index)))
    return index


def changed_throughput(old: Throughput, given: Body, now_ms: int) -> Throughput:
    """The new units, with the times of the last increase and decreases."""
    new = replace(old, read=given["ReadCapacityUnits"], write=given["WriteCapacityUnits"])
    if new.read > old.read or new.write > old.write:
        new = replace(new, increased_ms=now_ms)
    if new.read < old.read or new.write < old.write:
        new = replace(new, decreased_ms=now_ms, decreases_ms=(*old.decreases_ms[-30:], now_ms))
    return new
