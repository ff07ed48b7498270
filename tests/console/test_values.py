"""Items as texts and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.console.values import BadValue, as_json, columns, from_json, read, shown, typed, vector_of

TEXTS = st.text(max_size=20)
SCALARS = st.one_of(
    st.builds(lambda one: {"S": one}, TEXTS),
    st.builds(lambda one: {"N": str(one)}, st.integers()),
    st.builds(lambda one: {"B": one}, st.binary(max_size=20)),
    st.builds(lambda one: {"BOOL": one}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda one: {"SS": one}, st.lists(TEXTS, min_size=1, max_size=3)),
    st.builds(lambda one: {"BS": one}, st.lists(st.binary(max_size=5), min_size=1, max_size=3)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(lambda one: {"L": one}, st.lists(inner, max_size=3)),
        st.builds(lambda one: {"M": one}, st.dictionaries(TEXTS, inner, max_size=3)),
    ),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_json_gives_the_item_back(item):
    assert from_json(as_json(item)) == item


@given(VALUES)
def test_the_text_of_the_editor_gives_the_value_back(value):
    assert read(next(iter(value)), typed(value)) == value


@given(VALUES, st.integers(2, 40))
def test_a_cell_has_one_short_text(value, length):
    assert len(shown(value, length)) <= length


@pytest.mark.parametrize(
    "text, why",
    [
        ("[]", "an item must be an object"),
        ("{", "invalid JSON"),
        ('{"a": 1}', "a: a value must be an object with one type"),
        ('{"a": {"S": "1", "N": "1"}}', "one type"),
        ('{"a": {"N": "one"}}', "'one' is not a number"),
        ('{"a": {"N": 1}}', "this is not a number"),
        ('{"a": {"B": "!"}}', "base64"),
        ('{"a": {"M": {"b": {"BOOL": "true"}}}}', "a.b: this is not a boolean"),
        ('{"a": {"L": [{"S": 1}]}}', r"a\[0\]: this is not a string"),
        ('{"a": {"S": "1"}, "a": {"S": "2"}}', "the name a occurs twice"),
        ("[" * 100_000, "deep"),
    ],
)
def test_invalid_items_are_explained(text, why):
    with pytest.raises(BadValue, match=why):
        from_json(text)


@pytest.mark.parametrize("text", ["[1, -0.50, 2e3]", '{"L": [{"N": "1"}, {"N": "-0.50"}, {"N": "2e3"}]}'])
def test_a_vector_keeps_its_digits(text):
    assert vector_of(text) == [{"N": "1"}, {"N": "-0.50"}, {"N": "2e3"}]


@pytest.mark.parametrize(
    "text", ["", "[1", "1", "null", "[null]", "[[1]]", "[true]", '["a"]', "[NaN]", "{}", "[" * 100_000]
)
def test_invalid_vectors_are_explained(text):
    with pytest.raises(BadValue, match="a vector must be a list of numbers"):
        vector_of(text)


def test_sets_may_be_lines():
    assert read("SS", "a\nb\n") == {"SS": ["a", "b"]}


def test_columns_are_the_keys_and_the_most_frequent_attributes():
    items = [
        {"id": {"S": "1"}, "rare": {"S": ""}},
        {"id": {"S": "2"}, "b": {"S": ""}},
        {"id": {"S": "3"}, "b": {"S": ""}},
    ]
    assert columns(items, ["id"], 1) == ["id", "b"]
    assert columns(items, ["id"], 5) == ["id", "rare", "b"]
