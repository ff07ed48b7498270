"""Pages are read in pieces and filtered in slices, so that other requests run in between. Clients see no difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atoll import slices
from atoll.api.partiql import select
from atoll.database import reads
from tests import desk, engines


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def pieces() -> None:
        monkeypatch.setattr(reads, "PIECE_ROWS", 3)
        monkeypatch.setattr(reads, "PIECE_FETCHED_ROWS", 2)
        monkeypatch.setattr(select, "PIECE_RANGES", 2)
        monkeypatch.setattr(slices, "SLICE_NS", 0)

    return pieces


def _fill(service: Any) -> None:
    local = {
        "IndexName": "by-n",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    service.table(sort="N", types={"n": "N"}, LocalSecondaryIndexes=[local])
    for partition in "abc":
        for number in range(7):
            item = {"pk": {"S": partition}, "sk": {"N": str(number)}, "n": {"N": str(-number)}, "x": {"S": "x" * 50}}
            service.put_item(TableName="Things", Item=item)


def _pages(request: Callable[..., Any], token: str, answered: str, **members: Any) -> Iterator[Any]:
    more: dict[str, Any] = {}
    while True:
        answer = request(**members, **more)
        answer.pop("ResponseMetadata", None)
        yield answer
        if answered not in answer:
            return
        more = {token: answer[answered]}


def _reads(service: Any, *, fetching: bool = True) -> Iterator[Any]:
    """Every kind of page, with every limit."""
    of_a = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    filtered = {
        "FilterExpression": "n < :n",
        "ExpressionAttributeValues": {":n": {"N": "-2"}},
        "ProjectionExpression": "sk,n",
        "ReturnConsumedCapacity": "INDEXES",
    }
    statements = [
        "SELECT * FROM Things",
        "SELECT sk FROM Things WHERE pk IN ['c','a','b','d','e'] AND sk >= 1 AND n <> -3",
        "SELECT * FROM Things WHERE pk IN ['c','b','a'] ORDER BY pk DESC, sk DESC",
    ]
    for limit in (None, *range(1, 9)):
        limited = {} if limit is None else {"Limit": limit}
        for backwards in (True, False):
            fetched = [{"IndexName": "by-n", "Select": "ALL_ATTRIBUTES"}] if fetching else []
            for index in ({}, {"IndexName": "by-n"}, *fetched):
                asked = {**of_a, **limited, **index, "ScanIndexForward": backwards, "TableName": "Things"}
                yield from _pages(service.query, "ExclusiveStartKey", "LastEvaluatedKey", **asked)
        asked = {**filtered, **limited, "TableName": "Things"}
        yield from _pages(service.scan, "ExclusiveStartKey", "LastEvaluatedKey", **asked)
        for text in statements:
            yield from _pages(service.execute_statement, "NextToken", "NextToken", Statement=text, **limited)


def test_pieces_make_the_same_pages(service: Any, cut: Callable[[], None]) -> None:
    _fill(service)
    whole = list(_reads(service))
    cut()
    assert list(_reads(service)) == whole


@pytest.mark.parametrize("limit", [300, 1_000])
def test_a_page_of_pieces_ends_before_its_bound(
    service: Any, cut: Callable[[], None], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    _fill(service)
    monkeypatch.setattr("atoll.limits.PAGE_BYTES", limit)
    whole = list(_reads(service, fetching=False))
    assert any("LastEvaluatedKey" in answer and answer["Count"] < 8 for answer in whole)
    cut()
    assert list(_reads(service, fetching=False)) == whole


def test_a_page_that_fetches_many_bytes_ends_early(
    service: Any, cut: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(service)
    cut()
    monkeypatch.setattr("atoll.limits.PAGE_BYTES", 200)
    asked = {
        "TableName": "Things",
        "IndexName": "by-n",
        "Select": "ALL_ATTRIBUTES",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": "a"}},
    }
    pages = list(_pages(service.query, "ExclusiveStartKey", "LastEvaluatedKey", **asked))
    assert [len(page["Items"]) for page in pages] == [4, 3]
    assert [int(item["sk"]["N"]) for page in pages for item in page["Items"]] == list(range(6, -1, -1))


def test_other_requests_run_while_a_page_is_filtered(service: Any, cut: Callable[[], None]) -> None:
    _fill(service)
    cut()
    order = []

    async def run(name: str, operation: str, body: dict[str, Any]) -> None:
        await desk.call(service.region, operation, body)
        order.append(name)

    async def together() -> None:
        filtered = {"TableName": "Things", "FilterExpression": "attribute_exists(n)"}
        # A request without a trip to the store, whose time would decide.
        await asyncio.gather(run("scan", "Scan", filtered), run("other", "DescribeEndpoints", {}))

    engines.run(together())
    assert order == ["other", "scan"]
