"""Tables and indexes are throttled at their throughput.

Each bucket holds 300 seconds at first. `spend` uses up the units that a table has left, so that the next request is
refused until the clock moves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from atoll import errors
from atoll.database.region import Settings

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
TABLE_EXCEEDED = (
    "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning "
    "level with the UpdateTable API."
)
INDEX_EXCEEDED = (
    "The level of configured provisioned throughput for one or more global secondary indexes of the table was "
    "exceeded. Consider increasing your provisioning level for the under-provisioned global secondary indexes with the "
    "UpdateTable API."
)
KILO = 1024


def units(read: int, write: int) -> dict[str, int]:
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def item(name: str, kilobytes: int = 0, **more: Any) -> dict[str, Any]:
    """Its size is just below so many kilobytes."""
    return {"pk": {"S": name}, "x": {"S": "x" * max(0, kilobytes * KILO - 100)}, **more}


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}}


def provisioned(service: Any, name: str = "Things", read: int = 1, write: int = 1, **more: Any) -> str:
    table: str = service.table(name, BillingMode="PROVISIONED", ProvisionedThroughput=units(read, write), **more)
    return table


def global_index(name: str, attribute: str, **throughput: Any) -> dict[str, Any]:
    keys = [{"AttributeName": attribute, "KeyType": "HASH"}]
    return {"IndexName": name, "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}, **throughput}


def spend_writes(service: Any, amount: int, table: str = "Things") -> None:
    """Writes an item `spent` of 100 units, and for the rest deletes one that is not there."""
    for _ in range(amount // 100):
        service.put_item(TableName=table, Item=item("spent", 100))
    for _ in range(amount % 100):
        service.delete_item(TableName=table, Key=key("absent"))


def spend_reads(service: Any, amount: int, table: str = "Things") -> None:
    """Reads an item that is not there."""
    for _ in range(amount):
        service.get_item(TableName=table, Key=key("absent"), ConsistentRead=True)


def exceeded(error: errors.ApiError) -> tuple[str, list[tuple[str, str]]]:
    """The message, and what is exhausted of which resource."""
    assert (error.code, error.status) == ("ProvisionedThroughputExceededException", 400)
    assert error.fields is not None and error.fields.keys() == {"ThrottlingReasons"}
    reasons = [(r["reason"], r["resource"].removeprefix(ARN)) for r in error.fields["ThrottlingReasons"]]
    assert error.message is not None
    return error.message, reasons


def units_by_table(answer: Any) -> dict[str, float]:
    return {consumed["TableName"]: consumed["CapacityUnits"] for consumed in answer["ConsumedCapacity"]}


TABLE_WRITE = (TABLE_EXCEEDED, [("TableWriteProvisionedThroughputExceeded", "Things")])
TABLE_READ = (TABLE_EXCEEDED, [("TableReadProvisionedThroughputExceeded", "Things")])


class TestSingleItems:
    def test_the_burst_is_300_seconds_then_the_rate_applies(self, service: Any) -> None:
        provisioned(service, write=2)
        for _ in range(600):
            service.put_item(TableName="Things", Item=item("a"))
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
        service.clock.advance(1000)
        service.put_item(TableName="Things", Item=item("a"))
        service.put_item(TableName="Things", Item=item("a"))
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_an_operation_may_leave_a_debt_that_all_have_to_wait_for(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 299)
        service.put_item(TableName="Things", Item=item("large", 100))
        service.clock.advance(99_000)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
        service.clock.advance(1)
        service.put_item(TableName="Things", Item=item("a"))

    def test_reads_and_writes_are_counted_apart(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        service.get_item(TableName="Things", Key=key("spent"))
        spend_reads(service, 200)
        service.clock.advance(1000)
        service.put_item(TableName="Things", Item=item("a"))

    def test_an_eventual_read_costs_half_and_a_read_is_refused_by_the_table_s_name(self, service: Any) -> None:
        provisioned(service)
        for _ in range(600):
            service.get_item(TableName="Things", Key=key("a"))
        assert exceeded(service.refused("GetItem", TableName="Things", Key=key("a"))) == TABLE_READ

    @pytest.mark.parametrize(
        ("operation", "body"),
        [
            ("PutItem", {"Item": item("spent")}),
            ("DeleteItem", {"Key": key("spent")}),
            ("UpdateItem", {"Key": key("spent"), "UpdateExpression": "REMOVE x"}),
        ],
    )
    def test_a_refused_write_changes_nothing(self, service: Any, operation: str, body: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        before = service.get_item(TableName="Things", Key=key("spent"))
        assert exceeded(service.refused(operation, TableName="Things", **body)) == TABLE_WRITE
        assert service.get_item(TableName="Things", Key=key("spent")) == before
        service.clock.advance(1)
        service.request(operation, {"TableName": "Things", **body})
        assert service.get_item(TableName="Things", Key=key("spent")) != before

    def test_a_failed_condition_is_charged_as_a_write_of_the_existing_item(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 100)
        absent = {"TableName": "Things", "Item": item("spent"), "ConditionExpression": "attribute_not_exists(pk)"}
        for _ in range(2):
            assert service.refused("PutItem", **absent).code == "ConditionalCheckFailedException"
        assert exceeded(service.refused("PutItem", **absent)) == TABLE_WRITE

    def test_a_refused_request_that_could_not_be_is_free(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 299)
        for _ in range(5):
            assert service.refused("PutItem", TableName="Things", Item={"pk": {"N": "1"}}).code == "ValidationException"
        service.put_item(TableName="Things", Item=item("a"))
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
        assert service.refused("PutItem", TableName="Things", Item={"pk": {"N": "1"}}).code == "ValidationException"

    def test_each_table_has_its_own_and_one_that_is_made_again_is_full(self, service: Any) -> None:
        provisioned(service)
        provisioned(service, "Others")
        spend_writes(service, 300)
        spend_writes(service, 300, "Others")
        service.delete_table(TableName="Things")
        provisioned(service)
        spend_writes(service, 300)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_a_table_on_demand_without_maxima_is_never_throttled(self, service: Any) -> None:
        service.table()
        spend_writes(service, 50_000)

    def test_nothing_is_throttled_without_buckets(self, service: Any) -> None:
        service.region.buckets = None
        provisioned(service, GlobalSecondaryIndexes=[global_index("by-g", "g", ProvisionedThroughput=units(1, 1))],
                    types={"g": "S"})  # fmt: skip
        spend_writes(service, 1000)
        spend_reads(service, 400)
        service.put_item(TableName="Things", Item=item("a", g={"S": "g"}))


class TestMaxima:
    def test_a_maximum_of_a_table_on_demand(self, service: Any) -> None:
        service.table(OnDemandThroughput={"MaxWriteRequestUnits": 1})
        spend_writes(service, 300)
        spend_reads(service, 500)
        error = service.refused("PutItem", TableName="Things", Item=item("a"))
        assert (error.code, error.status) == ("ThrottlingException", 400)
        assert error.prefix == "com.amazon.coral.availability#"
        assert error.message == "Throughput exceeds the maximum OnDemandThroughput configured on table or index"
        reason = {"reason": "TableWriteMaxOnDemandThroughputExceeded", "resource": ARN + "Things"}
        assert error.fields == {"throttlingReasons": [reason]}

    def test_a_maximum_of_an_index(self, service: Any) -> None:
        index = global_index("by-g", "g", OnDemandThroughput={"MaxReadRequestUnits": 1})
        service.table(types={"g": "S"}, GlobalSecondaryIndexes=[index])
        scan = {"TableName": "Things", "IndexName": "by-g"}
        for _ in range(150):  # each reads four partitions
            service.scan(**scan)
        error = service.refused("Scan", **scan)
        reason = {"reason": "IndexReadMaxOnDemandThroughputExceeded", "resource": ARN + "Things/index/by-g"}
        assert error.fields == {"throttlingReasons": [reason]}
        service.scan(TableName="Things")

    def test_a_maximum_that_is_taken_away(self, service: Any) -> None:
        service.table(OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1})
        spend_writes(service, 300)
        assert service.refused("PutItem", TableName="Things", Item=item("a")).code == "ThrottlingException"
        service.update_table(TableName="Things", OnDemandThroughput={"MaxWriteRequestUnits": -1})
        spend_writes(service, 5000)

    def test_a_debt_is_forgotten_when_the_limit_is_removed(self, service: Any) -> None:
        index = global_index("by-g", "g", ProvisionedThroughput=units(1, 1))
        provisioned(service, write=1000, types={"g": "S"}, GlobalSecondaryIndexes=[index])
        for number in range(300):
            service.put_item(TableName="Things", Item=item(f"{number:03}", g={"S": "g"}))
        refused = {"TableName": "Things", "Item": item("refused", g={"S": "g"})}
        assert service.refused("PutItem", **refused).code == "ProvisionedThroughputExceededException"
        service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST")
        limits = {"OnDemandThroughput": {"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1}}
        updates = [{"Update": {"IndexName": "by-g", **limits}}]
        service.update_table(TableName="Things", GlobalSecondaryIndexUpdates=updates)
        for number in range(300):
            service.put_item(TableName="Things", Item=item(f"again-{number:03}", g={"S": "g"}))
        assert service.refused("PutItem", **refused).code == "ThrottlingException"


class TestIndexes:
    @pytest.fixture
    def indexed(self, service: Any) -> Any:
        indexes = [global_index(f"by-{name}", name, ProvisionedThroughput=units(1, 1)) for name in "gh"]
        provisioned(service, write=1000, types={"g": "S", "h": "S"}, GlobalSecondaryIndexes=indexes)
        for number in range(300):
            service.put_item(TableName="Things", Item=item(f"{number:03}", g={"S": "g"}))
        return service

    BY_G = (INDEX_EXCEEDED, [("IndexWriteProvisionedThroughputExceeded", "Things/index/by-g")])

    @pytest.mark.parametrize(
        ("operation", "body"),
        [
            ("PutItem", {"Item": item("new", g={"S": "g"})}),
            ("PutItem", {"Item": item("001")}),
            ("DeleteItem", {"Key": key("001")}),
            ("UpdateItem", {"Key": key("001"), "UpdateExpression": "SET g = pk"}),
            ("TransactWriteItems", None),
        ],
    )
    def test_an_exhausted_index_throttles_writes_that_change_its_entries(
        self, indexed: Any, operation: str, body: Any
    ) -> None:
        if body is None:
            put = {"Put": {"TableName": "Things", "Item": item("new", g={"S": "g"})}}
            other = {"Put": {"TableName": "Things", "Item": item("other")}}
            error = indexed.refused(operation, TransactItems=[other, put])
            assert error.code == "TransactionCanceledException"
            assert error.fields == {"CancellationReasons": [
                {"Code": "None"}, {"Code": "ProvisionedThroughputExceeded", "Message": INDEX_EXCEEDED},
            ]}  # fmt: skip
        else:
            assert exceeded(indexed.refused(operation, TableName="Things", **body)) == self.BY_G
        assert indexed.scan(TableName="Things")["Count"] == 300
        assert indexed.scan(TableName="Things", IndexName="by-g")["Count"] == 300

    def test_it_delays_no_others(self, indexed: Any) -> None:
        indexed.put_item(TableName="Things", Item=item("new"))
        indexed.put_item(TableName="Things", Item=item("new", h={"S": "h"}))
        indexed.put_item(TableName="Things", Item=item("001", 2, g={"S": "g"}))  # the entry has only keys
        other_order = dict(reversed(item("002", 2, g={"S": "g"}).items()))
        indexed.put_item(TableName="Things", Item=other_order)
        indexed.delete_item(TableName="Things", Key=key("new"))
        condition = {"TableName": "Things", "Key": key("001"), "ConditionExpression": "attribute_exists(g)"}
        indexed.transact_write_items(TransactItems=[{"ConditionCheck": condition}])

    def test_several_exhausted_indexes_are_reported(self, indexed: Any) -> None:
        for _ in range(150):
            indexed.put_item(TableName="Things", Item=item("h", h={"S": "h"}))
            indexed.delete_item(TableName="Things", Key=key("h"))
        both = item("a", g={"S": "1"}, h={"S": "1"})
        _, reasons = exceeded(indexed.refused("PutItem", TableName="Things", Item=both))
        assert [resource for _, resource in reasons] == ["Things/index/by-g", "Things/index/by-h"]

    def test_an_exhausted_table_is_reported_instead_of_its_indexes(self, indexed: Any) -> None:
        spend_writes(indexed, 300_000 - 300)
        put = {"TableName": "Things", "Item": item("new", g={"S": "g"})}
        assert exceeded(indexed.refused("PutItem", **put)) == TABLE_WRITE

    def test_filling_an_index_is_free(self, service: Any) -> None:
        provisioned(service, write=10)
        for number in range(400):
            service.put_item(TableName="Things", Item=item(str(number), g={"S": "g"}))
        create = {"Create": global_index("by-g", "g", ProvisionedThroughput=units(1, 1))}
        types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "g")]
        service.update_table(TableName="Things", AttributeDefinitions=types, GlobalSecondaryIndexUpdates=[create])
        service.settle()
        assert service.scan(TableName="Things", IndexName="by-g")["Count"] == 400
        for number in range(300):
            service.put_item(TableName="Things", Item=item(f"more {number}", g={"S": "g"}))
        assert exceeded(service.refused("DeleteItem", TableName="Things", Key=key("1"))) == self.BY_G

    def test_a_write_whose_condition_fails_consumes_no_units_of_the_index(self, indexed: Any) -> None:
        error = indexed.refused("PutItem", TableName="Things", Item=item("a", g={"S": "g"}),
                                ConditionExpression="attribute_exists(pk)")  # fmt: skip
        assert error.code == "ConditionalCheckFailedException"

    def test_a_batch_leaves_those_writes_undone(self, indexed: Any) -> None:
        requests = [
            {"PutRequest": {"Item": item("a", g={"S": "g"})}},
            {"PutRequest": {"Item": item("b")}},
            {"DeleteRequest": {"Key": key("001")}},
        ]
        answer = indexed.batch_write_item(RequestItems={"Things": requests})
        assert answer["UnprocessedItems"] == {"Things": [requests[0], requests[2]]}
        assert "Item" in indexed.get_item(TableName="Things", Key=key("b"))
        assert "Item" in indexed.get_item(TableName="Things", Key=key("001"))

    def test_reads_of_an_index_are_counted_apart_from_the_table_s(self, indexed: Any) -> None:
        query = {
            "TableName": "Things",
            "IndexName": "by-h",
            "KeyConditionExpression": "h = :h",
            "ExpressionAttributeValues": {":h": {"S": "h"}},
        }
        for _ in range(600):
            indexed.query(**query)
        reasons = [("IndexReadProvisionedThroughputExceeded", "Things/index/by-h")]
        assert exceeded(indexed.refused("Query", **query)) == (INDEX_EXCEEDED, reasons)
        spend_reads(indexed, 290)

    def test_local_indexes_draw_on_the_table(self, service: Any) -> None:
        keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}]
        local = {"IndexName": "by-l", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
        provisioned(service, sort="S", types={"l": "S"}, LocalSecondaryIndexes=[local])
        for number in range(150):
            service.put_item(TableName="Things", Item=item("a", sk={"S": str(number)}, l={"S": "l"}))
        put = {"TableName": "Things", "Item": item("a", sk={"S": "s"}, l={"S": "l"})}
        assert exceeded(service.refused("PutItem", **put)) == TABLE_WRITE
        scan = {"TableName": "Things", "IndexName": "by-l", "Limit": 1}
        for _ in range(600):
            service.scan(**scan)
        assert exceeded(service.refused("Scan", **scan)) == TABLE_READ


class TestPages:
    def test_a_page_is_charged_for_the_examined_items(self, service: Any) -> None:
        provisioned(service, write=10)
        for number in range(10):
            service.put_item(TableName="Things", Item=item(f"{number}", 40))
        scan = {"TableName": "Things", "ConsistentRead": True, "FilterExpression": "attribute_not_exists(pk)"}
        for _ in range(3):  # 100 units each
            assert service.scan(**scan)["Count"] == 0
        assert exceeded(service.refused("Scan", **scan)) == TABLE_READ
        query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "1"}}}
        assert exceeded(service.refused("Query", TableName="Things", **query)) == TABLE_READ
        service.clock.advance(1)
        service.query(TableName="Things", **query)


class TestBatches:
    def test_keys_that_cannot_be_read_come_back_with_their_options(self, service: Any) -> None:
        provisioned(service)
        service.table("Free")
        spend_reads(service, 298)
        things = {"Keys": [key(name) for name in "abcd"], "ConsistentRead": True, "ProjectionExpression": "pk"}
        answer = service.batch_get_item(RequestItems={"Things": things, "Free": {"Keys": [key("a")]}},
                                        ReturnConsumedCapacity="TOTAL")  # fmt: skip
        assert answer["UnprocessedKeys"] == {"Things": {**things, "Keys": [key("c"), key("d")]}}
        assert units_by_table(answer) == {"Things": 2, "Free": 0.5}
        answer = service.batch_get_item(RequestItems={"Things": things, "Free": {"Keys": [key("a")]}})
        assert answer["UnprocessedKeys"] == {"Things": things}
        assert exceeded(service.refused("BatchGetItem", RequestItems={"Things": things})) == TABLE_READ

    def test_items_that_cannot_be_written_come_back(self, service: Any) -> None:
        provisioned(service)
        service.table("Free")
        spend_writes(service, 297)
        requests = [
            {"PutRequest": {"Item": item("a", 2)}},
            {"DeleteRequest": {"Key": key("b")}},
            {"PutRequest": {"Item": item("c")}},
            {"DeleteRequest": {"Key": key("spent")}},
        ]
        free = [{"PutRequest": {"Item": item("free")}}]
        answer = service.batch_write_item(RequestItems={"Things": requests, "Free": free},
                                          ReturnConsumedCapacity="TOTAL")  # fmt: skip
        assert answer["UnprocessedItems"] == {"Things": requests[2:]}
        assert units_by_table(answer) == {"Things": 3, "Free": 1}
        assert {i["pk"]["S"] for i in service.scan(TableName="Things")["Items"]} == {"a", "spent"}
        answer = service.batch_write_item(RequestItems={"Things": requests, "Free": free})
        assert answer["UnprocessedItems"] == {"Things": requests}
        assert exceeded(service.refused("BatchWriteItem", RequestItems={"Things": requests})) == TABLE_WRITE

    def test_an_invalid_batch_is_refused_as_a_whole_even_if_the_table_is_exhausted(self, service: Any) -> None:
        provisioned(service, types={"g": "S"}, GlobalSecondaryIndexes=[
            global_index("by-g", "g", ProvisionedThroughput=units(1, 1))])  # fmt: skip
        spend_writes(service, 299)
        requests = [{"PutRequest": {"Item": item("a")}}, {"PutRequest": {"Item": item("b", g={"N": "1"})}}]
        assert service.refused("BatchWriteItem", RequestItems={"Things": requests}).code == "ValidationException"
        assert "Item" not in service.get_item(TableName="Things", Key=key("a"))


class TestTransactions:
    def put(self, name: str, table: str = "Things", kilobytes: int = 0, **more: Any) -> dict[str, Any]:
        return {"Put": {"TableName": table, "Item": item(name, kilobytes), **more}}

    def test_writes_cost_twice_and_are_cancelled_with_the_reason_of_each(self, service: Any) -> None:
        provisioned(service)
        service.table("Free")
        service.transact_write_items(TransactItems=[self.put("a", kilobytes=100), self.put("b", kilobytes=50)])
        error = service.refused("TransactWriteItems", TransactItems=[self.put("c", "Free"), self.put("d")])
        assert error.code == "TransactionCanceledException"
        assert error.message == (
            "Transaction cancelled, please refer cancellation reasons for specific reasons "
            "[None, ProvisionedThroughputExceeded]"
        )
        assert error.fields == {"CancellationReasons": [
            {"Code": "None"}, {"Code": "ProvisionedThroughputExceeded", "Message": TABLE_EXCEEDED},
        ]}  # fmt: skip
        assert service.scan(TableName="Free")["Count"] == 0
        service.clock.advance(1)
        service.transact_write_items(TransactItems=[self.put("c", "Free"), self.put("d")])

    def test_a_throttled_transaction_is_free(self, service: Any) -> None:
        provisioned(service)
        provisioned(service, "Others")
        spend_writes(service, 300, "Others")
        spend_writes(service, 299)
        writes = [self.put("a"), self.put("b", "Others")]
        assert service.refused("TransactWriteItems", TransactItems=writes).code == "TransactionCanceledException"
        service.put_item(TableName="Things", Item=item("a"))

    def test_a_throttled_transaction_reports_failed_conditions_and_is_free(self, service: Any) -> None:
        index = global_index("by-g", "g", ProvisionedThroughput=units(1, 1))
        provisioned(service, "Slow", write=2, types={"g": "S"}, GlobalSecondaryIndexes=[index])
        provisioned(service)
        service.table("Free")
        for name in ("Free", "Things"):
            spend_writes(service, 100, name)
        for number in range(300):
            service.put_item(TableName="Slow", Item=item(str(number), g={"S": "g"}))
        slow = {"Put": {"TableName": "Slow", "Item": item("new", g={"S": "g"})}}
        absent: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        free, limited = (self.put("spent", name, **absent) for name in ("Free", "Things"))
        known = {"Put": {"TableName": "Slow", "Item": item("0"), **absent}}
        error = service.refused("TransactWriteItems", TransactItems=[free, slow, limited, self.put("a"), known])
        assert error.fields is not None
        assert [reason["Code"] for reason in error.fields["CancellationReasons"]] == [
            "ConditionalCheckFailed", "ProvisionedThroughputExceeded", "ConditionalCheckFailed", "None",
            "ConditionalCheckFailed",
        ]  # fmt: skip
        spend_writes(service, 200)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_a_cancelled_one_whose_condition_failed_is_charged(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 100)
        absent = self.put("spent", ConditionExpression="attribute_not_exists(pk)")
        error = service.refused("TransactWriteItems", TransactItems=[absent])  # twice 100
        assert error.fields is not None
        assert [reason["Code"] for reason in error.fields["CancellationReasons"]] == ["ConditionalCheckFailed"]
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_a_cancelled_transaction_is_charged_for_each_of_its_items(self, service: Any) -> None:
        provisioned(service)
        service.table("Free")
        spend_writes(service, 100)
        absent = {"TableName": "Things", "Key": key("absent"), "ConditionExpression": "attribute_exists(pk)"}
        spent = {"TableName": "Things", "Key": key("spent"), "ConditionExpression": "attribute_exists(pk)"}
        puts = [self.put("new", kilobytes=50), self.put("a", "Free")]
        writes = [{"ConditionCheck": absent}, {"ConditionCheck": spent}, *puts]
        error = service.refused("TransactWriteItems", TransactItems=writes)  # twice 1, 25 and 1
        assert error.fields is not None
        codes = [reason["Code"] for reason in error.fields["CancellationReasons"]]
        assert codes == ["ConditionalCheckFailed", "None", "None", "None"]
        spend_writes(service, 300 - 100 - 54)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_a_repeated_transaction_is_charged_as_reads(self, service: Any) -> None:
        provisioned(service)
        body = {"TransactItems": [self.put("a")], "ClientRequestToken": "t"}
        service.transact_write_items(**body)
        spend_writes(service, 298)
        spend_reads(service, 298)
        service.transact_write_items(**body)
        assert exceeded(service.refused("GetItem", TableName="Things", Key=key("a"))) == TABLE_READ

    def test_a_token_is_not_used_up_by_a_refusal(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        body = {"TransactItems": [self.put("a")], "ClientRequestToken": "t"}
        service.refused("TransactWriteItems", **body)
        service.clock.advance(1)
        service.transact_write_items(**body)
        assert "Item" in service.get_item(TableName="Things", Key=key("a"))

    def test_reads_cost_twice_and_are_cancelled(self, service: Any) -> None:
        provisioned(service)
        service.table("Free", OnDemandThroughput={"MaxReadRequestUnits": 1})
        gets = [{"Get": {"TableName": name, "Key": key("a")}} for name in ("Things", "Free")]
        for _ in range(150):
            service.transact_get_items(TransactItems=gets)
        error = service.refused("TransactGetItems", TransactItems=gets)
        assert error.fields is not None
        reasons = error.fields["CancellationReasons"]
        assert [reason["Code"] for reason in reasons] == ["ProvisionedThroughputExceeded", "ThrottlingError"]


class TestStatements:
    def run(self, service: Any, statement: str, **more: Any) -> Any:
        return service.execute_statement(Statement=statement, **more)

    def test_a_statement_is_charged_and_refused_like_the_operation_it_is(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 299)
        spend_reads(service, 299)
        insert = "INSERT INTO Things VALUE {'pk': 'a'}"
        self.run(service, insert)
        assert exceeded(service.refused("ExecuteStatement", Statement=insert)) == TABLE_WRITE
        select = "SELECT * FROM Things WHERE pk = 'a'"
        self.run(service, select, ConsistentRead=True)
        assert exceeded(service.refused("ExecuteStatement", Statement=select)) == TABLE_READ

    def test_an_insert_of_an_existing_item_is_charged(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 299)
        insert = "INSERT INTO Things VALUE {'pk': 'spent'}"
        assert service.refused("ExecuteStatement", Statement=insert).code == "DuplicateItemException"
        assert exceeded(service.refused("ExecuteStatement", Statement=insert)) == TABLE_WRITE

    def test_a_batch_reports_each_refused_statement(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        spend_reads(service, 300)
        service.table("Maxima", OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1})
        spend_writes(service, 300, "Maxima")
        spend_reads(service, 300, "Maxima")
        tables = {"Things": "ProvisionedThroughputExceeded", "Maxima": "ThrottlingError"}
        for statement in ("SELECT * FROM {} WHERE pk = 'a'", "DELETE FROM {} WHERE pk = 'spent'"):
            statements = [{"Statement": statement.format(table)} for table in tables]
            answer = service.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
            assert [response["Error"]["Code"] for response in answer["Responses"]] == list(tables.values())
            assert answer["Responses"][0]["Error"].keys() == {"Code", "Message"}
            assert answer["ConsumedCapacity"] == []
        service.clock.advance(1)
        assert "Item" in service.get_item(TableName="Things", Key=key("spent"))

    def test_a_batch_reports_both_refused_and_accepted_entries(self, service: Any) -> None:
        provisioned(service)
        service.table("Free")
        spend_writes(service, 100)
        spend_writes(service, 100, "Free")
        service.put_item(TableName="Things", Item=item("a"))
        statements = [
            "INSERT INTO Things VALUE {'pk': 'spent'}",
            "UPDATE Things SET n = 1 WHERE pk = 'absent'",
            "UPDATE Things SET n = absent WHERE pk = 'a'",
            "UPDATE Free SET n = 1 WHERE pk = 'spent' AND n = 2",
        ]
        answer = service.batch_execute_statement(
            Statements=[{"Statement": one} for one in statements], ReturnConsumedCapacity="TOTAL"
        )
        codes = [response["Error"]["Code"] for response in answer["Responses"]]
        assert codes == ["DuplicateItem", "ConditionalCheckFailed", "ValidationError", "ConditionalCheckFailed"]
        assert [one["CapacityUnits"] for one in answer["ConsumedCapacity"]] == [100.0, 1.0, 1.0, 100.0]
        for _ in range(97):
            service.delete_item(TableName="Things", Key=key("absent"))
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    @pytest.mark.parametrize("statement", ["SELECT * FROM Things WHERE pk = 'a'", "DELETE FROM Things WHERE pk = 'a'"])
    def test_a_transaction_is_cancelled(self, service: Any, statement: str) -> None:
        provisioned(service)
        body = {"TransactStatements": [{"Statement": statement}]}
        for _ in range(150):
            service.execute_transaction(**body)
        error = service.refused("ExecuteTransaction", **body)
        assert error.fields is not None
        assert [r["Code"] for r in error.fields["CancellationReasons"]] == ["ProvisionedThroughputExceeded"]


class TestChanges:
    def test_changed_units_are_the_rate_at_once_and_saved_units_stay(self, service: Any) -> None:
        provisioned(service, write=1)
        spend_writes(service, 300)
        service.clock.advance(100_000)  # 100 units
        service.update_table(TableName="Things", ProvisionedThroughput=units(1, 10))
        spend_writes(service, 100)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
        service.clock.advance(1000)
        spend_writes(service, 10)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_fewer_units_save_less(self, service: Any) -> None:
        provisioned(service, write=10)
        service.update_table(TableName="Things", ProvisionedThroughput=units(1, 1))
        spend_writes(service, 300)
        assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE

    def test_an_index_with_its_own_units(self, service: Any) -> None:
        index = global_index("by-g", "g", ProvisionedThroughput=units(1, 1))
        provisioned(service, write=100, types={"g": "S"}, GlobalSecondaryIndexes=[index])
        for number in range(300):
            service.put_item(TableName="Things", Item=item(str(number), g={"S": "g"}))
        put = {"TableName": "Things", "Item": item("new", g={"S": "g"})}
        exceeded(service.refused("PutItem", **put))
        update = {"IndexName": "by-g", "ProvisionedThroughput": units(1, 5)}
        service.update_table(TableName="Things", GlobalSecondaryIndexUpdates=[{"Update": update}])
        exceeded(service.refused("PutItem", **put))
        service.clock.advance(1000)
        for number in range(5):
            service.put_item(TableName="Things", Item=item(f"more {number}", g={"S": "g"}))
        exceeded(service.refused("PutItem", **put))

    def test_a_table_changed_to_on_demand_is_no_longer_throttled(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST")
        spend_writes(service, 5000)

    def test_a_clock_that_was_set_back_finds_all_buckets_full(self, service: Any) -> None:
        provisioned(service)
        spend_writes(service, 300)
        service.region.rewind()
        spend_writes(service, 300)


def test_deletions_by_time_to_live_are_free(service: Any) -> None:
    service.region.settings = replace(Settings(), ttl_delay_ms=0)
    provisioned(service)
    ttl = {"Enabled": True, "AttributeName": "until"}
    service.update_time_to_live(TableName="Things", TimeToLiveSpecification=ttl)
    service.settle()
    until = service.clock.now_ms() // 1000 + 1
    for number in range(3):
        service.put_item(TableName="Things", Item=item(str(number), 99, until={"N": str(until)}))
    service.put_item(TableName="Things", Item=item("spent", 10))
    assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
    service.clock.advance(3000)
    service.settle()
    assert service.scan(TableName="Things")["Count"] == 1
    assert exceeded(service.refused("PutItem", TableName="Things", Item=item("a"))) == TABLE_WRITE
    service.clock.advance(5000)
    service.put_item(TableName="Things", Item=item("a"))


class TestLog:
    """The tests of a client that retries looked as if they hung for minutes."""

    def logged(self, caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str | None]]:
        records = [record for record in caplog.records if "--throttling off" in record.message]
        return [(r.message.partition(" units")[0], r.__dict__["table"], r.__dict__["index"]) for r in records]

    def test_the_first_throttling_of_a_table_is_logged(self, service: Any, caplog: pytest.LogCaptureFixture) -> None:
        provisioned(service, "Things", read=2)
        provisioned(service, "Others")
        for table in ("Things", "Others"):
            spend_writes(service, 300, table)
        assert self.logged(caplog) == []
        for _ in range(3):
            for table in ("Things", "Others"):
                service.refused("PutItem", TableName=table, Item=item("a"))
        spend_reads(service, 600)
        service.refused("GetItem", TableName="Things", Key=key("a"))
        burst = "is throttled: its {}s have used up its burst and exceed {}"
        assert self.logged(caplog) == [
            ("table Things " + burst.format("write", 1), "Things", None),
            ("table Others " + burst.format("write", 1), "Others", None),
            ("table Things " + burst.format("read", 2), "Things", None),
        ]

    def test_the_first_throttling_of_an_index_is_logged(self, service: Any, caplog: pytest.LogCaptureFixture) -> None:
        by_color = global_index("by-color", "color", ProvisionedThroughput=units(1, 1))
        provisioned(service, write=1000, types={"color": "S"}, GlobalSecondaryIndexes=[by_color])
        colored: dict[str, Any] = {"color": {"S": "red"}}
        for number in range(300):
            service.put_item(TableName="Things", Item=item(str(number), **colored))
        for number in range(300, 303):
            service.refused("PutItem", TableName="Things", Item=item(str(number), **colored))
        (line,) = self.logged(caplog)
        assert line[0].startswith("index by-color of table Things is throttled")
        assert line[1:] == ("Things", "by-color")

    def test_a_batch_that_is_throttled_in_part_is_logged(self, service: Any, caplog: pytest.LogCaptureFixture) -> None:
        provisioned(service)
        spend_writes(service, 299)
        puts = [{"PutRequest": {"Item": item(str(number))}} for number in range(3)]
        assert service.batch_write_item(RequestItems={"Things": puts})["UnprocessedItems"]
        assert len(self.logged(caplog)) == 1
