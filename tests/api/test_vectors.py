"""Vector indexes over the API: definitions, states, items that do not fit, searches, capacity."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import orjson
import pytest

pytest.importorskip("numpy")

from atoll.database import catalog
from atoll.metrics.measured import measured
from tests.api.conftest import Service

INVALID = "One or more parameter values were invalid: "
UNFIT = "One or more parameter values are not valid. One or more parameter values were invalid . "


def index(name: str = "near", **more: Any) -> dict[str, Any]:
    return {
        "IndexName": name,
        "VectorAttribute": {"AttributeName": "embedding"},
        "Projection": {"ProjectionType": "ALL"},
        "Dimensions": 3,
        "DistanceFunction": "EUCLIDEAN",
        **more,
    }


def schema(*elements: tuple[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "SearchSchemaElementType": kind} for name, kind in elements]


def vector(*numbers: float | str) -> list[dict[str, str]]:
    return [{"N": str(number)} for number in numbers]


def note(pk: str, *numbers: float | str, **more: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "embedding": {"L": vector(*numbers)}, **{name: {"S": text} for name, text in more.items()}}


def found(answer: Any) -> list[str]:
    return [result["Item"]["pk"]["S"] for result in answer["SearchResults"]]


def search(service: Service, *numbers: float | str, top: int = 10, name: str = "near", **more: Any) -> Any:
    return service.search_vectors(TableName="Things", IndexName=name, SearchVector=vector(*numbers), TopK=top, **more)


def search_refused(service: Service, *numbers: float | str, name: str = "near", top: int = 3, **more: Any) -> str:
    given = {"TableName": "Things", "IndexName": name, "SearchVector": vector(*numbers), "TopK": top, **more}
    error = service.refused("SearchVectors", **given)
    assert error.code == "ValidationException"
    return error.message or ""


# Definitions


def test_descriptions_show_the_index(service: Service) -> None:
    elements = schema(("tenant", "HASH"), ("kind", "INLINE_FILTER"))
    service.table(VectorIndexes=[index(SearchSchema=elements)], types={"tenant": "S", "kind": "S"})
    table = service.describe_table(TableName="Things")["Table"]
    assert table["VectorIndexes"] == [
        {
            **index(SearchSchema=elements),
            "IndexStatus": "ACTIVE",
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": f"{table['TableArn']}/index/near",
        }
    ]
    assert [one["AttributeName"] for one in table["AttributeDefinitions"]] == ["kind", "pk", "tenant"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"BillingMode": "PROVISIONED", "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
         INVALID + "Vector indexes are only supported for PAY_PER_REQUEST tables"),
        ({"VectorIndexes": [index(SearchSchema=schema(("tenant", "HASH")))]},
         INVALID + "One element in SearchSchema is not defined in attribute definitions"),
        ({"VectorIndexes": [index(Dimensions=4097)]},
         INVALID + "Number of dimensions must be between 1 and 4096 inclusive."),
        ({"VectorIndexes": [index(f"near{n}") for n in range(6)]},
         INVALID + "VectorIndex count exceeds the per-table limit of 5"),
        ({"VectorIndexes": [index(), index("other", Dimensions=4)]},
         INVALID + "Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute "
         "must use the same dimensions."),
        ({"VectorIndexes": [index(VectorAttribute={"AttributeName": "a"})], "types": {"a": "S"}},
         INVALID + "Conflicting attribute definition for 'a'. An attribute cannot be defined in AttributeDefinitions "
         "when used as a VectorAttribute."),
        ({"VectorIndexes": [index(), index()]}, INVALID + "Duplicate index name: near"),
    ],
)  # fmt: skip
def test_create_table_refuses(service: Service, more: dict[str, Any], text: str) -> None:
    types = {"pk": "S", **more.pop("types", {})}
    body = {
        "TableName": "Things",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in types.items()],
        "VectorIndexes": [index()],
        **more,
    }
    assert service.refused("CreateTable", **body).message == text


def test_create_table_refuses_by_the_shape(service: Service) -> None:
    body = {
        "TableName": "Things",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "a", "b")],
    }
    for bad, text in (
        (index(Dimensions=0), "Member must have value greater than or equal to 1"),
        (index("ix"), "Member must have length greater than or equal to 3"),
        (index(DistanceFunction="HAMMING"), "enum value set: [DOT_PRODUCT, COSINE, EUCLIDEAN]"),
        (
            index(SearchSchema=schema(("a", "HASH"), ("b", "HASH"))),
            "Member must have HASH count less than or equal to 1",
        ),
    ):
        message = service.refused("CreateTable", **body, VectorIndexes=[bad]).message
        assert message is not None and text in message


# Online


def test_an_index_is_created_over_items_and_deleted_again(slow_service: Service) -> None:
    service = slow_service
    service.table()
    service.clock.advance(10_000)
    for number in range(450):
        service.put_item(TableName="Things", Item=note(f"n{number}", number, 0, 0))
    answer = service.update_table(TableName="Things", VectorIndexUpdates=[{"Create": index()}])["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    assert (answer["VectorIndexes"][0]["IndexStatus"], answer["VectorIndexes"][0]["Backfilling"]) == ("CREATING", False)
    assert search_refused(service, 1, 0, 0) == "The table does not have the specified index: near"
    again = service.refused("UpdateTable", TableName="Things", VectorIndexUpdates=[{"Create": index()}])
    assert again.message == (
        "Attempt to change a resource which is still in use: Index is being created.  Table: Things Index: near"
    )
    other = service.refused("UpdateTable", TableName="Things", VectorIndexUpdates=[{"Create": index("other")}])
    assert other.code == "LimitExceededException"
    assert other.message == (
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )
    deletion = service.refused(
        "UpdateTable", TableName="Things", VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}]
    )
    assert deletion.message is not None and deletion.message.endswith(
        "Index creation is in resource allocation phase. Retry deletion during backfilling phase or when the index is "
        "active. Table: Things Index: near"
    )
    gone = service.refused("DeleteTable", TableName="Things")
    assert gone.message is not None
    assert gone.message.endswith("Cannot delete table while indexes are being created, updated, or deleted.")
    service.clock.advance(10_000)
    assert search_refused(service, 1, 0, 0) == "Cannot search backfilling vector index: near"
    described = service.describe_table(TableName="Things")["Table"]
    assert described["TableStatus"] == "ACTIVE"
    assert described["VectorIndexes"][0]["Backfilling"] is True
    service.put_item(TableName="Things", Item=note("n3", 1000, 0, 0))
    service.delete_item(TableName="Things", Key={"pk": {"S": "n4"}})
    service.settle()
    described = service.describe_table(TableName="Things")["Table"]["VectorIndexes"][0]
    assert (described["IndexStatus"], described["ItemCount"]) == ("ACTIVE", 449)
    assert "Backfilling" not in described
    assert found(search(service, 3.4, 0, 0, top=3)) == ["n2", "n5", "n1"]
    exists = service.refused("UpdateTable", TableName="Things", VectorIndexUpdates=[{"Create": index()}])
    assert exists.message == "Attempting to create an index which already exists"
    service.update_table(TableName="Things", VectorIndexUpdates=[{"Delete": {"IndexName": "near"}}])
    assert search_refused(service, 1, 0, 0) == "The table does not have the specified index: near"
    service.clock.advance(10_000)
    service.settle()
    assert "VectorIndexes" not in service.describe_table(TableName="Things")["Table"]


def test_update_table_refuses(service: Service) -> None:
    service.table(VectorIndexes=[index()])

    def refused(**body: Any) -> str:
        return service.refused("UpdateTable", TableName="Things", **body).message or ""

    def creation(**more: Any) -> str:
        return refused(VectorIndexUpdates=[{"Create": index("other", **more)}])

    assert creation(Dimensions=5) == (
        INVALID + "Conflicting attribute definition for 'embedding'. All VectorIndexes on the same vector attribute "
        "must use the same dimensions."
    )
    assert creation(SearchSchema=schema(("tenant", "HASH"))) == (
        INVALID + "One element in SearchSchema is not defined in attribute definitions"
    )
    assert creation(VectorAttribute={"AttributeName": "pk"}, Dimensions=4) == (
        INVALID + "Attributes cannot be redefined. Please check that your attribute has the same type as previously "
        "defined. Existing schema: Schema:[SchemaElement: key{pk:S:HASH}] "
        "New schema: VectorIndexSchema:[VectorAttribute: key{pk:L:4}]"
    )
    assert refused(VectorIndexUpdates=[{"Create": index("a_1")}, {"Create": index("a_2")}]) == (
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
    )
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    assert refused(BillingMode="PROVISIONED", ProvisionedThroughput=units) == (
        INVALID + "Vector indexes are only supported for PAY_PER_REQUEST tables"
    )
    missing = service.refused("UpdateTable", TableName="Things", VectorIndexUpdates=[{"Delete": {"IndexName": "none"}}])
    assert missing.code == "ResourceNotFoundException"
    for name in ("more1", "more2", "more3", "more4"):
        service.update_table(TableName="Things", VectorIndexUpdates=[{"Create": index(name)}])
        service.settle()
    assert creation() == "Subscriber limit exceeded: Number of vector secondary indexes exceeds per-table limit of 5"


def test_a_provisioned_table_becomes_on_demand_and_gets_an_index_in_one_call(service: Service) -> None:
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    service.table(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    creation = {"VectorIndexUpdates": [{"Create": index()}]}
    assert service.refused("UpdateTable", TableName="Things", **creation).message == (
        INVALID + "Vector indexes are only supported for PAY_PER_REQUEST tables"
    )
    service.update_table(TableName="Things", BillingMode="PAY_PER_REQUEST", **creation)
    service.settle()
    service.put_item(TableName="Things", Item=note("a", 1, 2, 3))
    assert found(search(service, 0, 0, 0)) == ["a"]


# Items


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"L": vector(1, 2)}, UNFIT + "Invalid size for parameter embedding, Expected: 3, Actual: 2. IndexName: near"),
        ({"S": "x"}, UNFIT + "Invalid type for parameter embedding, Expected: L, Actual: S. IndexName: near"),
        ({"L": [{"N": "1"}, {"S": "2"}, {"N": "3"}]},
         "One or more parameter values were invalid. Invalid type for parameter embedding[1], "
         "Expected: 32-bit floating point number, Actual: S. IndexName: near"),
        ({"L": vector(1, "3.5E+38", 3)},
         UNFIT + "Invalid value for parameter embedding[1], Value: 3.5E+38 is outside valid range "
         "[-3.4028235E38, 3.4028235E38]. IndexName: near"),
    ],
)  # fmt: skip
def test_writes_refuse_an_unfit_vector(service: Service, value: Any, text: str) -> None:
    service.table(VectorIndexes=[index()])
    item = {"pk": {"S": "a"}, "embedding": value}
    assert service.refused("PutItem", TableName="Things", Item=item).message == text
    update = {"UpdateExpression": "SET embedding = :v", "ExpressionAttributeValues": {":v": value}}
    key = {"TableName": "Things", "Key": {"pk": {"S": "a"}}}
    assert service.refused("UpdateItem", **key, **update).message == text
    batch = {"Things": [{"PutRequest": {"Item": item}}]}
    assert service.refused("BatchWriteItem", RequestItems=batch).message == text
    transaction = service.refused("TransactWriteItems", TransactItems=[{"Put": {"TableName": "Things", "Item": item}}])
    assert transaction.fields is not None
    assert transaction.fields["CancellationReasons"] == [{"Code": "ValidationError", "Message": text}]
    statement = "INSERT INTO Things VALUE {'pk': 'a', 'embedding': ?}"
    assert service.refused("ExecuteStatement", Statement=statement, Parameters=[value]).message == text
    assert service.scan(TableName="Things")["Count"] == 0


def test_an_update_checks_only_the_changed_attributes(service: Service) -> None:
    service.table()
    service.put_item(TableName="Things", Item=note("a", 1, 2))
    service.update_table(TableName="Things", VectorIndexUpdates=[{"Create": index()}])
    service.settle()
    service.update_item(
        TableName="Things", Key={"pk": {"S": "a"}}, UpdateExpression="SET x = :x",
        ExpressionAttributeValues={":x": {"S": "y"}},
    )  # fmt: skip
    assert found(search(service, 1, 2, 3)) == []


def test_schema_attributes_have_their_types(service: Service) -> None:
    elements = schema(("tenant", "HASH"), ("kind", "INLINE_FILTER"))
    service.table(VectorIndexes=[index(SearchSchema=elements)], types={"tenant": "S", "kind": "S"})

    def refused(**more: Any) -> str:
        return service.refused("PutItem", TableName="Things", Item={**note("a", 1, 2, 3), **more}).message or ""

    assert refused(tenant={"S": ""}) == (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. The "
        "AttributeValue for a key attribute cannot contain an empty string value. IndexName: near, IndexKey: tenant"
    )
    assert refused(tenant={"S": "t"}, kind={"N": "1"}) == (
        "One or more parameter values were invalid. Attribute 'kind' type mismatch. Expected: S, Actual: N. "
        "IndexName: near"
    )
    service.put_item(TableName="Things", Item=note("without tenant", 1, 2, 3))
    service.put_item(TableName="Things", Item=note("without kind", 1, 2, 3, tenant="t"))
    service.put_item(TableName="Things", Item={"pk": {"S": "without vector"}, "tenant": {"S": "t"}})
    answer = search(
        service, 1, 2, 3, SearchConditionExpression="tenant = :t", ExpressionAttributeValues={":t": {"S": "t"}}
    )
    assert found(answer) == ["without kind"]


# Searches


def test_the_three_distances(service: Service) -> None:
    names = ("COSINE", "DOT_PRODUCT", "EUCLIDEAN")
    service.table(VectorIndexes=[index(name.lower(), DistanceFunction=name) for name in names])
    for item in (note("x", 1, 0, 0), note("far", 10, 0, 0), note("back", -1, 0, 0), note("zero", 0, 0, 0)):
        service.put_item(TableName="Things", Item=item)
    expected = {
        "cosine": {"x": 0.0, "far": 0.0, "zero": 1.0, "back": 2.0},
        "dot_product": {"far": 20.0, "x": 2.0, "zero": 0.0, "back": -2.0},
        "euclidean": {"x": 1.0, "zero": 2.0, "back": 3.0, "far": 8.0},
    }
    for name, scores in expected.items():
        results = search(service, 2, 0, 0, name=name)["SearchResults"]
        assert {one["Item"]["pk"]["S"]: one["Score"] for one in results} == pytest.approx(scores)
        assert [one["Score"] for one in results] == pytest.approx(list(scores.values()))


def test_conditions_scope_and_filter(service: Service) -> None:
    elements = schema(("tenant", "HASH"), ("kind", "INLINE_FILTER"))
    service.table(VectorIndexes=[index(SearchSchema=elements)], types={"tenant": "S", "kind": "S"})
    for tenant in ("t1", "t2"):
        for kind in ("k1", "k2"):
            service.put_item(TableName="Things", Item=note(f"{tenant}{kind}", 1, 1, 1, tenant=tenant, kind=kind))
    values: Any = {":t": {"S": "t1"}, ":k": {"S": "k2"}}
    of_tenant: dict[str, Any] = {
        "SearchConditionExpression": "tenant = :t",
        "ExpressionAttributeValues": {":t": {"S": "t1"}},
    }
    assert sorted(found(search(service, 1, 1, 1, **of_tenant))) == ["t1k1", "t1k2"]
    both: dict[str, Any] = {
        "SearchConditionExpression": "kind = :k AND :t = tenant",
        "ExpressionAttributeValues": values,
    }
    assert found(search(service, 1, 1, 1, **both)) == ["t1k2"]


def test_attributes_of_a_result(service: Service) -> None:
    service.table(
        VectorIndexes=[index(), index("keys", Projection={"ProjectionType": "KEYS_ONLY"})],
    )
    service.put_item(TableName="Things", Item=note("a", "0.10", "-0", "1E-7", text="hello", more="world"))
    (result,) = search(service, 0, 0, 0)["SearchResults"]
    assert result["Item"] == {"pk": {"S": "a"}, "text": {"S": "hello"}, "more": {"S": "world"}}
    (result,) = search(service, 0, 0, 0, ProjectionExpression="embedding, #t, absent", ExpressionAttributeNames={
        "#t": "text",
    })["SearchResults"]  # fmt: skip
    assert result["Item"] == {"embedding": {"L": vector("0.1", "0", "0.0000001")}, "text": {"S": "hello"}}
    (result,) = search(service, 0, 0, 0, name="keys")["SearchResults"]
    assert result["Item"] == {"pk": {"S": "a"}}
    got = service.get_item(TableName="Things", Key={"pk": {"S": "a"}})["Item"]
    assert got["embedding"] == {"L": vector("0.1", "0", "0.0000001")}


def test_searches_follow_writes_at_once(service: Service) -> None:
    service.table(VectorIndexes=[index()])
    for number in range(20):
        service.put_item(TableName="Things", Item=note(f"n{number}", number, 0, 0))
    assert found(search(service, 0, 0, 0, top=2)) == ["n0", "n1"]
    service.delete_item(TableName="Things", Key={"pk": {"S": "n0"}})
    service.put_item(TableName="Things", Item=note("n1", 50, 0, 0))
    service.execute_statement(Statement="UPDATE Things SET embedding=[0.5, 0, 0] WHERE pk='n9'")
    service.update_item(TableName="Things", Key={"pk": {"S": "n2"}}, UpdateExpression="REMOVE embedding")
    assert found(search(service, 0, 0, 0, top=2)) == ["n9", "n3"]


@pytest.mark.parametrize(
    ("element", "position"), [("NaN", 0), ("Infinity", 1), ("3.5E38", 2), ("1_0", 0), ("", 0), ("0x1", 0), (" 1", 0)]
)
def test_a_search_vector_has_32_bit_numbers(service: Service, element: str, position: int) -> None:
    service.table(VectorIndexes=[index()])
    numbers: list[float | str] = [1, 2, 3]
    numbers[position] = element
    assert search_refused(service, *numbers[: position + 1]) == (
        "Search vector contains invalid values. All values in the search vector must be a 32-bit floating-point number "
        "attribute"
    )


def test_searches_that_are_refused(service: Service) -> None:
    elements = schema(("tenant", "HASH"), ("kind", "INLINE_FILTER"))
    service.table(VectorIndexes=[index(), index("scoped", SearchSchema=elements)], types={"tenant": "S", "kind": "S"})
    values: dict[str, Any] = {"ExpressionAttributeValues": {":t": {"S": "t"}}}
    assert search_refused(service, 1, 2) == "Input search vector dimension 2 does not match vector index dimension 3"
    assert search_refused(service, 1, 2, 3, name="none") == "The table does not have the specified index: none"
    assert search_refused(service, 1, 2, 3, top=101) == (
        "Provided TopK value '101' is out of valid range. The value must be between 1 and 100 inclusive"
    )
    assert search_refused(service, 1, 2, 3, top=0).endswith("Member must have value greater than or equal to 1")
    assert search_refused(service, 1, 2, 3, name="scoped") == (
        "SearchConditionExpression must be provided when SearchSchema has a HASH key"
    )
    for condition in ("tenant < :t", "tenant = :t OR kind = :t", "NOT tenant = :t", "tenant = kind AND kind = :t"):
        assert search_refused(service, 1, 2, 3, name="scoped", SearchConditionExpression=condition, **values) == (
            "Invalid SearchConditionExpression: Invalid comparator used in SearchConditionExpression"
        )
    assert search_refused(service, 1, 2, 3, SearchConditionExpression="tenant = :t", **values) == (
        "SearchConditionExpression must not contain any attributes that is not in SearchSchema. "
        "Invalid attribute: tenant"
    )
    error = service.refused("SearchVectors", TableName="None", IndexName="near", SearchVector=vector(1), TopK=1)
    assert error.code == "ResourceNotFoundException"
    query = {"KeyConditionExpression": "pk = :t", **values}
    assert service.refused("Query", TableName="Things", IndexName="near", **query).message == (
        "Query operation not supported on this index type."
    )
    assert service.refused("Scan", TableName="Things", IndexName="near").message == (
        "Scan operation not supported on this index type"
    )
    assert service.refused("ExecuteStatement", Statement='SELECT * FROM Things."near"').message == (
        "Scan operation not supported on this index type"
    )


TABLE, NEAR, VECTOR = '"TableName":"Nothing"', '"IndexName":"near"', '"SearchVector":[{"N":"1"}]'


@pytest.mark.parametrize(
    ("body", "code", "text", "at"),
    [
        ('{"TableName":null,' + NEAR + "," + VECTOR + ',"TopK":1}', "SerializationException",
         "invalid type: null, expected a string", len('{"TableName":null')),
        ("{" + TABLE + ',"IndexName":null,' + VECTOR + ',"TopK":1}', "SerializationException",
         "invalid type: null, expected a string", len("{" + TABLE + ',"IndexName":null')),
        ("{" + TABLE + "," + NEAR + ',"SearchVector":null,"TopK":1}', "SerializationException",
         "invalid type: null, expected a sequence", len("{" + TABLE + "," + NEAR + ',"SearchVector":null')),
        ("{" + TABLE + "," + NEAR + "," + VECTOR + ',"TopK":null}', "SerializationException",
         "invalid type: null, expected i32", len("{" + TABLE + "," + NEAR + "," + VECTOR + ',"TopK":null')),
        ('{"IndexName":"n",' + VECTOR + ',"TopK":1}', "ValidationException",
         "missing field `TableName`", len('{"IndexName":"n",' + VECTOR + ',"TopK":1}')),
    ],
)  # fmt: skip
def test_members_that_are_not_there(service: Service, body: str, code: str, text: str, at: int) -> None:
    error = service.refused("SearchVectors", **orjson.loads(body))
    assert (error.code, error.message) == (code, f"{text} at line 1 column {at}")


def test_members_out_of_bounds(service: Service) -> None:
    given = {"TableName": "Nothing", "IndexName": "near", "SearchVector": vector(1), "TopK": 1}
    for bad, member, constraint in (
        ({"IndexName": "n"}, "IndexName", "length greater than or equal to 3"),
        ({"SearchVector": []}, "SearchVector", "length greater than or equal to 1"),
        ({"SearchVector": vector(*[1] * 4097)}, "SearchVector", "length less than or equal to 4096"),
        ({"TopK": 0}, "TopK", "value greater than or equal to 1"),
    ):
        assert service.refused("SearchVectors", **given | bad).message == (
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must have "
            + constraint
        )


def test_metrics_count_the_bytes_of_searches_and_writes(service: Service) -> None:
    service.table(VectorIndexes=[index()])
    service.put_item(TableName="Things", Item=note("a", 1, 2, 3))
    search(service, 1, 2, 3)
    taken = service.region.meter.take()
    tables = {"Things": service.region.catalog.known.tables["Things"]}
    found = {(s.metric.name, s.metric.dimensions): (s.unit, points) for s, points in measured(taken, tables, 0).items()}
    of_index = (("TableName", "Things"), ("VectorIndexName", "near"))
    for name in ("VectorSearchRequestBytes", "VectorWriteRequestBytes"):
        unit, (point,) = found[name, of_index]
        assert (unit, point.sum) == ("Bytes", 1024)


# Capacity


def test_writes_show_their_bytes_by_index(service: Service) -> None:
    service.table(VectorIndexes=[index(SearchSchema=schema(("tenant", "HASH")))], types={"tenant": "S"})

    def put(mode: str = "INDEXES", **more: str) -> Any:
        item = note("a", 1, 2, 3, **more)
        return service.put_item(TableName="Things", Item=item, ReturnConsumedCapacity=mode)["ConsumedCapacity"]

    consumed = put(tenant="t")
    assert consumed["VectorIndexes"] == {"near": {"VectorWriteRequestBytes": 1024.0}}
    assert (consumed["CapacityUnits"], consumed["Table"]) == (1.0, {"CapacityUnits": 1.0})
    assert "VectorIndexes" not in put(tenant="t")
    assert "VectorIndexes" not in put("TOTAL", tenant="other")
    assert put(tenant="t", text="x" * 2000)["VectorIndexes"]["near"]["VectorWriteRequestBytes"] == 1024 + (
        12 + len("embedding") + len("pka") + len("tenantt") + len("text") + 2000
    )


def test_the_table_counts_a_vector_as_floats(service: Service) -> None:
    service.table(VectorIndexes=[index(Dimensions=250)])
    item = note("a", *["0.12345678901234567"] * 250)
    consumed = service.put_item(TableName="Things", Item=item, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert consumed["CapacityUnits"] == 1.0
    key = {"TableName": "Things", "Key": {"pk": {"S": "a"}}}
    got = service.get_item(**key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert got["CapacityUnits"] == 1.0
    deleted = service.delete_item(**key, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"]
    assert deleted["VectorIndexes"] == {"near": {"VectorWriteRequestBytes": 1024.0}}
    assert deleted["CapacityUnits"] == 1.0


def test_a_search_shows_bytes_and_nothing_else(service: Service) -> None:
    service.table(VectorIndexes=[index()])
    service.put_item(TableName="Things", Item=note("a", 1, 2, 3, text="x" * 3000))
    for mode in ("TOTAL", "INDEXES"):
        consumed = search(service, 1, 2, 3, ReturnConsumedCapacity=mode)["ConsumedCapacity"]
        assert consumed.keys() == {"VectorSearchRequestBytes", "VectorSearchUnits"}
        assert consumed["VectorSearchRequestBytes"] == consumed["VectorSearchUnits"] > 3000
    least = search(service, 1, 2, 3, ReturnConsumedCapacity="TOTAL", ProjectionExpression="pk")
    assert least["ConsumedCapacity"]["VectorSearchRequestBytes"] == 1024
    assert "ConsumedCapacity" not in search(service, 1, 2, 3, ReturnConsumedCapacity="NONE")


def test_an_index_is_deleted_during_a_search(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entries may be removed while the search reads them."""
    from atoll.vectors import searching

    service.table(VectorIndexes=[index()])
    service.put_item(TableName="Things", Item=note("a", 1, 2, 3))
    search_ = searching.search

    async def deleting(region: Any, *rest: Any) -> Any:
        found_ = await search_(region, *rest)

        def mark(tx: Any) -> None:
            table = region.catalog.find(tx, "Things")
            indexes = [replace(one, status="DELETING") for one in table.vector_indexes]
            catalog.save(tx, replace(table, vector_indexes=tuple(indexes)))

        await region.transact(mark)
        return found_

    monkeypatch.setattr(searching, "search", deleting)
    assert search_refused(service, 1, 2, 3) == "The table does not have the specified index: near"


def test_without_the_packages_a_search_names_the_extra_to_install(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "atoll.vectors", None)
    monkeypatch.setitem(sys.modules, "atoll.vectors.searching", None)
    service.table(VectorIndexes=[index()])
    service.put_item(TableName="Things", Item=note("a", 1, 2, 3))
    assert search_refused(service, 1, 2, 3) == (
        "Atoll needs the packages numpy and numkong to search vectors. Install them where the server runs: "
        "pip install 'atoll[vectors]'"
    )
    monkeypatch.undo()
    assert found(search(service, 1, 2, 3)) == ["a"]
