"""An edit never overwrites another's."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from atoll import testing
from atoll.console import saving
from atoll.console.values import BadValue, Item

KEY = ["id"]
SEEN: Item = {"id": {"S": "1"}, "a": {"N": "1"}, "b": {"S": "x"}, "set": {"SS": ["p", "q"]}, "blob": {"B": b"\x00"}}


@pytest.fixture(scope="module")
def client():
    with testing.serve() as server:
        found = server.client()
        found.create_table(
            TableName="Table",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield found


def send(client, change):
    operation, request = change
    return getattr(client, operation)(**request)


def stored(client):
    return client.get_item(TableName="Table", Key={"id": {"S": "1"}}).get("Item")


def refused(client, change):
    with pytest.raises(ClientError) as failure:
        send(client, change)
    assert failure.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    return failure.value.response.get("Item")


@pytest.fixture
def item(client):
    client.put_item(TableName="Table", Item=SEEN)


WANTED: Item = {
    "id": {"S": "1"},
    "a": {"N": "2"},
    "c": {"M": {"d": {"NULL": True}}},
    "set": {"SS": ["p", "q"]},
    "blob": {"B": b"\x00"},
}


def test_an_edit_changes_adds_and_removes(client, item):
    send(client, saving.change("Table", SEEN, WANTED, KEY))
    assert stored(client) == WANTED


@pytest.mark.parametrize(
    "theirs",
    [
        {**SEEN, "a": {"N": "7"}},
        {**SEEN, "b": {"S": "y"}},
        {**SEEN, "c": {"S": "new"}},
        {name: value for name, value in SEEN.items() if name != "blob"},
    ],
    ids=["the same attribute", "another attribute", "an attribute that both add", "removed"],
)
def test_an_edit_of_a_changed_item_is_refused_and_shows_the_present_item(client, theirs):
    client.put_item(TableName="Table", Item=theirs)
    assert refused(client, saving.change("Table", SEEN, WANTED, KEY)) == theirs
    assert stored(client) == theirs


def test_a_deletion_of_an_item_that_changed_is_refused(client):
    client.put_item(TableName="Table", Item={**SEEN, "b": {"S": "y"}})
    assert refused(client, saving.deletion("Table", SEEN, KEY)) == {**SEEN, "b": {"S": "y"}}


def test_an_attribute_that_another_added_survives(client):
    client.put_item(TableName="Table", Item={**SEEN, "theirs": {"S": "!"}})
    send(client, saving.change("Table", SEEN, WANTED, KEY))
    assert stored(client) == {**WANTED, "theirs": {"S": "!"}}


def test_an_edit_of_a_deleted_item_does_not_bring_it_back(client):
    client.delete_item(TableName="Table", Key={"id": {"S": "1"}})
    assert refused(client, saving.change("Table", SEEN, WANTED, KEY)) is None
    assert stored(client) is None


def test_a_new_item_does_not_replace_one(client, item):
    assert refused(client, saving.creation("Table", {"id": {"S": "1"}}, KEY)) == SEEN


def test_an_item_is_deleted_as_it_was_seen(client, item):
    send(client, saving.deletion("Table", SEEN, KEY))
    assert stored(client) is None


def test_an_item_of_very_many_attributes_is_compared_where_it_changes(client):
    seen = {"id": {"S": "1"}, **{f"attribute-{number}": {"N": str(number)} for number in range(1_000)}}
    client.put_item(TableName="Table", Item={**seen, "attribute-5": {"N": "-5"}})
    refused(client, saving.change("Table", seen, {**seen, "attribute-5": {"N": "0"}}, KEY))
    send(client, saving.change("Table", seen, {**seen, "attribute-6": {"N": "0"}}, KEY))
    assert stored(client)["attribute-5"] == {"N": "-5"}
    assert stored(client)["attribute-6"] == {"N": "0"}


def test_the_key_cannot_change():
    with pytest.raises(BadValue, match="part of the key"):
        saving.change("Table", SEEN, {**SEEN, "id": {"S": "2"}}, KEY)


def test_without_a_change_no_request_is_sent():
    assert saving.change("Table", SEEN, dict(SEEN), KEY) is None
