"""The kinds of statements by which the meter counts the operations that run them: verbs, or reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Statement, Updating

_VERBS = {"INSERT": "PartiQLInsert", "SELECT": "PartiQLSelect", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}

EXECUTE = "ExecuteStatement"
OF_STATEMENT: Mapping[type[Statement], str] = {
    Inserting: f"{EXECUTE} PartiQLInsert",
    Selecting: f"{EXECUTE} PartiQLSelect",
    Checking: EXECUTE,
    Updating: f"{EXECUTE} PartiQLUpdate",
    Deleting: f"{EXECUTE} PartiQLDelete",
}
OF_BATCH = {True: "BatchExecuteStatement Read", False: "BatchExecuteStatement Write"}
OF_TRANSACTION = {True: "ExecuteTransaction Read", False: "ExecuteTransaction Write"}
"""By whether the statements read."""

_MEMBERS = {
    "BatchExecuteStatement": ("Statements", OF_BATCH),
    "ExecuteTransaction": ("TransactStatements", OF_TRANSACTION),
}


def counted(operation: str, body: Any) -> str:
    """The name by which a request that failed counts, by the first word of its statement; of several, the first one's.
    The body has the operation's shape."""
    if operation == EXECUTE:
        verb = _VERBS.get(_word(body))
        return operation if verb is None else f"{operation} {verb}"
    if operation in _MEMBERS:
        member, kinds = _MEMBERS[operation]
        statements: Sequence[Any] = body[member]
        return kinds[_word(statements[0]) == "SELECT"] if statements else operation
    return operation


def _word(body: Any) -> str:
    return str(body["Statement"]).lstrip()[:6].upper()
