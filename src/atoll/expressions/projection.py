"""Projections as programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from atoll.expressions import tree
from atoll.model import paths
from atoll.model.paths import Path
from atoll.model.values import Item


@dataclass(frozen=True, slots=True)
class Projection:
    paths: tuple[Path, ...]
    attributes: frozenset[str]  # top-level names
    apply: Callable[[Item], Item]


def program(operands: tuple[tree.PathOperand, ...]) -> Projection:
    found = tuple(operand.path for operand in operands)
    return Projection(found, frozenset(str(path[0]) for path in found), paths.projector(found))
