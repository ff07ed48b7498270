"""The texts of all faults that show without names and values. Most pairs were read off the service's own parser."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.errors.expressions import Fault
from atoll.expressions import parser
from atoll.expressions.reserved import WORDS
from atoll.expressions.tree import (
    Add,
    And,
    Arithmetic,
    Between,
    Compare,
    Function,
    In,
    Not,
    Or,
    PathOperand,
    Remove,
    Set,
    ValueOperand,
)


def syntax(token: str, near: str) -> str:
    return f'Syntax error; token: "{token}", near: "{near}"'


A, V = PathOperand(("a",)), ValueOperand(":v")


def test_or_binds_weaker_than_and_and_and_weaker_than_not() -> None:
    equal = Compare("=", A, V)
    assert parser.condition("a=:v or a=:v and not a=:v") == Or((equal, And((equal, Not(equal)))))
    assert parser.condition("(a=:v or a=:v) AND NOT NOT (a=:v)") == And((Or((equal, equal)), Not(Not(equal))))


def test_the_and_of_between_is_not_a_conjunction() -> None:
    assert parser.condition("a between :v and :v and a in (:v, a)") == And((Between(A, V, V), In(A, (V, A))))


def test_parentheses_may_hold_an_operand() -> None:
    assert parser.condition("(a) = (:v)") == Compare("=", A, V)
    assert parser.condition("(size((a))) > :v") == Compare(">", Function("size", (A,)), V)


def test_paths_mix_names_placeholders_and_positions() -> None:
    assert parser.projection("a [ 0 ] . #b.c, d_1") == (PathOperand(("a", 0, "#b", "c")), PathOperand(("d_1",)))


def test_updates_have_sections_in_any_order_and_case() -> None:
    assert parser.update("remove a Set a = (a + :v), #b = if_not_exists(a, :v) ADD c :v") == (
        Remove(A),
        Set(A, Arithmetic("+", A, V)),
        Set(PathOperand(("#b",)), Function("if_not_exists", (A, V))),
        Add(PathOperand(("c",)), V),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "The expression can not be empty;"),
        ("  ", syntax("<EOF>", "  ")),
        ("a = ", syntax("<EOF>", "= ")),
        ("a", syntax("<EOF>", "a")),
        ("NOT a", syntax("<EOF>", "a")),
        ("a b", syntax("b", "a b")),
        ("   = a", syntax("=", "   = a")),
        ("a = :v x   y", syntax("x", ":v x   y")),
        ("!!", syntax("!", "!!")),
        ("a ! b", syntax("!", "a ! b")),
        ("(a = :v", syntax("<EOF>", ":v")),
        ("a = :v)", syntax(")", ":v)")),
        ("((a)", syntax("<EOF>", ")")),
        ("(a AND b)", syntax("AND", "a AND b")),
        ("a.[0] = :v", syntax("[", ".[0")),
        ("a[-1] = :v", syntax("-", "[-1")),
        ("a[01] = :v", syntax("1", "01]")),
        ("a._b = :v", syntax("_", "._b")),
        ("_a = :v", syntax("_", "_a")),
        ("a.0 = :v", syntax("0", ".0 =")),
        ("a[0 = :v", syntax("=", "0 = :v")),
        ('a = "x"', syntax('"', '= "x')),
        ("a = #", syntax("#", "= #")),
        ("#a#b = :v", syntax("#b", "#a#b =")),
        (":v.a = :v", syntax(".", ":v.a")),
        ("a IN ()", syntax(")", "()")),
        ("a IN :v", syntax(":v", "IN :v")),
        ("a BETWEEN :v", syntax("<EOF>", ":v")),
        ("a BETWEEN (:v AND :v)", syntax("AND", ":v AND :v")),
        ("a = b = c", syntax("=", "b = c")),
        ("a = NOT b", syntax("NOT", "= NOT b")),
        ("a + :v = :v", syntax("+", "a + :v")),
        ("attribute_exists a", syntax("a", "attribute_exists a")),
        ("set = :v", syntax("set", "set =")),
        ("((a = :v)) x", syntax("x", ") x")),
        ("((a = :v))", "The expression has redundant parentheses;"),
        ("NOT ((a = :v))", "The expression has redundant parentheses;"),
        ("a IN ((:v), ((:v)))", "The expression has redundant parentheses;"),
        ("begins_with(((a)), :v)", "The expression has redundant parentheses;"),
        ("((foo(a)))", "The expression has redundant parentheses;"),
        ("(" * 2000, "The expression has redundant parentheses;"),
        ("foo(abort)", "Invalid function name; function: foo"),
        ("Size(a) = :v", "Invalid function name; function: Size"),
        ("if_not_exists(a, :v)", "The function is not allowed in a condition expression; function: if_not_exists"),
        (
            "size(a)",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "a = attribute_exists(b)",
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "begins_with(contains(a, b), :v)",
            "The function is not allowed to be used this way in an expression; function: contains",
        ),
        ("a.Abort = :v", "Attribute name is a reserved keyword; reserved keyword: Abort"),
        ("a[2147483648] = :v", "List index is not within the allowable range; index: [2147483648]"),
        (f"a{'.b' * 32} = :v", "The document path has too many nesting levels; nesting levels: 33"),
    ],
)
def test_faulty_conditions(text: str, fault: str) -> None:
    with pytest.raises(Fault) as caught:
        parser.condition(text)
    assert caught.value.args[0] == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("INVALID SYNTAX", syntax("INVALID", "INVALID SYNTAX")),
        ("SET", syntax("<EOF>", "SET")),
        ("SET a = :v,", syntax("<EOF>", ",")),
        ("SET a = :v b = :v", syntax("b", ":v b =")),
        ("SET a = :v, REMOVE b", syntax("REMOVE", ", REMOVE b")),
        ("SET (a) = :v", syntax("(", "SET (a")),
        ("SET a = :n + :n + :n", syntax("+", ":n + :n")),
        ("SET a = :n + (:n + :n)", syntax("+", ":n + :n")),
        ("SET a = (:n + :n) + :n", syntax("+", ") + :n")),
        ("SET a = if_not_exists(a, b + :n)", syntax("+", "b + :n")),
        ("ADD a b", syntax("b", "a b")),
        ("ADD a = :n", syntax("=", "a = :n")),
        ("REMOVE delete", syntax("delete", "REMOVE delete")),
        ("SET a = ((b)), abort = :v", "The expression has redundant parentheses;"),
        ("SET a = :v Set b = :v", 'The "SET" section can only be used once in an update expression;'),
        ("SET a = b SET b = abort", "Attribute name is a reserved keyword; reserved keyword: abort"),
        ("SET abort = foo(a)", "Attribute name is a reserved keyword; reserved keyword: abort"),
        ("SET a = foo(b) SET c = :v", "Invalid function name; function: foo"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        (
            "SET a = b + list_append(c, :v)",
            "The function is not allowed to be used this way in an expression; function: list_append",
        ),
    ],
)
def test_faulty_updates(text: str, fault: str) -> None:
    with pytest.raises(Fault) as caught:
        parser.update(text)
    assert caught.value.args[0] == fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a,", syntax("<EOF>", ",")),
        ("(a)", syntax("(", "(a")),
        ("size(a)", syntax("(", "size(a")),
        (":v", syntax(":v", ":v")),
        ("a[]", syntax("]", "[]")),
        ("abort, absolute", "Attribute name is a reserved keyword; reserved keyword: abort"),
    ],
)
def test_faulty_projections(text: str, fault: str) -> None:
    with pytest.raises(Fault) as caught:
        parser.projection(text)
    assert caught.value.args[0] == fault


def test_of_several_faults_the_service_reports_one() -> None:
    """Redundant parentheses, an unknown function, a misused function, a reserved word: in this order."""
    faults = ["abort = b", "a = contains(b, c)", "foo(a)", "((a = b))"]
    texts = ["reserved keyword: abort", "function: contains", "function: foo", "redundant parentheses;"]
    for last in range(len(faults)):
        with pytest.raises(Fault) as caught:
            parser.condition(" AND ".join(faults[: last + 1]))
        assert texts[last] in caught.value.args[0]


def test_size_is_limited_in_bytes() -> None:
    assert parser.condition("a = :v" + " " * 4090)
    with pytest.raises(Fault) as caught:
        parser.condition("a = :v" + "é" * 2046)
    assert caught.value.args[0] == "Expression size has exceeded the maximum allowed size; expression size: 4098"


def test_three_hundred_operators_are_allowed() -> None:
    too_many = "The expression contains too many operators; operator count: 301"
    assert parser.condition(f"{'NOT ' * 299}a = b")
    assert parser.condition(f"{'NOT (' * 299}a = b{')' * 299}")
    assert parser.update("SET " + ", ".join(f"a{i} = :v" for i in range(301)))
    for parse, text in [
        (parser.condition, "NOT " * 300 + "a = b"),
        (parser.condition, " OR ".join(["a < b"] * 151)),
        (parser.condition, " OR ".join(["contains(a, b)"] * 151)),
        (parser.update, "SET " + ", ".join(f"a{i}=:v+:v" for i in range(301))),
    ]:
        with pytest.raises(Fault) as caught:
            parse(text)
        assert caught.value.args[0] == too_many


def test_there_are_573_reserved_words() -> None:
    assert len(WORDS) == 573


UNKNOWN_F = "Invalid function name; function: f"
NESTED_SIZE = "Incorrect operand type for operator or function; operator or function: size, operand type: N"


@pytest.mark.parametrize(
    ("parse", "text", "fault"),
    [
        (parser.condition, "a < " + "f(" * 450 + "b" + ")" * 450, UNKNOWN_F),
        (parser.condition, "a < " + "size(" * 450 + "b" + ")" * 450, NESTED_SIZE),
        (parser.condition, "contains(a, " + "size(" * 350 + "f(b)" + ")" * 351, UNKNOWN_F),
        (parser.update, "SET a = " + "f(" * 450 + "b" + ")" * 450, UNKNOWN_F),
    ],
    ids=["unknown functions", "size of sizes", "an unknown function in sizes", "unknown functions of an update"],
)
def test_functions_nested_deeply_are_judged_as_functions(parse: Any, text: str, fault: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(text)
    assert str(caught.value) == fault


def test_the_size_of_an_update_that_is_too_long_is_not_shown() -> None:
    long = "a" * 5_000
    with pytest.raises(Fault) as of_update:
        parser.update(f"REMOVE {long}")
    with pytest.raises(Fault) as of_condition:
        parser.condition(f"{long} = :v")
    assert str(of_update.value) == "Expression size has exceeded the maximum allowed size;"
    assert str(of_condition.value) == "Expression size has exceeded the maximum allowed size; expression size: 5005"
