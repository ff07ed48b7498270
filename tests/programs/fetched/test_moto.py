"""Exports, imports and Kinesis destinations with servers of other make: moto's S3 and Kinesis, over HTTP."""

from __future__ import annotations

import gzip
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from benchmarks import servers
from tests.programs.endpoint import Endpoint

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION}
PARAMETERS = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def until(condition: Callable[[], Any]) -> Any:
    for _ in range(600):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("in vain")


@pytest.fixture(scope="module")
def moto(moto_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    port = servers.free_port()
    with (tmp_path_factory.mktemp("moto") / "log").open("w") as log:
        process = subprocess.Popen([str(moto_server), "-H", servers.HOST, "-p", str(port)], stdout=log, stderr=log)
        endpoint = Endpoint(f"http://{servers.HOST}:{port}", "testing", "testing")
        try:
            s3 = boto3.client("s3", **endpoint.client_options(REGION))

            def answers() -> bool:
                try:
                    s3.list_buckets()
                except Exception:
                    return False
                return True

            until(answers)
            yield endpoint
        finally:
            process.terminate()
            process.wait()


@contextmanager
def atoll(moto: Endpoint, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with servers.atoll(directory, "--s3", moto.url, "--kinesis", moto.url) as server:
        options = Endpoint(f"http://{servers.HOST}:{server.port}").client_options(REGION)
        yield boto3.client("dynamodb", **options)


def test_tables_go_through_s3(moto: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.client("s3", **moto.client_options(REGION))
    s3.create_bucket(Bucket="tables")
    with atoll(moto, tmp_path / "data", monkeypatch) as client:
        client.create_table(TableName="Things", **PARAMETERS)
        on = {"PointInTimeRecoveryEnabled": True}
        client.update_continuous_backups(TableName="Things", PointInTimeRecoverySpecification=on)
        for number in range(100):
            client.put_item(TableName="Things", Item={"pk": {"S": f"{number}"}, "b": {"B": b"x"}})
        arn = client.describe_table(TableName="Things")["Table"]["TableArn"]
        begun = client.export_table_to_point_in_time(TableArn=arn, S3Bucket="tables", S3Prefix="a")
        export = begun["ExportDescription"]["ExportArn"]

        def exported() -> Any:
            found = client.describe_export(ExportArn=export)["ExportDescription"]
            return found if found["ExportStatus"] != "IN_PROGRESS" else None

        done = until(exported)
        assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 100)
        prefix = done["ExportManifest"].removesuffix("manifest-summary.json") + "dat"  # ends within a name
        for table, source in (("New", {"S3Bucket": "tables", "S3KeyPrefix": prefix}), ("None", {"S3Bucket": "absent"})):
            made = client.import_table(
                S3BucketSource=source, InputFormat="DYNAMODB_JSON", InputCompressionType="GZIP",
                TableCreationParameters={"TableName": table, **PARAMETERS},
            )["ImportTableDescription"]["ImportArn"]  # fmt: skip

            def imported(arn: str = made) -> Any:
                found = client.describe_import(ImportArn=arn)["ImportTableDescription"]
                return found if found["ImportStatus"] != "IN_PROGRESS" else None

            ended = until(imported)
            if table == "New":
                assert (ended["ImportStatus"], ended["ImportedItemCount"]) == ("COMPLETED", 100)
                assert client.scan(TableName="New")["Count"] == 100
            else:
                assert (ended["ImportStatus"], ended["FailureCode"]) == ("FAILED", "S3NoSuchBucket")


def test_items_are_put_from_s3(moto: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = boto3.client("s3", **moto.client_options(REGION))
    s3.create_bucket(Bucket="bulk")
    records: list[Any] = [{"Item": {"pk": {"S": f"{number}"}}} for number in range(1000)]
    records += [{**records[7], "ConditionExpression": "attribute_not_exists(pk)"}, {"Item": {}}]
    s3.put_object(Bucket="bulk", Key="in/1", Body="\n".join(map(json.dumps, records)).encode())
    with atoll(moto, tmp_path / "data", monkeypatch) as client:
        client.create_table(TableName="Things", **PARAMETERS)
        begun = client.start_bulk_put_items(
            TableName="Things",
            InputS3Configuration={"S3Bucket": "bulk", "S3KeyPrefix": "in/", "InputFormat": "DYNAMODB_JSON"},
            OutputS3Configuration={"S3Bucket": "bulk", "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]},
            MaxWriteRequestUnits=5000,
        )["BulkOperationDescription"]

        def ended() -> Any:
            found = client.describe_bulk_operation(BulkOperationArn=begun["BulkOperationArn"])
            done = found["BulkOperationDescription"]
            return done if done["BulkOperationStatus"] != "IN_PROGRESS" else None

        done = until(ended)
        assert (done["BulkOperationStatus"], done["ProcessedItemCount"]) == ("COMPLETED_WITH_ERRORS", 1002)
        assert client.scan(TableName="Things", Select="COUNT")["Count"] == 1000
        (listed,) = client.list_bulk_operations()["BulkOperationsSummaryList"]
        assert listed["BulkOperationArn"] == begun["BulkOperationArn"]
    found = {}
    for one in s3.list_objects_v2(Bucket="bulk", Prefix="AWSDynamoDB/")["Contents"]:
        kind = one["Key"].split("/")[2]
        if kind != "_started":
            lines = gzip.decompress(s3.get_object(Bucket="bulk", Key=one["Key"])["Body"].read()).splitlines()
            found[kind] = [json.loads(line)["itemS3Pointer"]["itemIndex"] for line in lines]
    assert found == {"condition-check-failure": [1000], "error": [1001]}


def test_changes_go_to_kinesis(moto: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = boto3.client("kinesis", **moto.client_options(REGION))
    kinesis.create_stream(StreamName="changes", ShardCount=1)
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/{}"
    with atoll(moto, tmp_path / "data", monkeypatch) as client:
        client.create_table(TableName="Things", **PARAMETERS)

        def state(stream: str) -> str:
            found = client.describe_kinesis_streaming_destination(TableName="Things")["KinesisDataStreamDestinations"]
            (one,) = [one["DestinationStatus"] for one in found if one["StreamArn"] == arn.format(stream)]
            return str(one)

        client.enable_kinesis_streaming_destination(TableName="Things", StreamArn=arn.format("absent"))
        until(lambda: state("absent") == "ENABLE_FAILED")
        client.enable_kinesis_streaming_destination(TableName="Things", StreamArn=arn.format("changes"))
        until(lambda: state("changes") == "ACTIVE")
        for number in range(20):
            client.put_item(TableName="Things", Item={"pk": {"S": f"{number}"}})
        (shard,) = kinesis.list_shards(StreamName="changes")["Shards"]
        start = {"StreamName": "changes", "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}

        def sent() -> list[Any]:
            found = kinesis.get_records(ShardIterator=kinesis.get_shard_iterator(**start)["ShardIterator"])["Records"]
            return found if len(found) >= 20 else []

        records = [json.loads(one["Data"]) for one in until(sent)]
        assert {one["dynamodb"]["Keys"]["pk"]["S"] for one in records} == set(map(str, range(20)))
        assert {one["eventName"] for one in records} == {"INSERT"}
