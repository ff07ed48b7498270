"""PartiQL statements about single items, as the writes that the one door takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atoll import errors
from atoll.api import items, keys
from atoll.api.binding import resolve_table
from atoll.api.partiql.select import check_columns, key_attributes, program
from atoll.database import writes
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import partiql as texts
from atoll.expressions import tree, update
from atoll.expressions.condition import Condition
from atoll.expressions.partiql import keys as partiql_keys
from atoll.expressions.partiql.prepared import item_of, prepare, values_of
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Reading, Statement, Updating, Values
from atoll.model.values import Item
from atoll.storage.engine import Snapshot

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """A statement with its values."""

    statement: Statement
    values: Values
    body: Body

    @property
    def table_name(self) -> str:
        match self.statement:
            case Checking(reading):
                return reading.table
            case Reading(table=table) | Inserting(table=table) | Updating(table=table) | Deleting(table=table):
                return table

    @property
    def is_read(self) -> bool:
        return isinstance(self.statement, Reading)

    @property
    def shows_item(self) -> bool:
        return self.body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def table(self, region: Region, snapshot: Snapshot, now_ms: int) -> Table:
        return region.catalog.usable(snapshot, resolve_table(region, self.table_name), now_ms)


def bind(body: Body) -> Bound:
    prepared = prepare(body["Statement"])
    return Bound(prepared.statement, values_of(prepared, body.get("Parameters") or ()), body)


# Single items


@dataclass(frozen=True, slots=True)
class Keyed:
    """A statement about one item."""

    bound: Bound
    table: Table
    key: Item
    rest: partiql_keys.Terms
    """What the condition demands beside the key."""

    def row_key(self) -> bytes:
        """Refuses values that no key can have."""
        return keys.row_key(self.table, self.key)


def keyed(bound: Bound, table: Table) -> Keyed:
    rest: partiql_keys.Terms = ()
    match bound.statement:
        case Inserting() as inserting:
            key = _inserted_key(table, item_of(inserting, bound.values))
        case Reading(where=where) | Updating(where=where) | Deleting(where=where) | Checking(Reading(where=where)):
            key, rest = partiql_keys.item_key(where, key_attributes(table.keys.attributes), bound.values)
    return Keyed(bound, table, key, rest)


def _inserted_key(table: Table, item: Item) -> Item:
    for attribute in table.keys.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise texts.key_absent(attribute.name)
        if attribute.type not in value:
            raise texts.key_type(attribute.name)
    return table.keys.key_of(item)


def read_key(bound: Bound, table: Table, refusal: errors.ApiError) -> Keyed:
    """Of a SELECT that may ask for nothing but one item by its key."""
    statement = bound.statement
    assert isinstance(statement, Reading)
    try:
        one = keyed(bound, table)
    except texts.KeyNotGiven:
        raise refusal from None
    if one.rest or statement.index is not None:
        raise refusal
    check_columns(statement.columns, table.keys.names)
    return one


def write_of(one: Keyed) -> writes.Write:
    bound, table, key = one.bound, one.table, one.key
    exists = tree.Function("attribute_exists", (tree.PathOperand((table.keys.names[0],)),))
    match bound.statement:
        case Inserting() as inserting:
            image = items.image_of(item_of(inserting, bound.values))
            absent = tree.Function("attribute_not_exists", exists.args)
            return items.put_of(table, image, _condition((absent,), bound), bound.shows_item)
        case Updating(actions=actions):
            condition = _condition((exists, *one.rest), bound)
            return items.update_of(table, key, update.compile(actions, bound.values), condition, bound.shows_item)
        case Deleting():
            condition = _condition(_if_there(exists, one.rest), bound)
            return writes.Delete(table, key, one.row_key(), condition, bound.shows_item)
        case Checking():
            condition = _condition((exists, *one.rest), bound)
            assert condition is not None
            return writes.Check(table, key, one.row_key(), condition, bound.shows_item)
    raise AssertionError(bound.statement)


def _if_there(exists: tree.Function, rest: partiql_keys.Terms) -> partiql_keys.Terms:
    """To delete an item that is not there succeeds, whatever else the statement demands of it."""
    joined = partiql_keys.joined(rest)
    return () if joined is None else (tree.Or((tree.Not(exists), joined)),)


def _condition(terms: partiql_keys.Terms, bound: Bound) -> Condition | None:
    joined = partiql_keys.joined(terms)
    return None if joined is None else program(joined).with_values(bound.values)


def refused(bound: Bound, refusal: errors.ApiError) -> errors.ApiError:
    """An INSERT has a condition that nobody wrote; if that fails, it is the item that is there already."""
    if isinstance(bound.statement, Inserting) and isinstance(refusal, errors.ConditionFailed):
        return texts.duplicate_item()
    return refusal
