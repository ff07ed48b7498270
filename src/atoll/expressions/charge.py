"""The size of an update's statement, which in most Regions must not exceed the size limit of an item.

    3 + the sum of its actions
    SET, ADD        19 + target + operand
    REMOVE, DELETE  1 + target
    a target        the length of its name, and 4 + the length of each further element
    an operand      a value: its size; a path: 1 + 14 and the length of each of its elements
                    a + b: 34, a - b and list_append: 37, if_not_exists: 39, with both operands

An index of a list is as long as its digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from atoll.expressions import tree
from atoll.model.paths import Path
from atoll.model.values import AttributeValue, value_size

_STATEMENT = 3
_ASSIGNMENT, _REMOVAL = 19, 1
_ELEMENT = 4
_PATH, _PATH_ELEMENT = 1, 14
_OPERATORS = {"+": 34, "-": 37, "if_not_exists": 39, "list_append": 37}


class Charge(NamedTuple):
    """The size of an update's statement without the values of a request."""

    fixed: int
    uses: tuple[str, ...]
    """The names of the values, one for each use."""

    def exceeds(self, most: int, values: Mapping[str, AttributeValue], values_size: int) -> bool:
        """Whether the size exceeds `most`. `values_size`, the size of all values together, is checked first: few
        updates come near the limit."""
        if self.fixed + values_size * len(self.uses) <= most:
            return False
        sizes = {name: value_size(values[name]) for name in set(self.uses)}  # each only once: it may be long
        return self.fixed + sum(sizes[name] for name in self.uses) > most


def charge(actions: Iterable[tree.Action]) -> Charge:
    fixed, uses = _STATEMENT, list[str]()
    for action in actions:
        first, *further = action.path.path
        target = _length(first) + sum(_ELEMENT + _length(element) for element in further)
        if isinstance(action, tree.Set | tree.Add):
            fixed += _ASSIGNMENT + target + _operand(action.value, uses)
        else:
            fixed += _REMOVAL + target
    return Charge(fixed, tuple(uses))


def _operand(node: tree.Operand | tree.Arithmetic, uses: list[str]) -> int:
    """The fixed part of an operand; adds its values to `uses`."""
    match node:
        case tree.ValueOperand(name):
            uses.append(name)
            return 0
        case tree.PathOperand(path):
            return _of_path(path)
        case tree.Arithmetic(name, left, right) | tree.Function(name, (left, right)):
            return _OPERATORS[name] + _operand(left, uses) + _operand(right, uses)
    raise AssertionError(f"{node} is not an operand of an update")


def _of_path(path: Path) -> int:
    return _PATH + sum(_PATH_ELEMENT + _length(element) for element in path)


def _length(element: str | int) -> int:
    return len(str(element).encode())
