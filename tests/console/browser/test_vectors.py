"""Vector indexes and searches in them."""

from __future__ import annotations

import json
import urllib.parse

import pytest
from pages import Browser  # type: ignore[import-not-found]

from atoll import testing

INDEX = {
    "IndexName": "by-place", "VectorAttribute": {"AttributeName": "place"}, "Dimensions": 2,
    "DistanceFunction": "EUCLIDEAN", "Projection": {"ProjectionType": "ALL"},
    "SearchSchema": [{"AttributeName": "kind", "SearchSchemaElementType": "INLINE_FILTER"}],
}  # fmt: skip
VECTOR = "Vector, as a JSON list of numbers"


@pytest.fixture(scope="module", autouse=True)
def places(server: testing.LocalServer):
    client = server.client()
    client.create_table(
        TableName="Places", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "kind")],
        VectorIndexes=[INDEX],
    )  # fmt: skip
    server.settle()
    for number in range(6):
        place = {"L": [{"N": str(number)}, {"N": "0"}]}
        kind = {"S": "even" if number % 2 == 0 else "odd"}
        client.put_item(TableName="Places", Item={"id": {"S": f"p{number}"}, "kind": kind, "place": place})
    client.put_item(TableName="Places", Item={"id": {"S": "nowhere"}})
    yield
    client.delete_table(TableName="Places")


def found(browser: Browser) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in browser.rows("Nearest items")]


def test_an_index_is_shown_added_and_deleted(browser: Browser, server: testing.LocalServer):
    browser.open("/table/Places/indexes")
    (row,) = browser.rows("Vector indexes")
    assert row[:7] == ["by-place", "place", "2", "Euclidean", "kind", "All attributes", "Active"]
    assert row[7] == "6"
    browser.fill("Vector index name", "by-colour")
    browser.fill("Attribute with the vector", "colour")
    browser.fill("Dimensions", "3")
    browser.fill("Distance", "Dot")
    browser.fill("Filter attribute, if any", "kind")
    browser.press("Add vector index")
    browser.wait(lambda: [row[0] for row in browser.rows("Vector indexes")] == ["by-place", "by-colour"])
    server.settle()
    made = server.client().describe_table(TableName="Places")["Table"]["VectorIndexes"][1]
    assert (made["Dimensions"], made["DistanceFunction"], made["IndexStatus"]) == (3, "DOT_PRODUCT", "ACTIVE")
    assert made["SearchSchema"] == INDEX["SearchSchema"]
    browser.open("/table/Places/indexes")
    browser.press("Delete the index by-colour")
    browser.see("Type by-colour to confirm")
    browser.type_into_dialog("by-colour")
    browser.wait(lambda: [row[0] for row in browser.rows("Vector indexes") if row[6] == "Active"] == ["by-place"])
    server.settle()


def test_a_search_by_a_vector_a_filter_and_an_item(browser: Browser):
    browser.open("/table/Places/items")
    browser.press("Search vectors")
    browser.see("Nothing was searched yet")
    browser.fill("Items at most", "2")
    browser.fill(VECTOR, "[4.25, 0]")
    browser.press("Search")
    browser.wait(lambda: found(browser) == [("p4", "0.25"), ("p5", "0.75")])
    browser.fill("kind is", "odd")
    browser.press("Search")
    browser.wait(lambda: found(browser) == [("p5", "0.75"), ("p3", "1.25")])
    browser.press("Items similar to p3")
    browser.wait(lambda: found(browser) == [("p3", "0"), ("p1", "2")] or found(browser) == [("p3", "0"), ("p5", "2")])
    assert browser.field(VECTOR).get_attribute("value") == "[3, 0]"
    assert browser.nameless() == [] and browser.pale() == []


def test_an_item_leads_to_those_like_it(browser: Browser):
    browser.open("/table/Places/item?key=" + urllib.parse.quote(json.dumps({"id": {"S": "p0"}})))
    browser.press("Similar items (by-place)")
    browser.wait(lambda: found(browser)[:2] == [("p0", "0"), ("p1", "1")])
    browser.open("/table/Places/item?key=" + urllib.parse.quote(json.dumps({"id": {"S": "nowhere"}})))
    browser.see("attributes")
    assert "Similar items" not in browser.text


@pytest.mark.parametrize(
    ("vector", "why"),
    [
        ("[1", "a vector must be a list of numbers"),
        ("[1, true]", "a vector must be a list"),
        ("[1]", "ValidationException"),
    ],
)
def test_an_unfit_vector_is_refused_in_place(browser: Browser, vector: str, why: str):
    browser.open("/table/Places/nearest")
    browser.fill(VECTOR, vector)
    browser.press("Search")
    browser.see(why)


def test_a_table_without_such_an_index_is_reported(browser: Browser, server: testing.LocalServer):
    key = [{"AttributeName": "id", "KeyType": "HASH"}]
    definitions = [{"AttributeName": "id", "AttributeType": "S"}]
    server.client().create_table(
        TableName="Plain", KeySchema=key, AttributeDefinitions=definitions, BillingMode="PAY_PER_REQUEST"
    )
    browser.open("/table/Plain/nearest")
    browser.see("This table has no vector index.")
    browser.open("/table/Plain/items")
    browser.see("No items")
    assert "Search vectors" not in browser.text
    server.client().delete_table(TableName="Plain")
