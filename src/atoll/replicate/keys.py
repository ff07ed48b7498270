"""Keys and values of items, compared as DynamoDB compares them: numbers by value, sets without order."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any

from atoll.replicate.failures import Failed
from atoll.replicate.state import Item

_EXACT = Context(prec=50)


def names_of(description: dict[str, Any]) -> tuple[str, ...]:
    return tuple(key["AttributeName"] for key in description["KeySchema"])


def key(item: Item, names: Sequence[str]) -> Item:
    try:
        return {name: item[name] for name in names}
    except KeyError:
        raise Failed(f"an item lacks the key {', '.join(names)}: {str(item)[:200]}") from None


def identity(item: Item, names: Sequence[str]) -> tuple[Any, ...]:
    """A hashable form of the item's key. Equal keys have equal forms."""
    return tuple(map(comparable, key(item, names).values()))


def comparable(value: dict[str, Any]) -> tuple[str, Any]:
    """A form of a value that is equal for equal values, however an endpoint writes them."""
    ((type_, content),) = value.items()
    match type_:
        case "N":
            return type_, _number(content)
        case "NS":
            return type_, frozenset(map(_number, content))
        case "SS" | "BS":
            return type_, frozenset(content)
        case "L":
            return type_, tuple(map(comparable, content))
        case "M":
            return type_, frozenset((name, comparable(one)) for name, one in content.items())
    return type_, content


def same(one: Item, other: Item) -> bool:
    return one == other or comparable({"M": one}) == comparable({"M": other})


def _number(text: str) -> Decimal:
    return _EXACT.create_decimal(text)
