"""Answers that count as the same; the comparison itself needs no server."""

from __future__ import annotations

from typing import Any

from benchmarks.client import Answer
from tests.differential.agreements import Body
from tests.differential.comparison import compare, pages
from tests.differential.tables import Step

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


def test_the_order_within_partitions_is_guaranteed_that_of_partitions_is_not() -> None:
    step = Step("ExecuteStatement", {"Statement": "SELECT"}, within="pk")
    one, two, other = ({"pk": {"S": pk}, "sk": {"N": sk}} for pk, sk in (("a", "1"), ("a", "2"), ("b", "1")))
    assert not differs({"Items": [one, two, other]}, {"Items": [other, one, two]}, step)
    assert differs({"Items": [one, two, other]}, {"Items": [other, two, one]}, step)


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


def agrees(operation: str, body: Body, ours: Body, theirs: Body) -> bool:
    """Whether an entry covers the difference of two successes."""
    found = compare(Step(operation, body), Answer(200, ours), Answer(200, theirs))
    assert found is not None
    return found.explanation is not None


def test_only_the_unchanged_parts_of_a_document_may_be_left_out() -> None:
    body = {"TableName": "plain", "UpdateExpression": "SET m.a = :v", "ReturnValues": "UPDATED_NEW"}
    whole = {"Attributes": {"m": {"M": {"a": {"S": "new"}, "l": {"L": [{"N": "1"}, {"N": "2"}]}}}, "n": {"N": "1"}}}

    def covered(**attributes: Any) -> bool:
        return agrees("UpdateItem", body, {"Attributes": attributes}, whole)

    assert covered(m={"M": {"a": {"S": "new"}}}, n={"N": "1"})
    assert covered(m={"M": {"l": {"L": [{"N": "2"}]}}}, n={"N": "1"})
    assert not covered(m={"M": {"a": {"S": "old"}}}, n={"N": "1"})
    assert not covered(m={"M": {"l": {"L": [{"N": "2"}, {"N": "1"}]}}}, n={"N": "1"})
    assert not covered(m={"M": {"a": {"S": "new"}}}, n={"N": "2"})
    assert not covered(m={"M": {"a": {"S": "new"}, "more": {"N": "1"}}}, n={"N": "1"})


def test_a_column_behind_an_element_has_its_value_though_not_its_place() -> None:
    def covered(columns: str, ours: Body, theirs: Body) -> bool:
        body = {"Statement": f"SELECT {columns} FROM \"plain\" WHERE pk = 'p'"}
        return agrees("ExecuteStatement", body, {"Items": [ours]}, {"Items": [theirs]})

    inside = {"l[2]": {"M": {"a": {"S": "x"}}}, "n": {"N": "1"}}
    assert covered('l[2]."a", n', {"a": {"S": "x"}, "n": {"N": "1"}}, inside)
    assert not covered("l[2].a, n", {"a": {"S": "y"}, "n": {"N": "1"}}, inside)
    assert not covered("l[2].a, n", {"a": {"S": "x"}}, inside)
    assert not covered("l[2].a, n", {"n": {"N": "1"}}, inside)
    assert covered("l[3][0]", {"l[3][0]": {"N": "7"}}, {"l[3]": {"L": [{"N": "7"}]}})
    assert not covered("l[3][0]", {"l[3][0]": {"N": "8"}}, {"l[3]": {"L": [{"N": "7"}]}})


def test_only_conditions_on_attributes_outside_an_index_may_find_other_items() -> None:
    def covered(where: str, ours: list[Body], theirs: list[Body]) -> bool:
        body = {"Statement": f'SELECT * FROM "indexed"."only-b" WHERE {where}'}
        return agrees("ExecuteStatement", body, {"Items": ours}, {"Items": theirs})

    one, other = {"pk": {"S": "p"}}, {"pk": {"S": "q"}}
    assert covered("b = 'x' AND i = 1", [one], [one, other])
    assert not covered("b = 'x' AND i = 1", [one, other], [one])
    assert covered("b = 'x' AND i IS MISSING", [one, other], [one])
    assert not covered("b = 'i' AND sk = 1", [one], [one, other])


def test_only_items_of_several_partitions_may_be_repeated() -> None:
    def covered(where: str, ours: list[Body], theirs: list[Body]) -> bool:
        body = {"Statement": f"SELECT * FROM plain WHERE {where}"}
        return agrees("ExecuteStatement", body, {"Items": ours}, {"Items": theirs})

    one, other = {"pk": {"S": "p"}}, {"pk": {"S": "q"}}
    assert covered("pk IN ['p', 'q']", [one, other], [one, other, one])
    assert not covered("pk = 'p'", [one], [one, one])
    assert not covered("pk IN ['p', 'q']", [one], [one, other])
    assert not covered("pk IN ['p', 'q']", [one, one], [one])


def test_codes_and_messages_of_errors_count() -> None:
    ours = Answer(400, {"__type": "x#ValidationException", "message": "one"})
    assert compare(GET, ours, Answer(400, {"__type": "y#ValidationException", "Message": "one"})) is None
    other = compare(GET, ours, Answer(400, {"__type": "x#ValidationException", "message": "two"}))
    assert other is not None
    assert other.explanation is None


def test_pages_add_up() -> None:
    whole = pages(Answer(200, {"Items": [n], "Count": 1, "ScannedCount": 2}) for n in range(3))
    assert whole.body == {"Items": [0, 1, 2], "Count": 3, "ScannedCount": 6}
