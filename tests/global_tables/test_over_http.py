"""A global table of a running server of two regions, with boto3."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atoll.testing import LocalServer, serve

US, EU = "us-east-1", "eu-west-1"
KEYS = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}
TABLE = {"TableName": "Things", "BillingMode": "PAY_PER_REQUEST", **KEYS}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve(regions=[US, EU], clock="system") as one:
        yield one


def until(holds: Callable[[], bool]) -> None:
    """Ask again until it holds; replication is asynchronous."""
    end_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end_s


def replicas(client: Any) -> dict[str, str]:
    table = client.describe_table(TableName="Things")["Table"]
    return {one["RegionName"]: one["ReplicaStatus"] for one in table.get("Replicas", [])}


def keys(client: Any) -> set[str]:
    return {item["pk"]["S"] for item in client.scan(TableName="Things")["Items"]}


def put(client: Any, pk: str, **attributes: Any) -> None:
    client.put_item(TableName="Things", Item={"pk": {"S": pk}, **attributes})


def get(server: LocalServer, path: str) -> Any:
    with urllib.request.urlopen(server.endpoint_url + path) as answer:
        return json.load(answer)


def test_a_global_table_is_created_used_and_deleted(server: LocalServer) -> None:
    us, eu = (server.client("dynamodb", region_name=region) for region in (US, EU))
    us.create_table(**TABLE)
    put(us, "first")
    us.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
    until(lambda: replicas(us) == {EU: "ACTIVE"} and replicas(eu) == {US: "ACTIVE"})
    assert keys(eu) == {"first"}
    put(eu, "second")
    until(lambda: keys(us) == {"first", "second"})

    server.link(US, EU).partition()
    put(us, "both", by={"S": US})
    put(eu, "both", by={"S": EU})
    server.link(US, EU).heal()
    until(lambda: get(server, "/_atoll/replication/conflicts?table=Things&limit=5")["seen"] == {US: 1, EU: 1})
    for entry in get(server, "/_atoll/replication/conflicts?table=Things")["conflicts"]:
        assert (entry["key"], entry["winner"]["region"]) == ({"pk": {"S": "both"}}, EU)
    assert get(server, "/_atoll/replication/conflicts?table=Others")["conflicts"] == []
    of_one = get(server, f"/_atoll/replication/conflicts?table=Things&region={US}&limit=1")
    assert [entry["seen_in"] for entry in of_one["conflicts"]] == [US] and of_one["seen"] == {US: 1}

    us.update_table(TableName="Things", ReplicaUpdates=[{"Delete": {"RegionName": EU}}])
    until(lambda: replicas(us) == {})
    us.delete_table(TableName="Things")
    until(lambda: us.list_tables()["TableNames"] == eu.list_tables()["TableNames"] == [])


@pytest.mark.parametrize("query", ["region=mars-1", "limit=x", "more=1"])
def test_a_bad_query_is_refused(server: LocalServer, query: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(server, f"/_atoll/replication/conflicts?{query}")
    with refused.value as answer:
        assert answer.status == 400


def test_a_region_without_its_own_name_gets_no_replica(server: LocalServer) -> None:
    us = server.client("dynamodb")
    us.create_table(**TABLE)
    with pytest.raises(us.exceptions.ClientError, match="Unsupported region: ap-south-1"):
        us.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": "ap-south-1"}}])


def test_a_server_of_one_region_makes_no_global_tables_of_2017() -> None:
    with serve() as server:
        us = server.client("dynamodb")
        us.create_table(**TABLE)
        with pytest.raises(us.exceptions.ClientError, match=r"version 2017\.11\.29 is not supported"):
            us.create_global_table(GlobalTableName="Things", ReplicationGroup=[{"RegionName": US}])
