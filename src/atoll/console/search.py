"""A user's search in a table, as a Query or Scan and as a PartiQL statement. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from atoll.console.values import BadValue, Value, read

OPERATORS = {
    "=": "=", "<>": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥", "between": "between", "begins_with": "begins with",
    "contains": "contains", "attribute_exists": "exists", "attribute_not_exists": "does not exist",
}  # fmt: skip
KEY_OPERATORS = {name: OPERATORS[name] for name in ("=", "<", "<=", ">", ">=", "between", "begins_with")}
_WITHOUT_VALUE = ("attribute_exists", "attribute_not_exists")
_IN_PARTIQL = {"attribute_exists": "IS NOT MISSING", "attribute_not_exists": "IS MISSING"}


@dataclass(frozen=True)
class Condition:
    name: str
    operator: str = "="
    type: str = "S"
    value: str = ""
    other: str = ""
    """The upper end of `between`."""

    def values(self) -> list[Value]:
        if self.operator in _WITHOUT_VALUE:
            return []
        texts = [self.value, self.other] if self.operator == "between" else [self.value]
        return [read(self.type, one, self.name) for one in texts]


@dataclass(frozen=True)
class Search:
    table: str
    index: str = ""
    partition: Condition | None = None
    """The partition key's condition of a Query; None means a Scan."""
    sort: Condition | None = None
    filters: tuple[Condition, ...] = ()
    descending: bool = False
    consistent: bool = False
    limit: int = 50

    @property
    def operation(self) -> str:
        return "scan" if self.partition is None else "query"

    def request(self) -> dict[str, Any]:
        """The parameters of the operation. Raises BadValue if a value cannot be read."""
        words = _Words()
        found: dict[str, Any] = {"TableName": self.table}
        if self.index:
            found["IndexName"] = self.index
        keys = [one for one in (self.partition, self.sort) if one is not None]
        if self.partition is not None:
            found["KeyConditionExpression"] = " AND ".join(map(words.condition, keys))
            if self.descending:
                found["ScanIndexForward"] = False
        if self.filters:
            found["FilterExpression"] = " AND ".join(map(words.condition, self.filters))
        if words.names:
            found["ExpressionAttributeNames"] = words.names
        if words.values:
            found["ExpressionAttributeValues"] = words.values
        if self.consistent:
            found["ConsistentRead"] = True
        return found | {"Limit": self.limit}

    def statement(self) -> str:
        """The search as a PartiQL statement."""
        source = identifier(self.table) + (f".{identifier(self.index)}" if self.index else "")
        conditions = [one for one in (self.partition, self.sort, *self.filters) if one is not None]
        where = f"\nWHERE {' AND '.join(map(_in_partiql, conditions))}" if conditions else ""
        order = ""
        if self.descending and self.partition is not None:
            name = self.partition.name if self.sort is None else self.sort.name
            order = f"\nORDER BY {identifier(name)} DESC"
        return f"SELECT * FROM {source}{where}{order}"

    def as_text(self) -> str:
        """The search as text for a URL."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_text(cls, table: str, text: str) -> Self:
        """The search from such a text; raises BadValue for another text. The table is always that of the page."""
        try:
            found = {"table": table, **json.loads(text)}
            one = cls(**found)
            filters = tuple(Condition(**each) for each in found.get("filters", ()))
            partition, sort = (None if each is None else Condition(**each) for each in (one.partition, one.sort))  # type: ignore[arg-type]
        except (ValueError, TypeError, AttributeError) as error:
            raise BadValue("the search in this URL is invalid") from error
        return replace(one, table=table, filters=filters, partition=partition, sort=sort)


@dataclass
class _Words:
    """Replaces names and values by placeholders, since a name may be a reserved word."""

    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)

    def condition(self, one: Condition) -> str:
        name = self._name(one.name)
        values = [self._value(value) for value in one.values()]
        if one.operator == "between":
            return f"{name} BETWEEN {values[0]} AND {values[1]}"
        if one.operator in ("begins_with", "contains", *_WITHOUT_VALUE):
            return f"{one.operator}({', '.join([name, *values])})"
        return f"{name} {one.operator} {values[0]}"

    def _name(self, name: str) -> str:
        known = next((word for word, one in self.names.items() if one == name), None)
        word = known or f"#n{len(self.names)}"
        self.names[word] = name
        return word

    def _value(self, value: Value) -> str:
        word = f":v{len(self.values)}"
        self.values[word] = value
        return word


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A value in PartiQL."""
    (type_, content), *_ = value.items()
    if type_ == "S":
        return "'" + str(content).replace("'", "''") + "'"
    if type_ == "N":
        return str(content)
    if type_ == "BOOL":
        return "true" if content else "false"
    if type_ == "NULL":
        return "null"
    if type_ == "M":
        return "{" + ", ".join(f"{literal({'S': name})}: {literal(one)}" for name, one in content.items()) + "}"
    if type_ == "L":
        return "[" + ", ".join(map(literal, content)) + "]"
    if type_ in ("SS", "NS"):
        return "<<" + ", ".join(literal({type_[0]: one}) for one in content) + ">>"
    raise BadValue("PartiQL has no binary literals: pass binaries as parameters")


def _in_partiql(one: Condition) -> str:
    name = identifier(one.name)
    values = [literal(value) for value in one.values()]
    if one.operator in _IN_PARTIQL:
        return f"{name} {_IN_PARTIQL[one.operator]}"
    if one.operator == "between":
        return f"{name} BETWEEN {values[0]} AND {values[1]}"
    if one.operator in ("begins_with", "contains"):
        return f"{one.operator}({name}, {values[0]})"
    return f"{name} {one.operator} {values[0]}"
