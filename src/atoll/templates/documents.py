"""The file as a mapping or a list. Scalars of YAML stay texts: `resources` gives them their types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class BadTemplate(Exception):
    """Its text is the reason, in one line."""


def load(path: Path) -> Any:
    """Raises `BadTemplate`, and `OSError` if the file cannot be read."""
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        raise BadTemplate("is not in UTF-8") from None
    try:
        return json.loads(text)
    except ValueError as error:
        if path.suffix == ".json":
            raise BadTemplate(f"is no JSON: {error}") from None
    except RecursionError:
        raise BadTemplate("is nested too deeply") from None
    return _of_yaml(text)


def _of_yaml(text: str) -> Any:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise BadTemplate("is read with the package PyYAML: install atoll[tables]") from None

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
        raise BadTemplate(f"is no YAML: {' '.join(str(error).split())}") from None
    except (RecursionError, ValueError, TypeError):
        raise BadTemplate("is no YAML") from None
