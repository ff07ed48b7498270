"""Split expression text into tokens. Unknown characters become tokens, too, and the parser rejects them.

Keywords are case-insensitive and shared by all kinds of expressions: even in a condition, `set` is not a name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from atoll.errors import expressions as errors

KEYWORDS = frozenset(["AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"])
END = "<EOF>"

_scan = re.compile(
    r"""
    (?P<name>        [A-Za-z][A-Za-z0-9_]* )
  | (?P<placeholder> \#[A-Za-z0-9_]+ )
  | (?P<value>       :[A-Za-z0-9_]+ )
  | (?P<number>      0 | [1-9][0-9]* )
  | (?P<symbol>      <> | <= | >= | [=<>()\[\].,+-] )
  | (?P<space>       [ \t\r\n]+ )
  | (?P<other>       . )
    """,
    re.VERBOSE | re.DOTALL,
).finditer


class Token(NamedTuple):
    kind: str  # the upper-case text of a symbol or keyword, else the name of the matching group
    text: str
    start: int


def tokens(text: str) -> list[Token]:
    """Always ends with an END token."""
    found = []
    for match in _scan(text):
        kind, part = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if kind == "symbol":
            kind = part
        elif kind == "name" and part.upper() in KEYWORDS:
            kind = part.upper()
        found.append(Token(kind, part, match.start()))
    found.append(Token(END, END, len(text)))
    return found


def unexpected(text: str, found: list[Token], index: int) -> errors.Fault:
    """The syntax error at a token. `near` is the text from the preceding token to the following one."""
    start = found[index - 1].start if index else 0
    after = found[min(index + 1, len(found) - 1)]
    end = len(text) if after.kind == END else after.start + len(after.text)
    return errors.syntax(found[index].text, text[start:end])
