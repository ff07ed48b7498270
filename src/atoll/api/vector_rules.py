"""Checks of the vector indexes that CreateTable and UpdateTable ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from atoll import limits
from atoll.database.schema import ON_DEMAND, KeySchema, Table
from atoll.errors import changes as change_errors
from atoll.errors import vectors as errors

Body = dict[str, Any]

ACTIONS = ("Create", "Delete")


def schema_names(index: Body) -> list[str]:
    return [element["AttributeName"] for element in index.get("SearchSchema") or ()]


def vector_name(index: Body) -> str:
    name: str = index["VectorAttribute"]["AttributeName"]
    return name


def check_created(indexes: list[Body], mode: str, declared: Iterable[str]) -> None:
    """Check the vector indexes of a new table; names and projections are checked with those of other indexes."""
    if mode != ON_DEMAND:
        raise errors.provisioned()
    for index in indexes:
        _check_definition(index, declared)
    _check_dimensions([(vector_name(index), index["Dimensions"]) for index in indexes])
    if len(indexes) > limits.VECTOR_INDEXES:
        raise errors.too_many()


def _check_definition(index: Body, declared: Iterable[str]) -> None:
    names = schema_names(index)
    if not set(names) <= set(declared):
        raise errors.element_undefined()
    if vector_name(index) in declared:
        raise errors.vector_defined(vector_name(index))
    if index["Dimensions"] > limits.VECTOR_DIMENSIONS:
        raise errors.dimensions()
    kinds = [element["SearchSchemaElementType"] for element in index.get("SearchSchema") or ()]
    if kinds.count("HASH") > 1:
        raise errors.many_hashes(_java(index["SearchSchema"]))
    if kinds.count("INLINE_FILTER") > limits.VECTOR_FILTERS:
        raise errors.too_many_filters()
    for position, name in enumerate(names):
        if name in names[:position]:
            raise errors.element_repeated(name)


def _java(schema: list[Body]) -> str:
    elements = (
        f"SearchSchemaElement(attributeName={one['AttributeName']}, "
        f"searchSchemaElementType={one['SearchSchemaElementType']})"
        for one in schema
    )
    return f"[{', '.join(elements)}]"


def _check_dimensions(vectors: Iterable[tuple[str, int]]) -> None:
    """Check that all indexes of an attribute have the same dimensions."""
    known: dict[str, int] = {}
    for name, dimensions in vectors:
        if known.setdefault(name, dimensions) != dimensions:
            raise errors.dimensions_differ(name)


def projected(index: Body) -> int:
    """The number of attributes of the index that count towards the limit of projected attributes: the vector, each
    filter attribute, and the included ones."""
    filters = [one for one in index.get("SearchSchema") or () if one["SearchSchemaElementType"] == "INLINE_FILTER"]
    return 1 + len(filters) + len(index["Projection"].get("NonKeyAttributes") or ())


def projected_of(table: Table) -> Iterator[int]:
    return (1 + len(index.filters) + len(index.projection.attributes) for index in table.vector_indexes)


# UpdateTable


def actions(body: Body, *chosen: str) -> Iterator[Body]:
    updates = body.get("VectorIndexUpdates") or ()
    return (update[action] for update in updates for action in chosen if action in update)


def check_actions(body: Body) -> None:
    for update in body.get("VectorIndexUpdates") or ():
        given = [action for action in ACTIONS if action in update]
        if not given:
            raise errors.update_without_action()
        if len(given) > 1:
            raise errors.update_with_actions()


def check_exist(table: Table, body: Body) -> None:
    """Check that the indexes to be deleted exist, and those to be created do not."""
    for given in actions(body, "Delete"):
        if table.vector_index(given["IndexName"]) is None:
            raise change_errors.index_not_found(given["IndexName"], table.name)
    for given in actions(body, "Create"):
        name = given["IndexName"]
        existing = next((index for index in table.all_indexes if index.name == name), None)
        if existing is not None and existing.status == "CREATING":
            raise errors.being_created(table.name, name)
        if existing is not None and existing.status == "DELETING":
            raise change_errors.index_being_deleted(table.name, name)
        if existing is not None:
            raise change_errors.index_exists()


def check_mode(table: Table, mode: str, body: Body) -> None:
    """Check that a table with vector indexes stays on demand."""
    left = {index.name for index in table.vector_indexes} - {given["IndexName"] for given in actions(body, "Delete")}
    if mode != ON_DEMAND and (left or any(actions(body, "Create"))):
        raise errors.provisioned()


def check_new(table: Table, created: Body, declared: Mapping[str, str]) -> None:
    """Check an index to be created; the request must define the attributes of its schema."""
    name, dimensions = vector_name(created), created["Dimensions"]
    for keys in key_schemas(table):
        if name in keys.types:
            raise errors.vector_is_key(described(keys), name, dimensions)
    _check_definition(created, declared)
    for keys in key_schemas(table):
        wrong = [key for key in schema_names(created) if keys.types.get(key, declared[key]) != declared[key]]
        if wrong:
            new = [(key, declared[key], "HASH") for key in wrong]
            raise change_errors.attribute_redefined(described(keys), new)
    _check_dimensions([*((index.attribute, index.dimensions) for index in table.vector_indexes), (name, dimensions)])
    if len(table.vector_indexes) >= limits.VECTOR_INDEXES:
        raise errors.too_many_online()


def key_schemas(table: Table) -> list[KeySchema]:
    """The key schemas of the table and its indexes, which hold all attributes with a type."""
    searched = [KeySchema(index.searched) for index in table.vector_indexes if index.searched]
    return [table.keys, *(index.keys for index in table.indexes), *searched]


def described(keys: KeySchema) -> list[tuple[str, str, str]]:
    hashes = [(attribute.name, attribute.type, "HASH") for attribute in keys.partition]
    return [*hashes, *((attribute.name, attribute.type, "RANGE") for attribute in keys.sort)]
