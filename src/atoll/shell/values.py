"""Attribute values as text. No text has a control character, which could control a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

Value = dict[str, Any]
Item = Mapping[str, Value]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def cell(value: Value | None) -> str:
    """A value in a table or a CSV file: strings as they are, others as JSON."""
    if value is None:
        return ""
    ((kind, content),) = value.items()
    return str(content) if kind in ("S", "N", "B") else plain(value)


def plain(value: Value) -> str:
    """JSON without types: a set is a list, a binary value base64. Numbers keep all their digits."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return content if _NUMBER.fullmatch(content) else text(content)
        case "M":
            return plain_item(content)
        case "L":
            return f"[{', '.join(map(plain, content))}]"
        case "NS" | "SS" | "BS":
            return f"[{', '.join(plain({kind[0]: one}) for one in content)}]"
        case "NULL":
            return "null"
        case _:
            return text(content)


def plain_item(item: Item) -> str:
    return f"{{{', '.join(f'{text(name)}: {plain(value)}' for name, value in item.items())}}}"


def text(content: Any) -> str:
    """JSON in one line, without unprintable characters."""
    return _escaped(json.dumps(content, ensure_ascii=False), _json_escape)


def printable(content: str) -> str:
    """The text with escapes in place of unprintable characters, such as \\x1b."""
    return _escaped(content, _escape)


def _escaped(content: str, escape: Any) -> str:
    return content if content.isprintable() else "".join([c if c.isprintable() else escape(c) for c in content])


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]
