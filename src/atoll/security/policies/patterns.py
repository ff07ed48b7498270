"""Patterns of names and ARNs, with wildcards and policy variables.

A pattern is a tuple of tokens: literal text, `*`, `?` and variables. For each token, matching takes time linear in the
text: each part between two `*` is matched at its first possible place, without backtracking. A long part with `?` is
searched in a long text by bit operations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

Values = tuple[str, ...]
Context = Callable[[str], Values]
"""Returns a request's values of a condition key, whose name is in lower case; empty if the request does not have the
key."""


class Wild(Enum):
    ANY = "*"
    ONE = "?"

    __hash__ = object.__hash__
    """A fast hash: patterns with thousands of wildcards are looked up by their hash, and Enum's hash is slow."""


class Variable(NamedTuple):
    """A policy variable: `${key}`, or `${key, 'default'}`."""

    key: str
    default: str | None


Token = str | Wild | Variable
Glob = tuple[str | Wild, ...]
Pattern = tuple[Token, ...]

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_DEFAULT = re.compile(r"\s*([^\s,']+)\s*,\s*'([^']*)'\s*")
_WILD = {"*": Wild.ANY, "?": Wild.ONE}
_MATCHERS = 8_192
_COMPILED = 256
"""Longer patterns than this are compiled only when a text is long enough to match."""
_SEARCHED = 10_000
"""The most steps of a simple search, about 2 ms."""


def parse(text: str, *, variables: bool, wildcards: bool = True) -> Pattern:
    """The pattern of a text. `variables`: whether its policy's version has variables; `wildcards`: whether `*` and `?`
    are wildcards."""
    tokens: list[Token] = []
    end = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        _add_text(tokens, text[end : found.start()], wildcards)
        end = found.end()
        name = found[1]
        default = _DEFAULT.fullmatch(name)
        if name in ("*", "?", "$"):
            tokens.append(name)
        elif default is not None:
            tokens.append(Variable(default[1].lower(), default[2]))
        else:
            tokens.append(Variable(name.strip().lower(), None))
    _add_text(tokens, text[end:], wildcards)
    return tuple(tokens)


def _add_text(tokens: list[Token], text: str, wildcards: bool) -> None:
    if not wildcards:
        tokens += [text] if text else []
        return
    for part in re.split(r"([*?])", text):
        if part:
            tokens.append(_WILD.get(part, part))


def is_static(pattern: Sequence[Token]) -> bool:
    return not any(isinstance(token, Variable) for token in pattern)


def static(pattern: Sequence[Token]) -> Glob:
    """The pattern, which must have no variables, as a glob."""
    return tuple(token for token in pattern if not isinstance(token, Variable))


def resolve(pattern: Sequence[Token], context: Context) -> Glob | None:
    """The pattern with its variables replaced by values, in which `*` is a plain character; None if a variable has
    neither exactly one value nor a default."""
    tokens: list[str | Wild] = []
    for token in pattern:
        if isinstance(token, Variable):
            values = context(token.key)
            if len(values) == 1:
                tokens.append(values[0])
            elif not values and token.default is not None:
                tokens.append(token.default)
            else:
                return None
        else:
            tokens.append(token)
    return tuple(tokens)


@lru_cache(_MATCHERS)
def matcher(glob: Glob) -> Callable[[str], object]:
    """A function that is true for the texts that the glob matches."""
    if Wild.ANY not in glob and Wild.ONE not in glob:
        return "".join(map(str, glob)).__eq__
    if all(token is Wild.ANY for token in glob):
        return _anything
    return _compiled(glob) if len(glob) <= _COMPILED else _compiled_when_needed(glob)


def _compiled_when_needed(glob: Glob) -> Callable[[str], object]:
    """The matcher of a pattern that is too long for most texts."""
    least = sum(1 if token is Wild.ONE else len(str(token)) for token in glob if token is not Wild.ANY)
    matches: Callable[[str], object] | None = None

    def check(text: str) -> object:
        nonlocal matches
        if len(text) < least:
            return False
        matches = matches or _compiled(glob)
        return matches(text)

    return check


def _compiled(glob: Glob) -> Callable[[str], object]:
    pieces: list[list[str | Wild]] = [[]]
    for token in glob:
        if token is Wild.ANY:
            pieces.append([])
        else:
            pieces[-1].append(token)
    first, *rest = [_piece(tuple(piece)) for piece in pieces]
    if not rest:
        return lambda text: len(text) == first.length and first.is_at(text, 0)
    *middle, last = rest
    middle = [piece for piece in middle if piece.length]
    least = first.length + last.length

    def matches(text: str) -> bool:
        end = len(text) - last.length
        if len(text) < least or not first.is_at(text, 0) or not last.is_at(text, end):
            return False
        place = first.length
        for piece in middle:
            place = piece.find(text, place, end)
            if place < 0:
                return False
            place += piece.length
        return True

    return matches


class _Piece(NamedTuple):
    """A part of a pattern without `*`, so all its matches have the same length."""

    length: int
    is_at: Callable[[str, int], bool]
    find: Callable[[str, int, int], int]
    """The first match within a range of the text, or -1."""


@lru_cache(1_024)
def _piece(tokens: Glob) -> _Piece:
    if Wild.ONE not in tokens:
        text = "".join(map(str, tokens))
        return _Piece(
            len(text), lambda given, at: given.startswith(text, at), lambda given, at, end: given.find(text, at, end)
        )
    length, parts = 0, []
    for token in tokens:
        if token is not Wild.ONE:
            parts.append((length, str(token)))
        length += 1 if token is Wild.ONE else len(str(token))

    def is_at(given: str, at: int) -> bool:
        return at + length <= len(given) and all(given.startswith(part, at + offset) for offset, part in parts)

    def find(given: str, at: int, end: int) -> int:
        if (end - at) * len(parts) > _SEARCHED:
            return _find_long(tokens, length, given, at, end)
        return next((place for place in range(at, end - length + 1) if is_at(given, place)), -1)

    return _Piece(length, is_at, find)


def _find_long(tokens: Sequence[str | Wild], length: int, text: str, at: int, end: int) -> int:
    """Like `_Piece.find`, with a few integer operations for each character of the piece. Bit i of `places` is set if
    the piece can begin at i."""
    places = ((1 << max(0, end - at - length + 1)) - 1) << at
    offset = 0
    for token in tokens:
        for character in "" if token is Wild.ONE else str(token):
            places &= _occurrences(text, character) >> offset
            if not places:
                return -1
            offset += 1
        offset += token is Wild.ONE
    return (places & -places).bit_length() - 1


@lru_cache(256)
def _occurrences(text: str, character: str) -> int:
    """An integer whose bit i is set if this character is at i."""
    bits = bytearray(b"0" * len(text))
    at = text.find(character)
    while at >= 0:
        bits[-1 - at] = ord("1")
        at = text.find(character, at + 1)
    return int(bits.decode(), 2)


def _anything(text: str) -> bool:
    return True


def split(pattern: Pattern, most: int) -> list[Pattern]:
    """The parts of a pattern between the colons of its text, at most `most` of them split."""
    parts: list[list[Token]] = [[]]
    for token in pattern:
        if not isinstance(token, str):
            parts[-1].append(token)
            continue
        first, *more = token.split(":", most - (len(parts) - 1))
        parts[-1] += [first] if first else []
        parts += [[text] if text else [] for text in more]
    return [tuple(part) for part in parts]


_COLONS = 5


class Arns:
    """The Resource of a statement: matches ARNs. In the first five parts, a `*` stays within its part, except at the
    end of the part, where it may match colons. In the last part colons are plain characters."""

    __slots__ = ("_heads", "_last", "_literal", "is_all", "is_static", "text")

    def __init__(self, text: str, *, variables: bool) -> None:
        self.text = text
        self.is_all = text == "*"
        pattern = parse(text, variables=variables)
        parts = split(pattern, _COLONS)
        self._last = parts.pop() if len(parts) > _COLONS else None
        self._heads = [(matcher(tuple(map(_as_text, part))), bool(part) and part[-1] is Wild.ANY) for part in parts]
        self.is_static = self._last is None or is_static(self._last)
        self._literal = text if all(isinstance(token, str) for token in pattern) else None

    def matches(self, arn: str, context: Context) -> bool:
        if self.is_all:
            return True
        if self._literal is not None:
            return arn == "".join(self._literal)
        texts = arn.split(":")
        places = {0}
        for fits, runs_on in self._heads:
            after = {place + 1 for place in places if place < len(texts) and fits(texts[place])}
            if runs_on and after:
                after = set(range(min(after), len(texts) + 1))
            places = after
            if not places:
                return False
        if self._last is None:
            return len(texts) in places
        last = resolve(self._last, context)
        if last is None:
            return False
        fits = matcher(last)
        return any(fits(":".join(texts[place:])) for place in places if place < len(texts))


def _as_text(token: Token) -> str | Wild:
    """The text of a token. Variables are allowed only in the last part of a Resource; elsewhere they match nothing."""
    return "${" + token.key + "}" if isinstance(token, Variable) else token


def arn_like(pattern: Pattern, context: Context) -> Callable[[str], bool]:
    """The test of ArnLike, which compares the six parts one by one."""
    fits = []
    for part in split(pattern, _COLONS):
        glob = resolve(part, context)
        if glob is None:
            return lambda _: False
        fits.append(matcher(glob))

    def matches(text: str) -> bool:
        texts = text.split(":", _COLONS)
        return len(texts) == len(fits) and all(fit(part) for fit, part in zip(fits, texts, strict=True))

    return matches
