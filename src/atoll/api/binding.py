"""What a request asks for, beside its key and item: expressions, and what the answer is to tell."""

from __future__ import annotations

from typing import Any

from atoll.api.shapes import table_name as parse_table_name
from atoll.database.region import Region
from atoll.errors import requests as texts
from atoll.expressions.bind import Bindings
from atoll.expressions.condition import Condition
from atoll.expressions.projection import Projection
from atoll.expressions.update import Update
from atoll.model import values


def table_name(region: Region, body: dict[str, Any]) -> str:
    return resolve_table(region, body["TableName"])


def resolve_table(region: Region, given: str) -> str:
    """The table's name; a request may give its ARN instead, which has to be one of this region and account."""
    if ":" not in given:
        return given
    name, where, account = parse_table_name(given)
    if where not in (None, region.name) or account not in (None, region.settings.account):
        raise texts.foreign_table(given)
    return name


class Requested:
    """The expressions of one request, bound to its names and values. Ask for those the operation knows, then `finish`,
    which refuses names and values that nothing used."""

    __slots__ = ("_bindings", "_body", "capacity", "collection_metrics")

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        mode = body.get("ReturnConsumedCapacity")
        self.capacity: str | None = mode if mode in ("TOTAL", "INDEXES") else None
        self.collection_metrics = body.get("ReturnItemCollectionMetrics") == "SIZE"
        attribute_values = body.get("ExpressionAttributeValues")
        if attribute_values:
            for value in attribute_values.values():
                values.check_value(value)
        self._bindings = Bindings(body.get("ExpressionAttributeNames"), attribute_values)

    def condition(self, member: str = "ConditionExpression") -> Condition | None:
        text = self._body.get(member)
        return None if text is None else self._bindings.condition(text, member)

    def projection(self) -> Projection | None:
        text = self._body.get("ProjectionExpression")
        return None if text is None else self._bindings.projection(text)

    def update(self) -> Update | None:
        text = self._body.get("UpdateExpression")
        return None if text is None else self._bindings.update(text)

    def finish(self) -> None:
        self._bindings.finish()
