"""Write items to standard output: as a table on a terminal, as JSON lines elsewhere. Each page is written when it
arrives."""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from atoll.shell.values import Item, Value, cell, plain_item, printable
from atoll.shell.values import text as as_json

FORMS = ("table", "json", "dynamodb", "csv")
GAP = "  "
LEAST_WIDTH, MOST_WIDTH = 8, 60
MARKS = 4
"""The most characters of a column: combining marks take no space, so the width is no limit."""


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", choices=FORMS, default="",
        help="table (default on a terminal), json lines (default elsewhere), json lines with types as `atoll import` "
        "reads them (dynamodb), or csv",
    )  # fmt: skip


def form_of(options: argparse.Namespace) -> str:
    chosen: str = options.output or ("table" if sys.stdout.isatty() else "json")
    return chosen


class Output:
    """Writes items. `columns` come first; unless `only`, other attributes follow in the order of their appearance."""

    def __init__(self, form: str, columns: Sequence[str], *, only: bool = False, out: TextIO | None = None) -> None:
        self.form = form
        self.items = 0
        self._out = out or sys.stdout
        self._columns = list(columns)
        self._only = only
        self._header: list[str] | None = None
        self._left_out: dict[str, None] = {}

    def page(self, items: Sequence[Item]) -> None:
        self.items += len(items)
        match self.form:
            case "json":
                self._write(plain_item(item) for item in items)
            case "dynamodb":
                self._write(as_json({"Item": item}) for item in items)
            case "csv":
                self._csv(items)
            case _ if items:
                self._table(items)
        self._out.flush()

    def end(self) -> None:
        if self._left_out:
            names = printable(", ".join(self._left_out))
            print(f"atoll: attributes that the first page lacks were left out: {names}; --select names columns",
                  file=sys.stderr)  # fmt: skip
        if self.form == "table":
            self._write([f"{self.items:,} item{'' if self.items == 1 else 's'}"])
            self._out.flush()

    def _write(self, lines: Iterable[str]) -> None:
        self._out.write("".join([f"{line}\n" for line in lines]))

    def _names(self, items: Sequence[Item]) -> list[str]:
        found = dict.fromkeys(self._columns)
        if not self._only:
            for item in items:
                found |= dict.fromkeys(item)
        return list(found)

    def _csv(self, items: Sequence[Item]) -> None:
        writer = csv.writer(self._out, lineterminator="\n")
        clean = printable if self._out.isatty() else str
        if self._header is None:
            self._header = self._names(items)
            writer.writerow(map(clean, self._header))
        for item in items:
            writer.writerow([clean(cell(item.get(name))) for name in self._header])
            self._left_out |= dict.fromkeys(name for name in item if name not in self._header)

    def _table(self, items: Sequence[Item]) -> None:
        names = self._names(items)
        width = shutil.get_terminal_size().columns if self._out.isatty() else 0
        again = self._header == names
        self._header = names
        self._write(table(names, [[item.get(name) for name in names] for item in items], width, header=not again))


def table(
    names: Sequence[str], rows: Sequence[Sequence[Value | None]], width: int, *, header: bool = True
) -> list[str]:
    """Lines that are at most as wide as the terminal; 0: of any width."""
    cells = [[printable(cell(value)) for value in row] for row in rows]
    heads = [printable(name) for name in names]
    right = [all(value is None or "N" in value for value in column) for column in zip(*rows, strict=True)] or [
        False
    ] * len(names)
    widths = [max(_width(text) for text in column) for column in zip(heads, *cells, strict=True)]
    hidden = _fit(widths, width) if width else 0
    lines = (
        [_line(heads, widths, [False] * len(names)), _line(["-" * one for one in widths], widths, right)]
        if header
        else []
    )
    lines += [_line(row, widths, right) for row in cells]
    if hidden and header:
        lines.append(f"({hidden} more attribute{'' if hidden == 1 else 's'}: --output json, or --select)")
    return lines


def _fit(widths: list[int], width: int) -> int:
    """Narrow the widest columns, then drop the last ones. Returns how many were dropped."""
    there = len(widths)
    room = width - 1
    widths[:] = [min(one, MOST_WIDTH) if there > 1 else min(one, room) for one in widths]
    while _total(widths) > room and max(widths) > LEAST_WIDTH:
        widths[widths.index(max(widths))] -= 1
    while len(widths) > 1 and _total(widths) > room:
        widths.pop()
    return there - len(widths)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for text, width, to_right in zip(cells, widths, right, strict=False):
        text = _cut(text, width)
        space = " " * (width - _width(text))
        padded.append(space + text if to_right else text + space)
    return GAP.join(padded).rstrip()


def _cut(text: str, width: int) -> str:
    most = width * MARKS
    if len(text) <= most and _width(text) <= width:
        return text
    kept = text[:most]
    while _width(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"


def _width(text: str) -> int:
    """The width of a text on a terminal, in columns."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def rows_of(documents: Iterable[Mapping[str, Any]]) -> list[dict[str, Value]]:
    """Python's values as attribute values, so that they are shown like items."""
    return [{name: _value(one) for name, one in document.items() if one is not None} for document in documents]


def _value(one: Any) -> Value:
    return {"N": str(one)} if isinstance(one, int) and not isinstance(one, bool) else {"S": str(one)}
