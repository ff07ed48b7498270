"""The PartiQL family: statements over the same tables, alone, in batches and in transactions."""

from __future__ import annotations

from typing import Any

from differential.single import all_items
from differential.syntax import texts
from differential.tables import INDEXED, PLAIN, RANGED, Step, Table
from differential.values import BY_TYPE, PATHS, TYPICAL, Draw, Value, anything, chance, one_of, typical
from hypothesis import strategies as st

Body = dict[str, Any]
USED = [PLAIN, RANGED, INDEXED]


class Statement:
    """Values become parameters or literals."""

    def __init__(self, draw: Draw[Any]) -> None:
        self.draw = draw
        self.parameters: list[Value] = []

    def value(self, value: Value) -> str:
        literal = self._literal(value) if chance(self.draw, 50) else None
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

    def table(self, table: Table) -> str:
        return f'"{table.name}"' if chance(self.draw, 70) else table.name

    def key(self, table: Table, the_key: Body) -> str:
        return " AND ".join(f"{name} = {self.value(value)}" for name, value in the_key.items())

    def path(self, kind: str) -> str:
        return self.quote(one_of(self.draw, PATHS[kind] if chance(self.draw, 90) else ["gone", "m.gone"]))

    def quote(self, path: str) -> str:
        return (
            path.replace("x-y", '"x-y"')
            if "x-y" in path or chance(self.draw, 85)
            else ".".join(f'"{part}"' if "[" not in part else part for part in path.split("."))
        )

    def predicate(self) -> str:
        form = one_of(
            self.draw, ["compare"] * 4 + ["between", "in", "begins", "contains", "missing", "type", "exists", "size"]
        )
        kind = one_of(self.draw, ["S", "N", "B"])
        path = self.path(kind)

        def value() -> str:
            return self.value(self.draw(anything if chance(self.draw, 4) else BY_TYPE[kind]))

        if form == "compare":
            return f"{path} {one_of(self.draw, ['=', '<>', '!=', '<', '<=', '>', '>='])} {value()}"
        if form == "between":
            return f"{path} BETWEEN {value()} AND {value()}"
        if form == "in":
            return f"{path} IN [{value()}, {value()}]" if chance(self.draw, 50) else f"{path} IN ({value()})"
        if form == "begins":
            return f"begins_with({path}, {value()})"
        if form == "contains":
            return f"contains({path}, {value()})"
        if form == "missing":
            return f"{path} IS {one_of(self.draw, ['MISSING', 'NOT MISSING', 'NULL', 'NOT NULL'])}"
        if form == "type":
            return f"attribute_type({path}, {self.value({'S': kind})})"
        if form == "exists":
            return f"{one_of(self.draw, ['attribute_exists', 'attribute_not_exists'])}({path})"
        return f"size({path}) {one_of(self.draw, ['=', '<', '>'])} {self.value({'N': '1'})}"

    def condition(self, depth: int = 1) -> str:
        if depth == 0 or chance(self.draw, 60):
            return self.predicate()
        form = one_of(self.draw, ["AND", "OR", "NOT"])
        if form == "NOT":
            return f"NOT ({self.condition(depth - 1)})"
        return f"({self.condition(depth - 1)} {form} {self.condition(depth - 1)})"


def insert(draw: Draw[Any], table: Table) -> Body:
    statement = Statement(draw)
    item = table.item(draw, most=3)
    members = ", ".join(f"'{name}': {statement.value(value)}" for name, value in item.items())
    text = f"INSERT INTO {statement.table(table)} VALUE {{{members}}}"
    return statement.body(text)


def update(draw: Draw[Any], table: Table) -> Body:
    statement = Statement(draw)
    clauses = []
    for _ in range(draw(st.integers(1, 2))):
        name = one_of(draw, [name for name in TYPICAL if name != "x-y"])
        form = one_of(draw, ["set", "set", "plus", "remove", "append", "add", "delete"])
        if form == "set":
            clauses.append(f"SET {name} = {statement.value(typical(draw, name, 10))}")
        elif form == "plus":
            clauses.append(f"SET n = n {one_of(draw, ['+', '-'])} {statement.value(draw(BY_TYPE['N']))}")
        elif form == "remove":
            clauses.append(f"REMOVE {statement.path(one_of(draw, list(PATHS)))}")
        elif form == "append":
            clauses.append(f"SET l = list_append(l, {statement.value(draw(BY_TYPE['L']))})")
        else:
            function = {"add": "set_add", "delete": "set_delete"}[form]
            clauses.append(f"SET ss = {function}(ss, {statement.value(draw(BY_TYPE['SS']))})")
    where = statement.key(table, one_of(draw, table.keys))
    if chance(draw, 25):
        where += f" AND {statement.condition(0)}"
    return statement.body(f"UPDATE {statement.table(table)} {' '.join(clauses)} WHERE {where}{returning(draw)}")


def delete(draw: Draw[Any], table: Table) -> Body:
    statement = Statement(draw)
    where = statement.key(table, one_of(draw, table.keys))
    if chance(draw, 25):
        where += f" AND {statement.condition(0)}"
    old = " RETURNING ALL OLD *" if chance(draw, 40) else ""
    return statement.body(f"DELETE FROM {statement.table(table)} WHERE {where}{old}")


def returning(draw: Draw[Any]) -> str:
    if not chance(draw, 50):
        return ""
    return f" RETURNING {one_of(draw, ['ALL', 'MODIFIED'])} {one_of(draw, ['OLD', 'NEW'])} *"


def select(draw: Draw[Any], table: Table, *, single: bool = False) -> Body:
    statement = Statement(draw)
    columns = (
        "*"
        if chance(draw, 60)
        else ", ".join(statement.path(one_of(draw, list(PATHS))) for _ in range(draw(st.integers(1, 2))))
    )
    source = statement.table(table)
    if table.indexes and not single and chance(draw, 50):
        source = f'"{table.name}"."{one_of(draw, list(table.indexes)).name}"'
    text = f"SELECT {columns} FROM {source}"
    where = []
    if single or chance(draw, 70):
        the_key = one_of(draw, table.keys)
        if not single and chance(draw, 40):
            the_key = {"pk": the_key["pk"]}
        where.append(statement.key(table, the_key))
    if not single and chance(draw, 50):
        where.append(statement.condition())
    if where:
        text += " WHERE " + " AND ".join(where)
    if not single and where and table.sort and chance(draw, 15):
        text += f" ORDER BY {table.sort} {one_of(draw, ['ASC', 'DESC'])}"
    return statement.body(text)


TEXTS = texts("statements")


@st.composite
def statements(draw: Draw[Any]) -> list[Step]:
    steps = [table.contents(draw, most=5) for table in USED]
    for _ in range(draw(st.integers(1, 8))):
        steps.append(_request(draw))
    return [*steps, *(all_items(table) for table in USED)]


def _request(draw: Draw[Any]) -> Step:
    if chance(draw, 10):
        return Step("ExecuteStatement", {"Statement": one_of(draw, TEXTS)}, unordered=True)
    kinds = [insert, update, delete]
    kind = one_of(draw, ["one", "one", "read", "read", "batch", "transaction"])
    if kind == "read":
        return Step("ExecuteStatement", select(draw, one_of(draw, USED)), unordered=True)
    if kind == "one":
        return Step("ExecuteStatement", one_of(draw, kinds)(draw, one_of(draw, USED)))
    count = draw(st.integers(1, 3))
    if chance(draw, 40):
        bodies = [select(draw, one_of(draw, USED), single=True) for _ in range(count)]
    else:
        bodies = [one_of(draw, kinds)(draw, one_of(draw, USED)) for _ in range(count)]
    if kind == "batch":
        return Step("BatchExecuteStatement", {"Statements": bodies})
    return Step("ExecuteTransaction", {"TransactStatements": bodies})
