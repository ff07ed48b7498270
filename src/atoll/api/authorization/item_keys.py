"""The condition keys of DynamoDB: the keys and attributes that a request names, never those that its answer holds.

`value` computes one key for a part of a request; a key that the part's action does not have is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from atoll.api.authorization.checks import Part
from atoll.database.schema import KeySchema, Table
from atoll.errors import ApiError
from atoll.errors.expressions import Fault
from atoll.expressions import keyrange, parser, tree
from atoll.expressions.lexer import tokens
from atoll.expressions.partiql.keys import terms_of
from atoll.expressions.partiql.prepared import prepare, values_of
from atoll.expressions.partiql.statements import Deleting, Inserting, Selecting, Statement, Updating
from atoll.model import numbers

Values = tuple[str, ...]
PREFIX = "dynamodb:"

_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "PartiQLSelect"})
_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "PartiQLUpdate", "PartiQLDelete"})
_EXPRESSIONS = (
    "ProjectionExpression", "KeyConditionExpression", "FilterExpression", "ConditionExpression", "UpdateExpression",
)  # fmt: skip
_LEGACY_MAPS = ("AttributeUpdates", "Expected", "ScanFilter", "QueryFilter", "KeyConditions")
_NAMING = frozenset([*_EXPRESSIONS, *_LEGACY_MAPS, "AttributesToGet"])


def value(key: str, part: Part, table: Table | None) -> Values:
    """The values of a key, which is in lower case, without `dynamodb:`."""
    find = _KEYS.get(key)
    return () if find is None else find(part, table)


def _schema(part: Part, table: Table | None) -> KeySchema | None:
    if table is None or part.index is None:
        return None if table is None else table.keys
    index = table.index(part.index)
    return None if index is None else index.keys


# The values of partition keys


def _leading(position: int) -> Callable[[Part, Table | None], Values]:
    def find(part: Part, table: Table | None) -> Values:
        schema = _schema(part, table)
        if schema is None or len(schema.partition) <= position:
            return ()
        name = schema.partition[position].name
        if len(part.keys) == 1:
            text = _text(part.keys[0].get(name))
            return () if text is None else (text,)
        found = [_text(one) for one in _given(part, name)]
        return tuple(dict.fromkeys(text for text in found if text is not None))

    return find


def _given(part: Part, name: str) -> Iterator[Any]:
    """The values that the part gives to a partition key attribute."""
    if part.statement is not None:
        yield from _of_statement(part, name)
    elif part.action == "Query":
        yield from _of_query(part.body, name)
    else:
        for item in part.keys:
            if name in item:
                yield item[name]


def _of_query(body: Mapping[str, Any], name: str) -> Iterator[Any]:
    legacy = (body.get("KeyConditions") or {}).get(name)
    if legacy is not None:
        yield from legacy.get("AttributeValueList") or ()
    text = body.get("KeyConditionExpression")
    if text is None:
        return
    try:
        parsed = tree.resolve(parser.condition(text), body.get("ExpressionAttributeNames") or {})
        operator, values = keyrange.conditions(parsed).get(name, ("", ()))
    except (ApiError, Fault):
        return  # the operation refuses it
    given = body.get("ExpressionAttributeValues") or {}
    if operator == "=":
        yield from (given[one] for one in values if one in given)


def _of_statement(part: Part, name: str) -> Iterator[Any]:
    statement = part.statement
    try:
        values = values_of(prepare(part.body["Statement"]), part.body.get("Parameters") or ())
    except ApiError:
        return
    if isinstance(statement, Inserting):
        yield from (values[one] for member, one in statement.members if member == name)
    else:
        for names in _equalities(_where(statement), name) or ():
            yield values[names]


def _where(statement: Statement | None) -> tree.ConditionNode | None:
    return statement.where if isinstance(statement, Selecting | Updating | Deleting) else None


def _equalities(where: tree.ConditionNode | None, name: str) -> list[str] | None:
    """The placeholders of the values that the condition restricts an attribute to; None if it does not restrict it."""
    if isinstance(where, tree.Or):
        branches = [_equalities(term, name) for term in where.terms]
        return None if None in branches else [one for branch in branches for one in branch or ()]
    for term in terms_of(where):
        match term:
            case tree.Compare("=", tree.PathOperand(path), tree.ValueOperand(given)) if path == (name,):
                return [given]
            case tree.Compare("=", tree.ValueOperand(given), tree.PathOperand(path)) if path == (name,):
                return [given]
            case tree.In(tree.PathOperand(path), choices) if path == (name,):
                return [one.name for one in choices if isinstance(one, tree.ValueOperand)]
            case tree.Or():
                found = _equalities(term, name)
                if found is not None:
                    return found
    return None


def _text(given: Any) -> str | None:
    """A key's value as text: numbers in canonical form, binary values in base64."""
    if (type(given) is not dict and not isinstance(given, Mapping)) or len(given) != 1:
        return None
    ((type_, content),) = given.items()
    if not isinstance(content, str):
        return None
    if type_ != "N":
        return content
    try:
        return numbers.canonical(content)
    except ApiError:
        return content


# The names of attributes


def _attributes(part: Part, table: Table | None) -> Values:
    if len(part.keys) == 1 and not _NAMING.intersection(part.body):
        return tuple(part.keys[0])
    found: dict[str, None] = {}
    for item in part.keys:
        found.update(dict.fromkeys(item))
    if part.statement is not None:
        found.update(dict.fromkeys(_names_of_statement(part.statement)))
        return tuple(found)
    body = part.body
    names = body.get("ExpressionAttributeNames") or {}
    for member in _EXPRESSIONS:
        text = body.get(member)
        if text is not None:
            found.update(dict.fromkeys(_names_of_expression(text, names)))
    found.update(dict.fromkeys(body.get("AttributesToGet") or ()))
    for member in _LEGACY_MAPS:
        found.update(dict.fromkeys(body.get(member) or ()))
    return tuple(found)


def _names_of_expression(text: str, names: Mapping[str, str]) -> Iterator[str]:
    """The top-level attributes that an expression names."""
    found = tokens(text)
    for index, token in enumerate(found):
        nested = index > 0 and found[index - 1].kind == "."
        is_function = token.kind == "name" and found[index + 1].kind == "("
        if token.kind in ("name", "placeholder") and not nested and not is_function:
            yield names.get(token.text, token.text)


def _names_of_statement(statement: Statement) -> Iterator[str]:
    if isinstance(statement, Inserting):
        yield from (name for name, _ in statement.members)
        return
    nodes: list[Any] = [_where(statement)]
    if isinstance(statement, Selecting):
        yield from (str(column.path[0]) for column in statement.columns or ())
    if isinstance(statement, Updating):
        nodes.append(statement.actions)
    for node in tree.walk(tuple(one for one in nodes if one is not None)):
        if isinstance(node, tree.PathOperand):
            yield str(node.path[0])


# Others


def _select(part: Part, table: Table | None) -> Values:
    if part.action not in _READS:
        return ()
    if part.statement is not None:
        projects = isinstance(part.statement, Selecting) and part.statement.columns is not None
        default = "ALL_ATTRIBUTES" if part.index is None else "ALL_PROJECTED_ATTRIBUTES"
        return ("SPECIFIC_ATTRIBUTES" if projects else default,)
    given = part.body.get("Select")
    if given is not None:
        return (given,)
    if part.body.get("ProjectionExpression") is not None or part.body.get("AttributesToGet") is not None:
        return ("SPECIFIC_ATTRIBUTES",)
    return ("ALL_ATTRIBUTES" if part.index is None else "ALL_PROJECTED_ATTRIBUTES",)


def _return_values(part: Part, table: Table | None) -> Values:
    if part.action not in _WRITES:
        return ()
    statement = part.statement
    if isinstance(statement, Updating | Deleting):
        return ("NONE" if statement.returning is None else "_".join(statement.returning),)
    return (part.body.get("ReturnValues") or "NONE",)


def _return_consumed_capacity(part: Part, table: Table | None) -> Values:
    given = part.whole.get("ReturnConsumedCapacity")
    return (given,) if isinstance(given, str) else ()


def _enclosing(part: Part, table: Table | None) -> Values:
    return () if part.enclosing is None else (part.enclosing,)


def _full_scan(part: Part, table: Table | None) -> Values:
    schema = _schema(part, table)
    if not isinstance(part.statement, Selecting):
        return ()
    names: Sequence[str] = [] if schema is None else [one.name for one in schema.partition]
    keyed = bool(names) and all(_equalities(part.statement.where, name) is not None for name in names)
    return ("false" if keyed else "true",)


_KEYS: Mapping[str, Callable[[Part, Table | None], Values]] = {
    "leadingkeys": _leading(0),
    "firstpartitionkeyvalues": _leading(0),
    "secondpartitionkeyvalues": _leading(1),
    "thirdpartitionkeyvalues": _leading(2),
    "fourthpartitionkeyvalues": _leading(3),
    "attributes": _attributes,
    "select": _select,
    "returnvalues": _return_values,
    "returnconsumedcapacity": _return_consumed_capacity,
    "enclosingoperation": _enclosing,
    "fulltablescan": _full_scan,
}
