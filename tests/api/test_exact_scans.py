"""The capacity of scans: each partition that a scan reads costs a step of 4 KB at least."""

from __future__ import annotations

from typing import Any

import pytest

GSI = {
    "IndexName": "by-g",
    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


@pytest.fixture
def things(service: Any) -> Any:
    """A table on demand, which has four partitions, with one small item."""
    service.table(types={"g": "S"}, GlobalSecondaryIndexes=[GSI])
    service.put_item(TableName="Things", Item={"pk": {"S": "a"}, "g": {"S": "b"}})
    return service


def units(service: Any, operation: str = "Scan", **body: Any) -> float:
    found: float = service.request(operation, {**body, "ReturnConsumedCapacity": "TOTAL"})["ConsumedCapacity"][
        "CapacityUnits"
    ]
    return found


@pytest.mark.parametrize(("consistent", "expected"), [(False, 2.0), (True, 4.0)])
def test_a_scan_reads_four_partitions(things: Any, consistent: bool, expected: float) -> None:
    assert units(things, TableName="Things", ConsistentRead=consistent) == expected


def test_a_scan_of_an_empty_table_reads_four_partitions(service: Any) -> None:
    service.table()
    assert units(service, TableName="Things") == 2.0


def test_a_filter_changes_nothing(things: Any) -> None:
    assert units(things, TableName="Things", FilterExpression="attribute_exists(nothing)") == 2.0


def test_an_index_is_read_in_partitions_too(things: Any) -> None:
    assert units(things, TableName="Things", IndexName="by-g") == 2.0


def test_a_select_without_a_key_is_a_scan(things: Any) -> None:
    assert units(things, "ExecuteStatement", Statement="SELECT * FROM Things") == 2.0
    assert units(things, "ExecuteStatement", Statement="SELECT * FROM Things WHERE pk = 'a'") == 0.5


@pytest.mark.parametrize(("total", "each"), [(1, [2.0]), (2, [1.0, 1.0]), (4, [0.5] * 4), (8, [0.5] * 8)])
def test_a_segment_costs_its_partitions(things: Any, total: int, each: list[float]) -> None:
    asked: dict[str, Any] = {"TableName": "Things", "TotalSegments": total}
    assert [units(things, Segment=segment, **asked) for segment in range(total)] == each


def test_a_page_costs_the_partitions_up_to_its_last_item(service: Any) -> None:
    service.table()
    for number in range(40):
        service.put_item(TableName="Things", Item={"pk": {"S": str(number)}})
    assert units(service, TableName="Things", Limit=1) == 0.5
    assert units(service, TableName="Things", Limit=40) == 2.0
    pages: list[float] = []
    start: dict[str, Any] = {}
    while start is not None:
        more = {"ExclusiveStartKey": start} if start else {}
        answer = service.scan(TableName="Things", Limit=10, ReturnConsumedCapacity="TOTAL", **more)
        pages.append(answer["ConsumedCapacity"]["CapacityUnits"])
        start = answer.get("LastEvaluatedKey")
    assert len(pages) == 5
    assert 2.0 < sum(pages) <= 2.0 + 4 * 0.5


def test_large_partitions_cost_their_sizes(service: Any) -> None:
    service.table()
    for number in range(100):
        service.put_item(TableName="Things", Item={"pk": {"S": str(number)}, "x": {"S": "x" * 1_000}})
    total = sum(len(str(number)) + 1_003 for number in range(100))
    consumed = units(service, TableName="Things", ConsistentRead=True)
    assert -(-total // 4096) <= consumed <= -(-total // 4096) + 3


def test_a_scan_in_pieces_costs_as_much_as_at_once(service: Any) -> None:
    service.table()
    for first in range(0, 2_500, 25):
        puts = [{"PutRequest": {"Item": {"pk": {"S": f"{n:05}"}}}} for n in range(first, first + 25)]
        service.batch_write_item(RequestItems={"Things": puts})
    segments = sum(
        units(service, TableName="Things", Segment=segment, TotalSegments=4, ConsistentRead=True)
        for segment in range(4)
    )
    assert units(service, TableName="Things", ConsistentRead=True) == segments


def test_a_provisioned_table_has_one_partition(service: Any) -> None:
    throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    service.table(BillingMode="PROVISIONED", ProvisionedThroughput=throughput)
    assert units(service, TableName="Things") == 0.5
    assert units(service, TableName="Things", ConsistentRead=True) == 1.0
