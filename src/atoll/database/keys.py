"""What the values of keys may be: not empty, and not too long."""

from __future__ import annotations

import binascii

from atoll import limits
from atoll.database.schema import KeyAttribute, KeySchema
from atoll.errors import keys as texts
from atoll.model.values import Item

# Contents up to this length are within the limits in any encoding; longer ones are measured.
SHORT = limits.SORT_KEY_BYTES // 4


def check_sizes(schema: KeySchema, item: Item) -> None:
    """Of an item with all key attributes. Key values may be neither empty nor longer than 2,048 and 1,024 bytes."""
    for name, type_ in schema.name_types:
        if not 0 < len(item[name][type_]) <= SHORT:
            _check_sizes(schema, item)


def _check_sizes(schema: KeySchema, item: Item) -> None:
    for attribute in schema.attributes:
        if not item[attribute.name][attribute.type]:
            raise texts.empty_key(attribute.name, attribute.type)
    for attribute in schema.attributes:
        check_length(attribute, item, sort=attribute in schema.sort)


def check_length(attribute: KeyAttribute, item: Item, *, sort: bool) -> None:
    if sort and _size(attribute, item) > limits.SORT_KEY_BYTES:
        raise texts.sort_key_too_large()
    if not sort and _size(attribute, item) > limits.PARTITION_KEY_BYTES:
        raise texts.partition_key_too_large()


def _size(attribute: KeyAttribute, item: Item) -> int:
    value: str = item[attribute.name][attribute.type]
    return len(binascii.a2b_base64(value)) if attribute.type == "B" else len(value.encode())
