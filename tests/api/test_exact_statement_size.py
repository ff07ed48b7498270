"""In most Regions the size of an update's statement is bounded like that of an item."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.region import Settings
from atoll.expressions.bind import Bindings
from tests.api.conftest import Service

MOST = 409_600
KEY = {"pk": {"S": "a"}}
REFUSED = "Item size to update has exceeded the maximum allowed size"

# Updates whose statement costs their length beside the value, by the rule of the module `charge`.
STATEMENTS: dict[str, tuple[str, int]] = {
    "a value": ("SET abc = :v", 3 + 19 + 3),
    "a longer path": ("SET m.ninth[10] = :v", 3 + 19 + 1 + 4 + 5 + 4 + 2),
    "a default of an attribute": ("SET abc = if_not_exists(ab, :v)", 3 + 19 + 3 + 39 + 1 + 14 + 2),
    "a default of an element": ("SET abc = if_not_exists(ab[0].c, :v)", 3 + 19 + 3 + 39 + 1 + 14 + 2 + 14 + 1 + 14 + 1),
    "a deletion": ("SET abc = if_not_exists(ab, :v) REMOVE x, y.z", 81 + 1 + 1 + 1 + 1 + 4 + 1),
    "an alias": ("SET abc = if_not_exists(#ab, :v)", 3 + 19 + 3 + 39 + 1 + 14 + 10),
}
NAMES = {"#ab": "0123456789"}
STORED: dict[str, Any] = {
    "ab": {"L": [{"M": {"c": {"S": "x"}}}]},
    "0123456789": {"S": "x"},
    "m": {"M": {"ninth": {"L": []}}},
}


def update(service: Service, text: str, value: Any, **more: Any) -> Any:
    names = {"ExpressionAttributeNames": NAMES} if "#" in text else {}
    body = {"TableName": "Things", "Key": KEY, "UpdateExpression": text, **names, **more}
    return service.update_item(**body, ExpressionAttributeValues={":v": value})


def refusal(service: Service, text: str, value: Any, **more: Any) -> str | None:
    names = {"ExpressionAttributeNames": NAMES} if "#" in text else {}
    body = {"TableName": "Things", "Key": KEY, "UpdateExpression": text, **names, **more}
    return service.refused("UpdateItem", **body, ExpressionAttributeValues={":v": value}).message


@pytest.fixture
def things(service: Any) -> Service:
    service.table()
    service.put_item(TableName="Things", Item={**KEY, **STORED})
    found: Service = service
    return found


@pytest.mark.parametrize("situation", [name for name in STATEMENTS if "default" in name or "alias" in name])
def test_a_default_that_is_not_used_counts(things: Service, situation: str) -> None:
    text, cost = STATEMENTS[situation]
    update(things, text, {"S": "v" * (MOST - cost)})
    assert refusal(things, text, {"S": "v" * (MOST - cost + 1)}) == REFUSED


@pytest.mark.parametrize("situation", STATEMENTS)
def test_a_statement_has_its_cost(situation: str) -> None:
    text, cost = STATEMENTS[situation]
    charge = Bindings(NAMES if "#" in text else None, {":v": {"S": ""}}).update(text).program.charge
    assert (charge.fixed, charge.uses) == (cost, (":v",))


USES = {
    "two uses of a value": ("SET x = if_not_exists(ab, :v), y = if_not_exists(ab, :v)", 2),
    "three uses": (
        "SET x = if_not_exists(ab, :v), y = if_not_exists(ab, :v), z = if_not_exists(ab, :v)",
        3,
    ),
}


@pytest.mark.parametrize("situation", USES)
def test_a_value_counts_at_each_use(things: Service, situation: str) -> None:
    text, uses = USES[situation]
    update(things, text, {"S": "v" * (MOST // uses - 200)})
    assert refusal(things, text, {"S": "v" * (MOST // uses)}) == REFUSED


OPERATORS = {
    "SET a = b + :v": 3 + 19 + 1 + 34 + 16,
    "SET a = :v - b": 3 + 19 + 1 + 37 + 16,
    "SET a = list_append(b, :v)": 3 + 19 + 1 + 37 + 16,
}
OPERATORS |= {"ADD a :v": 3 + 19 + 1, "DELETE a :v": 3 + 1 + 1, "REMOVE a": 3 + 1 + 1}


@pytest.mark.parametrize("text", OPERATORS)
def test_operators_have_their_costs(text: str) -> None:
    kinds: dict[str, Any] = {"list_append": {"L": []}, "DELETE": {"SS": ["a"]}}
    value = next((value for word, value in kinds.items() if word in text), {"N": "1"})
    charge = Bindings(None, {":v": value}).update(text).program.charge
    assert charge.fixed == OPERATORS[text]
    assert charge.uses == ((":v",) if "DELETE" not in text and "REMOVE" not in text else ())


def test_it_is_judged_before_the_condition_and_after_the_key(things: Service) -> None:
    text, large = "SET abc = if_not_exists(ab, :v)", {"S": "v" * MOST}
    assert refusal(things, text, large, ConditionExpression="attribute_exists(gone)") == REFUSED
    assert refusal(things, text, large, Key={"pk": {"N": "1"}}) == "The provided key element does not match the schema"
    body = {"Key": KEY, "UpdateExpression": text, "ExpressionAttributeValues": {":v": large}}
    assert things.refused("UpdateItem", TableName="Nowhere", **body).code == "ResourceNotFoundException"


def test_a_removed_set_is_free(things: Service) -> None:
    update(things, "DELETE s :v", {"SS": [f"{at:05}" for at in range(81_000)]})


def test_legacy_updates_statements_and_transactions_are_judged_by_the_item(things: Service) -> None:
    large = {"S": "v" * MOST}
    action = {"TableName": "Things", "Key": KEY, "UpdateExpression": "SET abc = if_not_exists(ab, :v)"}
    things.transact_write_items(TransactItems=[{"Update": {**action, "ExpressionAttributeValues": {":v": large}}}])
    statement = "UPDATE Things SET abc = if_not_exists(ab, ?) WHERE pk = 'a'"
    things.execute_statement(Statement=statement, Parameters=[large])


def test_legacy_updates_are_judged_by_the_item(service: Any) -> None:
    service.table()
    largest = {"S": "v" * (MOST - len("pk" + "a" + "abc"))}
    assert refusal(service, "SET abc = :v", largest) == REFUSED
    body: dict[str, Any] = {
        "TableName": "Things",
        "Key": KEY,
        "AttributeUpdates": {"abc": {"Action": "PUT", "Value": largest}},
    }
    service.update_item(**body)
    body["AttributeUpdates"]["abc"]["Value"] = {"S": largest["S"] + "v"}
    assert service.refused("UpdateItem", **body).message == REFUSED


FLAT = [
    "ap-south-2", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "eu-central-2", "eu-south-1", "eu-south-2",
    "eu-west-1", "me-central-1", "us-east-2",
]  # fmt: skip


@pytest.mark.parametrize("region", FLAT)
def test_some_regions_judge_the_item_alone(things: Service, region: str) -> None:
    things.region.name = region
    update(things, "SET abc = if_not_exists(ab, :v)", {"S": "v" * MOST})


@pytest.mark.parametrize("region", ["us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1", "sa-east-1"])
def test_most_regions_judge_the_statement(things: Service, region: str) -> None:
    things.region.name = region
    assert refusal(things, "SET abc = if_not_exists(ab, :v)", {"S": "v" * MOST}) == REFUSED


def test_the_classic_style_judges_the_item_alone() -> None:
    service = Service(Settings(error_style="classic"))
    service.table()
    service.put_item(TableName="Things", Item={**KEY, **STORED})
    update(service, "SET abc = if_not_exists(ab, :v)", {"S": "v" * MOST})
