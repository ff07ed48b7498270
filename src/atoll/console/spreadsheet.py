"""Write items as CSV. Pure.

The columns are the names in the first page of items; attributes that appear only later go into a last column, as
DynamoDB JSON. A text that a spreadsheet would run as a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from atoll.console.values import Item, as_json, columns, kind, shown

OTHERS = "(others)"
MOST_COLUMNS = 1_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Spreadsheet:
    def __init__(self, first: Sequence[Item], key: Sequence[str]) -> None:
        self.columns = columns(first, key, MOST_COLUMNS)
        self._known = set(self.columns)

    def head(self) -> str:
        return _lines([[*map(_safe, self.columns), OTHERS]])

    def rows(self, items: Iterable[Item]) -> str:
        return _lines(self._row(item) for item in items)

    def _row(self, item: Item) -> list[str]:
        others = {name: value for name, value in item.items() if name not in self._known}
        row = [_cell(item, name) for name in self.columns]
        return [*row, as_json(others, indent=None) if others else ""]


def _cell(item: Item, name: str) -> str:
    value = item.get(name)
    if value is None:
        return ""
    type_ = kind(value)
    if type_ == "S":
        return _safe(value["S"])
    if type_ in ("N", "BOOL", "NULL"):
        return shown(value)
    return as_json(value[type_], indent=None).strip('"')


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _lines(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
