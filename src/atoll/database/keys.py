"""Check that items have their keys, and that the values of keys are neither empty nor too long."""

from __future__ import annotations

import binascii

from atoll import limits
from atoll.database.schema import KeyAttribute, KeySchema, Table
from atoll.errors import keys as key_errors
from atoll.model.values import AttributeValue, Item

# Values up to this length are within the limits in any encoding; only longer ones are measured.
SHORT = limits.SORT_KEY_BYTES // 4


def row_key_of_item(table: Table, item: Item) -> bytes:
    """The row key for an item to put, which must have at least the key attributes."""
    schema = table.keys
    for name, type_ in schema.name_types:
        if not item.get(name, _ABSENT).get(type_):
            _check_key_of_item(schema, item)
    encoded = table.item_key(item)
    if len(encoded) > limits.SORT_KEY_BYTES:  # otherwise no attribute is too long
        check_sizes(schema, item)
    return encoded


def _check_key_of_item(schema: KeySchema, item: Item) -> None:
    """Raise the first error of an item's key. All types are checked before any size."""
    for name, type_ in schema.name_types:
        value = item.get(name)
        if value is None:
            raise key_errors.missing_key(name)
        if type_ not in value:
            raise key_errors.key_type(name, type_, next(iter(value)))
    check_sizes(schema, item)


def check_sizes(schema: KeySchema, item: Item) -> None:
    """Check an item that has all key attributes. A key value must not be empty or longer than 2,048 bytes (partition
    key) or 1,024 bytes (sort key)."""
    for attribute in schema.attributes:
        if not item[attribute.name][attribute.type]:
            raise key_errors.empty_key(attribute.name, attribute.type)
    for attribute in schema.attributes:
        check_length(attribute, item, sort=attribute in schema.sort)


def check_length(attribute: KeyAttribute, item: Item, *, sort: bool) -> None:
    if _size(attribute, item) > _most(sort):
        raise key_errors.sort_key_too_large() if sort else key_errors.partition_key_too_large()


def fits(schema: KeySchema, item: Item) -> bool:
    """Whether the item has all key attributes, each with a valid key value."""
    short = True
    for name, type_ in schema.name_types:
        content = item.get(name, _ABSENT).get(type_)
        if not content:
            return False
        short = short and len(content) <= SHORT
    return short or all(_size(a, item) <= _most(a in schema.sort) for a in schema.attributes)


_ABSENT: AttributeValue = {}


def _most(sort: bool) -> int:
    return limits.SORT_KEY_BYTES if sort else limits.PARTITION_KEY_BYTES


def _size(attribute: KeyAttribute, item: Item) -> int:
    value: str = item[attribute.name][attribute.type]
    return len(binascii.a2b_base64(value)) if attribute.type == "B" else len(value.encode())
