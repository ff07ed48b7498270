"""From a scenario that shows a difference to a small one that shows the same: steps are dropped, then parts of bodies.

Hypothesis could do this, but it shrinks what it drew, through many requests; here only JSON is taken apart.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.differential.tables import Step

SECONDS = 10.0


def shrunk(steps: list[Step], shows_the_same: Callable[[list[Step]], bool]) -> list[Step]:
    """The smallest found in a few seconds; `shows_the_same` sends the steps anew."""
    end = time.monotonic() + SECONDS
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(steps):
            if time.monotonic() > end:
                return steps
            if shows_the_same(candidate):
                steps, smaller = candidate, True
                break
    return steps


def _smaller(steps: list[Step]) -> Iterator[list[Step]]:
    for at in range(len(steps) - 1):
        yield steps[:at] + steps[at + 1 :]
    for at in reversed(range(len(steps))):
        for body in _without_a_part(steps[at].body):
            yield [*steps[:at], replace(steps[at], body=body), *steps[at + 1 :]]


def _without_a_part(value: Any) -> Iterator[Any]:
    """The same JSON without one member or element, outermost first."""
    places: list[tuple[Any, ...]] = [()]
    for place in places:  # grows while it is walked
        inner = _at(value, place)
        names = list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else []
        for name in names:
            smaller = copy.deepcopy(value)
            del _at(smaller, place)[name]
            yield smaller
            places.append((*place, name))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for name in place:
        value = value[name]
    return value
