"""Split an expression of metric math into tokens. Unknown characters become tokens, too; the parser rejects them."""

from __future__ import annotations

import re
from typing import NamedTuple

END = ""

_WORDS = {"AND": "&&", "OR": "||"}

_scan = re.compile(
    r"""
    (?P<number>  (?: [0-9]+ (?: \.[0-9]* )? | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ )? )
  | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<text>    "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
  | (?P<symbol>  == | != | <= | >= | && | \|\| | [<>()\[\],+*/^-] )
  | (?P<space>   \s+ )
  | (?P<other>   . )
    """,
    re.VERBOSE | re.DOTALL,
).finditer


class Token(NamedTuple):
    kind: str
    """The text of a symbol, else the name of the matching group."""
    text: str


def tokens(text: str) -> list[Token]:
    """Always ends with an END token."""
    found = []
    for match in _scan(text):
        kind, part = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if kind == "symbol":
            kind = part
        elif kind == "name":
            kind = _WORDS.get(part, kind)
        found.append(Token(kind, part))
    found.append(Token(END, END))
    return found
