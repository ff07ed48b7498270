"""`--throttling full`: partitions, growth on demand and the account's maxima, with boto3 against a server.

The clock stands still unless a test moves it, so a limit is reached after exactly as many units.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import botocore.endpoint
import botocore.retries.bucket
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import testing
from atoll.capacity import key_ranges

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/"
ONCE = Config(retries={"total_max_attempts": 1})
EXCEPTIONS = {
    "ProvisionedThroughputExceeded": "ProvisionedThroughputExceededException",
    "MaxOnDemandThroughputExceeded": "ThrottlingException",
    "KeyRangeThroughputExceeded": "ThrottlingException",
    "AccountLimitExceeded": "RequestLimitExceeded",
}
REASONS = [(of, kind, limit) for of in ("Table", "Index") for kind in ("Read", "Write") for limit in EXCEPTIONS]


@pytest.fixture(scope="module")
def server() -> Iterator[testing.LocalServer]:
    with testing.serve(throttling="full", quotas=True) as running:
        yield running


@pytest.fixture
def client(server: testing.LocalServer) -> Iterator[Any]:
    before = server.snapshot()
    yield server.client(config=ONCE)
    server.restore(before)


def units(amount: int) -> dict[str, int]:
    return {"ReadCapacityUnits": amount, "WriteCapacityUnits": amount}


def create(client: Any, **more: Any) -> None:
    """A table `Things` with the key pk and sk, on demand unless its throughput is given."""
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    names = ["pk", "sk", *(["g"] if "GlobalSecondaryIndexes" in more else [])]
    client.create_table(
        TableName="Things", KeySchema=keys, **{"BillingMode": "PAY_PER_REQUEST", **more},
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
    )  # fmt: skip


def index(**more: Any) -> dict[str, Any]:
    keys = [{"AttributeName": "g", "KeyType": "HASH"}]
    return {"IndexName": "by-g", "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}, **more}


def item(pk: str, sk: str = "0", kilobytes: int = 1, **more: str) -> dict[str, Any]:
    strings = {"pk": pk, "sk": sk, "x": "x" * (kilobytes * 1024 - 100), **more}
    return {name: {"S": value} for name, value in strings.items()}


def put(client: Any, *args: Any, **more: Any) -> None:
    client.put_item(TableName="Things", Item=item(*args, **more))


def get(client: Any, pk: str = "a") -> Any:
    key = {"pk": {"S": pk}, "sk": {"S": "0"}}
    return client.get_item(TableName="Things", Key=key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")


def query_index(client: Any, g: str = "hot") -> Any:
    return client.query(
        TableName="Things", IndexName="by-g", KeyConditionExpression="g = :g",
        ExpressionAttributeValues={":g": {"S": g}}, Select="COUNT",
    )  # fmt: skip


def reasons(error: ClientError) -> list[tuple[str, str]]:
    body: Any = error.response
    found = body.get("ThrottlingReasons") or body.get("throttlingReasons")
    return [(reason["reason"], reason["resource"].removeprefix(ARN)) for reason in found]


def throttled(call: Any, *args: Any, **more: Any) -> ClientError:
    """The error after as many calls as the limit admits."""
    for _ in range(200):
        try:
            call(*args, **more)
        except ClientError as error:
            return error
    raise AssertionError("not throttled")


@pytest.mark.parametrize(("of", "kind", "limit"), REASONS)
def test_each_reason_of_throttling_with_its_resource(
    server: testing.LocalServer, client: Any, monkeypatch: pytest.MonkeyPatch, of: str, kind: str, limit: str
) -> None:
    """Lower maxima of the account spare the test 40,000 units."""
    limited: dict[str, Any] = {}
    if limit == "ProvisionedThroughputExceeded":
        limited = {"ProvisionedThroughput": units(1)}
    elif limit == "MaxOnDemandThroughputExceeded":
        limited = {"OnDemandThroughput": {f"Max{kind}RequestUnits": 1}}
    elif limit == "AccountLimitExceeded":
        monkeypatch.setattr(key_ranges, "_MOST", (2_000, 500))
    wide = {"ProvisionedThroughput": units(1_000)} if "ProvisionedThroughput" in limited else {}
    mode = "PROVISIONED" if wide else "PAY_PER_REQUEST"
    of_index = limited if of == "Index" else wide
    create(client, BillingMode=mode, GlobalSecondaryIndexes=[index(**of_index)], **(wide if of == "Index" else limited))
    hot = {"g": "hot"} if of == "Index" else {}
    for number in range(2):
        put(client, "a", str(number), 390, **hot)
        server.clock.advance(900)
    numbers = iter(range(1000))
    if kind == "Read":
        error = throttled(query_index if of == "Index" else get, client)
    elif of == "Table":
        error = throttled(put, client, "b", "0", 390)
    elif limit == "AccountLimitExceeded":  # a moved entry costs the index twice what it costs the table
        error = throttled(lambda: put(client, "a", "0", 390, g=f"g{next(numbers)}"))
    else:
        error = throttled(lambda: put(client, f"b{next(numbers)}", "0", 390, g="hot"))
    resource = "Things/index/by-g" if of == "Index" else "Things"
    assert error.response["Error"]["Code"] == EXCEPTIONS[limit]
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert reasons(error) == [(f"{of}{kind}{limit}", resource)]


class TestPartitions:
    def test_a_hot_key_gets_1000_writes_a_second_of_a_larger_table(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        create(client, BillingMode="PROVISIONED", ProvisionedThroughput=units(10_000))
        for number in range(10):
            put(client, "hot", str(number), 100)
        error = throttled(put, client, "hot", "next", 100)
        assert error.response["Error"]["Code"] == "ProvisionedThroughputExceededException"
        assert reasons(error) == [("TableWriteKeyRangeThroughputExceeded", "Things")]
        put(client, "other", "0", 100)
        server.clock.advance(0.101)
        put(client, "hot", "next", 100)
        throttled(put, client, "hot", "next", 100)

    def test_a_key_may_use_the_saved_units_of_its_table_up_to_its_partition_limit(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        """A table of 10 units a second holds 3,000 units; no part of them is another key's."""
        create(client, BillingMode="PROVISIONED", ProvisionedThroughput=units(10))
        for _ in range(3):
            for number in range(10):
                put(client, "hot", str(number), 100)
            server.clock.advance(1)
        error = throttled(put, client, "hot", "next", 100)
        assert reasons(error) == [("TableWriteProvisionedThroughputExceeded", "Things")]

    def test_an_item_alone_in_its_partition_gets_3000_reads_a_second(self, client: Any) -> None:
        create(client)
        put(client, "a", "0", 396)
        answered = 0
        with pytest.raises(ClientError) as caught:
            while True:
                answered += get(client)["ConsumedCapacity"]["CapacityUnits"]
        assert 3_000 <= answered < 3_100
        assert reasons(caught.value) == [("TableReadKeyRangeThroughputExceeded", "Things")]
        assert caught.value.response["Error"]["Message"].startswith("Throughput exceeds the current capacity of your")

    def test_a_query_draws_from_its_partition_key(self, client: Any) -> None:
        create(client)
        for number in range(3):
            put(client, "a", str(number), 300)
        asked = {"TableName": "Things", "KeyConditionExpression": "pk = :pk", "Select": "COUNT", "ConsistentRead": True}
        error = throttled(client.query, **asked, ExpressionAttributeValues={":pk": {"S": "a"}})
        assert reasons(error) == [("TableReadKeyRangeThroughputExceeded", "Things")]
        assert throttled(get, client)
        client.query(**asked, ExpressionAttributeValues={":pk": {"S": "b"}})

    def test_a_hot_key_of_an_index_throttles_only_writes_of_its_items(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        create(client, GlobalSecondaryIndexes=[index()])
        numbers = iter(range(1000))
        error = throttled(lambda: put(client, f"p{next(numbers)}", "0", 300, g="hot"))
        assert reasons(error) == [("IndexWriteKeyRangeThroughputExceeded", "Things/index/by-g")]
        assert error.response["Error"]["Message"].startswith("Throughput exceeds the current capacity for one or more")
        put(client, "p0", "1", 300, g="cold")
        put(client, "p0", "2", 300)
        throttled(lambda: put(client, "p0", "1", 1, g="hot"))
        server.clock.advance(0.25)
        put(client, "p0", "1", 1, g="hot")

    def test_a_batch_returns_the_items_of_a_hot_partition(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        puts = [{"PutRequest": {"Item": item("hot", str(number), 90)}} for number in range(20)]
        puts.append({"PutRequest": {"Item": item("cold", "0", 90)}})
        left = client.batch_write_item(RequestItems={"Things": puts})["UnprocessedItems"]["Things"]
        assert left == puts[12:20]
        server.clock.advance(1)
        assert client.batch_write_item(RequestItems={"Things": left})["UnprocessedItems"] == {}

    def test_a_batch_of_reads_returns_the_keys_of_a_hot_partition(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        create(client)
        for number in range(40):
            put(client, "hot", f"{number:02}", 396)
            server.clock.advance(0.4)
        keys = [{"pk": {"S": "hot"}, "sk": {"S": f"{number:02}"}} for number in range(40)]
        asked = {"Keys": keys, "ConsistentRead": True}
        answer = client.batch_get_item(RequestItems={"Things": asked})
        assert len(answer["Responses"]["Things"]) == 31
        assert answer["UnprocessedKeys"]["Things"]["Keys"] == keys[31:]

    def test_a_transaction_reports_which_item_is_throttled(self, client: Any) -> None:
        create(client)
        throttled(put, client, "hot", "0", 390)
        writes = [{"Put": {"TableName": "Things", "Item": item(pk)}} for pk in ("cold", "hot")]
        with pytest.raises(ClientError) as caught:
            client.transact_write_items(TransactItems=writes)
        cancelled: Any = caught.value.response
        assert [reason["Code"] for reason in cancelled["CancellationReasons"]] == ["None", "ThrottlingError"]
        statement = {"Statement": "INSERT INTO Things VALUE {'pk': 'hot', 'sk': 'new'}"}
        with pytest.raises(ClientError) as caught:
            client.execute_statement(**statement)
        assert reasons(caught.value) == [("TableWriteKeyRangeThroughputExceeded", "Things")]
        (response,) = client.batch_execute_statement(Statements=[statement])["Responses"]
        assert response["Error"]["Code"] == "ThrottlingError"

    def test_a_failed_condition_draws_from_the_partition(self, client: Any) -> None:
        create(client)
        put(client, "a", "0", 300)
        absent = {"TableName": "Things", "Item": item("a"), "ConditionExpression": "attribute_not_exists(pk)"}
        codes = []
        for _ in range(4):
            with pytest.raises(ClientError) as caught:
                client.put_item(**absent)
            codes.append(caught.value.response["Error"]["Code"])
        assert codes == ["ConditionalCheckFailedException"] * 3 + ["ThrottlingException"]


class TestGrowth:
    def test_a_new_table_on_demand_admits_4000_writes_a_second(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        numbers = iter(range(1000))
        error = throttled(lambda: put(client, f"p{next(numbers)}", "0", 390))
        assert next(numbers) == 12
        assert reasons(error) == [("TableWriteKeyRangeThroughputExceeded", "Things")]
        server.clock.advance(0.2)
        put(client, "next", "0", 390)

    def test_warm_throughput_admits_more(self, client: Any) -> None:
        create(client, WarmThroughput={"ReadUnitsPerSecond": 12_000, "WriteUnitsPerSecond": 8_000})
        numbers = iter(range(1000))
        throttled(lambda: put(client, f"p{next(numbers)}", "0", 390))
        assert next(numbers) == 22

    def test_half_an_hour_after_a_busy_minute_it_is_twice_as_much(
        self, server: testing.LocalServer, client: Any
    ) -> None:
        create(client)
        numbers = iter(range(100))
        for _ in range(60):  # writes in transactions cost twice
            puts = [{"Put": {"TableName": "Things", "Item": item(f"p{number}", "0", 390)}} for number in range(5)]
            client.transact_write_items(TransactItems=puts)
            server.clock.advance(1)
        server.clock.advance("30m")
        before = next(numbers)
        throttled(lambda: put(client, f"p{next(numbers)}", "0", 390))
        assert next(numbers) - before == 22


class TestRetries:
    """boto3 waits on the server's clock: each of its sleeps advances it."""

    @pytest.fixture
    def time(self, server: testing.LocalServer, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            server.clock.advance(max(0.001, seconds))

        class Condition(threading.Condition):
            def wait(self, timeout: float | None = None) -> bool:
                sleep(timeout or 0.0)
                return True

        monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=sleep))
        waiting = SimpleNamespace(Lock=threading.Lock, Condition=Condition)
        monkeypatch.setattr(botocore.retries.bucket, "threading", waiting)
        monkeypatch.setattr(botocore.retries.bucket.Clock, "current_time", lambda self: server.clock.time())
        return slept

    @pytest.mark.parametrize("mode", ["legacy", "standard", "adaptive"])
    def test_a_client_gets_all_its_writes_done_at_a_hot_key(
        self, server: testing.LocalServer, client: Any, time: list[float], mode: str
    ) -> None:
        create(client)
        patient = server.client(config=Config(retries={"mode": mode, "max_attempts": 10}))
        began = server.clock.time()
        for number in range(40):
            put(patient, "hot", str(number), 390)
        assert time
        assert server.clock.time() - began >= (40 * 390 - 1_000 - 390) / 1_000


@pytest.mark.parametrize("more", [{}, {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units(2_000)}])
def test_a_clock_at_zero_admits_as_much_as_any_other(
    server: testing.LocalServer, client: Any, more: dict[str, Any]
) -> None:
    server.clock.set("1970-01-01T00:00:00Z")
    g = {"S": "hot"}
    own = {} if not more else {"ProvisionedThroughput": units(2_000)}
    create(client, GlobalSecondaryIndexes=[index(**own)], **more)
    row = item("a") | {"g": g}
    put_row = {"TableName": "Things", "Item": row}
    client.put_item(**put_row)
    client.batch_write_item(RequestItems={"Things": [{"PutRequest": {"Item": item("b")}}]})
    client.transact_write_items(TransactItems=[{"Put": put_row | {"Item": row | {"pk": {"S": "c"}}}}])
    assert get(client)["Item"]["g"] == g
    assert query_index(client)["Count"] == 2
    with pytest.raises(ClientError):
        for number in range(1_000):
            put(client, "a", str(number))
    assert number > 900
