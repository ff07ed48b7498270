"""The lengths of modules and functions: short ones can be read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "atoll"
MODULES = sorted(SOURCE.rglob("*.py"))

MODULE_LINES = 450
FUNCTION_LINES = 60


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_modules_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    too_long = {
        f"{node.name} in line {node.lineno}": lines
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    }
    assert not too_long, f"functions of more than {FUNCTION_LINES} lines"
    assert len(text.splitlines()) <= MODULE_LINES, "split the module"
