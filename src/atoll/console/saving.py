"""Make one conditional update of a user's edit, so that no edit overwrites another client's. Pure.

The update changes only what the user changed, so attributes that others add meanwhile stay. Its condition is that every
attribute still has the value that the user saw. An expression has room for about 200 such comparisons; for an item with
more attributes, the condition covers only those that the edit changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atoll.console.values import BadValue, Item

COMPARED = 200
OLD = "ALL_OLD"
CONFLICT = "ConditionalCheckFailedException"
"""The error code if the item is not as the user saw it."""


def creation(table: str, item: Item, key: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The put of a new item, which must not replace another one."""
    return "put_item", {
        "TableName": table,
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#k)",
        "ExpressionAttributeNames": {"#k": key[0]},
        "ReturnValuesOnConditionCheckFailure": OLD,
    }


def change(table: str, seen: Item, wanted: Item, key: Sequence[str]) -> tuple[str, dict[str, Any]] | None:
    """The update from the item that the user saw to the one wanted; None if they are equal."""
    for name in key:
        if seen.get(name) != wanted.get(name):
            raise BadValue(f"{name} is part of the key, which cannot change: save the item as a new one")
    changed = [name for name in {**seen, **wanted} if seen.get(name) != wanted.get(name)]
    if not changed:
        return None
    names, values, conditions = _unchanged(seen, key, changed)
    sets: list[str] = []
    removes: list[str] = []
    for name in changed:
        word = names.setdefault(name, f"#a{len(names)}")
        if name in wanted:
            place = f":w{len(sets)}"
            values[place] = wanted[name]
            sets.append(f"{word} = {place}")
        else:
            removes.append(word)
        if name not in seen:
            conditions.append(f"attribute_not_exists({word})")
    parts = [f"{verb} {', '.join(those)}" for verb, those in (("SET", sets), ("REMOVE", removes)) if those]
    return "update_item", _request(table, seen, key, names, values, conditions) | {"UpdateExpression": " ".join(parts)}


def deletion(table: str, seen: Item, key: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Delete the item if it is still the one that the user saw."""
    return "delete_item", _request(table, seen, key, *_unchanged(seen, key, list(seen)))


def _unchanged(seen: Item, key: Sequence[str], changed: Sequence[str]) -> tuple[dict[str, str], Item, list[str]]:
    """Names, values and conditions for the attributes that must be as they were seen."""
    others = [name for name in seen if name not in key]
    if len(others) > COMPARED:
        others = [name for name in others if name in changed][:COMPARED]
    names, values = {key[0]: "#k"}, {}
    conditions = ["attribute_exists(#k)"]
    for place, name in enumerate(others):
        names[name] = f"#a{len(names)}"
        values[f":s{place}"] = seen[name]
        conditions.append(f"{names[name]} = :s{place}")
    return names, values, conditions


def _request(
    table: str, seen: Item, key: Sequence[str], names: dict[str, str], values: Item, conditions: list[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "TableName": table,
        "Key": {name: seen[name] for name in key},
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {word: name for name, word in names.items()},
        "ReturnValuesOnConditionCheckFailure": OLD,
    }
    return found | ({"ExpressionAttributeValues": values} if values else {})
