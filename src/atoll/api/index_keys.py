"""The keys of indexes in items that are written: what is refused before the stored item is read, and what an update is
told in words of its own. That an item's attributes have the types of its indexes is checked by the write itself."""

from __future__ import annotations

from atoll.api import keys
from atoll.database.schema import KeyAttribute, Table
from atoll.errors import tables as texts
from atoll.expressions.update import Update
from atoll.model.values import AttributeValue, Item


def check_item(table: Table, item: Item) -> None:
    """Values of index keys have the lengths of keys."""
    for index in table.indexes:
        for attribute in index.keys.attributes:
            if attribute.type in item.get(attribute.name, _ABSENT):
                keys.check_size(attribute, item, sort=attribute in index.keys.sort)


def checked(table: Table, update: Update) -> Update:
    """The update, which is refused if it gives an index key a value that it cannot have."""
    touched: dict[str, KeyAttribute] = {}
    for index in table.indexes:
        for attribute in index.keys.attributes:
            if attribute.name in update.attributes:
                _check_assigned(attribute, index.name, update)
                touched[attribute.name] = attribute
    return _OfIndexKeys(update, table, touched) if touched else update


def _check_assigned(attribute: KeyAttribute, index: str, update: Update) -> None:
    name = update.program.assigned.get(attribute.name)
    if name is not None and attribute.type not in update.values[name]:
        actual = next(iter(update.values[name]))
        raise texts.index_key_type(attribute.name, attribute.type, actual, index)


class _OfIndexKeys(Update):
    """An update that touches attributes that are keys of indexes."""

    __slots__ = ("_table", "_touched", "_update")

    def __init__(self, update: Update, table: Table, touched: dict[str, KeyAttribute]) -> None:
        super().__init__(update.program, update.values)
        self._update = update
        self._table = table
        self._touched = touched

    def apply(self, old: Item) -> Item:
        new = self._update.apply(old)
        for name, attribute in self._touched.items():
            value = new.get(name)
            if value is None:
                continue
            if attribute.type not in value:
                raise texts.index_key_update()
            if not value[attribute.type]:
                raise texts.empty_index_key_update(attribute.type)
        check_item(self._table, new)
        return new


_ABSENT: AttributeValue = {}
