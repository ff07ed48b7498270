"""Valid and invalid statements."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from atoll.errors import ApiError
from atoll.expressions.partiql import grammar
from atoll.expressions.partiql.tree import Update

Message = Callable[..., str | None]


def test_deep_expressions_are_refused() -> None:
    for text in ("a = 1" + " + 1" * 1500, "NOT " * 1500 + "a = 1", "a = " + "- " * 1500 + "1", "a = " + "[" * 1500):
        with pytest.raises(ApiError, match="well formed"):
            grammar.parse(f"SELECT * FROM Tab WHERE {text}")


TERM, AFTER = "Unexpected term", "Unexpected token after expression"
OPERAND = "Missing right-hand side expression of infix operator"
MANIPULATION = "Expected data manipulation"
SIMPLE = "Expected identifier for simple path"
RETURNED = "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element."
WHERE = "SELECT * FROM Tab WHERE "

# As PartiQL's own parser says it.
REASONS: dict[str, str] = {
    **{
        f"{WHERE}a {operator}": OPERAND
        for operator in (
            "=",
            "<>",
            "<",
            "<=",
            ">",
            ">=",
            "+",
            "-",
            "*",
            "/",
            "||",
            "IN",
            "LIKE",
            "BETWEEN",
            "NOT IN",
            "NOT LIKE",
        )
    },
    **{f"{WHERE}(a = 1 {operator}": OPERAND for operator in ("AND", "OR")},
    **{f"{WHERE}a {operator};": TERM for operator in ("=", "IN", "AND", "OR")},
    f"{WHERE}a = 1 AND)": TERM,
    f"{WHERE}a BETWEEN 1": "Expected AND keyword",
    f"{WHERE}a BETWEEN 1 AND": "Expected expression after AND",
    f"{WHERE}a BETWEEN 1 AND;": "Expected expression after AND",
    f"{WHERE}a LIKE 'x' ESCAPE": "Expected expression after ESCAPE",
    f"{WHERE}a NOT b": AFTER,
    f"{WHERE}a IS": "Expected type name",
    f"{WHERE}(a = 1": "Expected RIGHT_PAREN",
    f"{WHERE}begins_with(a, 'x'": "Expected RIGHT_PAREN",
    f"{WHERE}begins_with(": TERM,
    f"{WHERE}a IN (1": "Expected RIGHT_PAREN",
    f"{WHERE}a[0": "Expected RIGHT_BRACKET",
    f"{WHERE}a = [1": "Expected RIGHT_BRACKET",
    f"{WHERE}a = <<1": "Expected RIGHT_DOUBLE_ANGLE_BRACKET",
    f"{WHERE}@": "Identifier must follow @-operator",
    f"{WHERE}a = 1e": "",
    f"{WHERE}a = 1e AND": "",
    f"{WHERE}AND #": "",
    "INSERT INTO Tab VALUE {'pk'": "Expected COLON",
    "INSERT INTO Tab VALUE {'pk'}": "Expected COLON",
    "INSERT INTO Tab VALUE {'pk': 'p'": "Expected RIGHT_CURLY",
    "INSERT": "Unexpected keyword",
    "INSERT Tab VALUE {}": "Unexpected keyword",
    "EXISTS": "Unexpected keyword",
    "EXISTS(SELECT * FROM Tab": "Expected RIGHT_PAREN",
    "SELECT * Tab": "Expected FROM after SELECT list",
    "SELECT pk": "Expected FROM after SELECT list",
    "SELECT FROM Tab": MANIPULATION,
    "SELECT pk, FROM Tab": MANIPULATION,
    "SELECT FROM Tab SET a = 1": "Expected FROM after SELECT list",
    "SELECT * FROM Tab ORDER": "Expected BY",
    "SELECT * FROM Tab ORDER pk": "Expected BY",
    "SELECT * FROM Tab GROUP": "Expected BY",
    "SELECT * FROM Tab AS": "Expected identifier for AS-alias",
    "SELECT * FROM Tab JOIN Other": "Expected 'ON'",
    "SELECT * FROM Tab; SELECT": "Unexpected token after semicolon. (Only one query is allowed.)",
    "UPDATE": SIMPLE,
    "UPDATE 'Tab' SET a = 1": SIMPLE,
    "UPDATE Tab": MANIPULATION,
    "FROM Tab": MANIPULATION,
    "FROM Tab WHERE pk = 'p'": MANIPULATION,
    "UPDATE Tab SET a": "Expected '='",
    "UPDATE Tab SET a WHERE pk = 'p'": "Expected '='",
    "UPDATE Tab SET a = SET b = 1": "Keyword set only expected at the top level in the query",
    "UPDATE Tab SET a = 1 WHERE pk = 'p' RETURNING": RETURNED,
    "UPDATE Tab SET a = 1 WHERE pk = 'p' RETURNING ALL": RETURNED,
    "UPDATE Tab SET a = 1 WHERE pk = 'p' RETURNING OLD": RETURNED,
    "DELETE": "Expected FROM after DELETE",
    "DELETE Tab WHERE pk = 'p'": "Expected FROM after DELETE",
    "SET": SIMPLE,
    f"{WHERE}DELETE FROM Tab": "Keyword delete only expected at the top level in the query",
    f"{WHERE}FROM Tab SET a = 1": "Keyword null only expected at the top level in the query",
    f"{WHERE}pk = 'p' END": AFTER,
    "DELETE FROM Tab WHERE pk = 'p' END RETURNING": AFTER,
    **{f"{WHERE}{keyword}": TERM for keyword in ("AS", "ASC", "AT", "BY", "DESC", "FOR")},
    **{f"{WHERE}{keyword}": "Unexpected keyword" for keyword in ("END", "GROUP", "INTO", "VALUE")},
    **{f"{WHERE}{keyword}": "Unexpected operator" for keyword in ("EXCEPT", "UNION", "AND", "BETWEEN")},
    f"{WHERE}trim": "Expected LEFT_PAREN",
    "CREATE": "Unexpected token following CREATE",
    "DROP TABLE": "Expected identifier!",
}


@pytest.mark.parametrize("text", REASONS)
def test_malformed_text_has_the_reason_of_the_parser(text: str, message: Message) -> None:
    assert message(grammar.parse, text) == f"Statement wasn't well formed, can't be processed: {REASONS[text]}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT", TERM),
        ("SELECT * FROM", TERM),
        ("SELECT *, pk FROM Tab", "Expected FROM after SELECT list"),
        ("SELECT * FROM Tab WHERE", TERM),
        ("SELECT * FROM Tab WHERE;", TERM),
        ("SELECT * FROM Tab WHERE NOT", TERM),
        ("SELECT * FROM Tab WHERE (", TERM),
        ("UPDATE Tab SET a = 1 WHERE", TERM),
        ("DELETE FROM Tab WHERE", TERM),
        ("SELECT * FROM Tab WHERE pk = 'p' AND", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM Tab WHERE pk = 'p' OR", "Missing right-hand side expression of infix operator"),
        ("SELECT * FROM Tab WHERE pk == 'p'", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE IS NULL", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE pk = LIKE", "Unexpected operator"),
        ("SELECT * FROM Tab WHERE ORDER BY pk", "Unexpected keyword"),
        ("SELECT * FROM Tab WHERE pk IS FOO", "Expected type name"),
        ("SELECT m.inner FROM Tab", "Invalid path dot component"),
        ("SELECT * FROM Tab WHERE (pk = 'p'", "Expected RIGHT_PAREN"),
        ("SELECT * FROM Tab WHERE pk = 'p", ""),
        ("SELECT * FROM Tab WHERE pk # 'p'", ""),
        ("SELECT * FROM Tab /* WHERE pk = 'p'", ""),
        ("SELECT * FROM Tab WHERE pk = 1e2147483648", ""),
        ("SELECT * FROM Tab WHERE pk = 0.1e-2147483647", ""),
        ("SELECT * FROM Tab WHERE pk = 1e99999999999", ""),
        ("SELECT * FROM Tab;;", "Unexpected token after semicolon. (Only one query is allowed.)"),
        ("SELECT * FROM Tab WHERE pk = 'p' pk", AFTER),
        ("SELECT é FROM Tab", ""),
        ("UPDATE Tab WHERE pk = 'p'", MANIPULATION),
        ("UPDATE Tab SET 'a' = 1 WHERE pk = 'p'", "Expected identifier for simple path"),
        ("UPDATE Tab SET", "Expected identifier for simple path"),
        ("UPDATE Tab SET a = 1 REMOVE", "Expected identifier for simple path"),
        ("UPDATE Tab SET a = 1, WHERE pk = 'p'", "Expected identifier for simple path"),
        ("INSERT INTO", "Expected identifier for simple path"),
        ("INSERT INTO 'Tab' VALUE {}", "Expected identifier for simple path"),
        ("FROM Tab SET c = 1 WHERE pk = 'p'", AFTER),
        ("DELETE FROM", "Expected identifier for simple path"),
        ("DELETE FROM;", "Expected identifier for simple path"),
        ("DELETE FROM WHERE pk = 'p'", "Expected identifier for simple path"),
        ("foo bar", AFTER),
        ("SELECT * FROM Tab WHERE " + "(" * 2000 + "a = 1" + ")" * 2000, TERM),
    ],
)
def test_invalid_partiql_is_refused_with_a_reason(text: str, reason: str, message: Message) -> None:
    assert message(grammar.parse, text) == f"Statement wasn't well formed, can't be processed: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT size FROM Tab",
        "INSERT INTO Tab VALUES {'pk': 'p'}",
        "DELETE Tab WHERE pk = 'p'",
        "EXISTS SELECT * FROM Tab",
    ],
)
def test_other_invalid_partiql_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="Statement wasn't well formed, can't be processed: "):
        grammar.parse(text)


@pytest.mark.parametrize("returning", ["", " RETURNING ALL NEW *"])
def test_an_update_may_begin_with_its_table(returning: str) -> None:
    [first, _], [second, _] = (
        grammar.parse(f"FROM Tab WHERE pk = 'p' SET c = 1 REMOVE b{returning}"),
        grammar.parse(f"UPDATE Tab SET c = 1 REMOVE b WHERE pk = 'p'{returning}"),
    )
    assert isinstance(first, Update) and isinstance(second, Update)
    assert (len(first.actions), first.returning) == (len(second.actions), second.returning)
