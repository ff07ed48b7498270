"""The FilterSpecification of an export: it selects items, and attributes of them."""

from __future__ import annotations

from typing import Any

import orjson

from atoll.database.rows import Row
from atoll.expressions import bind
from atoll.expressions.condition import Condition
from atoll.expressions.projection import PathProjection
from atoll.model.values import Item


class Filter:
    """Raises the service's error for an invalid specification."""

    def __init__(self, specification: dict[str, Any] | None) -> None:
        self._conditions: list[Condition] = []
        self._projection: PathProjection | None = None
        if specification is None:
            return
        bindings = bind.bindings(specification)
        for kind in ("KeyConditionExpression", "FilterExpression"):
            if kind in specification:  # a key condition is a condition, too
                self._conditions.append(bindings.condition(specification[kind], kind))
        if "ProjectionExpression" in specification:
            self._projection = bindings.projection(specification["ProjectionExpression"])
        bindings.finish()

    def matches(self, item: Item) -> bool:
        return all(condition.matches(item) for condition in self._conditions)

    def project(self, item: Item) -> Item:
        return item if self._projection is None else self._projection.apply(item)

    def apply(self, row: Row) -> bytes | None:
        """The JSON of the item as the export has it; None if it leaves the item out."""
        if not self._conditions and self._projection is None:
            return row.json
        item = row.item
        return orjson.dumps(self.project(item)) if self.matches(item) else None
