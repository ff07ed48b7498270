from __future__ import annotations

from typing import Any

import pytest


def fill(service: Any, partition: str = "a", count: int = 10, **attributes: Any) -> None:
    for i in range(count):
        service.put_item(TableName="Things", Item={"pk": {"S": partition}, "sk": {"N": str(i)}, **attributes})


def query(service: Any, condition: str, values: dict[str, Any], **more: Any) -> Any:
    return service.query(TableName="Things", KeyConditionExpression=condition, ExpressionAttributeValues=values, **more)


def numbers(answer: Any) -> list[int]:
    return [int(item["sk"]["N"]) for item in answer["Items"]]


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("pk = :p", {}, list(range(10))),
        ("pk = :p AND sk = :a", {":a": 3}, [3]),
        ("pk = :p AND sk < :a", {":a": 3}, [0, 1, 2]),
        ("pk = :p AND sk <= :a", {":a": 3}, [0, 1, 2, 3]),
        ("pk = :p AND sk > :a", {":a": 7}, [8, 9]),
        (":a <= sk AND :p = pk", {":a": 8}, [8, 9]),
        ("pk = :p AND sk BETWEEN :a AND :b", {":a": 2, ":b": 4}, [2, 3, 4]),
    ],
)
def test_key_conditions_select_ranges(
    service: Any, condition: str, values: dict[str, int], expected: list[int]
) -> None:
    service.table(sort="N")
    fill(service)
    fill(service, "b")
    wire = {":p": {"S": "a"}, **{name: {"N": str(value)} for name, value in values.items()}}
    assert numbers(query(service, condition, wire)) == expected
    assert numbers(query(service, condition, wire, ScanIndexForward=False)) == expected[::-1]


def test_strings_can_be_queried_by_their_beginning(service: Any) -> None:
    service.table(sort="S")
    for sk in ("", "a", "ab", "abc", "b", "a\x00", "\U0001f600"):
        if sk:
            service.put_item(TableName="Things", Item={"pk": {"S": "p"}, "sk": {"S": sk}})
    answer = query(service, "pk = :p AND begins_with(sk, :s)", {":p": {"S": "p"}, ":s": {"S": "a"}})
    assert [item["sk"]["S"] for item in answer["Items"]] == ["a", "a\x00", "ab", "abc"]


def test_limit_counts_before_the_filter_and_pages_continue(service: Any) -> None:
    service.table(sort="N")
    fill(service)
    page = query(service, "pk = :p", {":p": {"S": "a"}, ":x": {"S": "none"}}, Limit=4, FilterExpression="colour = :x")
    assert (page["Count"], page["ScannedCount"], page["LastEvaluatedKey"]) == (
        0, 4, {"pk": {"S": "a"}, "sk": {"N": "3"}},
    )  # fmt: skip
    rest = query(service, "pk = :p", {":p": {"S": "a"}}, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert numbers(rest) == [4, 5, 6, 7, 8, 9]
    back = query(
        service, "pk = :p", {":p": {"S": "a"}}, ExclusiveStartKey=page["LastEvaluatedKey"], ScanIndexForward=False
    )
    assert numbers(back) == [2, 1, 0]


def test_an_exactly_full_last_page_still_has_a_last_key(service: Any) -> None:
    service.table(sort="N")
    fill(service, count=3)
    page = query(service, "pk = :p", {":p": {"S": "a"}}, Limit=3)
    assert "LastEvaluatedKey" in page
    assert "LastEvaluatedKey" not in query(service, "pk = :p", {":p": {"S": "a"}}, Limit=4)


def test_a_page_holds_a_megabyte(service: Any) -> None:
    service.table(sort="N")
    fill(service, count=30, x={"S": "y" * 100_000})
    page = query(service, "pk = :p", {":p": {"S": "a"}}, ReturnConsumedCapacity="TOTAL")
    assert page["Count"] == 10
    assert page["ConsumedCapacity"]["CapacityUnits"] == 122.5
    seen = numbers(page)
    while "LastEvaluatedKey" in page:
        page = query(service, "pk = :p", {":p": {"S": "a"}}, ExclusiveStartKey=page["LastEvaluatedKey"])
        seen += numbers(page)
    assert seen == list(range(30))


def test_filters_may_not_name_keys_in_a_query_but_may_in_a_scan(service: Any) -> None:
    service.table(sort="N")
    fill(service)
    refusal = service.refused(
        "Query", TableName="Things", KeyConditionExpression="pk = :p", FilterExpression="sk > :s",
        ExpressionAttributeValues={":p": {"S": "a"}, ":s": {"N": "1"}},
    )  # fmt: skip
    assert refusal.message == (
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: sk"
    )
    answer = service.scan(TableName="Things", FilterExpression="sk > :s", ExpressionAttributeValues={":s": {"N": "6"}})
    assert sorted(numbers(answer)) == [7, 8, 9]


def test_count_answers_no_items(service: Any) -> None:
    service.table(sort="N")
    fill(service)
    assert query(service, "pk = :p", {":p": {"S": "a"}}, Select="COUNT") == {"Count": 10, "ScannedCount": 10}


def test_a_projection_takes_parts_of_items(service: Any) -> None:
    service.table(sort="N")
    fill(service, count=1, m={"M": {"x": {"N": "1"}, "y": {"N": "2"}}})
    answer = service.query(
        TableName="Things", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "a"}},
        ProjectionExpression="m.#x", ExpressionAttributeNames={"#x": "x"},
    )  # fmt: skip
    assert answer["Items"] == [{"m": {"M": {"x": {"N": "1"}}}}]


def test_starting_keys_have_to_lie_within_the_query(service: Any) -> None:
    service.table(sort="N")
    request = {
        "TableName": "Things",
        "KeyConditionExpression": "pk = :p AND sk > :s",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":s": {"N": "5"}},
    }
    outside = service.refused("Query", **request, ExclusiveStartKey={"pk": {"S": "a"}, "sk": {"N": "1"}})
    assert outside.message == "The provided starting key does not match the range key predicate"
    outside = service.refused("Query", **request, ExclusiveStartKey={"pk": {"S": "b"}, "sk": {"N": "9"}})
    assert outside.message == "The provided starting key is outside query boundaries based on provided conditions"
    short = service.refused("Query", **request, ExclusiveStartKey={"pk": {"S": "a"}})
    assert short.message == "The provided starting key is invalid"


def test_segments_share_the_table_between_them(service: Any) -> None:
    service.table()
    for i in range(60):
        service.put_item(TableName="Things", Item={"pk": {"S": str(i)}})
    seen: list[str] = []
    for segment in range(4):
        page = service.scan(TableName="Things", Segment=segment, TotalSegments=4, Limit=7)
        seen += [item["pk"]["S"] for item in page["Items"]]
        while "LastEvaluatedKey" in page:
            start = page["LastEvaluatedKey"]
            page = service.scan(TableName="Things", Segment=segment, TotalSegments=4, Limit=7, ExclusiveStartKey=start)
            seen += [item["pk"]["S"] for item in page["Items"]]
    assert sorted(seen, key=int) == [str(i) for i in range(60)]


def test_segment_and_total_segments_need_each_other(service: Any) -> None:
    service.table()
    assert service.refused("Scan", TableName="Things", Segment=0).message == (
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present"
    )
    assert service.refused("Scan", TableName="Things", TotalSegments=2).message == (
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
    )
    assert service.refused("Scan", TableName="Things", Segment=5, TotalSegments=5).message == (
        "The Segment parameter is zero-based and must be less than parameter TotalSegments: Segment: 5 is not less "
        "than TotalSegments: 5"
    )
