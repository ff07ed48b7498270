"""Check the members of SearchVectors, which the service reads with another parser than those of older operations.

That parser's errors name a place in the body. Here the body is already parsed, so the place is computed for compact
JSON, which most clients send.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atoll import limits
from atoll.errors import vectors as errors
from atoll.model import pieces

Body = dict[str, Any]

_REQUIRED = {"TableName": "a string", "IndexName": "a string", "SearchVector": "a sequence", "TopK": "i32"}
"""The fields, and the type that serde expects in each."""

_CONSTRAINTS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("IndexName", lambda name: len(name) >= 3, "length greater than or equal to 3"),
    ("SearchVector", lambda vector: len(vector) >= 1, "length greater than or equal to 1"),
    ("SearchVector", lambda vector: len(vector) <= limits.VECTOR_DIMENSIONS, "length less than or equal to 4096"),
    ("TopK", lambda number: number >= 1, "value greater than or equal to 1"),
)
_TYPES = {"IndexName": str, "SearchVector": list, "TopK": int}


def check(body: Body) -> None:
    """Check the rules that the operation's shape would report with another text."""
    for member in body:
        if member in _REQUIRED and body[member] is None:
            raise errors.null_member(_REQUIRED[member], _end_of(body, member))
    for member in _REQUIRED:
        if member not in body:
            raise errors.missing_member(member, len(pieces.dump(body, is_large=True)))
    for member, holds, constraint in _CONSTRAINTS:
        if type(body[member]) is _TYPES[member] and not holds(body[member]):
            raise errors.member_constraint(member, constraint)


def _end_of(body: Body, member: str) -> int:
    """Where the value of a member ends in the body."""
    names = list(body)
    before = {name: body[name] for name in names[: names.index(member) + 1]}
    return len(pieces.dump(before, is_large=True)) - 1
