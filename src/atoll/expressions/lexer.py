"""Split expression text into tokens. Unknown characters become tokens, too, and the parser rejects them.

Keywords are case-insensitive and shared by all kinds of expressions: even in a condition, `set` is not a name.
"""

from __future__ import annotations

import re

from atoll.errors import expressions as errors
from atoll.expressions.splitting import Token, split

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


def tokens(text: str) -> list[Token]:
    """Always ends with an END token. The kind of a keyword is its upper-case text."""
    return split(text, _scan, _kind, (END, END))


def _kind(group: str, text: str) -> str:
    return text.upper() if group == "name" and text.upper() in KEYWORDS else group


def unexpected(text: str, found: list[Token], index: int) -> errors.Fault:
    """The syntax error at a token. `near` is the text from the preceding token to the following one."""
    start = found[index - 1].start if index else 0
    after = found[min(index + 1, len(found) - 1)]
    end = len(text) if after.kind == END else after.start + len(after.text)
    return errors.syntax(found[index].text, text[start:end])
