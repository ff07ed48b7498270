"""A server killed while vectors are written: its index agrees with its items, and searches see both at once."""

from __future__ import annotations

import threading
from pathlib import Path

from benchmarks import servers
from benchmarks.client import Client, Json
from tests.crash.load import expect

TABLE = {
    "TableName": "notes",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "VectorIndexes": [
        {
            "IndexName": "near",
            "VectorAttribute": {"AttributeName": "v"},
            "Projection": {"ProjectionType": "ALL"},
            "Dimensions": 2,
            "DistanceFunction": "EUCLIDEAN",
        }
    ],
}


def vector(*numbers: int) -> list[dict[str, str]]:
    return [{"N": str(number)} for number in numbers]


def write(
    port: int, writer: int, acknowledged: dict[str, int], killed: threading.Event, begun: threading.Event
) -> None:
    """Move 10 notes in turn, repeatedly; every third write deletes one."""
    with Client(port) as client:
        for turn in range(1_000_000):
            pk = f"{writer}-{turn % 10}"
            try:
                if turn % 3 == 2:
                    expect(client.call("DeleteItem", {"TableName": "notes", "Key": {"pk": {"S": pk}}}))
                else:
                    item = {"pk": {"S": pk}, "v": {"L": vector(writer, turn)}}
                    expect(client.call("PutItem", {"TableName": "notes", "Item": item}))
            except (OSError, EOFError):
                assert killed.is_set()
                return
            acknowledged[pk] = turn
            if turn == 40:
                begun.set()


def test_index_and_items_agree_after_kills(tmp_path: Path) -> None:
    for round_ in range(3):
        with servers.atoll(tmp_path / "data") as server:
            acknowledged: dict[str, int] = {}
            with Client(server.port) as client:
                if round_ == 0:
                    expect(client.call("CreateTable", TABLE))
                else:
                    check(client)
            killed, begun = threading.Event(), threading.Event()
            threads = [
                threading.Thread(target=write, args=(server.port, writer, acknowledged, killed, begun))
                for writer in range(4)
            ]
            for thread in threads:
                thread.start()
            assert begun.wait(30)
            killed.set()
            server.kill()
            for thread in threads:
                thread.join()
    with servers.atoll(tmp_path / "data") as server, Client(server.port) as client:
        found = check(client)
        for pk, turn in acknowledged.items():
            # The write that was under way may have been committed too.
            assert turn % 3 == 2 or pk not in found or found[pk] >= turn


def check(client: Client) -> dict[str, int]:
    """Compare the index with the items; return the turn of each note."""
    scanned = expect(client.call("Scan", {"TableName": "notes"})).body["Items"]
    search: Json = {
        "TableName": "notes", "IndexName": "near", "SearchVector": vector(0, 0), "TopK": 100,
        "ProjectionExpression": "pk, v",
    }  # fmt: skip
    results = expect(client.call("SearchVectors", search)).body["SearchResults"]
    in_table = {item["pk"]["S"]: item["v"] for item in scanned}
    assert {one["Item"]["pk"]["S"]: one["Item"]["v"] for one in results} == in_table
    return {pk: int(v["L"][1]["N"]) for pk, v in in_table.items()}
