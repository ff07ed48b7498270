"""boto3: tables as resources, batches, pages, waiters, and the errors that it makes of answers."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import boto3
import pytest
from boto3.dynamodb.conditions import Attr, Key
from boto3.dynamodb.types import Binary
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError

from atoll import errors
from atoll.api import services
from atoll.clock import SystemClock
from atoll.wire.gateway import Gateway
from atoll.wire.server import Server
from benchmarks import servers
from tests.programs.endpoint import Endpoint

REGION = "us-west-2"


@pytest.fixture(scope="module")
def resource(endpoint: Endpoint) -> Any:
    return boto3.resource("dynamodb", **endpoint.client_options(REGION))


@pytest.fixture(scope="module")
def client(resource: Any) -> Any:
    return resource.meta.client


@pytest.fixture
def songs(resource: Any) -> Iterator[Any]:
    """A table with both kinds of indexes, made and removed as its users do."""
    table = resource.create_table(
        TableName="Songs",
        KeySchema=[
            {"AttributeName": "artist", "KeyType": "HASH"},
            {"AttributeName": "title", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "artist", "AttributeType": "S"},
            {"AttributeName": "title", "AttributeType": "S"},
            {"AttributeName": "year", "AttributeType": "N"},
            {"AttributeName": "genre", "AttributeType": "S"},
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": "by-year",
                "KeySchema": [
                    {"AttributeName": "artist", "KeyType": "HASH"},
                    {"AttributeName": "year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-genre",
                "KeySchema": [
                    {"AttributeName": "genre", "KeyType": "HASH"},
                    {"AttributeName": "year", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["plays"]},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    yield table
    table.delete()
    table.wait_until_not_exists()


def song(number: int, artist: str = "No One You Know") -> dict[str, Any]:
    genre = "country" if number % 2 else "blues"
    return {"artist": artist, "title": f"Song {number:03}", "year": 1900 + number, "genre": genre, "plays": number * 10}


@pytest.fixture
def filled(songs: Any) -> Any:
    with songs.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item=song(number))
    return songs


def test_every_type_comes_back_as_it_was(songs: Any) -> None:
    item = {
        "artist": "Ünïcødé 🎸",
        "title": "types",
        "decimal": Decimal("12345678901234567890.123456789012345678"),
        "tiny": Decimal("-1E-130"),
        "huge": Decimal("-99999999999999999999999999999999999999"),
        "binary": Binary(bytes(range(256))),
        "empty": {"string": "", "binary": Binary(b""), "list": [], "map": {}},
        "strings": {"a", "b"},
        "numbers": {Decimal("1.5"), Decimal("-2")},
        "binaries": {Binary(b"\x00"), Binary(b"\xff")},
        "nested": [None, True, False, {"deep": [Decimal(1), {"er": "x"}]}],
    }
    songs.put_item(Item=item)
    assert songs.get_item(Key={"artist": item["artist"], "title": "types"}, ConsistentRead=True)["Item"] == item


def test_numbers_beyond_38_places_come_back_without_an_exponent(endpoint: Endpoint, songs: Any) -> None:
    # Resources cannot read them, neither here nor from DynamoDB: their numbers have 38 digits.
    client = boto3.client("dynamodb", **endpoint.client_options(REGION))
    key = {"artist": {"S": "a"}, "title": {"S": "t"}}
    client.put_item(TableName=songs.name, Item=key | {"huge": {"N": "9.9E+125"}})
    assert client.get_item(TableName=songs.name, Key=key)["Item"]["huge"] == {"N": "99" + "0" * 124}


def test_a_missing_item_is_no_item(songs: Any) -> None:
    assert "Item" not in songs.get_item(Key={"artist": "nobody", "title": "nothing"})


def test_batch_writer_resends_unprocessed_items_of_several_batches(filled: Any) -> None:
    assert filled.scan(Select="COUNT")["Count"] == 60
    with filled.batch_writer() as batch:
        for number in range(0, 60, 2):
            batch.delete_item(Key={"artist": "No One You Know", "title": f"Song {number:03}"})
    assert filled.scan(Select="COUNT")["Count"] == 30


def test_batch_writer_keeps_the_last_of_equal_keys(songs: Any) -> None:
    with songs.batch_writer(overwrite_by_pkeys=["artist", "title"]) as batch:
        for number in range(40):
            batch.put_item(Item=song(1) | {"plays": number})
    assert [item["plays"] for item in songs.scan()["Items"]] == [39]


def test_equal_keys_in_one_batch_are_refused(songs: Any) -> None:
    with pytest.raises(ClientError, match="Provided list of item keys contains duplicates"), songs.batch_writer() as b:
        b.put_item(Item=song(1))
        b.put_item(Item=song(1))


def test_batch_get_reads_over_tables(resource: Any, filled: Any) -> None:
    keys = [{"artist": "No One You Know", "title": f"Song {number:03}"} for number in (3, 5, 99)]
    names = {"#t": "title", "#y": "year"}
    answer = resource.batch_get_item(
        RequestItems={filled.name: {"Keys": keys, "ProjectionExpression": "#t, #y", "ExpressionAttributeNames": names}}
    )
    found = sorted(answer["Responses"][filled.name], key=lambda item: item["title"])
    assert found == [{"title": "Song 003", "year": 1903}, {"title": "Song 005", "year": 1905}]
    assert answer["UnprocessedKeys"] == {}


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        (Key("title").between("Song 010", "Song 012"), [10, 11, 12]),
        (Key("title").begins_with("Song 00"), [*range(10)]),
        (Key("title").lt("Song 002"), [0, 1]),
        (Key("title").gte("Song 058"), [58, 59]),
        (Key("title").eq("Song 007"), [7]),
    ],
)
def test_key_conditions(filled: Any, condition: Any, numbers: list[int]) -> None:
    answer = filled.query(KeyConditionExpression=Key("artist").eq("No One You Know") & condition)
    assert [item["year"] - 1900 for item in answer["Items"]] == numbers


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (Attr("genre").eq("blues") & Attr("plays").gt(500), 4),
        (Attr("genre").ne("blues") | Attr("plays").lte(20), 32),
        (~Attr("plays").is_in([10, 20, 30]), 57),
        (Attr("plays").between(100, 190), 10),
        (Attr("title").contains("05"), 11),
        (Attr("nothing").exists(), 0),
        (Attr("nothing").not_exists(), 60),
        (Attr("plays").attribute_type("N"), 60),
        (Attr("genre").size().gt(5), 30),
        (Attr("title").begins_with("Song 05") & ~(Attr("year").eq(1955) | Attr("year").eq(1956)), 8),
    ],
)
def test_filter_conditions(filled: Any, condition: Any, count: int) -> None:
    answer = filled.scan(FilterExpression=condition)
    assert answer["Count"] == count
    assert answer["ScannedCount"] == 60


def test_queries_of_indexes(filled: Any) -> None:
    by_year = filled.query(
        IndexName="by-year",
        KeyConditionExpression=Key("artist").eq("No One You Know") & Key("year").gt(1957),
        ScanIndexForward=False,
        ConsistentRead=True,
    )
    assert [item["year"] for item in by_year["Items"]] == [1959, 1958]
    by_genre = filled.query(IndexName="by-genre", KeyConditionExpression=Key("genre").eq("blues"), Limit=2)
    assert by_genre["Items"] == [song(0), song(2)]
    assert by_genre["LastEvaluatedKey"] == {name: song(2)[name] for name in ("artist", "title", "genre", "year")}


@pytest.mark.parametrize("size", [1, 7, 60, 61])
def test_pages_of_queries_and_scans_have_every_item_once(client: Any, filled: Any, size: int) -> None:
    requests: list[tuple[str, dict[str, Any]]] = [
        ("scan", {}),
        ("scan", {"IndexName": "by-genre"}),
        (
            "query",
            {
                "KeyConditionExpression": "artist = :a",
                "ExpressionAttributeValues": {":a": "No One You Know"},
                "ScanIndexForward": False,
            },
        ),
    ]
    for operation, request in requests:
        pages = client.get_paginator(operation).paginate(
            TableName=filled.name, PaginationConfig={"PageSize": size}, **request
        )
        titles = [item["title"] for page in pages for item in page["Items"]]
        assert sorted(titles) == [f"Song {number:03}" for number in range(60)]
        if operation == "query":
            assert titles == sorted(titles, reverse=True)


def test_a_page_can_be_resumed_from_a_token(client: Any, filled: Any) -> None:
    def titles(**config: Any) -> tuple[list[str], str | None]:
        pages = client.get_paginator("scan").paginate(TableName=filled.name, PaginationConfig={"PageSize": 8, **config})
        result = pages.build_full_result()
        return [item["title"] for item in result["Items"]], result.get("NextToken")

    first, token = titles(MaxItems=21)
    rest, end = titles(StartingToken=token)
    assert len(first) == 21
    assert end is None
    assert sorted(first + rest) == [f"Song {number:03}" for number in range(60)]


def test_segments_of_a_scan_share_the_items_out(filled: Any) -> None:
    with filled.batch_writer() as batch:
        for number in range(40):
            batch.put_item(Item=song(number, artist=f"Artist {number}"))
    segments = [filled.scan(Segment=segment, TotalSegments=4)["Items"] for segment in range(4)]
    keys = [(item["artist"], item["title"]) for items in segments for item in items]
    assert len(keys) == len(set(keys)) == 100


def test_tables_are_listed_in_pages(client: Any, resource: Any) -> None:
    names = [f"Listed-{number}" for number in range(5)]
    for name in names:
        client.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        )
    pages = client.get_paginator("list_tables").paginate(PaginationConfig={"PageSize": 2})
    assert [name for page in pages for name in page["TableNames"]] == names
    assert [table.name for table in resource.tables.all()] == names
    for name in names:
        client.delete_table(TableName=name)
        client.get_waiter("table_not_exists").wait(TableName=name)
    assert client.list_tables()["TableNames"] == []


def test_waiting_for_a_table_that_never_comes_ends(client: Any) -> None:
    with pytest.raises(WaiterError, match="Max attempts exceeded"):
        client.get_waiter("table_exists").wait(TableName="Never", WaiterConfig={"Delay": 0, "MaxAttempts": 2})


def test_updates_return_the_requested_values(songs: Any) -> None:
    key = {"artist": "a", "title": "t"}
    updated = songs.update_item(
        Key=key,
        UpdateExpression="SET plays = if_not_exists(plays, :none) + :one, tags = :tags, #l = list_append(:l, :l)",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":none": 0, ":one": 1, ":tags": {"x", "y"}, ":l": [1]},
        ReturnValues="ALL_NEW",
    )
    assert updated["Attributes"] == key | {"plays": 1, "tags": {"x", "y"}, "list": [1, 1]}
    changed = songs.update_item(
        Key=key,
        UpdateExpression="ADD plays :five DELETE tags :x REMOVE #l[0]",
        ConditionExpression=Attr("plays").eq(1) & Attr("tags").contains("x"),
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":five": 5, ":x": {"x"}},
        ReturnValues="UPDATED_NEW",
    )
    assert changed["Attributes"]["plays"] == 6
    assert changed["Attributes"]["tags"] == {"y"}
    assert songs.delete_item(Key=key, ReturnValues="ALL_OLD")["Attributes"]["plays"] == 6


def test_refusals_are_exceptions_of_their_own_class(client: Any, songs: Any) -> None:
    exceptions = client.exceptions
    songs.put_item(Item=song(1))
    with pytest.raises(exceptions.ConditionalCheckFailedException) as refused:
        songs.put_item(
            Item=song(1),
            ConditionExpression=Attr("artist").not_exists(),
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert refused.value.response["Error"]["Message"] == "The conditional request failed"
    assert refused.value.response["Item"] == {
        "artist": {"S": "No One You Know"},
        "title": {"S": "Song 001"},
        "year": {"N": "1901"},
        "genre": {"S": "country"},
        "plays": {"N": "10"},
    }
    with pytest.raises(exceptions.ResourceInUseException, match="Table already exists: Songs"):
        client.create_table(
            TableName="Songs",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    with pytest.raises(exceptions.ResourceNotFoundException, match="Requested resource not found"):
        client.get_item(TableName="Absent", Key={"pk": {"S": "x"}})
    with pytest.raises(ClientError) as invalid:
        songs.get_item(Key={"artist": "x"})
    assert invalid.value.response["Error"]["Code"] == "ValidationException"
    assert invalid.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_transactions_succeed_or_say_why_not(client: Any, songs: Any) -> None:
    # The resource's client takes and gives plain values.
    key = {"artist": "a", "title": "counter"}
    count = {
        "TableName": songs.name,
        "Key": key,
        "UpdateExpression": "ADD plays :one",
        "ExpressionAttributeValues": {":one": 1},
    }
    new = {"TableName": songs.name, "Item": song(1), "ConditionExpression": "attribute_not_exists(artist)"}
    steps = [{"Update": count}, {"Put": new | {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}}]
    client.transact_write_items(TransactItems=steps, ClientRequestToken="once")
    client.transact_write_items(TransactItems=steps, ClientRequestToken="once")
    with pytest.raises(client.exceptions.TransactionCanceledException) as cancelled:
        client.transact_write_items(TransactItems=steps)
    response = cancelled.value.response
    assert response["Error"]["Message"] == (
        "Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed]"
    )
    nothing, failed = response["CancellationReasons"]
    assert nothing == {"Code": "None"}
    assert (failed["Code"], failed["Message"]) == ("ConditionalCheckFailed", "The conditional request failed")
    assert failed["Item"]["title"] == {"S": "Song 001"}
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=steps[:1], ClientRequestToken="once")
    read = client.transact_get_items(
        TransactItems=[
            {"Get": {"TableName": songs.name, "Key": key}},
            {"Get": {"TableName": songs.name, "Key": {"artist": "a", "title": "absent"}}},
        ]
    )
    assert read["Responses"] == [{"Item": key | {"plays": 1}}, {}]


def test_of_two_writers_of_one_version_one_wins(endpoint: Endpoint, songs: Any) -> None:
    key = {"artist": "a", "title": "versioned"}
    songs.put_item(Item=key | {"version": 0, "writers": []})
    lost: list[str] = []

    def write(name: str) -> None:
        table = boto3.session.Session().resource("dynamodb", **endpoint.client_options(REGION)).Table(songs.name)
        written = 0
        while written < 10:
            item = table.get_item(Key=key, ConsistentRead=True)["Item"]
            changed = item | {"version": item["version"] + 1, "writers": [*item["writers"], f"{name}{written}"]}
            try:
                table.put_item(Item=changed, ConditionExpression=Attr("version").eq(item["version"]))
            except table.meta.client.exceptions.ConditionalCheckFailedException:
                lost.append(name)
            else:
                written += 1

    threads = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    item = songs.get_item(Key=key, ConsistentRead=True)["Item"]
    assert item["version"] == 30
    assert sorted(item["writers"]) == sorted(f"{name}{number}" for name in "xyz" for number in range(10))


def test_answers_carry_the_checksum_of_their_bytes(endpoint: Endpoint, filled: Any) -> None:
    client = boto3.client("dynamodb", **endpoint.client_options(REGION))
    bodies: list[bytes] = []
    client.meta.events.register(
        "before-parse.dynamodb", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    metadata = client.scan(TableName=filled.name)["ResponseMetadata"]
    with pytest.raises(ClientError) as refused:
        client.scan(TableName="Absent")
    for answer, body in zip((metadata, refused.value.response["ResponseMetadata"]), bodies, strict=True):
        assert int(answer["HTTPHeaders"]["x-amz-crc32"]) == zlib.crc32(body)
        assert len(answer["RequestId"]) == 52
        assert answer["RetryAttempts"] == 0


@pytest.mark.parametrize("mode", ["legacy", "standard"])
def test_our_failures_are_tried_again(mode: Any) -> None:
    failures = [errors.internal(), errors.internal()]

    async def call(*_: object) -> dict[str, Any]:
        if failures:
            raise failures.pop()
        return {"TableNames": []}

    async def serve(ready: SimpleQueue[int], done: SimpleQueue[None]) -> None:
        server = Server(Gateway(call, services.TARGETS, clock=SystemClock(), region=REGION).answer)
        ready.put((await server.listen("127.0.0.1", 0))[0][1])
        await asyncio.to_thread(done.get)
        await server.drain()

    ready, done = SimpleQueue[int](), SimpleQueue[None]()
    thread = threading.Thread(target=asyncio.run, args=(serve(ready, done),))
    thread.start()
    options = Endpoint(f"http://127.0.0.1:{ready.get()}").client_options(REGION)
    client = boto3.client("dynamodb", config=Config(retries={"mode": mode, "max_attempts": 3}), **options)
    answer = client.list_tables()
    done.put(None)
    thread.join()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2


def test_a_client_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    with servers.atoll(tmp_path) as server:
        options = Endpoint(f"http://{servers.HOST}:{server.port}").client_options(REGION)
        table = boto3.resource("dynamodb", **options).create_table(
            TableName="Kept",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        table.put_item(Item={"pk": "kept"})
    with servers.atoll(tmp_path, port=server.port):
        assert table.get_item(Key={"pk": "kept"}, ConsistentRead=True)["Item"] == {"pk": "kept"}


@pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
def test_no_way_of_retrying_repeats_a_refused_write(endpoint: Endpoint, songs: Any, mode: Any) -> None:
    config = Config(retries={"mode": mode, "max_attempts": 5})
    table = boto3.resource("dynamodb", config=config, **endpoint.client_options(REGION)).Table(songs.name)
    table.put_item(Item=song(1))
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException) as refused:
        table.put_item(Item=song(1), ConditionExpression=Attr("artist").not_exists())
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_capacity_of_a_table_with_indexes(songs: Any) -> None:
    written = songs.put_item(Item=song(1), ReturnConsumedCapacity="INDEXES", ReturnItemCollectionMetrics="SIZE")
    assert written["ConsumedCapacity"] == {
        "TableName": "Songs",
        "CapacityUnits": 3.0,
        "Table": {"CapacityUnits": 1.0},
        "LocalSecondaryIndexes": {"by-year": {"CapacityUnits": 1.0}},
        "GlobalSecondaryIndexes": {"by-genre": {"CapacityUnits": 1.0}},
    }
    assert written["ItemCollectionMetrics"]["ItemCollectionKey"] == {"artist": "No One You Know"}


def test_a_table_describes_itself(songs: Any) -> None:
    songs.reload()
    assert songs.table_status == "ACTIVE"
    assert songs.table_arn == f"arn:aws:dynamodb:{REGION}:000000000000:table/Songs"
    assert songs.key_schema[0] == {"AttributeName": "artist", "KeyType": "HASH"}
    assert songs.billing_mode_summary["BillingMode"] == "PAY_PER_REQUEST"
    assert songs.creation_date_time.tzinfo is not None
    assert [index["IndexStatus"] for index in songs.global_secondary_indexes] == ["ACTIVE"]
    assert songs.local_secondary_indexes[0]["IndexName"] == "by-year"


def test_a_table_of_provisioned_capacity_can_be_changed(client: Any, resource: Any) -> None:
    table = resource.create_table(
        TableName="Provisioned",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "B"}],
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        Tags=[{"Key": "team", "Value": "music"}],
    )
    table.wait_until_exists()
    table = table.update(ProvisionedThroughput={"ReadCapacityUnits": 6, "WriteCapacityUnits": 7})
    table.wait_until_exists()
    table.reload()  # the answer to the change shows the old units
    assert (table.provisioned_throughput["ReadCapacityUnits"], table.provisioned_throughput["WriteCapacityUnits"]) == (
        6,
        7,
    )
    pages = client.get_paginator("list_tags_of_resource").paginate(ResourceArn=table.table_arn)
    assert [tag for page in pages for tag in page["Tags"]] == [{"Key": "team", "Value": "music"}]
    table.put_item(Item={"pk": Binary(b"\x00\x01"), "n": 1})
    assert table.get_item(Key={"pk": Binary(b"\x00\x01")})["Item"]["n"] == 1
    table.delete()
    table.wait_until_not_exists()


def test_signed_requests_are_verified(signed_endpoint: Endpoint) -> None:
    resource = boto3.resource("dynamodb", **signed_endpoint.client_options(REGION))
    table = resource.create_table(
        TableName="Signed",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    with table.batch_writer() as batch:
        for number in range(30):
            batch.put_item(Item={"pk": str(number), "text": "ä/%+ &=" * number})
    assert table.scan(Select="COUNT")["Count"] == 30
    strangers = [
        (Endpoint(signed_endpoint.url, "AKIAUNKNOWN", "x"), "UnrecognizedClientException"),
        (Endpoint(signed_endpoint.url, signed_endpoint.access_key, "wrong"), "InvalidSignatureException"),
    ]
    for stranger, code in strangers:
        with pytest.raises(ClientError) as refused:
            boto3.client("dynamodb", **stranger.client_options(REGION)).list_tables()
        assert refused.value.response["Error"]["Code"] == code
    table.delete()


def test_an_operation_that_is_not_served_is_named(endpoint: Endpoint) -> None:
    client = boto3.client("dynamodb", **endpoint.client_options(REGION))

    def of_the_future(params: Any, **_: Any) -> None:
        params["headers"]["X-Amz-Target"] = "DynamoDB_20120810.ListDreams"

    client.meta.events.register("before-call.dynamodb.ListTables", of_the_future)
    with pytest.raises(ClientError, match=r"Atoll does not serve ListDreams$") as caught:
        client.list_tables()
    assert caught.value.response["Error"]["Code"] == "UnknownOperationException"
