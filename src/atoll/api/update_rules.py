"""Checks of UpdateTable beyond the shape of the request.

`check` needs only the request; `check_of` compares it with the existing table. The checks run in the service's order:
whether the request changes anything, whether its changes may be combined (`concerns`), whether they may overlap with
changes under way, capacity, indexes, streams, encryption.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atoll import limits
from atoll.api import capacity_rules as capacity
from atoll.api import concerns, replica_rules, table_rules, vector_rules
from atoll.api.definitions import encrypts, types
from atoll.api.table_rules import Body
from atoll.database.schema import ON_DEMAND, PROVISIONED, Index, Table
from atoll.errors import changes as change_errors
from atoll.errors import tables as table_errors
from atoll.errors import vectors as vector_errors

# Members that change nothing by themselves.
_NO_CHANGES = ("GlobalTableWitnessUpdates", "MultiRegionConsistency")


def check(body: Body) -> None:
    _check_changes_something(body)
    for update in body.get("GlobalSecondaryIndexUpdates") or ():
        if update.get("Update", {}).get("WarmThroughput") == {}:
            raise change_errors.index_warm_empty(update["Update"]["IndexName"])
    if any(not update for update in body.get("ReplicaUpdates") or ()):
        raise change_errors.no_replica_action()
    _check_index_actions(body.get("GlobalSecondaryIndexUpdates"))
    vector_rules.check_actions(body)
    concerns.check_combination(body)
    table_rules.check_served(body)
    replica_rules.check(body)
    units = body.get("ProvisionedThroughput")
    if body.get("BillingMode") == PROVISIONED and units is None:
        raise change_errors.throughput_required()
    capacity.check_bounds(units)
    _check_stream(body)
    table_rules.check_encryption(body)
    table_rules.check_class(body)


def _check_changes_something(body: Body) -> None:
    counted = concerns.MEMBERS.keys() | {"GlobalSecondaryIndexUpdates", "VectorIndexUpdates"}
    if not any(body.get(member) not in (None, []) for member in counted):
        raise change_errors.nothing_to_update([member for member in _NO_CHANGES if member in body])


def _check_index_actions(updates: list[Body] | None) -> None:
    if updates is None:
        return
    if not updates:
        raise table_errors.no_indexes("GlobalSecondaryIndexUpdates")
    names: set[str] = set()
    for update in updates:
        actions = [action for action in concerns.ACTIONS if action in update]
        if not actions:
            raise change_errors.index_update_without_action()
        if len(actions) > 1:
            raise change_errors.index_update_with_actions()
        name = update[actions[0]]["IndexName"]
        if name in names:
            raise change_errors.index_updated_twice(name)
        names.add(name)


def _check_stream(body: Body) -> None:
    given = body.get("StreamSpecification")
    if given is None:
        return
    if given["StreamEnabled"] and given.get("StreamViewType") is None:
        raise change_errors.stream_view_required()
    if not given["StreamEnabled"] and given.get("StreamViewType") is not None:
        raise change_errors.stream_view_without_stream()


# Against the table


def check_of(table: Table, body: Body, now_ms: int, *, quotas: bool = True) -> None:
    """Check the request against the existing table; call `check` first."""
    for member in ("OnDemandThroughput", "WarmThroughput"):
        if body.get(member) == {} and len(concerns.requested(body)) == 1:
            raise change_errors.empty_throughput()
    _check_indexes_exist(table, body)
    vector_rules.check_exist(table, body)
    concerns.check_overlap(table, body, now_ms)
    if quotas:
        _check_budgets(table, body, now_ms)
    mode = body.get("BillingMode") or table.billing_mode
    vector_rules.check_mode(table, mode, body)
    _check_new_units(table, mode, body, now_ms, quotas=quotas)
    _check_index_updates(table, mode, body, now_ms, quotas=quotas)
    _check_new_stream(table, body)
    _check_new_encryption(table, body)


def _actions(body: Body, *actions: str) -> Iterator[Body]:
    updates = body.get("GlobalSecondaryIndexUpdates") or ()
    return (update[action] for update in updates for action in actions if action in update)


def _check_budgets(table: Table, body: Body, now_ms: int) -> None:
    if body.get("DeletionProtectionEnabled") not in (None, table.deletion_protection):
        capacity.check_protection_interval(table, now_ms)
    if body.get("SSESpecification") is not None and (
        encrypts(body["SSESpecification"]) or table.encryption is not None
    ):
        capacity.check_encryption_budget(table, now_ms)
    if body.get("TableClass") not in (None, table.table_class or "STANDARD"):
        capacity.check_class_budget(table, now_ms)


def _check_new_units(table: Table, mode: str, body: Body, now_ms: int, *, quotas: bool) -> None:
    given = body.get("ProvisionedThroughput")
    if given is not None:
        if body.get("BillingMode") == ON_DEMAND:
            raise change_errors.throughput_on_demand()
        if mode == ON_DEMAND:
            raise table_errors.units_on_demand()
        if table.billing_mode == PROVISIONED:
            capacity.check_new_units(table.throughput, given, "table", now_ms if quotas else None)
    if mode == PROVISIONED and table.billing_mode == ON_DEMAND:
        updated = {update["IndexName"] for update in _actions(body, "Update") if "ProvisionedThroughput" in update}
        removed = {update["IndexName"] for update in _actions(body, "Delete")}
        missing = [index.name for index in table.global_indexes if index.name not in updated | removed]
        if missing:
            raise table_errors.index_units_required_by_mode(missing)
    capacity.check_maxima(mode, body, None)
    capacity.check_warm(body, concerns.warm_shown(table, None, now_ms), None)


def _check_indexes_exist(table: Table, body: Body) -> None:
    for action in ("Update", "Delete"):
        for given in _actions(body, action):
            index = table.index(given["IndexName"])
            if index is None:
                raise change_errors.index_not_found(given["IndexName"], table.name)
            if index.local:
                raise change_errors.index_is_local(action, index.name)
    names = {index.name for index in table.all_indexes}
    if any(given["IndexName"] in names for given in _actions(body, "Create")):
        raise change_errors.index_exists()


def _check_index_updates(table: Table, mode: str, body: Body, now_ms: int, *, quotas: bool) -> None:
    for given in _actions(body, "Update"):
        index = table.index(given["IndexName"])
        assert index is not None
        _check_index_update(table, index, mode, given, now_ms, quotas=quotas)
    made = [given["IndexName"] for given in _actions(body, "Create", "Delete")]
    made += [given["IndexName"] for given in vector_rules.actions(body, *vector_rules.ACTIONS)]
    changing = table.changing_index(now_ms)
    if len(made) > 1 or (made and changing is not None and changing.name not in made):
        raise change_errors.one_index_at_a_time()
    for created in _actions(body, "Create"):
        _check_created(table, mode, created, body)
    for created in vector_rules.actions(body, "Create"):
        _check_created_vectors(table, created, body)


def _check_index_update(table: Table, index: Index, mode: str, given: Body, now_ms: int, *, quotas: bool) -> None:
    units = given.get("ProvisionedThroughput")
    if mode == ON_DEMAND and (units is not None or not given.keys() & {"OnDemandThroughput", "WarmThroughput"}):
        raise change_errors.index_throughput_on_demand(index.name)
    if units is None and not given.keys() & {"OnDemandThroughput", "WarmThroughput"}:
        raise table_errors.index_units_required_by_mode([index.name])
    if units is not None:
        capacity.check_bounds(units)
        if index.throughput is not None and table.billing_mode == PROVISIONED:
            capacity.check_new_units(index.throughput, units, f"index {index.name}", now_ms if quotas else None)
    capacity.check_maxima(mode, given, index.name)
    capacity.check_warm(given, concerns.warm_shown(table, index, now_ms), index.name)


def _check_created(table: Table, mode: str, created: Body, body: Body) -> None:
    """The request must define all key attributes of the new index, even existing ones, with their existing types. Its
    other definitions do not matter."""
    definitions = [(a["AttributeName"], a["AttributeType"]) for a in body.get("AttributeDefinitions") or ()]
    if not definitions:
        raise change_errors.definitions_required(created["IndexName"])
    declared = dict(definitions)
    table_rules.check_global_index(created, mode, declared)
    for key in created["KeySchema"]:
        if [name for name, _ in definitions].count(key["AttributeName"]) > 1:
            raise table_errors.definition_repeated(key["AttributeName"])
    new = [(key["AttributeName"], declared[key["AttributeName"]], key["KeyType"]) for key in created["KeySchema"]]
    for keys in vector_rules.key_schemas(table):
        if any(keys.types.get(name, type_) != type_ for name, type_, _ in new):
            raise change_errors.attribute_redefined(vector_rules.described(keys), new)
    if len(table.global_indexes) >= limits.GLOBAL_INDEXES:
        raise change_errors.too_many_global_indexes()
    for index in table.vector_indexes:
        if index.attribute in declared:
            raise vector_errors.vector_defined(index.attribute)
    _check_projected(table, table_rules.included(created))


def _check_created_vectors(table: Table, created: Body, body: Body) -> None:
    vector_rules.check_new(table, created, types(body))
    table_rules.check_projection(created)
    _check_projected(table, vector_rules.projected(created))


def _check_projected(table: Table, added: int) -> None:
    others = (len(index.projection.attributes) for index in table.indexes)
    table_rules.check_projected([added, *others, *vector_rules.projected_of(table)])


def _check_new_stream(table: Table, body: Body) -> None:
    given = body.get("StreamSpecification")
    if given is None:
        return
    enabled = table.stream is not None and table.stream.enabled
    if given["StreamEnabled"] and enabled:
        raise change_errors.stream_enabled_already(table.name)
    if not given["StreamEnabled"] and not enabled:
        raise change_errors.no_stream_to_disable(table.name)


def _check_new_encryption(table: Table, body: Body) -> None:
    given: Any = body.get("SSESpecification")
    if given is None:
        return
    if not encrypts(given) and table.encryption is None:
        raise change_errors.encrypted_by_default()
    if table.encryption is not None and given.get("KMSMasterKeyId") == table.encryption.key_arn:
        raise change_errors.encrypted_with_key()
