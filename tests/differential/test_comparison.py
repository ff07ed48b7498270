"""What counts as the same answer; the comparison itself needs no server."""

from __future__ import annotations

from typing import Any

from differential.comparison import compare, pages
from differential.tables import Step

from benchmarks.client import Answer

GET = Step("GetItem", {"TableName": "plain"})


def differs(ours: Any, theirs: Any, step: Step = GET) -> bool:
    return compare(step, Answer(200, ours), Answer(200, theirs)) is not None


def test_sets_have_no_order_but_lists_have() -> None:
    assert not differs({"Item": {"s": {"SS": ["a", "b"]}}}, {"Item": {"s": {"SS": ["b", "a"]}}})
    assert differs({"Item": {"s": {"L": [{"S": "a"}, {"S": "b"}]}}}, {"Item": {"s": {"L": [{"S": "b"}, {"S": "a"}]}}})


def test_only_the_oracle_may_spell_numbers_freely() -> None:
    assert not differs({"Item": {"n": {"N": "100"}}}, {"Item": {"n": {"N": "1E2"}}})
    assert differs({"Item": {"n": {"N": "1E2"}}}, {"Item": {"n": {"N": "100"}}})


def test_scans_are_compared_without_order_and_queries_with() -> None:
    items = [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]
    ours, theirs = {"Items": items}, {"Items": items[::-1]}
    assert not differs(ours, theirs, Step("Scan", {}, unordered=True))
    assert differs(ours, theirs, Step("Query", {}))


def test_items_equal_in_an_index_key_may_come_in_any_order() -> None:
    step = Step("Query", {}, ties="i")
    first, second, third = ({"pk": {"S": pk}, "i": {"N": i}} for pk, i in (("a", "1"), ("b", "1"), ("c", "2")))
    assert not differs({"Items": [first, second, third]}, {"Items": [second, first, third]}, step)
    assert differs({"Items": [first, second, third]}, {"Items": [third, first, second]}, step)


def test_a_page_of_a_scan_has_any_items_but_all_pages_have_the_same() -> None:
    ours, theirs = ({"Items": [{"pk": {"S": pk}}]} for pk in "ab")
    assert not differs(ours, theirs, Step("Scan", {"Limit": 1}, unordered=True))
    assert not differs(ours, theirs, Step("Scan", {"Segment": 1, "TotalSegments": 2}, walk=True, unordered=True))
    assert differs(ours, theirs, Step("Scan", {"Limit": 1}, walk=True, unordered=True))
    assert differs(ours, theirs, Step("Scan", {}, unordered=True))
    assert differs(ours, theirs, Step("Query", {"Limit": 1}, unordered=True))


def test_statements_of_a_batch_are_explained_one_by_one() -> None:
    step = Step("BatchExecuteStatement", {"Statements": [{"Statement": "INSERT ..."}, {"Statement": "UPDATE ..."}]})

    def explained(message: str) -> bool:
        known = "The parameter cannot be converted to a numeric value: x"
        ours = [{"Error": {"Code": "ValidationError", "Message": text}} for text in (known, "one")]
        known = "A value provided cannot be converted into a number"
        theirs = [{"Error": {"Code": "ValidationError", "Message": text}} for text in (known, message)]
        found = compare(step, Answer(200, {"Responses": ours}), Answer(200, {"Responses": theirs}))
        assert found is not None
        return found.explanation is not None

    assert explained("one")
    assert not explained("two")


def test_codes_and_messages_of_errors_count() -> None:
    ours = Answer(400, {"__type": "x#ValidationException", "message": "one"})
    assert compare(GET, ours, Answer(400, {"__type": "y#ValidationException", "Message": "one"})) is None
    other = compare(GET, ours, Answer(400, {"__type": "x#ValidationException", "message": "two"}))
    assert other is not None
    assert other.explanation is None


def test_pages_add_up() -> None:
    whole = pages(Answer(200, {"Items": [n], "Count": 1, "ScannedCount": 2}) for n in range(3))
    assert whole.body == {"Items": [0, 1, 2], "Count": 3, "ScannedCount": 6}
