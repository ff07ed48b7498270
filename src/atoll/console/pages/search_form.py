"""The form of a query or scan, on the page of items."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui.element import Element

from atoll.console.search import KEY_OPERATORS, OPERATORS, Condition, Search
from atoll.console.shell import View
from atoll.console.values import KEY_TYPES
from atoll.console.widgets import Field, box, button, section

TYPES = {**KEY_TYPES, "BOOL": "Boolean", "NULL": "Null"}
PAGE_SIZES = ("25", "50", "100", "250")


def key_names(description: dict[str, Any]) -> list[str]:
    """The names of a table's or an index's key, the partition key first."""
    return [one["AttributeName"] for one in sorted(description["KeySchema"], key=lambda one: one["KeyType"])]


class _Row:
    """The controls of one condition."""

    def __init__(
        self,
        form: SearchForm,
        label: str,
        operators: dict[str, str],
        *,
        fixed: bool,
        gone: Callable[[_Row], None] | None = None,
    ) -> None:
        self.element: Element = box("row")
        self._fixed = fixed
        with self.element:
            self.name = Field(label, readonly=fixed, width="200px", enter=form.submit)
            self.operator = Field("Condition", "=", "select", operators, width="130px", change=self._fit)
            self.type = Field("Type", "S", "select", TYPES, width="110px", disabled=fixed)
            self.value = Field("Value", width="240px", enter=form.submit)
            self.other = Field("and", width="180px", enter=form.submit)
            if gone is not None:
                button("Remove", lambda: gone(self), "small")
        self._fit()

    def _fit(self) -> None:
        if hasattr(self, "other"):
            self.other.set_visibility(self.operator.value == "between")
            self.value.set_visibility(not str(self.operator.value).startswith("attribute_"))

    def show(self, one: Condition) -> None:
        for field, value in zip((self.name, self.operator, self.type, self.value, self.other),
                                (one.name, one.operator, one.type, one.value, one.other), strict=True):  # fmt: skip
            field.show(value)
        self._fit()

    @property
    def condition(self) -> Condition:
        return Condition(
            self.name.text,
            self.operator.value,
            self.type.value,
            str(self.value.value or ""),
            str(self.other.value or ""),
        )

    @property
    def is_empty(self) -> bool:
        return self.name.text == ""


class SearchForm:
    """`run` gets the search when the user submits the form."""

    def __init__(self, view: View, table: dict[str, Any], run: Callable[[Search], Awaitable[None]]) -> None:
        self._table = view.table
        self._run = run
        self._types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        indexes = [*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())]
        self._keys = {"": key_names(table), **{one["IndexName"]: key_names(one) for one in indexes}}
        self._filters: list[_Row] = []
        self._ready = False
        with section("Search"):
            with box("row"):
                self._way = Field("Operation", "scan", "choice", {"scan": "Scan", "query": "Query"}, change=self._fit)
                names = {"": "the table", **{name: name for name in self._keys if name}}
                self._index = Field("In", "", "select", names, width="200px", change=self._fit)
                self._limit = Field("Page", "50", "select", PAGE_SIZES, width="80px")
                self._consistent = Field("Consistent read", False, "checkbox")
                self._descending = Field("Descending", False, "checkbox")
            self._partition = _Row(self, "Partition key", {"=": "="}, fixed=True)
            self._sort = _Row(self, "Sort key", KEY_OPERATORS, fixed=True)
            self._rows = box("stack")
            with box("actions"):
                button("Run", self.submit, "primary")
                button("Add filter", lambda: self._add())
        self._ready = True
        self._fit()

    def _add(self, one: Condition | None = None) -> None:
        def remove(row: _Row) -> None:
            self._filters.remove(row)
            row.element.delete()

        with self._rows:
            row = _Row(self, "Attribute", OPERATORS, fixed=False, gone=remove)
        if one is not None:
            row.show(one)
        self._filters.append(row)

    def _fit(self) -> None:
        """Show the controls that the operation has."""
        if not self._ready:
            return
        queries = self._way.value == "query"
        key = self._keys[self._index.value]
        for row, name in ((self._partition, key[0]), (self._sort, key[1] if len(key) > 1 else "")):
            row.element.set_visibility(queries and bool(name))
            row.name.show(name)
            row.type.show(self._types.get(name, "S"))
        self._descending.set_visibility(queries)

    def show(self, search: Search) -> None:
        self._way.show(search.operation)
        self._index.show(search.index if search.index in self._keys else "")
        self._limit.show(str(search.limit))
        self._consistent.show(search.consistent)
        self._descending.show(search.descending)
        self._fit()
        for row, one in ((self._partition, search.partition), (self._sort, search.sort)):
            if one is not None:
                row.show(one)
        for each in search.filters:
            self._add(each)

    @property
    def search(self) -> Search:
        queries = self._way.value == "query"
        sort = self._sort.condition
        return Search(
            self._table,
            self._index.value,
            self._partition.condition if queries else None,
            sort if queries and sort.name and sort.value else None,
            tuple(row.condition for row in self._filters if not row.is_empty),
            bool(self._descending.value) and queries,
            bool(self._consistent.value),
            int(self._limit.value),
        )

    async def submit(self) -> None:
        await self._run(self.search)
