"""Plan the puts, updates, deletions and condition checks of a request: single, in a batch or in a transaction.

Planning runs every check that needs no table, in the service's order. The plan's `make` then builds the write for the
table, in the transaction that commits it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from atoll import limits
from atoll.api import keys
from atoll.api.binding import UPDATE, WRITE, Expressions
from atoll.api.shapes import is_in_older_form
from atoll.database import writes
from atoll.database.keys import row_key_of_item
from atoll.database.schema import Table
from atoll.errors import keys as key_errors
from atoll.errors import requests as request_errors
from atoll.errors import values as value_errors
from atoll.expressions.condition import Condition
from atoll.expressions.update import Update as UpdateExpression
from atoll.model import values

Body = dict[str, Any]
W = TypeVar("W", bound=writes.Write, covariant=True)


class Plan(NamedTuple, Generic[W]):
    size: int
    """The size in bytes of the item or key and of the values of its expressions."""
    make: Callable[[Table], W]
    is_overcharged: bool = False
    """Whether an update's statement is larger than an item may be."""
    is_long: bool = False
    """Whether the write processes many bytes of values in its transaction."""


_LONG_BYTES = 64 * 1024


def put(body: Body, returns: str | None = None) -> Plan[writes.Put]:
    """Plan a put. `returns` is the ReturnValues of a single write; transactions have none."""
    expressions = Expressions(body, WRITE)
    item = body["Item"]
    size = values.check_item(item)
    _check_return_values(body, returns)
    image = _image(item, size)
    bound = expressions.bind()
    show_item = _shows_item(body)
    return Plan(size + bound.values_size, lambda table: put_of(table, image, bound.condition, show_item))


def delete(body: Body, returns: str | None = None) -> Plan[writes.Delete]:
    """Plan a deletion; `returns` is as for `put`."""
    expressions = Expressions(body, WRITE)
    key = body["Key"]
    size = values.check_item(key)
    _check_return_values(body, returns)
    bound = expressions.bind()
    show_item = _shows_item(body)
    return Plan(size + bound.values_size, lambda table: delete_of(table, key, bound.condition, show_item))


def update(body: Body) -> Plan[writes.Update]:
    expressions = Expressions(body, UPDATE)
    key = body["Key"]
    size = values.check_item(key)
    bound = expressions.bind()
    change = bound.update
    make = partial(update_of, key=key, update=change, condition=bound.condition, show_item=_shows_item(body))
    overcharged = (
        change is not None
        and change.is_expression
        and change.program.charge.exceeds(limits.ITEM_BYTES, change.values, bound.values_size)
    )
    is_long = change is not None and bound.values_size * change.reads > _LONG_BYTES
    return Plan(size + bound.values_size, make, overcharged, is_long)


def check(body: Body) -> Plan[writes.Check]:
    expressions = Expressions(body, WRITE)
    key, show_item = body["Key"], _shows_item(body)
    size = values.check_item(key)
    bound = expressions.bind()
    condition = bound.condition
    assert condition is not None  # the shape requires it

    def make(table: Table) -> writes.Check:
        row_key = keys.row_key(table, key)
        keys.check_scalars(table, condition.entered)
        return writes.Check(table, key, row_key, condition, show_item)

    return Plan(size + bound.values_size, make)


def check_expressions(body: Body) -> None:
    """Raise for a fault of the expressions of a put, update, deletion or condition check."""
    Expressions(body, UPDATE).bind()


def _shows_item(body: Body) -> bool:
    return body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"


def _check_return_values(body: Body, wanted: str | None) -> None:
    """Check ReturnValues of PutItem and DeleteItem."""
    if wanted is not None and wanted not in ("ALL_OLD", "NONE"):
        error = request_errors.return_values_of_write()
        error.drifts = not is_in_older_form(body)
        raise error


def image_of(item: values.Item) -> writes.Image:
    """A request's Item, checked and ready to be stored."""
    return _image(item, values.check_item(item))


def _image(item: values.Item, size: int) -> writes.Image:
    if size > limits.ITEM_BYTES:
        raise value_errors.item_too_large()
    return writes.Image(item, size, orjson.dumps(item))


def put_of(
    table: Table, image: writes.Image, condition: Condition | None = None, show_item: bool = False
) -> writes.Put:
    row_key = row_key_of_item(table, image.item)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Put(table, table.keys.key_of(image.item), row_key, image, condition, show_item)


def delete_of(
    table: Table, key: values.Item, condition: Condition | None = None, show_item: bool = False
) -> writes.Delete:
    row_key = keys.row_key(table, key)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Delete(table, key, row_key, condition, show_item)


def update_of(
    table: Table,
    key: values.Item,
    update: UpdateExpression | None,
    condition: Condition | None = None,
    show_item: bool = False,
) -> writes.Update:
    row_key = keys.row_key(table, key)
    if update is not None:
        for name in table.keys.names:
            if name in update.attributes:
                raise key_errors.update_of_key(name)
        keys.check_assigned(table, update)
        keys.check_scalars(table, update.program.entered)
    if condition is not None:
        keys.check_scalars(table, condition.entered)
    return writes.Update(table, key, row_key, update, condition, show_item)
