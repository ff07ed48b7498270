"""RestoreTableFromBackup and RestoreTableToPointInTime.

Both make a table from the definition of another one, with the request's overrides, and begin a job that fills it. The
service checks the request, the source, the time and the target, in this order, before it makes anything.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from atoll import arns, limits
from atoll.api import backups as backup_operations
from atoll.api import definitions, recovery
from atoll.api.description import describe, key_schema, projection, vector_index
from atoll.api.table_names import resolve_table
from atoll.database import backups, catalog, past_definitions
from atoll.database.backups import Backup
from atoll.database.encryption import MANAGED_KEY, key_arn
from atoll.database.log import shards
from atoll.database.recovery import Origin
from atoll.database.region import Region
from atoll.database.schema import ON_DEMAND, PROVISIONED, Encryption, Index, Table, Throughput
from atoll.database.vectors.definition import VectorIndex
from atoll.durations import instant
from atoll.errors import backups as backup_errors
from atoll.errors import tables as table_errors
from atoll.errors import vectors as vector_errors
from atoll.recovery import copies
from atoll.storage.engine import Snapshot, Transaction
from atoll.versions import Stamp

Body = dict[str, Any]
Answer = dict[str, Any]


async def restore_table_from_backup(region: Region, body: Body) -> Answer:
    text, target = body["BackupArn"], body["TargetTableName"]
    arn = arns.parse(text)
    source = region if arn is None else region.named(arn.region)
    backup = await source.read(lambda snapshot: backup_operations.find(source, snapshot, text))
    _check_available(source, backup, text)
    _check_encryption(region, source, body)
    _check_overrides(backup.table, body)
    origin = Origin(backup.created_ms, source.arn(f"table/{backup.table.name}"), text)

    def reserve(tx: Transaction) -> Backup:
        found = backup_operations.find(source, tx, text)
        _check_available(source, found, text)
        taken = replace(found, is_restoring=target)
        backups.put(tx, taken)
        return taken

    def begin(tx: Transaction, stamp: Stamp) -> Answer:
        table = _make(tx, region, target, _overridden(tx, region, backup.table, body), origin, stamp.now_ms)
        if source is region:
            reserve(tx)
        copies.begin_restore_from_backup(tx, table, backup, source.name)
        return {"TableDescription": describe(region, tx, table, stamp.now_ms)}

    if source is not region:
        await region.read(lambda snapshot: _check_target(snapshot, region, target, origin))
        await source.transact(reserve)
    answer = await region.write(begin)
    region.wake()
    return answer


def _check_available(region: Region, backup: Backup, text: str) -> None:
    if backup.status == backups.CREATING:
        raise backup_errors.backup_being_created(text)
    if backup.is_restoring is not None:
        raise backup_errors.backup_restoring_another(region.arn(f"table/{backup.is_restoring}"))


async def restore_table_to_point_in_time(region: Region, body: Body) -> Answer:
    asked, latest = body.get("RestoreDateTime"), body.get("UseLatestRestorableTime")
    if asked is not None and latest:
        raise backup_errors.both_times()
    if asked is None and not latest:
        raise backup_errors.no_time()
    source, name = _source(region, body)
    target, now_ms = body["TargetTableName"], region.clock.now_ms()
    table = await source.read(lambda snapshot: recovery.find(source, snapshot, name, now_ms))
    moment_ms = _moment_ms(source, table, asked, now_ms)
    is_present = asked is None and not recovery.lags(source)
    then = table if is_present else await source.read(lambda snapshot: past_definitions.at(snapshot, table, moment_ms))
    _check_encryption(region, source, body)
    _check_overrides(then, body)
    origin = Origin(moment_ms, source.arn(f"table/{name}"))

    def begin(tx: Transaction, stamp: Stamp) -> Answer:
        made = _make(tx, region, target, _overridden(tx, region, then, body), origin, stamp.now_ms)
        copies.begin_restore(tx, made, table, source, None if is_present else moment_ms, is_here=source is region)
        return {"TableDescription": describe(region, tx, made, stamp.now_ms)}

    answer = await region.write(begin)
    region.wake()
    return answer


def _source(region: Region, body: Body) -> tuple[Region, str]:
    """The source table, with its region."""
    name, text = body.get("SourceTableName"), body.get("SourceTableArn")
    if name is not None and text is not None:
        raise backup_errors.both_sources()
    if text is None:
        if name is None:
            raise backup_errors.no_source()
        return region, resolve_table(region, name)
    arn = arns.parse(text)
    if arn is None or not (arn.table and arn.region) or (arn.partition, arn.resource) != ("aws", f"table/{arn.table}"):
        raise backup_errors.source_arn_invalid()
    if arn.account != region.settings.account:
        raise backup_errors.source_foreign()
    return region.named(arn.region), arn.table


def _moment_ms(source: Region, table: Table, asked: float | None, now_ms: int) -> int:
    if table.recovery is None:
        raise backup_errors.recovery_off(table.name)
    window = recovery.window(source, table.recovery, now_ms)
    if asked is None:
        return window.latest_ms
    asked_ms = int(instant(asked) * 1000)
    moment_ms = window.moment(asked_ms)
    if moment_ms is None:
        raise backup_errors.restore_time(asked_ms, *window)
    return moment_ms


# The new table


def _check_target(snapshot: Snapshot, region: Region, name: str, origin: Origin) -> None:
    existing = region.catalog.find(snapshot, name)
    if existing is not None and existing.origin is not None:
        raise backup_errors.target_restoring(name, origin.backup_arn or origin.table_arn)
    if existing is not None:
        raise backup_errors.target_exists(name)
    tables = region.catalog.tables(snapshot)
    if region.settings.quotas and len(tables) >= limits.TABLES:
        raise table_errors.too_many_tables()
    if sum(table.origin is not None for table in tables) >= limits.RESTORES:
        raise backup_errors.too_many_restores()


def _make(tx: Transaction, region: Region, name: str, definition: Table, origin: Origin, now_ms: int) -> Table:
    _check_target(tx, region, name, origin)
    table = Table(
        name=name,
        id=str(uuid.uuid4()),
        space=catalog.new_space(tx),
        log_space=catalog.new_space(tx),
        keys=definition.keys,
        created_ms=now_ms,
        status="CREATING",
        indexes=definition.indexes,
        vector_indexes=definition.vector_indexes,
        billing_mode=definition.billing_mode,
        billing_changed_ms=now_ms if definition.billing_mode == ON_DEMAND else None,
        throughput=definition.throughput,
        on_demand=definition.on_demand,
        encryption=definition.encryption,
        origin=origin,
    )
    table = shards.open_first(tx, table, now_ms)
    catalog.save(tx, table)
    return table


def _overridden(tx: Transaction, region: Region, source: Table, body: Body) -> Table:
    """The parts of the source's definition that the restored table gets, with the request's overrides."""
    mode = body.get("BillingModeOverride") or source.billing_mode
    units, throughput = body.get("ProvisionedThroughputOverride"), source.throughput
    if mode == ON_DEMAND:
        throughput = Throughput(0, 0)
    elif units is not None:
        throughput = Throughput(units["ReadCapacityUnits"], units["WriteCapacityUnits"])
    on_demand = definitions.maxima(body.get("OnDemandThroughputOverride"))
    return replace(
        source,
        billing_mode=mode,
        throughput=Throughput(throughput.read, throughput.write),
        on_demand=(on_demand or source.on_demand) if mode == ON_DEMAND else None,
        indexes=_indexes(tx, source, body, mode),
        vector_indexes=catalog.renewed(tx, _vector_indexes(source, body, mode)),
        encryption=_encryption(region, source, body),
    )


def _encryption(region: Region, source: Table, body: Body) -> Encryption | None:
    given = body.get("SSESpecificationOverride")
    if given is None:
        return source.encryption
    if not definitions.encrypts(given):
        return None
    return Encryption("ENABLED", "KMS", key_arn(given.get("KMSMasterKeyId") or MANAGED_KEY, region))


def _indexes(tx: Transaction, source: Table, body: Body, mode: str) -> tuple[Index, ...]:
    chosen: list[Index] = []
    for indexes, entries in _chosen(source, body):
        for index in indexes if entries is None else [_match(indexes, entry) for entry in entries]:
            units = index.throughput if mode == PROVISIONED and not index.local else None
            chosen.append(
                Index(
                    name=index.name,
                    keys=index.keys,
                    projection=index.projection,
                    local=index.local,
                    space=catalog.new_space(tx),
                    throughput=None if units is None else Throughput(units.read, units.write),
                    on_demand=index.on_demand if mode == ON_DEMAND else None,
                )
            )
    return tuple(chosen)


def _vector_indexes(source: Table, body: Body, mode: str) -> tuple[VectorIndex, ...]:
    """The source's vector indexes, or those of the request's override, under the names that the override gives."""
    entries = body.get("VectorIndexOverride")
    chosen = source.vector_indexes if entries is None else tuple(_match_vectors(source, one) for one in entries)
    if chosen and mode != ON_DEMAND:
        raise vector_errors.provisioned()
    return chosen


def _match_vectors(source: Table, entry: Body) -> VectorIndex:
    for index in source.vector_indexes:
        renamed = replace(index, name=entry["IndexName"])
        if vector_index(renamed) == {**entry, "Projection": _in_order(entry["Projection"])}:
            return renamed
    raise backup_errors.no_such_index(entry["IndexName"])


def _chosen(source: Table, body: Body) -> list[tuple[tuple[Index, ...], list[Body] | None]]:
    """The source's local and global indexes, each with the request's override."""
    return [
        (source.local_indexes, body.get("LocalSecondaryIndexOverride")),
        (source.global_indexes, body.get("GlobalSecondaryIndexOverride")),
    ]


def _in_order(given: Body) -> Body:
    """A request's projection in the form of descriptions, to compare the two."""
    included = given.get("NonKeyAttributes")
    return given if included is None else {**given, "NonKeyAttributes": sorted(included)}


def _match(indexes: tuple[Index, ...], entry: Body) -> Index:
    """The source's index with the keys and projection of the entry, with the name and units of the entry."""
    for index in indexes:
        if key_schema(index.keys) == entry["KeySchema"] and projection(index.projection) == _in_order(
            entry["Projection"]
        ):
            units = entry.get("ProvisionedThroughput")
            throughput = index.throughput
            if units is not None:
                throughput = Throughput(units["ReadCapacityUnits"], units["WriteCapacityUnits"])
            maxima = definitions.maxima(entry.get("OnDemandThroughput"))
            return replace(index, name=entry["IndexName"], throughput=throughput, on_demand=maxima or index.on_demand)
    raise backup_errors.no_such_index(entry["IndexName"])


# Checks


def _check_encryption(region: Region, source: Region, body: Body) -> None:
    if source is not region and "SSESpecificationOverride" not in body:
        raise backup_errors.encryption_missing()


def _check_overrides(source: Table, body: Body) -> None:
    override = body.get("BillingModeOverride")
    mode = override or source.billing_mode
    units = body.get("ProvisionedThroughputOverride")
    if units is not None and mode != PROVISIONED:
        raise backup_errors.throughput_without_mode()
    if override == PROVISIONED and units is None:
        raise backup_errors.throughput_missing(None)
    for member in ("MaxReadRequestUnits", "MaxWriteRequestUnits"):
        if member in (body.get("OnDemandThroughputOverride") or {}) and mode != ON_DEMAND:
            raise backup_errors.maximum_without_mode(member)
    _vector_indexes(source, body, mode)
    for indexes, entries in _chosen(source, body):
        for entry in entries or ():
            index = _match(indexes, entry)
            if not index.local:
                _check_index_units(index, entry, mode, override)
    if override == PROVISIONED and body.get("GlobalSecondaryIndexOverride") is None:
        for index in source.global_indexes:
            if index.throughput is None or not index.throughput.read:
                raise backup_errors.throughput_missing(index.name)


def _check_index_units(index: Index, entry: Body, mode: str, override: str | None) -> None:
    given = entry.get("ProvisionedThroughput")
    if mode == ON_DEMAND and given is not None:
        raise backup_errors.throughput_on_demand(index.name)
    if override == PROVISIONED and given is None:
        raise backup_errors.throughput_missing(index.name)
