"""Which regular expressions take time that is not linear in the length of a text.

A backtracking matcher tries every way to read a text before it gives up. If two parts of a pattern that repeat without
bound can share the same characters, the number of ways grows with a power of the length. `is_ambiguous` looks for a
state p of the pattern's automaton from which some text leads back to p, to another state q, and from q back to q
(Weideman et al., 2016: infinite degree of ambiguity). It knows no lookarounds and no references: it reads past them.
"""

from __future__ import annotations

import re
import re._constants as kinds  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Any

LOOPS_FROM = 200
"""A repetition with a greater bound counts as one without."""

Set = frozenset[int]
_THE_END = frozenset({-1})


class Automaton:
    """The states of a pattern, each with the states that a character leads to."""

    def __init__(self, pattern: re.Pattern[Any], *, searched: bool) -> None:
        self._searched = searched
        self._ignores_case = bool(pattern.flags & re.IGNORECASE)
        tree = parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
        self._alphabet = _alphabet(tree)
        self._empty: dict[int, set[int]] = defaultdict(set)
        self._moves: dict[int, list[tuple[Set, int]]] = defaultdict(list)
        self._count = 0
        start = self._state()
        if searched:
            self._moves[start].append((self._alphabet, start))
        self.end = self._sequence(tree, start)
        self.steps = {state: self._steps(state) for state in range(self._count)}
        self.start = start

    def ends_empty(self, state: int) -> bool:
        """Whether the pattern may end here, so that a matcher that needs no end of the text does not go back."""
        return self.end in self._closure(state)

    def _state(self) -> int:
        self._count += 1
        return self._count - 1

    def _sequence(self, tree: Iterable[tuple[Any, Any]], at: int) -> int:
        for kind, value in tree:
            at = self._part(kind, value, at)
        return at

    def _part(self, kind: Any, value: Any, at: int) -> int:
        if kind in (kinds.LITERAL, kinds.NOT_LITERAL, kinds.ANY, kinds.IN):
            after = self._state()
            self._moves[at].append((self._characters(kind, value), after))
            return after
        if kind is kinds.SUBPATTERN:
            return self._sequence(value[3], at)
        if kind is kinds.ATOMIC_GROUP:
            return self._sequence(value, at)
        if kind is kinds.BRANCH:
            after = self._state()
            for branch in value[1]:
                self._empty[self._sequence(branch, self._fork(at))].add(after)
            return after
        if kind in (kinds.MAX_REPEAT, kinds.MIN_REPEAT, kinds.POSSESSIVE_REPEAT):
            least, most, body = value
            return self._repeat(kind, least, most, body, at)
        if kind is kinds.AT and value in (kinds.AT_END, kinds.AT_END_STRING):
            after = self._state()
            self._moves[at].append((_THE_END, after))
            return after
        if kind is kinds.AT and value is kinds.AT_BEGINNING and self._searched:
            return self._state()  # only the first try can go on
        return at  # another position, an assertion or a reference

    def _fork(self, at: int) -> int:
        state = self._state()
        self._empty[at].add(state)
        return state

    def _repeat(self, kind: Any, least: int, most: int, body: Any, at: int) -> int:
        for _ in range(min(least, 3)):
            at = self._sequence(body, at)
        if most <= LOOPS_FROM:
            if most > least:
                after = self._state()
                self._empty[at].add(after)
                self._empty[self._sequence(body, at)].add(after)
                return after
            return at
        entry = self._fork(at)
        self._empty[self._sequence(body, entry)].add(entry)
        after = self._fork(entry)
        if kind is kinds.POSSESSIVE_REPEAT:
            self._owned = getattr(self, "_owned", {})
            self._owned[after] = frozenset().union(*(found for found, _ in self._moves[entry]))
        return after

    def _characters(self, kind: Any, value: Any) -> Set:
        if kind is kinds.LITERAL:
            return frozenset({value}) | (_cases(value) if self._ignores_case else frozenset())
        if kind is kinds.NOT_LITERAL:
            return self._alphabet - {value}
        if kind is kinds.ANY:
            return self._alphabet
        found: set[int] = set()
        negated = False
        for part, content in value:
            if part is kinds.NEGATE:
                negated = True
            elif part is kinds.LITERAL:
                found.add(content)
            elif part is kinds.RANGE:
                found.update(one for one in self._alphabet if content[0] <= one <= content[1])
            else:
                found.update(one for one in self._alphabet if _in_category(content, chr(one)))
        if self._ignores_case:
            found.update(*map(_cases, tuple(found)))
        return self._alphabet - found if negated else frozenset(found)

    def _closure(self, state: int) -> dict[int, Set]:
        """The states that need no character, with the characters that may follow there."""
        owned: dict[int, Set] = getattr(self, "_owned", {})
        found = {state: self._alphabet}
        waiting = [state]
        while waiting:
            one = waiting.pop()
            for after in self._empty[one]:
                allowed = found[one] - owned.get(after, frozenset())
                if not allowed <= found.get(after, frozenset()):
                    found[after] = found.get(after, frozenset()) | allowed
                    waiting.append(after)
        return found

    def _steps(self, state: int) -> dict[int, set[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for one, allowed in self._closure(state).items():
            for characters, after in self._moves[one]:
                for character in characters if characters is _THE_END else characters & allowed:
                    found[character].add(after)
        return found


def is_ambiguous(pattern: re.Pattern[Any], *, searched: bool = False, whole: bool = True) -> bool:
    """`searched`: whether the pattern may begin anywhere in a text; `whole`: whether it has to end with the text."""
    one = Automaton(pattern, searched=searched)
    looping = [state for state in one.steps if _reaches(one, (state,), (state,))]
    return any(
        p != q and (whole or not one.ends_empty(q)) and _reaches(one, (p, p, q), (p, q, q))
        for p, q in product(looping, looping)
    )


def _reaches(one: Automaton, begin: tuple[int, ...], end: tuple[int, ...]) -> bool:
    """Whether some text leads from each state of `begin` to that of `end`."""
    seen: set[tuple[int, ...]] = set()
    waiting = [begin]
    while waiting:
        states = waiting.pop()
        steps = [one.steps[state] for state in states]
        for character in set.intersection(*(set(step) for step in steps)):
            for after in product(*(step[character] for step in steps)):
                if after == end:
                    return True
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
    return False


def _alphabet(tree: Any) -> Set:
    """One character of each kind that the pattern tells apart."""
    found = {ord(one) for one in "a7 _\n\0"}

    def walk(part: Any) -> None:
        if isinstance(part, tuple) and len(part) == 2 and part[0] in (kinds.LITERAL, kinds.NOT_LITERAL):
            found.update(_cases(part[1]))
        elif isinstance(part, tuple) and len(part) == 2 and part[0] is kinds.RANGE:
            found.update(one for bound in part[1] for one in (bound - 1, bound, bound + 1) if 0 <= one < 0x110000)
        elif isinstance(part, list | tuple | parser.SubPattern):
            for inner in part:
                walk(inner)

    walk(tree)
    return frozenset(found)


def _cases(character: int) -> Set:
    return frozenset(
        ord(one) for one in {chr(character).lower(), chr(character).upper(), chr(character)} if len(one) == 1
    )


def _in_category(category: Any, character: str) -> bool:
    name = str(category).removeprefix("CATEGORY_").lower()
    found = {
        "digit": character.isdigit(),
        "space": character.isspace(),
        "word": character.isalnum() or character == "_",
    }
    return not found[name.removeprefix("not_")] if name.startswith("not_") else found[name]
