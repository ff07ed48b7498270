"""Expressions as a client would write them, with their names and values, from one random source.

A `Writer` belongs to one request: it collects the placeholders that its expressions use. In `wild` percent of the
cases an operand has another type than the operator wants.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

from tests.differential.values import BY_TYPE, MISSING_PATHS, PATHS, TYPES, Value, anything, chance, some

COMPARATORS = ["=", "<>", "<", "<=", ">", ">="]
ORDERED = ["N", "S", "B"]
SECTIONS = [
    *([name] for name in ("SET", "SET", "SET", "SET", "REMOVE", "ADD", "DELETE")),
    ["SET", "REMOVE"],
    ["ADD", "SET"],
    ["REMOVE", "DELETE", "ADD"],
]
ALL_PATHS = [path for paths in PATHS.values() for path in paths]
# Of one list and of one map.
PARTS = [
    "l[0]",
    "l[1]",
    "l[2].a",
    "l[2].n",
    "l[2].ss",
    "l[3][0]",
    "l[3][1]",
    "l[4]",
    "m.a",
    "m.l[0]",
    "m.l[2].n",
    "m.m.n",
]
REPEATED = ["SET", "REMOVE", "SET"]


class Writer:
    def __init__(
        self, random: Random, *, wild: int = 10, keys: tuple[str, ...] = (), only: frozenset[str] = frozenset()
    ) -> None:
        self.random = random
        self.wild = wild
        self.keys = keys  # may be named as well
        self.only = only  # the attributes that may be named, if not all
        self.names: dict[str, str] = {}
        self.values: dict[str, Value] = {}
        self._changed: set[str] = set()  # top-level attributes that an update already changes

    def placeholders(self) -> dict[str, Any]:
        """The request's members for what was used."""
        members: dict[str, Any] = {}
        if self.names:
            members["ExpressionAttributeNames"] = self.names
        if self.values:
            members["ExpressionAttributeValues"] = self.values
        return members

    # Operands

    def name(self, attribute: str) -> str:
        if not re.fullmatch(r"[a-z]\w*", attribute) or chance(self.random, 20):
            placeholder = "#" + re.sub(r"\W", "_", attribute)
            self.names[placeholder] = attribute
            return placeholder
        return attribute

    def path(self, kind: str | None = None) -> str:
        if chance(self.random, 8):
            found = self.random.choice(MISSING_PATHS)
        elif self.keys and chance(self.random, 8):
            found = self.random.choice(list(self.keys))
        else:
            found = self.random.choice(PATHS[self._kind(kind)])
        if self.only and re.split(r"[.\[]", found)[0] not in self.only:
            found = self.random.choice([path for path in ALL_PATHS if re.split(r"[.\[]", path)[0] in self.only])
        return self.spell(found)

    def spell(self, path: str) -> str:
        """`m.l[1]` with each name spelled out or as a placeholder."""
        return ".".join(
            self.name(name) + indices
            for name, indices in (re.fullmatch(r"([^\[]*)(.*)", part).groups() for part in path.split("."))  # type: ignore[union-attr]
        )

    def value(self, kind: str | None = None) -> str:
        return self.bind(BY_TYPE[self._kind(kind)](self.random))

    def bind(self, value: Value) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder

    def operand(self, kind: str) -> str:
        if kind == "N" and chance(self.random, 15):
            return f"size({self.path(self.random.choice(TYPES))})"
        return self.path(kind) if chance(self.random, 50) else self.value(kind)

    def _kind(self, kind: str | None) -> str:
        return self.random.choice(TYPES) if kind is None or chance(self.random, self.wild) else kind

    # Conditions and filters

    def condition(self, depth: int = 2) -> str:
        if depth == 0 or chance(self.random, 55):
            return self._predicate()
        form = self.random.choice(["AND", "OR", "NOT", "paren", "and", "Or"])
        if form == "NOT":
            return f"NOT {self.condition(depth - 1)}"
        if form == "paren":
            return f"({self.condition(depth - 1)})"
        return f"{self.condition(depth - 1)} {form} {self.condition(depth - 1)}"

    def _predicate(self) -> str:
        forms = ["compare"] * 4 + ["exists", "not_exists", "type", "begins", "contains", "contains", "between", "in"]
        form = self.random.choice(forms)
        if form == "compare":
            return self._comparison()
        if form == "exists":
            return f"attribute_exists({self.path()})"
        if form == "not_exists":
            return f"attribute_not_exists({self.path()})"
        if form == "type":
            return f"attribute_type({self.path()}, {self.bind({'S': self.random.choice(TYPES)})})"
        if form == "begins":
            kind = self.random.choice(["S", "B"])
            return f"begins_with({self.path(kind)}, {self.value(kind)})"
        if form == "contains":
            container, element = self.random.choice(
                [("S", "S"), ("SS", "S"), ("NS", "N"), ("BS", "B"), ("L", "N"), ("L", "S"), ("L", "M"), ("B", "B")],
            )
            return f"contains({self.path(container)}, {self.operand(element)})"
        kind = self.random.choice(ORDERED)
        if form == "between":
            return f"{self.operand(kind)} BETWEEN {self.operand(kind)} AND {self.operand(kind)}"
        operands = ", ".join(self.operand(kind) for _ in range(self.random.choice([1, 2, 3])))
        return f"{self.operand(kind)} IN ({operands})"

    def _comparison(self) -> str:
        comparator = self.random.choice(COMPARATORS)
        kind = self.random.choice(TYPES if comparator in ("=", "<>") else ORDERED)
        left = self.path(kind) if chance(self.random, 80) else self.operand(kind)
        return f"{left} {comparator} {self.operand(kind)}"

    # Projections

    def projection(self) -> str:
        """Now and then many parts of one document."""
        if chance(self.random, 25):
            return ", ".join(map(self.spell, some(self.random, PARTS, 3, 6)))
        return ", ".join(self.path() for _ in range(self.random.choice([1, 1, 2, 2, 3])))

    # Updates

    def update(self) -> str:
        sections = REPEATED if chance(self.random, 2) else self.random.choice(SECTIONS)
        return " ".join(self._section(section) for section in sections)

    def _section(self, section: str) -> str:
        actions = {"SET": self._set, "REMOVE": self.target, "ADD": self._add, "DELETE": self._delete}
        keyword = section if chance(self.random, 90) else section.lower()
        return f"{keyword} " + ", ".join(actions[section]() for _ in range(self.random.choice([1, 1, 1, 2, 3])))

    def target(self, kind: str | None = None) -> str:
        """A path to change; seldom one that overlaps another of the same update."""
        paths = PATHS[self._kind(kind)]
        free = [path for path in paths if re.split(r"[.\[]", path)[0] not in self._changed]
        if not free or chance(self.random, 6):
            return self.path(kind)
        path = self.random.choice(free)
        self._changed.add(re.split(r"[.\[]", path)[0])
        return self.spell(path)

    def _set(self) -> str:
        form = self.random.choice(
            ["value", "value", "path", "plus", "minus", "if_not_exists", "list_append", "counter"]
        )
        if form in ("plus", "minus", "counter"):
            target = self.target("N")
            first = f"if_not_exists({target}, {self.value('N')})" if form == "counter" else self._set_operand("N")
            return f"{target} = {first} {'-' if form == 'minus' else '+'} {self._set_operand('N')}"
        if form == "list_append":
            return f"{self.target('L')} = list_append({self._set_operand('L')}, {self._set_operand('L')})"
        kind = self.random.choice(TYPES)
        target = self.target(kind)
        if form == "if_not_exists":
            return f"{target} = if_not_exists({self.path(kind)}, {self._set_operand(kind)})"
        if form == "path":
            return f"{target} = {self.path(kind)}"
        return f"{target} = {self.bind(anything(self.random)) if chance(self.random, 20) else self.value(kind)}"

    def _set_operand(self, kind: str, depth: int = 2) -> str:
        if depth and chance(self.random, 15):
            return f"if_not_exists({self.path(kind)}, {self._set_operand(kind, depth - 1)})"
        if depth and kind == "L" and chance(self.random, 15):
            return f"list_append({self._set_operand('L', depth - 1)}, {self._set_operand('L', depth - 1)})"
        return self.path(kind) if chance(self.random, 50) else self.value(kind)

    def _add(self) -> str:
        kind = self.random.choice(["N", "N", "SS", "NS", "BS"])
        return f"{self.target(kind)} {self.value(kind)}"

    def _delete(self) -> str:
        kind = self.random.choice(["SS", "NS", "BS"])
        return f"{self.target(kind)} {self.value(kind)}"
