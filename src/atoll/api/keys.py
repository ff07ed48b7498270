"""Check that keys in a request have the table's attributes, types and sizes."""

from __future__ import annotations

from atoll import limits
from atoll.database.keys import check_sizes
from atoll.database.schema import Index, KeySchema, Table
from atoll.errors import keys as key_errors
from atoll.errors import tables as table_errors
from atoll.expressions.update import Update
from atoll.model.values import AttributeValue, Item


def row_key(table: Table, key: Item) -> bytes:
    """The row key for a request's Key, which must have exactly the key attributes."""
    schema = table.keys
    if len(key) != len(schema.name_types):
        raise key_errors.key_does_not_match()
    for name, type_ in schema.name_types:
        if not key.get(name, _ABSENT).get(type_):
            _check_key(schema, key)
    encoded = table.item_key(key)
    if len(encoded) > limits.SORT_KEY_BYTES:  # otherwise no attribute is too long
        check_sizes(schema, key)
    return encoded


# Raise the first error of a key's attributes. All types are checked before any size.


def _check_key(schema: KeySchema, key: Item) -> None:
    for name, type_ in schema.name_types:
        if type_ not in key.get(name, _ABSENT):
            raise key_errors.key_does_not_match()
    check_sizes(schema, key)


_ABSENT: AttributeValue = {}


def check_start_key(table: Table, index: Index | None, start: Item, *, of_scan: bool = False) -> None:
    """An ExclusiveStartKey must have exactly the key attributes of the table and of the index, none empty."""
    types = {**table.keys.types, **(index.keys.types if index is not None else {})}
    if start.keys() != types.keys():
        detailed = of_scan and index is None and table.keys.sort
        raise key_errors.start_key_invalid(key_errors.key_does_not_match().message if detailed else None)
    if any(t not in start[name] for name, t in types.items()):
        raise key_errors.start_key_invalid(key_errors.key_does_not_match().message)
    for name, type_ in types.items():
        if not start[name][type_]:
            if index is None or name in table.keys.types:
                raise key_errors.start_key_invalid(key_errors.empty_key(name, type_).message)
            raise key_errors.start_key_invalid(table_errors.empty_index_key(name, type_, index.name).message)


def check_assigned(table: Table, update: Update) -> None:
    """Literal values that an update assigns to index keys must have the keys' types. Computed values are checked
    later, when they are computed."""
    for index in table.indexes:
        for attribute in index.keys.attributes:
            name = update.program.assigned.get(attribute.name)
            if name is not None and attribute.type not in update.values[name]:
                actual = next(iter(update.values[name]))
                raise table_errors.index_key_type(attribute.name, attribute.type, actual, index.name)


def check_scalars(table: Table, entered: frozenset[str]) -> None:
    """Refuse paths into key attributes of the table or its indexes. `entered` are the top-level names of an
    expression's nested paths."""
    if not entered:
        return
    for name in table.keys.names:
        if name in entered:
            raise key_errors.not_scalar("Key", name)
    for index in table.indexes:
        for name in index.keys.names:
            if name in entered:
                raise key_errors.not_scalar("IndexKey", name)
