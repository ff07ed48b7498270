"""Read a file as a mapping or a list. Scalars of YAML stay strings; `resources` converts them to their types.

A YAML anchor can be used many times, so a short file may be a huge document: `check` limits its size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_VALUES = 1_000_000
DEEPEST = 64


class BadTemplate(Exception):
    """The file is invalid. The text is the reason, in one line."""


def load(path: Path) -> Any:
    """Raises `BadTemplate`, and `OSError` if the file cannot be read."""
    try:
        text = path.read_text("utf-8-sig")  # editors on Windows may write the mark
    except UnicodeDecodeError:
        raise BadTemplate("is not in UTF-8") from None
    try:
        return json.loads(text)
    except ValueError as error:
        if path.suffix == ".json":
            raise BadTemplate(f"is not JSON: {error}") from None
    except RecursionError:
        raise BadTemplate("is nested too deeply") from None
    return _of_yaml(text)


def _of_yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise BadTemplate("needs the package PyYAML: install atoll[tables]") from None

    class Loader(yaml.BaseLoader):  # type: ignore[misc, unused-ignore]
        pass

    def function(loader: Any, tag: str, node: Any) -> Any:
        """The short form of a function, `!Sub text`, as the long one, `{"Fn::Sub": text}`."""
        if isinstance(node, yaml.ScalarNode):
            argument: Any = loader.construct_scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            argument = loader.construct_sequence(node, deep=True)
        else:
            argument = loader.construct_mapping(node, deep=True)
        return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": argument}

    Loader.add_multi_constructor("!", function)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise BadTemplate(f"is not YAML: {' '.join(str(error).split())}") from None
    except (RecursionError, ValueError, TypeError):
        raise BadTemplate("is not YAML") from None


def check(document: Any) -> None:
    """Refuse a document that would take long to walk through."""
    known: dict[int, tuple[int, int]] = {}

    def measure(value: Any) -> tuple[int, int]:
        """The number of values in a value, and how deep they are nested."""
        if not isinstance(value, (Mapping, list)):
            return 1, 0
        found = known.get(id(value))
        if found is None:
            members = [measure(one) for one in (value.values() if isinstance(value, Mapping) else value)]
            size = 1 + sum(size for size, _ in members)
            depth = 1 + max((depth for _, depth in members), default=0)
            found = known[id(value)] = size, depth
        return found

    try:
        size, depth = measure(document)
    except RecursionError:
        raise BadTemplate("is nested too deeply") from None
    if depth > DEEPEST:
        raise BadTemplate("is nested too deeply")
    if size > MOST_VALUES:
        raise BadTemplate("has too many values")


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadTemplate(f"{where} is not a mapping")
    return value


def mappings(value: Any, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        raise BadTemplate(f"{where} is not a list")
    return [mapping(one, where) for one in value]
