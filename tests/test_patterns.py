"""Regular expressions take time that is linear in the length of a text: a client's text delays no other client."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import atoll
from atoll import botocore_models
from atoll.api.service_model import compiled
from tests.ambiguity import is_ambiguous

SOURCE = Path(atoll.__file__).parent
ANYWHERE = frozenset({"search", "finditer", "findall", "sub", "subn", "split"})
WHOLE = frozenset({"fullmatch"})
MADE = frozenset(
    {"atoll.api.resource_policy_rules", "atoll.api.service_model", "atoll.transfer.parsing", "atoll.wire.rest"}
)
"""Modules with patterns that have arguments in them."""
LINEAR = {
    "atoll.durations": "only texts that have matched as a whole",
    "atoll.expressions.partiql.lexer": "one of the last alternatives always matches",
    "atoll.metrics.math.lexer": "expressions of 2,048 characters at most",
    "atoll.model.pieces": "its groups are atomic and bounded",
    "atoll.templates.intrinsics": "files of whoever starts the server",
}
"""Modules with patterns that are linear for their texts, and why."""


@pytest.mark.parametrize(
    ("pattern", "searched", "whole"),
    [
        (r"\d+\.?\d*", False, True),
        (r"\s*(a| )+?\s*,", False, False),
        (r"(a|ab|b)*", False, True),
        (r"[^/]*/", True, False),
        (r" +$", True, False),
        (r"(a+)+", False, True),
    ],
)
def test_the_check_finds_ambiguous_patterns(pattern: str, searched: bool, whole: bool) -> None:
    assert is_ambiguous(re.compile(pattern), searched=searched, whole=whole)


@pytest.mark.parametrize(
    ("pattern", "searched", "whole"),
    [
        (r"\d+(?:\.\d*)?", False, True),
        (r"\s*+[^,]++,", False, True),
        (r'"(?:[^"\\]|\\.)*"', False, True),
        (r"a+", True, False),
        (r"[a-z]+(-[a-z]+)*", False, True),
        (r"x[^/x]*/", True, False),
    ],
)
def test_the_check_accepts_linear_patterns(pattern: str, searched: bool, whole: bool) -> None:
    assert not is_ambiguous(re.compile(pattern), searched=searched, whole=whole)


class Use(NamedTuple):
    place: str
    pattern: re.Pattern[Any]
    method: str

    @property
    def is_ambiguous(self) -> bool:
        searched, whole = self.method in ANYWHERE, self.method == "fullmatch"
        return is_ambiguous(self.pattern, whole=whole) or (
            searched and is_ambiguous(self.pattern, searched=True, whole=False)
        )


def _uses() -> Iterator[Use]:
    """Every use of a pattern in the sources. One that no method is called on counts as used for whole texts."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        if "import re\n" in text:
            yield from _uses_of(path, text)


def _uses_of(path: Path, text: str) -> Iterator[Use]:
    name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
    tree = ast.parse(text)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or ast.unparse(call.func).partition(".")[0] != "re":
            continue
        method = ast.unparse(call.func).partition(".")[2]
        if method not in {"compile", "match", *ANYWHERE, *WHOLE}:
            continue
        place = f"{name}:{call.lineno}"
        first = ast.unparse(call.args[0] if method != "compile" else call)
        try:
            found = eval(first, vars(importlib.import_module(name)))  # with the constants of the module
        except NameError:  # of a pattern that is made of arguments
            assert place.partition(":")[0] in MADE, place
            continue
        pattern = re.compile(found, _flags(call)) if isinstance(found, str | bytes) else found
        above = parents[call]
        if method != "compile":
            yield Use(place, pattern, method)
        elif isinstance(above, ast.Attribute):
            yield Use(place, pattern, above.attr)
        else:
            names = [ast.unparse(one) for one in above.targets] if isinstance(above, ast.Assign) else []
            used = {one for name_ in names for one in re.findall(rf"\b{name_}\.([a-z]+)\(", text)}
            for one in used & {"match", *ANYWHERE, *WHOLE} or {"fullmatch"}:
                yield Use(place, pattern, one)


def _flags(call: ast.Call) -> int:
    given = [ast.unparse(one.value) for one in call.keywords if one.arg == "flags"]
    return int(eval(given[0], {"re": re})) if given else 0


def test_every_pattern_of_the_sources_is_linear() -> None:
    uses = list(_uses())
    assert len(uses) > 80
    ambiguous = {
        use.place.partition(":")[0]: f"{use.place} {use.pattern.pattern!r}" for use in uses if use.is_ambiguous
    }
    assert [place for module, place in ambiguous.items() if module not in LINEAR] == []
    assert ambiguous.keys() == LINEAR.keys()


@pytest.mark.parametrize("service", botocore_models.SERVICES)
def test_every_pattern_of_the_services_is_linear(service: str) -> None:
    ambiguous = []
    for name, shape in botocore_models.read(service)["shapes"].items():
        if "pattern" in shape:
            with suppress(re.error):  # in the language of Java, of operations that are not served
                pattern = compiled(shape["pattern"])
                if is_ambiguous(pattern):
                    ambiguous.append((name, pattern.pattern))
    assert ambiguous == []
