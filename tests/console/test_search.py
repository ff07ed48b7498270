"""Searches: the same items by Query or Scan, by PartiQL, and by the code that the console shows."""

from __future__ import annotations

import json
import shlex
import textwrap

import pytest

from atoll import testing
from atoll.console import samples
from atoll.console.search import Condition, Search
from atoll.console.values import BadValue

CITY = 'it\'s "a" city'


@pytest.fixture(scope="module")
def server():
    with testing.serve() as server:
        client = server.client()
        client.create_table(
            TableName="My.Table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "id", "AttributeType": "S"},
                {"AttributeName": "at", "AttributeType": "N"},
                {"AttributeName": "name", "AttributeType": "S"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-name",
                    "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        for number in range(20):
            item = {"id": {"S": f"i{number % 2}"}, "at": {"N": str(number)}, "name": {"S": f"name{number % 5}"}}
            if number % 3 == 0:
                item["city"] = {"S": CITY}
            client.put_item(TableName="My.Table", Item=item)
        yield server


SEARCHES = {
    "all": (Search("My.Table"), 20),
    "partition": (Search("My.Table", partition=Condition("id", value="i1")), 10),
    "range": (
        Search("My.Table", partition=Condition("id", value="i0"), sort=Condition("at", "between", "N", "4", "8")),
        3,
    ),
    "descending": (
        Search(
            "My.Table", partition=Condition("id", value="i0"), sort=Condition("at", ">", "N", "10"), descending=True
        ),
        4,
    ),
    "index": (Search("My.Table", "by-name", Condition("name", value="name3")), 4),
    "filter": (Search("My.Table", filters=(Condition("city", value=CITY),)), 7),
    "missing": (Search("My.Table", filters=(Condition("city", "attribute_not_exists"),)), 13),
    "two filters": (
        Search(
            "My.Table", filters=(Condition("city", "attribute_exists"), Condition("name", "begins_with", value="name1"))
        ),
        1,
    ),
    "contains": (Search("My.Table", filters=(Condition("city", "contains", value='"a"'),), consistent=True), 7),
    "negative": (Search("My.Table", filters=(Condition("at", ">", "N", "-1"),)), 20),
}


def ids(items):
    return sorted((item["id"]["S"], float(item["at"]["N"])) for item in items)


@pytest.mark.parametrize("name", SEARCHES)
def test_request_statement_and_code_find_the_same(server, name):
    search, number = SEARCHES[name]
    client = server.client()
    found = getattr(client, search.operation)(**search.request())["Items"]
    assert len(found) == number
    assert ids(client.execute_statement(Statement=search.statement())["Items"]) == ids(found)
    place = samples.SampleEndpoint(server.endpoint_url, "us-east-1")
    source = samples.boto3(place, search.operation, search.request())
    known: dict = {}
    exec(source.replace("region_name", "aws_access_key_id='a', aws_secret_access_key='b', region_name"), known)
    assert known["answer"]["Items"] == found


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_survives_an_address(name):
    search, _ = SEARCHES[name]
    assert Search.from_text("My.Table", search.as_text()) == search


@pytest.mark.parametrize("text", ["", "[]", "{", '{"table": "a", "more": 1}', '{"table": "a", "partition": 1}', "1"])
def test_a_damaged_address_is_refused(text):
    with pytest.raises(BadValue):
        Search.from_text("T", text)


def test_the_command_line_keeps_every_character():
    search = Search("My.Table", filters=(Condition("city", value=CITY),))
    command = samples.cli(samples.SampleEndpoint("http://127.0.0.1:1", "eu-west-1"), search.operation, search.request())
    words = shlex.split(command.replace("\\\n", ""))
    assert words[:3] == ["aws", "dynamodb", "scan"]
    values = json.loads(words[words.index("--expression-attribute-values") + 1])
    assert values == {":v0": {"S": CITY}}
    assert words[words.index("--max-items") + 1] == "50"
    assert textwrap.dedent(command) == command


def test_a_number_that_is_none_is_refused_before_it_is_sent():
    with pytest.raises(BadValue, match="'ten' is not a number"):
        Search("T", filters=(Condition("at", "=", "N", "ten"),)).request()
