"""Split an expression of metric math into tokens. Unknown characters become tokens, too; the parser rejects them."""

from __future__ import annotations

import re

from atoll.expressions.splitting import Token, split

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


def tokens(text: str) -> list[Token]:
    """Always ends with an END token."""
    return split(text, _scan, _kind, (END, END))


def _kind(group: str, text: str) -> str:
    return _WORDS.get(text, group) if group == "name" else group
