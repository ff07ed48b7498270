"""PartiQL statements in executable form, with the trees of expressions.

    SELECT m.x FROM T.I WHERE pk = ?    Selecting: table, index, columns, condition
    INSERT INTO T VALUE {'pk': ?}       Inserting: table, item
    UPDATE T SET a = a + 1 WHERE ...    Updating: table, actions, condition
    DELETE FROM T WHERE ...             Deleting: table, condition
    EXISTS(SELECT ...)                  Checking: select, which reads one item

Literals and parameters become named values (":0" and "?0").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from atoll.expressions import tree
from atoll.model.paths import Path
from atoll.model.values import AttributeValue

Values = dict[str, AttributeValue]


class Column(NamedTuple):
    name: str
    """The last step of the path: the name of the column in the answer."""
    path: Path


class SetOperand(NamedTuple):
    """The operand of a set function; it must be a set."""

    function: str
    value: str
    at: str
    """The position of the other argument, since DynamoDB reports that one."""


@dataclass(frozen=True, slots=True)
class Selecting:
    table: str
    index: str | None
    columns: tuple[Column, ...] | None
    where: tree.ConditionNode | None
    order: tuple[tuple[str, bool], ...]
    fault: str | None = None
    """The error of the columns or the order of a SELECT on an index; reported after faults of the index itself."""


@dataclass(frozen=True, slots=True)
class Inserting:
    table: str
    members: tuple[tuple[str, str], ...]
    """Attribute names and the names of their values."""


@dataclass(frozen=True, slots=True)
class Updating:
    table: str
    actions: tuple[tree.Action, ...]
    sets: tuple[SetOperand, ...]
    where: tree.ConditionNode | None
    returning: tuple[str, str] | None
    """ALL or MODIFIED, then OLD or NEW."""


@dataclass(frozen=True, slots=True)
class Deleting:
    table: str
    where: tree.ConditionNode | None
    returning: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Checking:
    select: Selecting


Statement = Selecting | Inserting | Updating | Deleting | Checking
