"""The keys in a request: do they have the table's attributes, types and sizes?"""

from __future__ import annotations

import binascii

from atoll import limits
from atoll.database.schema import Index, KeyAttribute, KeySchema, Table
from atoll.errors import keys as texts
from atoll.model.values import AttributeValue, Item


def row_key(table: Table, key: Item) -> bytes:
    """Of a request's Key: exactly the key attributes."""
    schema = table.keys
    name_types = schema.name_types
    if len(key) != len(name_types):
        raise texts.key_does_not_match()
    for name, type_ in name_types:
        if type_ not in key.get(name, _ABSENT):
            raise texts.key_does_not_match()
    check_sizes(schema, key)
    return table.item_key(key)


def row_key_of_item(table: Table, item: Item) -> bytes:
    """Of an item to be put: at least the key attributes."""
    schema = table.keys
    for name, type_ in schema.name_types:
        value = item.get(name)
        if value is None:
            raise texts.missing_key(name)
        if type_ not in value:
            raise texts.key_type(name, type_, next(iter(value)))
    check_sizes(schema, item)
    return table.item_key(item)


_ABSENT: AttributeValue = {}

# Contents up to this length are within the limits in any encoding; longer ones are measured.
SHORT = limits.SORT_KEY_BYTES // 4


def check_sizes(schema: KeySchema, item: Item) -> None:
    """Key values may be neither empty nor longer than 2,048 and 1,024 bytes."""
    for name, type_ in schema.name_types:
        if not 0 < len(item[name][type_]) <= SHORT:
            _check_sizes(schema, item)


def _check_sizes(schema: KeySchema, item: Item) -> None:
    for attribute in schema.attributes:
        if not item[attribute.name][attribute.type]:
            raise texts.empty_key(attribute.name, attribute.type)
    for attribute in schema.attributes:
        check_size(attribute, item, sort=attribute in schema.sort)


def check_size(attribute: KeyAttribute, item: Item, *, sort: bool) -> None:
    if sort and _size(attribute, item) > limits.SORT_KEY_BYTES:
        raise texts.sort_key_too_large()
    if not sort and _size(attribute, item) > limits.PARTITION_KEY_BYTES:
        raise texts.partition_key_too_large()


def _size(attribute: KeyAttribute, item: Item) -> int:
    value: str = item[attribute.name][attribute.type]
    return len(binascii.a2b_base64(value)) if attribute.type == "B" else len(value.encode())


def check_start_key(table: Table, index: Index | None, start: Item) -> None:
    """An ExclusiveStartKey has exactly the table's key attributes, and the index's."""
    types = {**table.keys.types, **(index.keys.types if index is not None else {})}
    if start.keys() != types.keys():
        raise texts.start_key_invalid()
    if any(t not in start[name] for name, t in types.items()):
        raise texts.start_key_invalid(texts.key_does_not_match().message)


def check_scalars(table: Table, entered: frozenset[str]) -> None:
    """Paths may not lead into the attributes that are keys of the table or of its indexes. `entered` are the top-level
    names below which an expression looks."""
    if not entered:
        return
    for name in table.keys.names:
        if name in entered:
            raise texts.not_scalar("Key", name)
    for index in table.indexes:
        for name in index.keys.names:
            if name in entered:
                raise texts.not_scalar("IndexKey", name)
