"""The query protocol: requests are forms, answers are XML. Pure, and driven by the shapes of the service's model.

A member of a structure is `A.B`, an element of a list `A.member.1`, an entry of a map `A.entry.1.key` and
`A.entry.1.value`; an empty list is `A=`. Times are ISO 8601 on the wire and seconds since 1970 internally.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from atoll.api.service_model import Shape
from atoll.errors import ApiError
from atoll.errors import services as errors

FIELDS = 100_000
DEPTH = 16

Node = dict[str, Any]
"""The fields of a form as nested mappings, one level per part of the names. The value of a name has the key ""."""


def parse(body: bytes) -> dict[str, str]:
    """The fields of a form."""
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS))
    except ValueError:
        raise errors.malformed("The request is no valid form.") from None


def decode(shape: Shape, fields: Mapping[str, str]) -> dict[str, Any]:
    """The request, as a value of this shape. Fields that are not members are ignored."""
    root: Node = {}
    for name, value in fields.items():
        parts = name.split(".", DEPTH)
        if len(parts) > DEPTH or "" in parts:
            continue
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[""] = value
    body: dict[str, Any] = _structure(shape, root, "")
    return body


def _value(shape: Shape, node: Node, path: str) -> Any:
    if shape.kind == "structure":
        return _structure(shape, node, path)
    if shape.kind == "list":
        assert shape.item is not None
        elements = node.get("member") or {}
        return [_value(shape.item, element, f"{path}.member.{number}") for number, element in _numbered(elements)]
    if shape.kind == "map":
        assert shape.item is not None
        entries = node.get("entry") or {}
        return {
            entry.get("key", {}).get("", ""): _value(shape.item, entry.get("value", {}), f"{path}.entry.{number}.value")
            for number, entry in _numbered(entries)
        }
    return _scalar(shape, node.get("", ""), path)


def _structure(shape: Shape, node: Node, path: str) -> dict[str, Any]:
    return {
        name: _value(member, node[name], f"{path}.{name}" if path else name)
        for name, member in shape.members.items()
        if name in node
    }


def _numbered(node: Node) -> Iterator[tuple[int, Node]]:
    found = [(int(part), element) for part, element in node.items() if _NUMBER(part)]
    yield from sorted(found, key=lambda one: one[0])


_NUMBER = re.compile(r"[0-9]{1,9}").fullmatch


def _scalar(shape: Shape, text: str, path: str) -> Any:
    try:
        match shape.kind:
            case "integer" | "long":
                if len(text) > 20:
                    raise ValueError
                return int(text)
            case "double" | "float":
                return float(text)
            case "boolean":
                return _BOOLEANS[text.lower()]
            case "timestamp":
                return seconds(text)
            case "blob":
                base64.b64decode(text, validate=True)
    except (ValueError, KeyError, OverflowError, binascii.Error):
        raise errors.malformed(f"The parameter {path} has an invalid value.") from None
    return text


_BOOLEANS = {"true": True, "false": False}


def seconds(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 time; one without a zone is UTC."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


# Answers


def answer(operation: str, shape: Shape | None, namespace: str, value: Any, request_id: str) -> bytes:
    result = ""
    if shape is not None:
        result = f"<{operation}Result>{_members(shape, value or {})}</{operation}Result>"
    return (
        f'<{operation}Response xmlns="{namespace}">{result}'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>\n"
    ).encode()


def error(namespace: str, code: str, refusal: ApiError, request_id: str) -> bytes:
    kind = "Sender" if refusal.status < 500 else "Receiver"
    message = "" if refusal.message is None else f"<Message>{_text(refusal.message)}</Message>"
    return (
        f'<ErrorResponse xmlns="{namespace}"><Error><Type>{kind}</Type><Code>{_text(code)}</Code>{message}</Error>'
        f"<RequestId>{request_id}</RequestId></ErrorResponse>\n"
    ).encode()


def _members(shape: Shape | None, value: Mapping[str, Any]) -> str:
    known = {} if shape is None else shape.members
    return "".join(
        f"<{name}>{_content(known.get(name), member)}</{name}>" for name, member in value.items() if member is not None
    )


def _content(shape: Shape | None, value: Any) -> str:
    """The content of an element. Members that the model lacks have no shape."""
    if isinstance(value, Mapping):
        if shape is not None and shape.kind == "map":
            return "".join(
                f"<entry><key>{_text(key)}</key><value>{_content(shape.item, one)}</value></entry>"
                for key, one in value.items()
            )
        return _members(shape, value)
    if isinstance(value, list | tuple):
        item = None if shape is None else shape.item
        return "".join(f"<member>{_content(item, one)}</member>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if shape is not None and shape.kind == "timestamp":
        return iso(value)
    return _text(value)


def iso(value: float) -> str:
    """A time in seconds since 1970, as ISO 8601 in UTC."""
    found = datetime.fromtimestamp(value, UTC)
    return found.isoformat(timespec="milliseconds" if found.microsecond else "seconds").replace("+00:00", "Z")


def _text(value: Any) -> str:
    return _UNPRINTABLE("\ufffd", escape(str(value)))


_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").sub
"""Characters that XML does not allow."""
