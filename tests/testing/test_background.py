"""The due work, over HTTP: `GET /_atoll/due` and `GET /_atoll/triggers`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from atoll import testing

open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@pytest.fixture
def server():
    with testing.serve(regions=["us-east-1", "eu-west-1"]) as server:
        yield server


def ask(server: testing.LocalServer, path: str) -> Any:
    with open_url(f"{server.endpoint_url}/_atoll/{path}") as answer:
        return json.load(answer)


def create(client, name, **more):
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        **more,
    )


STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}


def test_work_is_listed_in_the_order_in_which_it_is_due(server):
    create(server.client(), "Orders", **STREAM)
    found = ask(server, "due")
    times = [one["due_ms"] for one in found["due"]]
    assert times == sorted(times) and times[0] > found["now_ms"]
    (rotation,) = [one for one in found["due"] if one["work"] == "rotate the shards of a stream"]
    assert rotation["table"] == "Orders"
    server.clock.set(rotation["due_ms"] / 1000)
    assert all(one["due_ms"] > rotation["due_ms"] for one in ask(server, "due")["due"])
    assert len(ask(server, "due?limit=1")["due"]) == 1
    assert ask(server, "due?region=eu-west-1")["due"] == []


def test_the_items_that_expire_next(server):
    client = server.client()
    create(client, "Sessions")
    assert ask(server, "due?table=Sessions")["items"] == []
    client.update_time_to_live(
        TableName="Sessions", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    now = int(server.clock.time())
    for number in (3, 1, 2):
        item = {"id": {"S": f"s{number}"}, "n": {"N": "1"}, "until": {"N": str(now + number * 60)}}
        client.put_item(TableName="Sessions", Item=item)
    client.put_item(TableName="Sessions", Item={"id": {"S": "stays"}, "n": {"N": "1"}})
    found = ask(server, "due?table=Sessions&limit=2")
    assert found["attribute"] == "until"
    assert found["items"] == [
        {"key": {"id": {"S": "s1"}, "n": {"N": "1"}}, "expires": now + 60},
        {"key": {"id": {"S": "s2"}, "n": {"N": "1"}}, "expires": now + 120},
    ]
    server.clock.advance("90s")
    assert [one["key"]["id"]["S"] for one in ask(server, "due?table=Sessions")["items"]] == ["s2", "s3"]


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "region=mars-1", "unknown=1", "table=Nothing"])
def test_a_request_without_sense_is_refused(server, query):
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, f"due?{query}")
    assert refused.value.code == 400


@pytest.mark.parametrize("path", ["due", "replication/conflicts"])
@pytest.mark.parametrize(("limit", "shown"), [("x", "'x'"), ("0", "0"), ("-1", "'-1'")])
def test_a_bad_limit_is_named_whatever_is_listed(server, path, limit, shown):
    """A bad limit of the work that is due was called "not a number of conflicts"."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, f"{path}?limit={limit}")
    assert json.load(refused.value)["message"] == f"limit has to be a number from 1, not {shown}"
