"""Document paths: projecting an item to paths, and changing it at paths.

A path is a tuple of attribute names and list positions: ("a", 0, "b") is a[0].b. Paths that are applied together are
merged into a tree of steps, {"a": {0: {"b": leaf}}}. So one walk over the item serves all paths, and every list
position refers to the item before the first change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from atoll.errors import values as errors
from atoll.model.values import AttributeValue, Item

Path = tuple[str | int, ...]


class _Tree(dict[Any, Any]):
    """Maps steps to subtrees or leaves; a leaf is never a _Tree."""


def get(item: Item, path: Path) -> AttributeValue | None:
    value = item.get(path[0])  # type: ignore[arg-type]
    for step in path[1:]:
        if value is None:
            return None
        if type(step) is int:
            members = value.get("L", ())
            value = members[step] if step < len(members) else None
        else:
            value = value.get("M", {}).get(step)
    return value


def text(path: Path) -> str:
    """The path as printed in error messages: [a, [0], b]."""
    return f"[{', '.join(f'[{step}]' if type(step) is int else str(step) for step in path)}]"


def overlap(one: Path, two: Path) -> bool:
    """Whether one path contains the other, or both are equal."""
    return all(a == b for a, b in zip(one, two, strict=False))


def conflict(one: Path, two: Path) -> bool:
    """Whether one path treats a value as a map and the other as a list."""
    for a, b in zip(one, two, strict=False):
        if a != b:
            return type(a) is not type(b)
    return False


class Together:
    """Paths of which no two overlap or conflict."""

    def __init__(self) -> None:
        self._root = _Tree()

    def add(self, path: Path) -> bool:
        """Add a path; False if it overlaps or conflicts with one added before, and then it is not added."""
        node = self._root
        for depth, step in enumerate(path, 1):
            # The steps of one node have one type, so any of them shows a conflict.
            if node and type(next(iter(node))) is not type(step):
                return False
            if step not in node:
                node[step] = _tree([(path[depth:], None)]) if depth < len(path) else None
                return True
            node = node[step]
            if node is None:
                return False
        return False


# Project


def projector(paths: Iterable[Path]) -> Callable[[Item], Item]:
    """The function that reduces an item to the given paths, which must not overlap. The remaining members of a list
    keep their order, without gaps. A list or map with no remaining member is left out."""
    return partial(_select_members, _tree((path, None) for path in paths))


def project(item: Item, paths: Iterable[Path]) -> Item:
    return projector(paths)(item)


def _select(tree: _Tree | None, value: AttributeValue | None) -> AttributeValue | None:
    if tree is None or value is None:
        return value
    if "M" in value:
        members = _select_members(tree, value["M"])
        return {"M": members} if members else None
    if "L" in value:
        selected = [
            part
            for position in sorted(step for step in tree if type(step) is int and step < len(value["L"]))
            if (part := _select(tree[position], value["L"][position])) is not None
        ]
        return {"L": selected} if selected else None
    return None


def _select_members(tree: _Tree, members: Item) -> Item:
    return {name: part for name, subtree in tree.items() if (part := _select(subtree, members.get(name))) is not None}


# Change


def changed(item: Item, sets: Iterable[tuple[Path, AttributeValue]], removes: Iterable[Path]) -> Item:
    """A copy of the item with values set and removed. The paths must neither overlap nor conflict. Changed parts are
    copied, the others shared; the item itself is not modified.

    List positions refer to the old item: removing one member does not shift the others. Values set past the end of a
    list are appended in the order of their positions. Removing a missing member does nothing.
    """
    edits = _tree(sets)
    _grow(edits, ((path, None) for path in removes))
    return _change_members(item, edits)


def _change(value: AttributeValue | None, edits: _Tree) -> AttributeValue:
    if value is not None and "M" in value:
        return {"M": _change_members(value["M"], edits)}
    if value is not None and "L" in value:
        return {"L": _change_list(value["L"], edits)}
    raise errors.invalid_update_path()


def _change_members(members: Item, edits: _Tree) -> Item:
    result = dict(members)
    for name, edit in edits.items():
        if type(name) is not str:
            raise errors.invalid_update_path()
        if edit is None:
            result.pop(name, None)
        else:
            result[name] = _change(members.get(name), edit) if type(edit) is _Tree else edit
    return result


def _change_list(members: list[AttributeValue], edits: _Tree) -> list[AttributeValue]:
    if any(type(position) is not int for position in edits):
        raise errors.invalid_update_path()
    result: list[AttributeValue | None] = list(members)
    for position in sorted(edits):
        edit = edits[position]
        inside = position < len(members)
        if type(edit) is _Tree:
            edit = _change(members[position] if inside else None, edit)
        if inside:
            result[position] = edit
        else:
            result.append(edit)
    return [member for member in result if member is not None]


def _tree(leaves: Iterable[tuple[Path, Any]]) -> _Tree:
    tree = _Tree()
    _grow(tree, leaves)
    return tree


def _grow(tree: _Tree, leaves: Iterable[tuple[Path, Any]]) -> None:
    for path, leaf in leaves:
        node = tree
        for step in path[:-1]:
            node = node.setdefault(step, _Tree())
        node[path[-1]] = leaf
