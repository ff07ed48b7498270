"""`atoll import --rules FILE --preview`: show the effect of rules on some items. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from atoll.files.items import Item
from atoll.files.rules import Rules
from atoll.shell.values import cell, printable


def lines(items: Iterable[Item], rules: Rules, count: int) -> Iterator[str]:
    for number, item in enumerate(islice(items, count), 1):
        yield f"item {number}"
        new = rules.changed(item)
        for name, value in item.items():
            if name not in new:
                yield printable(f"  - {name}: {cell(value)}")
            elif new[name] == value:
                yield printable(f"    {name}: {cell(value)}")
            else:
                yield printable(f"  - {name}: {cell(value)}")
                yield printable(f"  + {name}: {cell(new[name])}")


def warning(rules: Rules) -> str | None:
    """A warning about rules that matched nothing: a path may be mistyped, and then original values were imported."""
    if not rules.unused:
        return None
    return printable(f"no item has {', '.join(rules.unused)}: are these rules mistyped?")
