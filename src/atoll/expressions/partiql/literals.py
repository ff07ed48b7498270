"""The attribute values of literals in PartiQL statements.

'text'  12.5  true  null  [value, ...]  <<'a', 'b'>>  <<1, 2>>  {'name': value, ...}
"""

from __future__ import annotations

import re
from typing import Any

from atoll.errors import ApiError
from atoll.errors import partiql as errors
from atoll.expressions.partiql.tree import Node, java_name
from atoll.model import numbers
from atoll.model.values import AttributeValue


def data(node: Node, path: str = "root") -> AttributeValue:
    """The attribute value of a literal. `path` is its position, for error texts."""
    match node.kind:
        case "string":
            return {"S": node.value}
        case "number":
            return {"N": _number(node.value, path)}
        case "true" | "false":
            return {"BOOL": node.kind == "true"}
        case "null":
            return {"NULL": True}
        case "list":
            return {"L": [data(arg, f"{path}[{index}]") for index, arg in enumerate(node.args)]}
        case "struct":
            names = names_of(node, top=False)
            return {"M": {n: data(arg, f"{path}.{n}") for n, arg in zip(names, node.args, strict=True)}}
        case "bag":
            return _bag(node)
        case "seq" if len(node.args) == 1:
            return data(node.args[0], path)
    raise errors.data_type(_said(node, path), _POSITION.sub(r".\1", path), node.at)


def _said(node: Node, path: str) -> Any:
    if node.kind == "missing" and path == "root":
        return node.value
    if node.kind == "is":
        return f"IS {node.value}"
    return node.value if node.kind in ("name", "operator", "call") else java_name(node)


_POSITION = re.compile(r"\[(\d+)\]")
"""A list's position in a path; texts about types write it like a name."""


def _number(text: str, path: str) -> str:
    try:
        return numbers.canonical(text)
    except ApiError as fault:
        raise errors.number(fault, path) from None


def _bag(node: Node) -> AttributeValue:
    if not node.args:
        raise errors.empty_bag()
    for arg in node.args:
        if arg.kind not in ("string", "number"):
            raise errors.bag_members(arg.at)
    members = [data(arg) for arg in node.args]
    kinds = {next(iter(member)) for member in members}
    if len(kinds) > 1:
        raise errors.bag_members()
    kind = kinds.pop()
    content = [member[kind] for member in members]
    if len(set(content)) < len(content):
        raise errors.repeated_in_bag(content)
    return {f"{kind}S": content}


def names_of(node: Node, *, top: bool) -> list[str]:
    """The member names of a struct; rejects duplicates."""
    names: dict[str, None] = {}
    for key in node.value:
        if key.kind != "string":
            raise errors.tuple_key(java_name(key), key.at)
        if not key.value:
            raise errors.empty_path_component()
        if key.value in names:
            raise errors.repeated_tuple_key(key.value, key.at if top else node.at)
        names[key.value] = None
    return list(names)
