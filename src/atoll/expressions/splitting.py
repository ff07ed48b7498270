"""Split text into tokens by a regular expression. Each language has a lexer with its own expression."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Token(NamedTuple):
    kind: str
    """The text of a symbol, else what `kind_of` makes of the matching group."""
    text: str
    start: int


def split(
    text: str, scan: Callable[[str], Iterator[re.Match[str]]], kind_of: Callable[[str, str], str], end: tuple[str, str]
) -> list[Token]:
    """All tokens but those of the group `space`, then one with the kind and the text `end`. `kind_of` gives the kind of
    a token from its group and its text."""
    found = []
    for match in scan(text):
        group, part = str(match.lastgroup), match.group()
        if group != "space":
            found.append(Token(part if group == "symbol" else kind_of(group, part), part, match.start()))
    found.append(Token(*end, len(text)))
    return found
