"""PartiQL statements about single items, converted to `database.writes`."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from atoll import errors
from atoll.api import keys, plans
from atoll.api.items import touched
from atoll.api.partiql.bound import Bound
from atoll.api.partiql.select import check_columns, check_index, key_attributes, program
from atoll.api.table_names import resolve_table
from atoll.capacity import writing
from atoll.capacity.units import Consumed
from atoll.database import writes
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import partiql as partiql_errors
from atoll.expressions import tree, update
from atoll.expressions.condition import Condition
from atoll.expressions.partiql.keys import Terms, item_key, joined
from atoll.expressions.partiql.prepared import item_of
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Updating
from atoll.model.values import Item
from atoll.storage.engine import Transaction


@dataclass(frozen=True, slots=True)
class Keyed:
    """A statement about one item, with the item's key."""

    bound: Bound
    table: Table
    key: Item
    rest: Terms
    """The condition's terms besides the key."""

    def row_key(self) -> bytes:
        """The row key; raises if a value is invalid as a key."""
        return keys.row_key(self.table, self.key)


def keyed(bound: Bound, table: Table) -> Keyed:
    rest: Terms = ()
    match bound.statement:
        case Inserting() as inserting:
            key = _inserted_key(table, item_of(inserting, bound.values))
        case Selecting(where=where) | Updating(where=where) | Deleting(where=where) | Checking(Selecting(where=where)):
            attributes = key_attributes(table.keys.attributes)
            key, rest = bound.once(("key", table.keys), lambda: item_key(where, attributes, bound.values))
    return Keyed(bound, table, key, rest)


def _inserted_key(table: Table, item: Item) -> Item:
    for attribute in table.keys.attributes:
        value = item.get(attribute.name)
        if value is None:
            raise partiql_errors.key_absent(attribute.name)
        if attribute.type not in value:
            raise partiql_errors.key_type(attribute.name)
    return table.keys.key_of(item)


def read_key(bound: Bound, table: Table, refusal: errors.ApiError) -> Keyed:
    """The key of a SELECT that must read one item by its key."""
    statement = bound.statement
    assert isinstance(statement, Selecting)
    if statement.index is not None:
        check_index(table.index(statement.index))
    if statement.fault is not None:
        raise errors.validation(statement.fault)
    try:
        one = keyed(bound, table)
    except partiql_errors.KeyNotGiven:
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
            image = bound.once("image", lambda: plans.image_of(item_of(inserting, bound.values)))
            absent = tree.Function("attribute_not_exists", exists.args)
            return plans.put_of(table, image, _condition((absent,), one), bound.shows_item)
        case Updating(actions=actions):
            condition = _condition((exists, *one.rest), one)
            changes = bound.once("update", lambda: update.compile(actions, bound.values))
            return plans.update_of(table, key, changes, condition, bound.shows_item)
        case Deleting():
            condition = _condition(_if_there(exists, one.rest), one)
            return writes.Delete(table, key, one.row_key(), condition, bound.shows_item)
        case Checking():
            condition = _condition((exists, *one.rest), one)
            assert condition is not None
            return writes.Check(table, key, one.row_key(), condition, bound.shows_item)
    raise AssertionError(bound.statement)


def _if_there(exists: tree.Function, rest: Terms) -> Terms:
    """The condition of a DELETE, which succeeds if the item is missing, whatever other conditions the statement has."""
    demanded = joined(rest)
    return () if demanded is None else (tree.Or((tree.Not(exists), demanded)),)


def _condition(terms: Terms, one: Keyed) -> Condition | None:
    whole, values = joined(terms), one.bound.values
    if whole is None:
        return None
    return one.bound.once(("condition", one.table.keys), lambda: program(whole).with_values(values))


def work_out(region: Region, bounds: Iterable[Bound]) -> None:
    """Make, ahead of a transaction, all that takes long and depends only on statements and key schemas."""
    for bound in bounds:
        with suppress(errors.ApiError):
            table = region.catalog.known.tables.get(resolve_table(region, bound.table_name))
            if table is not None:
                one = keyed(bound, table)
                condition = None if bound.is_read else getattr(write_of(one), "condition", None)
                if condition is not None:
                    condition.prepare()


async def write(region: Region, bound: Bound, is_large: bool) -> tuple[writes.Write, writing.Result, Consumed]:
    """Run a statement's write and charge it. A failed condition is charged and is part of the result; other refusals
    are raised. `is_large`: whether the request has many values."""

    def make(tx: Transaction, now_ms: int) -> writes.Write:
        if is_large:
            tx.announce_long()
        return write_of(keyed(bound, bound.table(region, tx, now_ms)))

    one, result = await writing.attempt(region, resolve_table(region, bound.table_name), make)
    return one, result, writing.charged(region, one, result)


async def returned(bound: Bound, done: writes.Write, outcome: writes.Outcome) -> Any:
    """The item for RETURNING; None if there is none."""
    returning = bound.statement.returning if isinstance(bound.statement, Updating | Deleting) else None
    if returning is None:
        return None
    what, when = returning
    image = outcome.old if when == "OLD" else outcome.new
    if image is None:
        return None
    if what == "MODIFIED":
        assert isinstance(done, writes.Update)
        assert done.update is not None
        return await touched(done.update, image) or None
    return orjson.Fragment(image.json)


def refused(bound: Bound, refusal: errors.ApiError) -> errors.ApiError:
    """Translate a failed INSERT: its implicit condition fails only if the item exists already."""
    if isinstance(bound.statement, Inserting) and isinstance(refusal, errors.ConditionFailed):
        return partiql_errors.duplicate_item()
    return refusal
