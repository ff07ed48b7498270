"""Compile projections: paths become a function that reduces an item to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atoll.expressions import tree
from atoll.model import paths
from atoll.model.paths import Path
from atoll.model.values import Item


@dataclass(frozen=True, slots=True)
class PathProjection:
    paths: tuple[Path, ...]
    attributes: frozenset[str]  # top-level names
    entered: frozenset[str]  # those of them with nested paths
    apply: Callable[[Item], Item]


def program(operands: tuple[tree.PathOperand, ...]) -> PathProjection:
    found = tuple(operand.path for operand in operands)
    names = frozenset(str(path[0]) for path in found)
    entered = frozenset(str(path[0]) for path in found if len(path) > 1)
    return PathProjection(found, names, entered, paths.projector(found))
