"""Read the JSON types of a request as leniently as the service's Java code does, and print values in its format.

`settle` walks a body in the shape's order. A value of a JSON type that its member cannot take raises a
SerializationException with the parser's text. `settle` corrects leniently read values in place. `java_text` formats a
value as constraint violations quote it: `[KeySchemaElement(attributeName=a, keyType=HASH)]`.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import orjson

from atoll.api.service_model import Shape
from atoll.errors import requests
from atoll.errors import values as errors
from atoll.model import values

# The Python types of each scalar of the model when the request has the right JSON type.
PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (float, int),
    "float": (float, int),
    "timestamp": (float, int),
}

# The bounds of whole numbers: -bound <= n < bound.
BOUNDS = {"integer": 1 << 31, "long": 1 << 63}

JAVA = {
    "string": "java.lang.String",
    "character": "java.lang.String",
    "blob": "java.nio.ByteBuffer",
    "boolean": "java.lang.Boolean",
    "integer": "java.lang.Integer",
    "long": "java.lang.Long",
    "double": "java.lang.Double",
    "float": "java.lang.Float",
    "timestamp": "java.util.Date",
}

PACKAGE = "com.amazonaws.dynamodb.v20120810"

TRUE, FALSE = frozenset({"TRUE", "YES", "1"}), frozenset({"FALSE", "NO", "0"})


def settle(shape: Shape, body: dict[str, Any]) -> None:
    """Raise for the first value of an unreadable JSON type, attribute values included."""
    _structure(shape, body)


def lower_first(name: str) -> str:
    return name[0].lower() + name[1:]


def _settled(shape: Shape, value: Any, inside: bool) -> Any:
    """The corrected value. `inside` means that the value is in a list or map, where the parser's text differs."""
    if value is None:
        return None
    if shape.kind == "structure":
        return _settled_structure(shape, value, inside)
    if shape.kind == "list":
        return _settled_list(shape, value, inside)
    if shape.kind == "map":
        return _settled_map(shape, value, inside)
    if isinstance(value, dict):
        raise errors.unexpected_object()
    if isinstance(value, list):
        raise errors.unexpected_list(f"class {JAVA[shape.kind]}")
    if shape.kind == "boolean":
        return _boolean(value)
    if shape.kind == "blob":
        return _blob(value)
    return _text_or_number(shape.kind, value)


def _settled_structure(shape: Shape, value: Any, inside: bool) -> Any:
    if isinstance(value, list):
        raise errors.unexpected_list(f"class {_java_type(shape)}")
    if not isinstance(value, dict):
        raise errors.unexpected_value() if inside else errors.unexpected_field()
    if shape.is_value:
        values.read_json({"": value})
    else:
        _structure(shape, value)
    return value


def _structure(shape: Shape, value: dict[str, Any]) -> None:
    for name, member in shape.members.items():
        if name in value:
            value[name] = _settled(member, value[name], inside=False)
            if value[name] is None:
                del value[name]


def _settled_list(shape: Shape, value: Any, inside: bool) -> Any:
    if isinstance(value, dict):
        raise errors.unexpected_object()
    if not isinstance(value, list):
        raise requests.parameterized_type() if inside else errors.unexpected_field()
    assert shape.item is not None
    value[:] = [_settled(shape.item, item, inside=True) for item in value]
    return value


def _settled_map(shape: Shape, value: Any, inside: bool) -> Any:
    if isinstance(value, list):
        raise errors.unexpected_list(_java_type(shape))
    if not isinstance(value, dict):
        raise requests.parameterized_type() if inside else errors.unexpected_field()
    assert shape.item is not None
    if shape.item.is_value:
        values.read_json(value)
        return value
    for key, item in value.items():
        value[key] = _settled(shape.item, item, inside=True)
    return value


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if value.upper() in TRUE:
            return True
        if value.upper() in FALSE:
            return False
        raise errors.unexpected_token()
    raise errors.wrong_scalar(value, "Boolean")


def _blob(value: Any) -> str:
    if not isinstance(value, str):
        raise errors.not_binary()
    return value


def _text_or_number(kind: str, value: Any) -> Any:
    bound = BOUNDS.get(kind)
    if bound is not None and type(value) in (int, float) and -bound <= value < bound:
        return math.floor(value)
    if bound is not None or type(value) not in PYTHON[kind]:
        raise errors.wrong_scalar(value, JAVA[kind].rpartition(".")[2])
    return value


def _java_type(shape: Shape) -> str:
    if shape.kind == "structure":
        return f"{PACKAGE}.{shape.name}"
    if shape.kind == "map":
        assert shape.item is not None
        return f"java.util.Map<java.lang.String, {_java_type(shape.item)}>"
    if shape.kind == "list":
        assert shape.item is not None
        return f"java.util.List<{_java_type(shape.item)}>"
    return JAVA[shape.kind]


# Maximum numbers of members of a list or map, and of levels, that an error text quotes.
_QUOTED = 1_000
_LEVELS = 100


def json_text(value: dict[str, Any]) -> str:
    return orjson.dumps(_quoted(value)).decode()


def _quoted(value: Any, level: int = 0) -> Any:
    """The value without parts nested too deeply to be quoted."""
    if level > _LEVELS:
        return "..."
    if isinstance(value, dict):
        return {name: _quoted(member, level + 1) for name, member in islice(value.items(), _QUOTED)}
    return [_quoted(part, level + 1) for part in islice(value, _QUOTED)] if isinstance(value, list) else value


def java_text(shape: Shape, value: Any, level: int = 0) -> str:
    if value is None:
        return "null"
    if level > _LEVELS:
        return "..."
    if isinstance(value, bool):
        return "true" if value else "false"
    if shape.kind == "structure" and isinstance(value, dict):
        members = (
            f"{lower_first(name)}={java_text(m, value.get(name), level + 1)}" for name, m in shape.members.items()
        )
        return f"{shape.name}({', '.join(members)})"
    if shape.kind == "list" and isinstance(value, list) and shape.item is not None:
        return f"[{', '.join(java_text(shape.item, item, level + 1) for item in islice(value, _QUOTED))}]"
    if shape.kind == "map" and isinstance(value, dict) and shape.item is not None:
        item = shape.item
        return (
            "{" + ", ".join(f"{key}={java_text(item, v, level + 1)}" for key, v in islice(value.items(), _QUOTED)) + "}"
        )
    if shape.kind == "blob":
        return errors.java_binary(value)
    return str(value)
