"""The rules of composite alarms: their meaning, and invalid ones."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.alarms import rules
from atoll.alarms.alarm import ALARM, INSUFFICIENT_DATA, OK
from atoll.errors import ApiError

STATES = {"a": ALARM, "b": OK, "c": INSUFFICIENT_DATA, "gone": None, "b c": ALARM, 'quo"te)': ALARM}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("ALARM(a)", True),
        ("OK(a)", False),
        (" INSUFFICIENT_DATA ( c ) ", True),
        ("ALARM(gone) OR OK(gone) OR INSUFFICIENT_DATA(gone)", False),
        ('ALARM("b c") AND ALARM("quo\\"te)")', True),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("NOT FALSE OR TRUE", True),
        ("NOT (FALSE OR TRUE)", False),
        ("NOT NOT ALARM(a)", True),
        ("NOT ALARM(b) AND NOT OK(b)", False),
        ("FALSE AND FALSE OR TRUE", True),
        ("((((ALARM(a)))))AND(NOT(OK(a)))", True),
    ],
)
def test_meaning_of_rules(text: str, holds: bool) -> None:
    assert rules.parse(text).holds(STATES) is holds


@pytest.mark.parametrize(
    ("text", "unexpected"),
    [
        ("", "end"), ("   ", "end"), ("ALARM", "end"), ("ALARM(", "end"), ("ALARM()", "')'"), ("ALARM(a", "end"),
        ("ALARM(a b)", "'b'"), ("ALARM(a) OK(b)", "'OK'"), ("ALARM(a) OR", "end"), ("AND TRUE", "'AND'"),
        ("(TRUE", "end"), ("TRUE)", "')'"), ("NOT", "end"), ("TRUE NOT FALSE", "'NOT'"), ("alarm(a)", "'alarm'"),
        ('ALARM("a)', "'\"'"), ("TRUE (FALSE)", "'('"), ('"TRUE"', "'TRUE'"), ("TRUE & FALSE", "'&'"),
        ("AT_LEAST(2, ALARM, (a))", "'2'"), ("AT_LEAST(1, alarm, (a))", "'alarm'"),
    ],
)  # fmt: skip
def test_invalid_rules(text: str, unexpected: str) -> None:
    with pytest.raises(ApiError) as caught:
        rules.parse(text)
    assert caught.value.message == f"AlarmRule is invalid: unexpected {unexpected}"


def test_a_rule_is_bounded_and_may_be_nested_deeply() -> None:
    assert rules.parse("(" * 5_000 + "TRUE" + ")" * 5_000).holds({})
    assert rules.parse("NOT " * 498 + "TRUE").holds({})
    for text in ("NOT " * 500 + "TRUE", " OR ".join(f"OK(a{number})" for number in range(101))):
        with pytest.raises(ApiError, match="at most 100 alarms"):
            rules.parse(text)


LEAVES = {"TRUE": True, "FALSE": False, "ALARM(a)": True, "OK(a)": False, "OK(b)": True}
OPERANDS = st.tuples(st.sampled_from(["", "NOT ", "NOT NOT "]), st.sampled_from(sorted(LEAVES)))
TREES = st.recursive(
    st.tuples(OPERANDS).map(list),
    lambda inner: st.lists(st.one_of(OPERANDS, inner), min_size=1, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(tree=TREES, random=st.randoms(use_true_random=False))
def test_any_rule_means_the_same_as_in_python(tree: list[object], random: Random) -> None:
    def written(part: object) -> tuple[str, str]:
        if isinstance(part, tuple):
            prefix, leaf = part
            return prefix + leaf, f"{prefix.lower()}{LEAVES[leaf]}"
        rule, python = "", ""
        for one in part:  # type: ignore[attr-defined]
            operator = random.choice([" AND ", " OR "]) if rule else ""
            texts = written(one)
            rule, python = rule + operator + texts[0], python + operator.lower() + texts[1]
        return f"({rule})", f"({python})"

    rule, python = written(tree)
    assert rules.parse(rule[1:-1]).holds(STATES) is eval(python)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("AT_LEAST(2, ALARM, (a, b, c))", False),
        ("AT_LEAST(1, ALARM, (a, b, c))", True),
        ("AT_LEAST( 2 ,NOT ALARM,(a,b,c) )", True),
        ("AT_LEAST(50%, OK, (b, a))", True),
        ("AT_LEAST(51%, OK, (b, a))", False),
        ('AT_LEAST(1, INSUFFICIENT_DATA, ("x, y", c)) AND ALARM(a)', True),
        ("NOT AT_LEAST(2, OK, (b, b, a, c)) AND TRUE", True),
    ],
)
def test_at_least(text: str, holds: bool) -> None:
    states = {"a": "ALARM", "b": "OK", "c": None, "x, y": "INSUFFICIENT_DATA"}
    rule = rules.parse(text)
    assert rule.holds(states) is holds
    assert set(rule.alarms) <= states.keys()


@pytest.mark.parametrize(
    "text",
    [
        "AT_LEAST", "AT_LEAST(2, ALARM, (a))", "AT_LEAST(0, ALARM, (a))", "AT_LEAST(101%, ALARM, (a))",
        "AT_LEAST(1, ALARM, ())", "AT_LEAST(1, ALARM, (a)", "AT_LEAST(1, ALARM, (a b))", "AT_LEAST(1, BAD, (a))",
        "AT_LEAST(x, ALARM, (a))", "AT_LEAST(1, ALARM, (a,))", "AT_LEAST(1 ALARM (a))", "AT_LEAST(2, ALARM, (a, a))",
        'AT_LEAST(1, "ALARM", (a))', "TRUE AT_LEAST(1, ALARM, (a))",
    ],
)  # fmt: skip
def test_invalid_at_least(text: str) -> None:
    with pytest.raises(ApiError, match="AlarmRule is invalid"):
        rules.parse(text)


def test_each_alarm_of_at_least_is_an_element() -> None:
    assert len(rules.parse("AT_LEAST(1, ALARM, (" + ", ".join(f"a{n}" for n in range(100)) + "))").alarms) == 100
    with pytest.raises(ApiError, match="at most"):
        rules.parse("AT_LEAST(1, ALARM, (" + ", ".join(f"a{n}" for n in range(101)) + "))")
    many = " OR ".join(["AT_LEAST(1, ALARM, (" + ", ".join(f"a{n}" for n in range(100)) + "))"] * 6)
    with pytest.raises(ApiError, match="at most"):
        rules.parse(many)
