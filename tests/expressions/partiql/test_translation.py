"""PartiQL statements become trees; what is no statement gets the service's texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.errors import ApiError
from atoll.expressions import tree
from atoll.expressions.keyrange import KeyCondition
from atoll.expressions.partiql import keys as partiql_keys
from atoll.expressions.partiql import translation as partiql
from atoll.expressions.partiql.translation import Column, Deleting, Inserting, Reading, Updating

Message = Callable[..., str | None]


def prepared(text: str, *parameters: dict[str, Any]) -> tuple[Any, partiql.Values]:
    found = partiql.prepare(text)
    return found.statement, partiql.values_of(found, parameters)


def pk(value: str = ":0") -> tree.ConditionNode:
    return tree.Compare("=", tree.PathOperand(("pk",)), tree.ValueOperand(value))


def test_select() -> None:
    statement, values = prepared("SELECT m.x, l[0] FROM \"Tab\".\"by-a\" WHERE pk = ? AND a > 'it''s'", {"N": "1.0"})
    above = tree.Compare(">", tree.PathOperand(("a",)), tree.ValueOperand(":0"))
    columns = (Column("x", ("m", "x")), Column("l[0]", ("l", 0)))
    assert statement == Reading("Tab", "by-a", columns, tree.And((pk("?0"), above)), ())
    assert values == {"?0": {"N": "1"}, ":0": {"S": "it's"}}


def test_keywords_in_any_case_comments_and_a_final_semicolon() -> None:
    statement, _ = prepared("select * /* all */ from Tab where pk = 'p' order by sk desc, pk; -- done")
    assert statement == Reading("Tab", None, None, pk(), (("sk", True), ("pk", False)))


def test_insert() -> None:
    statement, values = prepared(
        "INSERT INTO Tab VALUE {'pk': ?, 'n': -1.50e1, 's': <<'a', 'b'>>, 'l': [1, null, {'t': true}]}", {"S": "x"}
    )
    assert isinstance(statement, Inserting)
    assert partiql.item_of(statement, values) == {
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


def test_long_statements_do_not_become_deep_trees() -> None:
    statement, _ = prepared("SELECT * FROM Tab WHERE " + " OR ".join(["a = 1"] * 900))
    assert len(statement.where.terms) == 900
    for text in ("a = 1" + " + 1" * 1500, "NOT " * 1500 + "a = 1", "a = " + "- " * 1500 + "1", "a = " + "[" * 1500):
        with pytest.raises(ApiError, match="well formed"):
            partiql.prepare(f"SELECT * FROM Tab WHERE {text}")


def test_one_translation_serves_all_parameters() -> None:
    text = "SELECT * FROM Tab WHERE pk = ?"
    assert prepared(text, {"S": "a"})[0] is prepared(text, {"S": "b"})[0]


def test_names_may_look_like_placeholders() -> None:
    statement, _ = prepared('SELECT "#a" FROM Tab WHERE ":b" = 1')
    assert statement.columns == (Column("#a", ("#a",)),)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT",
        "SELECT * FROM",
        "SELECT *, pk FROM Tab",
        "SELECT * FROM Tab WHERE",
        "SELECT * FROM Tab WHERE pk = 'p' AND",
        "SELECT * FROM Tab WHERE pk == 'p'",
        "SELECT * FROM Tab WHERE (pk = 'p'",
        "SELECT * FROM Tab WHERE pk = 'p",
        "SELECT * FROM Tab;;",
        "SELECT size FROM Tab",
        "SELECT é FROM Tab",
        "INSERT INTO Tab VALUES {'pk': 'p'}",
        "UPDATE Tab WHERE pk = 'p'",
        "UPDATE Tab SET 'a' = 1 WHERE pk = 'p'",
        "DELETE Tab WHERE pk = 'p'",
        "EXISTS SELECT * FROM Tab",
        "foo bar",
        "SELECT * FROM Tab WHERE " + "(" * 2000 + "a = 1" + ")" * 2000,
    ],
)
def test_what_is_no_partiql(text: str, message: Message) -> None:
    assert message(partiql.prepare, text) == f"Statement wasn't well formed, can't be processed: {text}"


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
        ("SELECT * FROM Tab WHERE foo(a)", "Unrecognized function: foo"),
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
        ("INSERT INTO Tab VALUE {'a': <<>>}", "Empty bags are not supported at 1:29:2"),
        (
            "INSERT INTO Tab VALUE {'a': <<1, 'a'>>}",
            "Unsupported data type in Bag. DynamoDB only supports either numbers or strings in bags",
        ),
        ("INSERT INTO Tab VALUE {'a': <<1, 1.0>>}", "Input collection contains duplicates"),
        (f"INSERT INTO Tab VALUE {{'a': {'1' * 39}}}", "DynamoDB only supports precision up to 38 digits"),
        ("INSERT INTO Tab VALUE {'': 1}", "Path component cannot be an empty string"),
        ("INSERT INTO Tab {'pk': 1}", "Unsupported operation: InsertOp"),
        ("UPDATE Tab SET a = a * 2 WHERE pk = 1", "Unsupported operator in Update Expression. Operator: *"),
        (
            "UPDATE Tab SET a = size(a) WHERE pk = 1",
            "The function is not allowed in an update expression; function: size",
        ),
        ("UPDATE Tab SET a = set_add(b, <<1>>)", "The first argument to SET_ADD must equal the assignment value"),
        ("UPDATE Tab SET a = set_add(a)", "SET_ADD must have exactly two arguments at 1:20:7"),
        ("DELETE FROM Tab.i WHERE pk = 1", "This operation is not supported on an index"),
        (
            "DELETE FROM Tab WHERE pk = 1 RETURNING ALL NEW *",
            "Invalid returning clause: RETURNING ALL NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
    ],
)
def test_what_dynamodb_does_not_support(text: str, expected: str, message: Message) -> None:
    assert message(partiql.prepare, text) == expected


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("SELECT * FROM Tab WHERE a = ?", [], "Number of parameters in request and statement don't match."),
        (
            "UPDATE Tab SET s = set_add(s, ?) WHERE pk = 1",
            [{"S": "x"}],
            "The second argument to SET_ADD must be a value with type SET at 1:28:1",
        ),
        (
            "SELECT * FROM Tab WHERE a BETWEEN ? AND 1",
            [{"N": "2"}],
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound "
            "operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "UPDATE Tab SET a = 1 REMOVE a.b WHERE pk = 1",
            [],
            "Two document paths overlap with each other; must remove or rewrite one of these paths; "
            "path one: [a, b], path two: [a]",
        ),
    ],
)
def test_what_shows_only_with_the_values(
    text: str, parameters: list[dict[str, Any]], expected: str, message: Message
) -> None:
    assert message(partiql.values_of, partiql.prepare(text), parameters) == expected


# Keys

PK, SK = [("pk", "S")], [("sk", "N")]


def access(where: str) -> partiql_keys.Access:
    statement, values = prepared(f"SELECT * FROM Tab WHERE {where}")
    return partiql_keys.access(statement.where, PK, SK, values)


@pytest.mark.parametrize(
    ("where", "partitions", "exact"),
    [
        ("pk = 'p'", ["p"], True),
        ("'p' = pk", ["p"], True),
        ("pk = 'p' AND a = 1", ["p"], False),
        ("pk IN ['p', 'q', 'p']", ["p", "q"], False),
        ("pk = 'p' OR pk = 'q' AND a = 1", ["p", "q"], False),
        ("pk = 'p' OR a = 1", None, False),
        ("NOT pk = 'p'", None, False),
        ("pk > 'p'", None, False),
        ("a = 1", None, False),
    ],
)
def test_partitions_that_a_condition_can_be_true_in(where: str, partitions: list[str] | None, exact: bool) -> None:
    found = access(where)
    assert found.partitions == (None if partitions is None else tuple(({"S": p},) for p in partitions))
    assert found.exact == exact


def test_conditions_on_the_sort_key() -> None:
    found = access("1 < sk AND pk = 'p' AND sk BETWEEN 0 AND 9")
    assert found.sort == (
        KeyCondition((), (), ">", ({"N": "1"},)),
        KeyCondition((), (), "BETWEEN", ({"N": "0"}, {"N": "9"})),
    )
    assert found.exact


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        ("pk <> 1", "One or more parameter values were invalid: Condition parameter type does not match schema type"),
        ("pk = 'p' AND sk < 'a'", "Key attribute's data type should match its data type in table's schema: Key sk"),
        *(
            (where, "One or more parameter values were invalid: Condition parameter type does not match schema type")
            for where in (
                "pk = 'p' AND sk <> 'a'",
                "pk = 'p' AND pk = 1",
                "pk = 'p' AND sk > 0 AND sk < 'a'",
                "pk IN ['p', 'q'] AND sk = 'a'",
                "sk = 'a'",
            )
        ),
        (
            "pk = ''",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
            "empty string value. Key: pk",
        ),
        (
            "pk.x = 1",
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: pk",
        ),
    ],
)
def test_refused_conditions_on_keys(where: str, expected: str, message: Message) -> None:
    assert message(access, where) == expected


def item_key(where: str) -> Any:
    statement, values = prepared(f"DELETE FROM Tab WHERE {where}")
    return partiql_keys.item_key(statement.where, PK + SK, values)


def test_the_item_that_a_write_means() -> None:
    key, rest = item_key("a = 1 AND (pk = 'p' AND sk = 2)")
    assert key == {"pk": {"S": "p"}, "sk": {"N": "2"}}
    assert len(rest) == 1


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("pk = 'p'", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 'p' AND sk > 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 'p' OR sk = 1", "Where clause does not contain a mandatory equality on all key attributes"),
        ("pk = 1 AND sk = 1", "Key attribute's data type should match its data type in table's schema: Key pk"),
        (
            "pk = 'p' AND sk = 1 AND sk = 2",
            "Multiple conditions on same key sk. Only single item Update/Insert/Delete are supported",
        ),
    ],
)
def test_writes_that_mean_no_single_item(where: str, expected: str, message: Message) -> None:
    assert message(item_key, where) == expected
