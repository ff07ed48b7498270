"""The PartiQL family: statements over the same tables, alone, in batches and in transactions."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.differential.queries import key_value
from tests.differential.single import all_items
from tests.differential.syntax import texts
from tests.differential.tables import INDEXED, PLAIN, RANGED, Step, Table
from tests.differential.values import BY_TYPE, PATHS, TYPES, TYPICAL, Value, anything, chance, some, typical

Body = dict[str, Any]
USED = [PLAIN, RANGED, INDEXED]
PARTITION_FORMS = ["="] * 8 + ["IN", "OR", ">", "begins_with"]
SORT_FORMS = ["=", "<", "<=", ">", ">=", "BETWEEN", "BETWEEN", "begins_with", "IN", "OR", "<>"]


class Statement:
    """Values become parameters or literals."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.parameters: list[Value] = []

    def value(self, value: Value) -> str:
        literal = self._literal(value) if chance(self.random, 50) else None
        if literal is not None:
            return literal
        self.parameters.append(value)
        return "?"

    def _literal(self, value: Value) -> str | None:
        ((kind, content),) = value.items()
        if kind == "S":
            return "'" + str(content).replace("'", "''") + "'"
        if kind == "N":
            return str(content)
        if kind == "BOOL":
            return str(content).lower()
        if kind == "NULL":
            return "null"
        if kind in ("L", "M", "SS", "NS"):
            return self._collection(kind, content)
        return None

    def _collection(self, kind: str, content: Any) -> str | None:
        elements = (
            [{kind[0]: c} for c in content]
            if kind in ("SS", "NS")
            else content
            if kind == "L"
            else list(content.values())
        )
        literals = [self._literal(element) for element in elements]
        known = [literal for literal in literals if literal is not None]
        if len(known) < len(literals):
            return None
        if kind == "M":
            return "{" + ", ".join(f"'{name}': {literal}" for name, literal in zip(content, known, strict=True)) + "}"
        opening, closing = ("[", "]") if kind == "L" else ("<<", ">>")
        return opening + ", ".join(known) + closing

    def body(self, text: str) -> Body:
        body: Body = {"Statement": text}
        return body | {"Parameters": self.parameters} if self.parameters else body

    # Clauses

    def columns(self, keys: Sequence[str] = ()) -> str:
        if chance(self.random, 60):
            return "*"
        paths = [self.path(self.random.choice(TYPES)) for _ in range(self.random.randint(1, 2))]
        return ", ".join([*(keys if chance(self.random, 60) else ()), *paths])

    def order(self, partition: str, sort: str | None) -> str:
        usual = [name for name in (sort, partition) if name]
        names = usual[:1] if chance(self.random, 70) else some(self.random, [*usual, "pk", "sk", "n"], 1, 2)
        return ", ".join(name + self.random.choice(["", " ASC", " DESC", " DESC", " desc"]) for name in names)

    def key_condition(self, table: Table, name: str, forms: Sequence[str]) -> str:
        def value() -> str:
            return self.value(key_value(self.random, table, name))

        form = self.random.choice(forms)
        if form == "BETWEEN":
            return f"{name} BETWEEN {value()} AND {value()}"
        if form == "IN":
            return f"{name} IN [{value()}, {value()}]"
        if form == "OR":
            return f"({name} = {value()} OR {name} = {value()})"
        if form == "begins_with":
            return f"begins_with({name}, {value()})"
        return f"{name} {form} {value()}"

    def table(self, table: Table) -> str:
        return f'"{table.name}"' if chance(self.random, 70) else table.name

    def key(self, table: Table, the_key: Body) -> str:
        return " AND ".join(f"{name} = {self.value(value)}" for name, value in the_key.items())

    def path(self, kind: str) -> str:
        return self.quote(self.random.choice(PATHS[kind] if chance(self.random, 90) else ["gone", "m.gone"]))

    def quote(self, path: str) -> str:
        return (
            path.replace("x-y", '"x-y"')
            if "x-y" in path or chance(self.random, 85)
            else ".".join(f'"{part}"' if "[" not in part else part for part in path.split("."))
        )

    def predicate(self) -> str:
        form = self.random.choice(
            ["compare"] * 4 + ["between", "in", "begins", "contains", "missing", "type", "exists", "size", "truth"]
        )
        kind = self.random.choice(["S", "N", "B"])
        path = self.path(kind)

        def value() -> str:
            return self.value(anything(self.random) if chance(self.random, 4) else BY_TYPE[kind](self.random))

        if form == "compare":
            return f"{path} {self.random.choice(['=', '<>', '!=', '<', '<=', '>', '>='])} {value()}"
        if form == "between":
            return f"{path} BETWEEN {value()} AND {value()}"
        if form == "in":
            return f"{path} IN [{value()}, {value()}]" if chance(self.random, 50) else f"{path} IN ({value()})"
        if form == "begins":
            return f"begins_with({path}, {value()})"
        if form == "contains":
            return f"contains({path}, {value()})"
        if form == "missing":
            types = [
                "MISSING",
                "NULL",
                "BOOL",
                "STRING",
                "NUMERIC",
                "BLOB",
                "STRUCT",
                "LIST",
                "INT",
                "VARCHAR(5)",
                "BAG",
            ]
            return f"{path} IS {'NOT ' if chance(self.random, 30) else ''}{self.random.choice(types)}"
        if form == "truth":
            truth = self.random.choice(["true", "false", "true", self.value({"BOOL": True}), "t", "gone", "a"])
            return f"attribute_exists({path}) {self.random.choice(['=', '=', '<>', '<'])} {truth}"
        if form == "type":
            return f"attribute_type({path}, {self.value({'S': kind})})"
        if form == "exists":
            return f"{self.random.choice(['attribute_exists', 'attribute_not_exists'])}({path})"
        return f"size({path}) {self.random.choice(['=', '<', '>'])} {self.value({'N': '1'})}"

    def condition(self, depth: int = 1) -> str:
        if depth == 0 or chance(self.random, 60):
            return self.predicate()
        form = self.random.choice(["AND", "OR", "NOT"])
        if form == "NOT":
            return f"NOT ({self.condition(depth - 1)})"
        return f"({self.condition(depth - 1)} {form} {self.condition(depth - 1)})"


def insert(random: Random, table: Table) -> Body:
    statement = Statement(random)
    item = table.item(random, most=3)
    members = ", ".join(f"'{name}': {statement.value(value)}" for name, value in item.items())
    text = f"INSERT INTO {statement.table(table)} VALUE {{{members}}}"
    return statement.body(text)


def update(random: Random, table: Table) -> Body:
    statement = Statement(random)
    clauses = []
    for _ in range(random.randint(1, 2)):
        name = random.choice([name for name in TYPICAL if name != "x-y"])
        form = random.choice(["set", "set", "plus", "remove", "append", "add", "delete"])
        if form == "set":
            clauses.append(f"SET {name} = {statement.value(typical(random, name, 10))}")
        elif form == "plus":
            clauses.append(f"SET n = n {random.choice(['+', '-'])} {statement.value(BY_TYPE['N'](random))}")
        elif form == "remove":
            clauses.append(f"REMOVE {statement.path(random.choice(list(PATHS)))}")
        elif form == "append":
            clauses.append(f"SET l = list_append(l, {statement.value(BY_TYPE['L'](random))})")
        else:
            function = {"add": "set_add", "delete": "set_delete"}[form]
            clauses.append(f"SET ss = {function}(ss, {statement.value(BY_TYPE['SS'](random))})")
    where = statement.key(table, random.choice(table.keys))
    if chance(random, 25):
        where += f" AND {statement.condition(0)}"
    return statement.body(f"UPDATE {statement.table(table)} {' '.join(clauses)} WHERE {where}{returning(random)}")


def delete(random: Random, table: Table) -> Body:
    statement = Statement(random)
    where = statement.key(table, random.choice(table.keys))
    if chance(random, 25):
        where += f" AND {statement.condition(0)}"
    old = " RETURNING ALL OLD *" if chance(random, 40) else ""
    return statement.body(f"DELETE FROM {statement.table(table)} WHERE {where}{old}")


def returning(random: Random) -> str:
    if not chance(random, 50):
        return ""
    return f" RETURNING {random.choice(['ALL', 'MODIFIED'])} {random.choice(['OLD', 'NEW'])} *"


def get(random: Random, table: Table) -> Body:
    """One item by its key: what batches and transactions read."""
    statement = Statement(random)
    where = statement.key(table, random.choice(table.keys))
    return statement.body(f"SELECT {statement.columns()} FROM {statement.table(table)} WHERE {where}")


def select(random: Random, table: Table) -> Step:
    statement = Statement(random)
    index = random.choice(table.indexes) if table.indexes and chance(random, 70) else None
    partition, sort = (index.partition, index.sort) if index else (table.partition, table.sort)
    where = []
    if chance(random, 75):
        where.append(statement.key_condition(table, partition, PARTITION_FORMS))
    if sort is not None and chance(random, 50):
        where.append(statement.key_condition(table, sort, SORT_FORMS))
    if chance(random, 30):
        where.append(statement.condition())
    if chance(random, 10):
        where.append(statement.key(table, random.choice(table.keys)))
    if chance(random, 20):
        random.shuffle(where)
    keys = [name for name in (partition, sort) if name]
    columns = statement.columns(keys)
    text = f"SELECT {columns} FROM {statement.table(table)}" + (f'."{index.name}"' if index else "")
    if where:
        text += " WHERE " + " AND ".join(where)
    is_ordered = chance(random, 40)
    if is_ordered:
        text += f" ORDER BY {statement.order(partition, sort)}"
    body = statement.body(text)
    if not is_ordered or (columns != "*" and not columns.startswith(", ".join(keys))):
        if not is_ordered and chance(random, 30):  # of an ordered result DynamoDB Local orders each page for itself
            body["Limit"] = random.choice([1, 2, 3, 10])
        return Step("ExecuteStatement", body, walk=True, unordered=True)
    # No server promises an order of partitions, nor among items that are equal in an index's key.
    return Step("ExecuteStatement", body, within=partition, ties=sort or partition if index else None)


TEXTS = texts("statements")


def statements(random: Random) -> list[Step]:
    steps = [table.contents(random, most=5) for table in USED]
    for _ in range(random.randint(1, 8)):
        steps.append(_request(random))
    return [*steps, *(all_items(table) for table in USED)]


def _request(random: Random) -> Step:
    if chance(random, 10):
        return Step("ExecuteStatement", {"Statement": random.choice(TEXTS)}, unordered=True)
    kinds = [insert, update, delete]
    kind = random.choice(["one", "one", "read", "read", "batch", "transaction"])
    if kind == "read":
        return select(random, random.choice([PLAIN, RANGED, INDEXED, INDEXED]))
    if kind == "one":
        return Step("ExecuteStatement", random.choice(kinds)(random, random.choice(USED)))
    count = random.randint(1, 3)
    if chance(random, 40):
        bodies = [get(random, random.choice(USED)) for _ in range(count)]
    else:
        bodies = [random.choice(kinds)(random, random.choice(USED)) for _ in range(count)]
    if kind == "batch":
        return Step("BatchExecuteStatement", {"Statements": bodies})
    return Step("ExecuteTransaction", {"TransactStatements": bodies})
