"""Expression text to tokens. Anything is a token: what the language has no use for is one for the parser to refuse.

Keywords are the same in all kinds of expressions and in any case of letters, so `set` is no name in a condition either.
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
    kind: str  # of symbols and keywords their text (in capitals), else the group that matched
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
    """The syntax error at a token: `near` is the text from the token before it to the token after it."""
    start = found[index - 1].start if index else 0
    after = found[min(index + 1, len(found) - 1)]
    end = len(text) if after.kind == END else after.start + len(after.text)
    return errors.syntax(found[index].text, text[start:end])
