"""Statements become trees; what DynamoDB does not support gets the service's texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.expressions import tree
from atoll.expressions.partiql.prepared import item_of, prepare, values_of
from atoll.expressions.partiql.statements import Column, Deleting, Inserting, Selecting, Updating, Values

Message = Callable[..., str | None]


def prepared(text: str, *parameters: dict[str, Any]) -> tuple[Any, Values]:
    found = prepare(text)
    return found.statement, values_of(found, parameters)


def pk(value: str = ":0") -> tree.ConditionNode:
    return tree.Compare("=", tree.PathOperand(("pk",)), tree.ValueOperand(value))


def test_select() -> None:
    statement, values = prepared("SELECT m.x, l[0] FROM \"Tab\".\"by-a\" WHERE pk = ? AND a > 'it''s'", {"N": "1.0"})
    above = tree.Compare(">", tree.PathOperand(("a",)), tree.ValueOperand(":0"))
    columns = (Column("x", ("m", "x")), Column("l[0]", ("l", 0)))
    assert statement == Selecting("Tab", "by-a", columns, tree.And((pk("?0"), above)), ())
    assert values == {"?0": {"N": "1"}, ":0": {"S": "it's"}}


def test_keywords_in_any_case_comments_and_a_final_semicolon() -> None:
    statement, _ = prepared("select * /* all */ from Tab where pk = 'p' order by sk desc, pk; -- done")
    assert statement == Selecting("Tab", None, None, pk(), (("sk", True), ("pk", False)))


def test_insert() -> None:
    statement, values = prepared(
        "INSERT INTO Tab VALUE {'pk': ?, 'n': -1.50e1, 's': <<'a', 'b'>>, 'l': [1, null, {'t': true}]}", {"S": "x"}
    )
    assert isinstance(statement, Inserting)
    assert item_of(statement, values) == {
        "pk": {"S": "x"},
        "n": {"N": "-15"},
        "s": {"SS": ["a", "b"]},
        "l": {"L": [{"N": "1"}, {"NULL": True}, {"M": {"t": {"BOOL": True}}}]},
    }


def test_update() -> None:
    statement, _ = prepared(
        "UPDATE Tab SET a = a + 1, b = list_append(b, [2]) SET s = set_add(s, <<'x'>>) "
        "REMOVE c.d WHERE pk = 'p' RETURNING MODIFIED OLD *"
    )
    a, b, s, c = (tree.PathOperand(path) for path in (("a",), ("b",), ("s",), ("c", "d")))
    assert isinstance(statement, Updating)
    assert statement.returning == ("MODIFIED", "OLD")
    assert statement.actions == (
        tree.Set(a, tree.Arithmetic("+", a, tree.ValueOperand(":0"))),
        tree.Set(b, tree.Function("list_append", (b, tree.ValueOperand(":1")))),
        tree.Add(s, tree.ValueOperand(":2")),
        tree.Remove(c),
    )


def test_delete() -> None:
    statement, _ = prepared("DELETE FROM Tab WHERE pk = 'p' RETURNING ALL OLD *")
    assert statement == Deleting("Tab", pk(), ("ALL", "OLD"))


PREFIX = "One or more parameter values were invalid: "
LONG = "Attempting to store more than 38 significant digits in a Number"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a IS MISSING", tree.Function("attribute_not_exists", (tree.PathOperand(("a",)),))),
        ("a IS NOT MISSING", tree.Not(tree.Function("attribute_not_exists", (tree.PathOperand(("a",)),)))),
        ("pk = 1 OR pk = 2 AND NOT pk = 3", tree.Or((pk(), tree.And((pk(":1"), tree.Not(pk(":2"))))))),
        ("pk NOT IN (1)", tree.Not(tree.In(tree.PathOperand(("pk",)), (tree.ValueOperand(":0"),)))),
        ("BEGINS_WITH(a, 'x')", tree.Function("begins_with", (tree.PathOperand(("a",)), tree.ValueOperand(":0")))),
        ("((pk = 1))", pk()),
    ],
)
def test_conditions(text: str, expected: tree.ConditionNode) -> None:
    assert prepared(f"SELECT * FROM Tab WHERE {text}")[0].where == expected


def test_long_conditions_do_not_become_deep_trees() -> None:
    statement, _ = prepared("SELECT * FROM Tab WHERE " + " OR ".join(["a = 1"] * 900))
    assert len(statement.where.terms) == 900


def test_names_may_look_like_placeholders() -> None:
    statement, _ = prepared('SELECT "#a" FROM Tab WHERE ":b" = 1')
    assert statement.columns == (Column("#a", ("#a",)),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE Tab", "Unsupported operation: DropTable"),
        ("1", "Unsupported operation: Literal"),
        ("SELECT * FROM Tab WHERE pk", "WHERE clause must contain an expression that resolves to a boolean"),
        ("SELECT * FROM Tab WHERE a = 1 AND b", "The arguments to AND/OR must be Expressions"),
        ("SELECT * FROM Tab WHERE NOT a", "The argument to NOT must be a Type or Expression"),
        ("SELECT * FROM Tab WHERE a + 1 = 2", "Unsupported operator in Condition Expression. Operator: +"),
        ("SELECT * FROM Tab WHERE a LIKE 'x%'", "Unsupported operator in Condition Expression. Operator: like"),
        ("SELECT * FROM Tab WHERE foo(a)", "Unrecognized function: foo at 1:25:3"),
        ("SELECT * FROM Tab WHERE a = MISSING", "MISSING must be compared using IS operator"),
        (
            "SELECT * FROM Tab WHERE a IN 'x'",
            "IN operator must have a left hand argument of type Variable Reference and right hand argument of type "
            "Seq with at least one member",
        ),
        ("SELECT COUNT(*) FROM Tab", "Unexpected path component at 1:8:5"),
        ("SELECT a+1 FROM Tab", "Unexpected path component at 1:9:1"),
        ("SELECT *\nFROM Tab\n  LIMIT 5", "Unsupported clause: LIMIT at 3:9:1"),
        ("SELECT * FROM Tab GROUP BY a", "Unsupported clause: GROUP BY"),
        ("SELECT DISTINCT a FROM Tab", "Unsupported token in expression: DISTINCT"),
        ("SELECT a AS b FROM Tab", "Aliasing is not supported"),
        ("SELECT * FROM Tab, Other", "Only select from a single table or index is supported."),
        ("SELECT a, m.a FROM Tab", "Duplicate identifiers in select clause: a"),
        ("SELECT m.* FROM Tab", "Changing item's hierarchy while reading isn't supported"),
        ("SELECT VALUE a FROM Tab", "Select projection doesn't support value or pivot keywords"),
        ("SELECT l[-1] FROM Tab", "List index is not within the allowable range; index: [-1] at 1:11:1"),
        ("SELECT * FROM a.b.c", "A path may contain at most 2 components in the FROM clause"),
        ("SELECT * FROM 'Tab'", "Unexpected from source"),
        ("INSERT INTO Tab VALUE {'pk': 1, 'pk': 2}", "Duplicate keys in tuple. Key: pk under root at 1:33:4"),
        (
            "INSERT INTO Tab VALUE {pk: 1}",
            "Tuple keys must be of type String. Actual type: VariableReference under root at 1:24:2",
        ),
        ("INSERT INTO Tab VALUE {'a': [?]}", "Unsupported data type: Parameter under key root.0 at 1:30:1"),
        ("INSERT INTO Tab VALUE {'a': 1+1}", "Unsupported data type: + under key root at 1:30:1"),
        ("INSERT INTO Tab VALUE {'a': <<>>}", "Empty bags are not supported"),
        (
            "INSERT INTO Tab VALUE {'a': <<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        ("INSERT INTO Tab VALUE {'a': <<1, 1.0>>}", f"{PREFIX}Input collection [1, 1] contains duplicates."),
        (f"INSERT INTO Tab VALUE {{'a': {'1' * 39}}}", f"{LONG} under root"),
        ("INSERT INTO Tab VALUE {'a': {'x': 1e126}}", f"{OVERFLOW} under root.x"),
        ("INSERT INTO Tab VALUE {'a': [1, 1e126]}", f"{OVERFLOW} under root[1]"),
        ("INSERT INTO Tab VALUE {'a': <<'x', 'x'>>}", f"{PREFIX}Input collection [x, x] contains duplicates."),
        ("SELECT * FROM Tab WHERE exists(a)", "Unrecognized function: exists at 1:25:6"),
        ("INSERT INTO Tab VALUE {'': 1}", "Path component cannot be an empty string"),
        ("INSERT INTO Tab {'pk': 1}", "Unsupported operation: InsertOp"),
        ("UPDATE Tab SET a = a * 2 WHERE pk = 1", "Unsupported operator in Update Expression. Operator: *"),
        (
            "UPDATE Tab SET a = size(a) WHERE pk = 1",
            "The function is not allowed in an update expression; function: size",
        ),
        (
            "UPDATE Tab SET a = set_add(b, <<1>>)",
            "The first argument to SET_ADD must equal the assignment value at 1:20:7",
        ),
        ("UPDATE Tab SET a = set_add(a)", "SET_ADD must have exactly two arguments at 1:20:7"),
        ("DELETE FROM Tab.i WHERE pk = 1", "This operation is not supported on an index"),
        (
            "DELETE FROM Tab WHERE pk = 1 RETURNING ALL NEW *",
            "Invalid returning clause: RETURNING ALL NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
    ],
)
def test_statements_that_dynamodb_does_not_support(text: str, expected: str, message: Message) -> None:
    assert message(prepare, text) == expected
