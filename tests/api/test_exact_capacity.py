"""ConsumedCapacity, to the unit.

Reads count steps of 4 KB, writes steps of 1 KB. `item(name, size)` has about `size` bytes.
"""

from __future__ import annotations

from typing import Any

import pytest

KILO = 1024


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"N": "1"}}


def item(name: str, size: int = 50, **attributes: Any) -> dict[str, Any]:
    return {**key(name), "x": {"S": "x" * (size - 30)}, **attributes}


ALL = {"ProjectionType": "ALL"}
KEYS_ONLY = {"ProjectionType": "KEYS_ONLY"}


@pytest.fixture
def charged(service: Any) -> Any:
    """A table `Charged` with a global index on g that has all attributes, another that has keys, and a local one."""
    service.table(
        "Charged",
        sort="N",
        types={"g": "S", "k": "S", "l": "S"},
        GlobalSecondaryIndexes=[
            {"IndexName": "whole", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": ALL},
            {"IndexName": "keys", "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}], "Projection": KEYS_ONLY},
        ],
        LocalSecondaryIndexes=[
            {"IndexName": "local", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"},
             {"AttributeName": "l", "KeyType": "RANGE"}], "Projection": KEYS_ONLY},
        ],
    )  # fmt: skip
    return service


def total(service: Any, operation: str, **body: Any) -> float:
    answer = service.request(operation, {"TableName": "Charged", "ReturnConsumedCapacity": "TOTAL", **body})
    consumed = answer["ConsumedCapacity"]
    assert consumed.keys() == {"TableName", "CapacityUnits"} and consumed["TableName"] == "Charged"
    units: float = consumed["CapacityUnits"]
    return units


def index_writes(service: Any, operation: str, **body: Any) -> dict[str, float]:
    """The units by table and index, of an answer in the mode INDEXES. They add up."""
    answer = service.request(operation, {"ReturnConsumedCapacity": "INDEXES", **body})
    consumed = answer["ConsumedCapacity"]
    [consumed] = consumed if isinstance(consumed, list) else [consumed]
    found = {"Table": consumed["Table"]["CapacityUnits"]}
    for member in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        found |= {name: units["CapacityUnits"] for name, units in consumed.get(member, {}).items()}
    assert sum(found.values()) == consumed["CapacityUnits"]
    return found


def put(service: Any, *items: dict[str, Any]) -> None:
    for one in items:
        service.put_item(TableName="Charged", Item=one)


def query(partition: str, **more: Any) -> dict[str, Any]:
    return {
        "TableName": "Charged",
        "KeyConditionExpression": "pk = :p",
        "ExpressionAttributeValues": {":p": {"S": partition}},
        **more,
    }


def test_capacity_is_returned_only_on_request(charged: Any) -> None:
    assert charged.put_item(TableName="Charged", Item=item("a"), ReturnConsumedCapacity="NONE") == {}
    assert charged.put_item(TableName="Charged", Item=item("a")) == {}


@pytest.mark.parametrize(("size", "units"), [(50, 1.0), (4 * KILO, 1.0), (4 * KILO + 40, 2.0), (9 * KILO, 3.0)])
def test_a_read_counts_steps_of_4_kb_and_half_of_them_if_it_is_eventual(charged: Any, size: int, units: float) -> None:
    put(charged, item("a", size))
    assert total(charged, "GetItem", Key=key("a"), ConsistentRead=True) == units
    assert total(charged, "GetItem", Key=key("a")) == units / 2


def test_a_read_of_nothing_costs_one_step(charged: Any) -> None:
    assert total(charged, "GetItem", Key=key("none")) == 0.5
    assert total(charged, "GetItem", Key=key("none"), ConsistentRead=True) == 1.0


def test_a_projection_makes_no_read_cheaper(charged: Any) -> None:
    put(charged, item("a", 9 * KILO))
    assert total(charged, "GetItem", Key=key("a"), ProjectionExpression="pk") == 1.5
    assert total(charged, "Query", **query("a", Select="COUNT")) == 1.5


def test_a_query_rounds_the_sum_and_a_batch_rounds_each(charged: Any) -> None:
    rows = [{**item("a", 2 * KILO), "sk": {"N": str(n)}} for n in range(3)]
    put(charged, *rows)
    assert total(charged, "Query", **query("a", ConsistentRead=True)) == 2.0  # 6 KB
    keys = [{"pk": row["pk"], "sk": row["sk"]} for row in rows]
    batch = {"RequestItems": {"Charged": {"Keys": keys, "ConsistentRead": True}}}
    assert index_writes(charged, "BatchGetItem", **batch) == {"Table": 3.0}
    batch["RequestItems"]["Charged"]["ConsistentRead"] = False
    assert index_writes(charged, "BatchGetItem", **batch) == {"Table": 1.5}


def test_a_filter_makes_no_query_cheaper(charged: Any) -> None:
    put(charged, item("a", 9 * KILO))
    filtered = query("a", FilterExpression="attribute_exists(nothing)")
    assert total(charged, "Query", **filtered) == total(charged, "Query", **query("a")) == 1.5


def test_an_index_is_charged_for_the_entries_read(charged: Any) -> None:
    put(charged, item("a", 9 * KILO, g={"S": "g"}, k={"S": "k"}))

    def of(index: str, name: str) -> dict[str, float]:
        body = {"KeyConditionExpression": f"{name} = :v", "ExpressionAttributeValues": {":v": {"S": name}}}
        return index_writes(charged, "Query", TableName="Charged", IndexName=index, **body)

    assert of("whole", "g") == {"Table": 0.0, "whole": 1.5}
    assert of("keys", "k") == {"Table": 0.0, "keys": 0.5}


def test_items_fetched_for_a_local_index_are_charged_to_the_table_one_by_one(charged: Any) -> None:
    put(charged, *[{**item("a", 5 * KILO), "sk": {"N": str(n)}, "l": {"S": str(n)}} for n in range(3)])
    plain = query("a", IndexName="local")
    assert index_writes(charged, "Query", **plain) == {"Table": 0.0, "local": 0.5}
    assert index_writes(charged, "Query", **plain, Select="ALL_ATTRIBUTES") == {"Table": 3.0, "local": 0.5}
    assert index_writes(charged, "Query", **plain, ProjectionExpression="x", ConsistentRead=True) == {
        "Table": 6.0,
        "local": 1.0,
    }


@pytest.mark.parametrize(("size", "units"), [(50, 1.0), (KILO, 1.0), (KILO + 40, 2.0), (9 * KILO, 9.0)])
def test_a_write_counts_steps_of_1_kb(charged: Any, size: int, units: float) -> None:
    assert total(charged, "PutItem", Item=item("a", size)) == units


def test_a_write_is_charged_for_the_larger_of_both_images(charged: Any) -> None:
    put(charged, item("a", 3 * KILO))
    assert total(charged, "PutItem", Item=item("a")) == 3.0
    assert total(charged, "PutItem", Item=item("a", 5 * KILO)) == 5.0
    assert total(charged, "UpdateItem", Key=key("a"), UpdateExpression="REMOVE x") == 5.0


def test_a_deletion_is_charged_for_the_deleted_item(charged: Any) -> None:
    put(charged, item("a", 3 * KILO))
    assert total(charged, "DeleteItem", Key=key("a")) == 3.0
    assert total(charged, "DeleteItem", Key=key("a")) == 1.0


def test_a_write_that_changes_nothing_is_charged_on_the_table_only(charged: Any) -> None:
    whole = item("a", 3 * KILO, g={"S": "g"})
    put(charged, whole)
    assert index_writes(charged, "PutItem", TableName="Charged", Item=whole) == {"Table": 3.0}
    update = {"TableName": "Charged", "Key": key("a"), "UpdateExpression": "REMOVE nothing"}
    assert index_writes(charged, "UpdateItem", **update) == {"Table": 3.0}


def test_an_index_is_charged_where_its_entry_changes(charged: Any) -> None:
    def written(**attributes: Any) -> dict[str, float]:
        return index_writes(charged, "PutItem", TableName="Charged", Item=item("a", 2 * KILO, **attributes))

    g, k = {"g": {"S": "g"}}, {"k": {"S": "k"}}
    assert written() == {"Table": 2.0}
    assert written(**k) == {"Table": 2.0, "keys": 1.0}  # new
    assert written(**k, z={"S": "z" * 40}) == {"Table": 3.0}  # the entry does not show what changed
    assert written(k={"S": "moved"}) == {"Table": 3.0, "keys": 2.0}
    assert written(**g) == {"Table": 2.0, "keys": 1.0, "whole": 2.0}  # one went, one came
    assert written(**g, z={"S": "z" * 40}) == {"Table": 3.0, "whole": 3.0}
    assert written(g={"S": "moved"}) == {"Table": 3.0, "whole": 5.0}
    assert index_writes(charged, "DeleteItem", TableName="Charged", Key=key("a")) == {"Table": 2.0, "whole": 2.0}


def test_an_index_is_not_charged_if_only_the_order_of_attributes_differs(charged: Any) -> None:
    """Some clients send a map's members in any order. The same entry in another order was charged as a change."""
    one = item("a", k={"S": "b"}, l={"S": "c"})
    charged.put_item(TableName="Charged", Item=one)
    other = {name: one[name] for name in reversed(one)} | {"n": {"N": "1"}}
    assert index_writes(charged, "PutItem", TableName="Charged", Item=other) == {"Table": 1}


def test_a_batch_of_writes_adds_up(charged: Any) -> None:
    requests = [{"PutRequest": {"Item": item(n, 2 * KILO, k={"S": "k"})}} for n in "ab"]
    requests.append({"DeleteRequest": {"Key": key("none")}})
    assert index_writes(charged, "BatchWriteItem", RequestItems={"Charged": requests}) == {"Table": 5.0, "keys": 2.0}


def transacted(service: Any, operation: str, *entries: Any, **more: Any) -> dict[str, Any]:
    answer = service.request(operation, {"TransactItems": entries, "ReturnConsumedCapacity": "INDEXES", **more})
    [consumed] = answer["ConsumedCapacity"]
    assert isinstance(consumed, dict)
    return consumed


def test_a_transaction_doubles_the_table_and_not_its_indexes(charged: Any) -> None:
    entry = {"Put": {"TableName": "Charged", "Item": item("a", 1500, k={"S": "k"})}}
    assert transacted(charged, "TransactWriteItems", entry) == {
        "TableName": "Charged",
        "CapacityUnits": 5.0,
        "WriteCapacityUnits": 5.0,
        "Table": {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0},
        "GlobalSecondaryIndexes": {"keys": {"CapacityUnits": 1.0, "WriteCapacityUnits": 1.0}},
    }


def test_a_condition_check_is_charged_twice_the_read_of_the_item(charged: Any) -> None:
    put(charged, item("a", 5 * KILO))
    check = {"TableName": "Charged", "Key": key("a"), "ConditionExpression": "attribute_exists(pk)"}
    consumed = transacted(charged, "TransactWriteItems", {"ConditionCheck": check})
    assert consumed["Table"] == {"CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}
    absent = {**check, "Key": key("none"), "ConditionExpression": "attribute_not_exists(pk)"}
    assert transacted(charged, "TransactWriteItems", {"ConditionCheck": absent})["CapacityUnits"] == 2.0


def test_reads_of_a_transaction_cost_double(charged: Any) -> None:
    put(charged, item("a", 5 * KILO))
    gets = [{"Get": {"TableName": "Charged", "Key": key(name)}} for name in ("a", "none")]
    consumed = transacted(charged, "TransactGetItems", *gets)
    assert consumed["Table"] == {"CapacityUnits": 6.0, "ReadCapacityUnits": 6.0}


def test_a_transaction_that_was_done_before_is_charged_as_reads(charged: Any) -> None:
    entry = {"Put": {"TableName": "Charged", "Item": item("a", 5 * KILO)}}
    first = transacted(charged, "TransactWriteItems", entry, ClientRequestToken="t")
    again = transacted(charged, "TransactWriteItems", entry, ClientRequestToken="t")
    assert first["WriteCapacityUnits"] == 10.0
    assert again["Table"] == {"CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}


def test_each_table_of_a_request_has_its_own_entry(charged: Any) -> None:
    charged.table("Other")
    requests = {
        "Charged": [{"PutRequest": {"Item": item("a")}}],
        "Other": [{"PutRequest": {"Item": {"pk": {"S": "a"}}}}],
    }
    answer = charged.batch_write_item(RequestItems=requests, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [{"TableName": name, "CapacityUnits": 1.0} for name in ("Charged", "Other")]


def test_a_table_that_is_named_by_its_arn_is_answered_so(charged: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/Charged"
    consumed = [{"TableName": arn, "CapacityUnits": 1.0}]
    mode = {"ReturnConsumedCapacity": "TOTAL"}
    assert charged.put_item(TableName=arn, Item=item("a"), **mode)["ConsumedCapacity"] == consumed[0]
    read = charged.batch_get_item(RequestItems={arn: {"Keys": [key("a")], "ConsistentRead": True}}, **mode)
    assert read["Responses"] == {arn: [item("a")]}
    assert read["ConsumedCapacity"] == consumed
    scanned = charged.scan(TableName=arn, ConsistentRead=True, **mode)["ConsumedCapacity"]
    assert scanned == {"TableName": arn, "CapacityUnits": 4.0}  # four partitions


def test_collections_are_measured_on_tables_with_local_indexes_only(charged: Any) -> None:
    charged.table("Other")
    sized = {"ReturnItemCollectionMetrics": "SIZE"}
    assert charged.put_item(TableName="Charged", Item=item("a"), **sized)["ItemCollectionMetrics"] == {
        "ItemCollectionKey": {"pk": {"S": "a"}},
        "SizeEstimateRangeGB": [0.0, 1.0],
    }
    assert charged.put_item(TableName="Other", Item={"pk": {"S": "a"}}, **sized) == {}
