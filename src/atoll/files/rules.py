"""Rules that replace personal data while files are imported. No original value that a rule matches reaches the table.

    key = "env:RULES_KEY"                  # or a file: the secret of hashes and fakes

    [tables.Users]                         # a name, or a pattern such as "Users-*"
    others = "keep"                        # attributes without a rule: keep (default), hash or drop

    [tables.Users.rules]                   # by the path of the attribute
    pk = { split = "#", parts = ["keep", "hash"] }
    email = "fake email"
    "address.street" = "fake street"
    "cards[*].number" = "hash"
    note = { replace = "..." }
    ssn = "drop"

A hash or fake depends on the value, its type and the key, not on the table or the attribute. So references between
items and tables stay valid. An action on a map, a list or a set applies to each value in it; drop and replace apply to
it as a whole.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from atoll.files.fakes import FAKES, UNIQUE, Value, fake, hashed
from atoll.files.items import Invalid, Item, from_plain
from atoll.options import Refused

KEY_CHARACTERS = 16
ANY = None
"""The part of a path that stands for every member of a map or a list."""

_PART = re.compile(r"`([^`]+)`|\[(\d+|\*)\]|([^.\[\]`]+)")

AttributePath = tuple[str | int | None, ...]
Change = Callable[[Value], Value | None]
"""Returns the replacement of a value; None drops it."""


@dataclass(frozen=True)
class Action:
    change: Change
    unique: str = ""
    """The types for which different values stay different; keys may have only such actions."""
    whole: bool = False
    """Whether it changes a map, a list or a set as a whole, and not each value in it."""

    def on(self, value: Value) -> Value | None:
        return self.change(value) if self.whole else _each(value, self.change)


Rule = tuple[AttributePath, str, Action]
"""The rest of the path, the whole path as text, and the action."""


class Rules:
    """The rules of a table. `unused` are the paths that matched nothing so far."""

    def __init__(self, rules: Mapping[str, Action], others: Action, keys: Mapping[str, str]) -> None:
        self.unused = dict.fromkeys(rules)
        self._rules = [(_path(text), text, action) for text, action in rules.items()]
        self._others = others
        for name, type_ in keys.items():
            self._check_key(name, type_)

    def _check_key(self, name: str, type_: str) -> None:
        found = [(text, action) for path, text, action in self._rules if len(path) == 1 and path[0] in (name, ANY)]
        text, action = found[0] if found else ("others", self._others)
        if type_ not in action.unique:
            allowed = "keep, hash, fake email, fake uuid, or split with these" if type_ == "S" else "keep or hash"
            raise Refused(f"--rules: {text} changes {name} of the table's key so that different items could become one:"
                          f" use {allowed}")  # fmt: skip

    def changed(self, item: Item) -> Item:
        return self._members(item, self._rules)

    def _members(self, members: Mapping[str, Value], rules: Sequence[Rule]) -> Item:
        new = {name: self._value(value, _below(rules, name)) for name, value in members.items()}
        return {name: value for name, value in new.items() if value is not None}

    def _value(self, value: Value, rules: Sequence[Rule]) -> Value | None:
        for path, text, action in rules:
            if not path:
                self.unused.pop(text, None)
                return action.on(value)
        if rules and "M" in value:
            return {"M": self._members(value["M"], rules)}
        if rules and "L" in value:
            new = [self._value(one, _below(rules, at)) for at, one in enumerate(value["L"])]
            return {"L": [one for one in new if one is not None]}
        return self._others.on(value)


def _below(rules: Sequence[Rule], part: str | int) -> list[Rule]:
    return [(path[1:], text, action) for path, text, action in rules if path and path[0] in (part, ANY)]


def _each(value: Value, change: Change) -> Value | None:
    """Change each value in a map, a list or a set."""
    ((kind, content),) = value.items()
    if kind == "M":
        members = {name: _each(one, change) for name, one in content.items()}
        return {"M": {name: one for name, one in members.items() if one is not None}}
    if kind == "L":
        return {"L": [new for one in content if (new := _each(one, change)) is not None]}
    if kind in ("SS", "NS", "BS"):
        new_ones = [new[kind[0]] for one in content if (new := change({kind[0]: one})) is not None and kind[0] in new]
        return {kind: list(dict.fromkeys(new_ones))} if new_ones else None
    return change(value)


# The file


def load(path: Path, table: str, keys: Mapping[str, str]) -> Rules:
    """The rules of a table; `keys` has the types of its key attributes, by name. Raises Refused."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"--rules: {path}: {error}") from None
    _check_members(document, {"key", "tables"}, str(path))
    tables = document.get("tables", {})
    _check_members(tables, None, "tables")
    name = next((one for one in tables if one == table), None) or next(
        (one for one in tables if fnmatchcase(table, one)), None
    )
    if name is None:
        raise Refused(f"--rules: {path} has no rules for the table {table}: add [tables.{table}.rules]")
    section = tables[name]
    _check_members(section, {"others", "rules"}, f"[tables.{name}]")
    _check_members(section.get("rules", {}), None, f"[tables.{name}.rules]")
    key = _Key(document.get("key"), path)
    rules = {text: _action(key, text, given) for text, given in section.get("rules", {}).items()}
    others = section.get("others", "keep")
    if others not in ("keep", "hash", "drop"):
        raise Refused(f"--rules: others must be keep, hash or drop, not {others!r}")
    return Rules(rules, _action(key, "others", others), keys)


def _check_members(document: Any, known: set[str] | None, where: str) -> None:
    """Check that a TOML table has no other members than `known`; None allows any."""
    if not isinstance(document, dict):
        raise Refused(f"--rules: {where} must be a table")
    if known is not None and not document.keys() <= known:
        raise Refused(f"--rules: {where} may only have {', '.join(sorted(known))}")


class _Key:
    """The secret key; read when the first rule needs it."""

    def __init__(self, source: Any, rules: Path) -> None:
        self._source = source
        self._rules = rules

    def read(self) -> bytes:
        source = self._source
        if not isinstance(source, str) or not source:
            raise Refused(f"--rules: hashes and fakes need a secret: add key = \"env:NAME\" or the path of a file to "
                          f"{self._rules}")  # fmt: skip
        if source.startswith("env:"):
            secret = os.environ.get(source[4:], "").encode()
        else:
            try:
                secret = (self._rules.parent / source).read_bytes().strip()
            except OSError as error:
                raise Refused(f"--rules: key: {error}") from None
        if len(secret) < KEY_CHARACTERS:
            raise Refused(f"--rules: the key in {source} must have at least {KEY_CHARACTERS} characters")
        return secret


def _action(key: _Key, path: str, given: Any) -> Action:
    match given:
        case "keep":
            return Action(lambda value: value, unique="SNB")
        case "drop":
            return Action(lambda value: None, whole=True)
        case "hash":
            secret = key.read()
            return Action(lambda value: hashed(secret, value), unique="SNB")
        case str() if given.startswith("fake ") and given[5:] in FAKES:
            secret, kind = key.read(), given[5:]
            return Action(lambda value: fake(secret, kind, value), unique="S" if kind in UNIQUE else "")
        case {"replace": value} if len(given) == 1:
            return Action(_replacement(path, value), whole=True)
        case {"split": str(separator), "parts": [_, *_] as parts} if len(given) == 2 and separator:
            return _split(separator, [_action(key, path, part) for part in parts])
    raise Refused(
        f"--rules: {path} = {given!r}: an action is keep, drop, hash, fake {'|'.join(FAKES)}, "
        "{ replace = VALUE } or { split = SEPARATOR, parts = [ACTION, ...] }"
    )


def _replacement(path: str, value: Any) -> Change:
    try:
        new = from_plain({"value": value})["value"]
    except Invalid as error:
        raise Refused(f"--rules: {path}: {error}") from None
    return lambda old: new


def _split(separator: str, actions: Sequence[Action]) -> Action:
    """Change the parts of a string, each by its action; the last action applies to all further parts."""

    def change(value: Value) -> Value | None:
        if "S" not in value:
            return actions[-1].change(value)
        parts = []
        for at, part in enumerate(value["S"].split(separator)):
            new = actions[min(at, len(actions) - 1)].change({"S": part})
            if new is not None:
                parts.append(new["S"])
        return {"S": separator.join(parts)}

    return Action(change, unique="S" if all("S" in action.unique for action in actions) else "")


def _path(text: str) -> AttributePath:
    parts: list[str | int | None] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            break
        quoted, index, name = found.groups()
        parts.append(quoted or (ANY if "*" in (index, name) else int(index) if index else name))
        at = found.end()
        if at < len(text) and text[at] != "[":
            if text[at] != "." or at + 1 == len(text):
                break
            at += 1
    if at < len(text) or not parts:
        raise Refused(f"--rules: {text!r} is not the path of an attribute, such as address.street or cards[*].number")
    return tuple(parts)
