"""Key schemas and projections: the parts of a table's definition that its indexes share with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from atoll.database import format as fmt
from atoll.model import keycode
from atoll.model.values import Item


@dataclass(frozen=True)
class KeyAttribute:
    name: str
    type: str
    """One of "S", "N" or "B"."""


@dataclass(frozen=True)
class KeySchema:
    """The key attributes. A table has one partition attribute and at most one sort attribute; a global index may have
    up to four of each."""

    partition: tuple[KeyAttribute, ...]
    sort: tuple[KeyAttribute, ...] = ()

    @cached_property
    def attributes(self) -> tuple[KeyAttribute, ...]:
        return self.partition + self.sort

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(a.name for a in self.attributes)

    @cached_property
    def partition_types(self) -> list[tuple[str, str]]:
        return [(a.name, a.type) for a in self.partition]

    @cached_property
    def sort_types(self) -> list[tuple[str, str]]:
        return [(a.name, a.type) for a in self.sort]

    @cached_property
    def name_types(self) -> tuple[tuple[str, str], ...]:
        return tuple((a.name, a.type) for a in self.attributes)

    @cached_property
    def types(self) -> dict[str, str]:
        return {a.name: a.type for a in self.attributes}

    @cached_property
    def encode_partition(self) -> Callable[[Item], bytes]:
        """A function that encodes an item's hash and partition attributes as the start of its key. The item must have
        all of them."""
        return _prefix_encoder(self.partition)

    @cached_property
    def encode_sort(self) -> Callable[[Item], bytes]:
        return _encoder(self.sort)

    def hash_of(self, item: Item) -> int:
        """The hash of the partition attributes."""
        return int.from_bytes(self.encode_partition(item)[: keycode.HASH_BYTES], "big")

    def decode(self, row_key: bytes) -> Item:
        """The key attributes of the item with this row key."""
        contents = fmt.key_contents(row_key, self._kinds)
        return {name: {type_: content} for (name, type_), content in zip(self.name_types, contents, strict=True)}

    @cached_property
    def _kinds(self) -> str:
        return "".join(a.type for a in self.attributes)

    def followed_by(self, other: KeySchema) -> KeySchema:
        """The attributes of both schemas, which make up the keys of index entries."""
        return KeySchema(self.partition, (*self.sort, *other.attributes))

    def encode(self, item: Item) -> bytes:
        return self.encode_partition(item) + self.encode_sort(item)

    def encoder_behind(self, prefix: bytes) -> Callable[[Item], bytes]:
        """A function that encodes the key attributes of an item behind a prefix."""
        partition, sort = self.encode_partition, self.encode_sort
        if not self.sort:
            return lambda item: prefix + partition(item)
        return lambda item: prefix + partition(item) + sort(item)

    def key_of(self, item: Item) -> Item:
        return {name: item[name] for name in self.names}


def _encoder(attributes: tuple[KeyAttribute, ...]) -> Callable[[Item], bytes]:
    if len(attributes) == 1:
        (name, type_), encode = (attributes[0].name, attributes[0].type), keycode.encoder(attributes[0].type)
        return lambda item: encode(item[name][type_])
    parts = [(a.name, a.type, keycode.encoder(a.type)) for a in attributes]
    return lambda item: b"".join([encode(item[name][type_]) for name, type_, encode in parts])


def _prefix_encoder(attributes: tuple[KeyAttribute, ...]) -> Callable[[Item], bytes]:
    if len(attributes) == 1:
        name, type_, partition = attributes[0].name, attributes[0].type, keycode.partition_encoder(attributes[0].type)
        return lambda item: partition(item[name][type_])
    encode, partition_hash = _encoder(attributes), keycode.partition_hash
    parts = [(a.name, a.type, keycode.raw_encoder(a.type)) for a in attributes]
    return lambda item: partition_hash(b"".join([raw(item[n][t]) for n, t, raw in parts])) + encode(item)


@dataclass(frozen=True)
class Projection:
    type: str
    """One of "ALL", "KEYS_ONLY" or "INCLUDE"."""
    attributes: tuple[str, ...] = ()
