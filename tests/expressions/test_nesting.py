"""No text is nested too deeply for Python's stack, and none takes long."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from random import Random
from typing import Any

import pytest

from atoll.errors import ApiError
from atoll.expressions import update
from atoll.expressions.bind import Bindings
from atoll.expressions.partiql.prepared import prepare, values_of
from atoll.model import paths

FRAMES = 100
"""More than the server's own, between the event loop and the parser."""

# What a level adds before and after the text inside of it.
LEVELS = {
    "size": ("size(", ")"),
    "unknown function": ("f(", ")"),
    "contains": ("contains(a,", ")"),
    "not": ("NOT ", ""),
    "parenthesis": ("(", ")"),
    "and": ("(b=:v AND ", ")"),
    "not and": ("NOT (b=:v OR ", ")"),
    "if_not_exists": ("if_not_exists(b,", ")"),
    "list_append": ("list_append(b,", ")"),
    "sum": ("(", "+:v)"),
    "path": ("a.", ""),
    "position": ("", "[0]"),
    "list": ("[", "]"),
    "struct": ("{'a':", "}"),
    "minus": ("- ", ""),
    "exists": ("EXISTS(", ")"),
    "select": ("(SELECT ", ")"),
    "case": ("CASE WHEN ", ""),
}
TEXTS = {
    "condition": ("", "=:v"),
    "function": ("", ""),
    "update": ("SET c=", ""),
    "projection": ("", ""),
    "select": ("SELECT * FROM Things WHERE ", "=1"),
    "where": ("SELECT * FROM Things WHERE a=", ""),
    "insert": ("INSERT INTO Things VALUE {'pk':", "}"),
    "set": ("UPDATE Things SET a=", " WHERE pk='a'"),
}


def _condition(text: str) -> None:
    Bindings(None, {":v": {"N": "1"}}).condition(text).matches({"a": {"N": "1"}, "b": {"N": "1"}})


def _update(text: str) -> None:
    Bindings(None, {":v": {"N": "1"}}).update(text).apply({"a": {"L": []}, "b": {"L": []}})


def _statement(text: str) -> None:
    values_of(prepare(text), ())


RUNS: dict[str, Callable[[str], Any]] = {
    "condition": _condition,
    "function": _condition,
    "update": _update,
    "projection": Bindings(None, None).projection,
}


def _below(frames: int, run: Callable[[str], Any], text: str) -> None:
    if frames:
        _below(frames - 1, run, text)
        return
    try:
        run(text)
    except ApiError as refused:
        assert refused.status == 400


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", TEXTS)
def test_depth_is_an_error_of_the_client(kind: str, level: str) -> None:
    before, after = LEVELS[level]
    start, end = TEXTS[kind]
    most = 8192 // len(before + after)
    for depth in {*range(1, 330, 7), 98, 99, 100, 101, 149, 150, 298, 299, 300, 301, 485, 600, 1_000, most}:
        text = start + before * depth + "a" + after * depth + end
        _below(FRAMES, RUNS.get(kind, _statement), text)


@pytest.mark.parametrize("parts", [("(", "size(", ")", ")"), ("NOT (", "size(", ")", "=:v)")])
def test_mixed_depth_is_an_error_of_the_client(parts: tuple[str, str, str, str]) -> None:
    outer, inner, inner_end, outer_end = parts
    for depth in range(1, 400, 3):
        text = outer * depth + inner * depth + "a" + inner_end * depth + outer_end * depth
        _below(FRAMES, _condition, text)


def test_the_deepest_update_is_computed() -> None:
    update = Bindings(None, None).update("SET b=" + "if_not_exists(a," * 220 + "c" + ")" * 220)
    assert update.apply({"c": {"N": "1"}})["b"] == {"N": "1"}


def test_a_position_of_any_length_is_an_error_of_the_client() -> None:
    for run, text in ((_condition, "a[{}]=:v"), (_statement, "SELECT * FROM Things WHERE a[{}]=1")):
        with pytest.raises(ApiError, match="List index is not within the allowable range"):
            run(text.format("9" * 3_900))
    with pytest.raises(ApiError):
        _statement(f"SELECT * FROM Things WHERE a[{'9' * 8_000}]=1")


def test_paths_go_together_as_each_two_of_them_do() -> None:
    random = Random(1)
    for _ in range(2_000):
        together, added = paths.Together(), list[paths.Path]()
        for _ in range(random.randint(1, 6)):
            length = random.randint(0, 3)
            steps: list[str | int] = ["a", "b", 0, 1]
            path: paths.Path = (random.choice("ab"), *random.choices(steps, k=length))
            fits = not any(paths.overlap(path, other) or paths.conflict(path, other) for other in added)
            assert together.add(path) is fits
            if fits:
                added.append(path)
        assert not any(paths.overlap(*pair) for pair in combinations(added, 2))


@pytest.mark.parametrize("start", ["SET b.c=:v", "SET b=:v"])
def test_a_large_value_is_not_assigned_to_many_paths(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Any] = []
    monkeypatch.setattr(update, "value_size", lambda value: measured.append(value) or 100_000)
    text = start + "".join(f",a{number}=:v" for number in range(100))
    made = Bindings(None, {":v": {"L": []}}).update(text)
    with pytest.raises(ApiError, match="Item size to update has exceeded the maximum allowed size"):
        made.apply({"b": {"M": {}}})
    assert measured == [{"L": []}]
