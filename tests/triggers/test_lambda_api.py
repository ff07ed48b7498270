"""The Lambda API as boto3 speaks it, against a real server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from tests.triggers.server import Server

FUNCTIONS = f"""
[functions.echo]
command = ["cat"]
[functions.broken]
command = [{json.dumps(sys.executable)}, "-c", "exit(1)"]
[destinations.failures]
directory = "failures"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[Server]:
    directory: Path = tmp_path_factory.mktemp("server")
    file = directory / "functions.toml"
    file.write_text(FUNCTIONS)
    server = Server(directory, file, "--in-memory")
    server.start()
    yield server
    server.end()


@pytest.fixture
def functions(server: Server) -> Any:
    return server.client("lambda")


@pytest.fixture
def stream(server: Server, request: pytest.FixtureRequest) -> str:
    """The ARN of a new table's stream."""
    name = "t" + str(abs(hash(request.node.name)))
    description = server.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
    )
    return str(description["TableDescription"]["LatestStreamArn"])


def refused(call: Any, **members: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**members)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_a_new_mapping_has_the_documented_defaults(functions: Any, stream: str) -> None:
    made = functions.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="echo", StartingPosition="TRIM_HORIZON"
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["State"] == "Creating"
    found = functions.get_event_source_mapping(UUID=made["UUID"])
    expected = {
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 0,
        "ParallelizationFactor": 1,
        "MaximumRecordAgeInSeconds": -1,
        "MaximumRetryAttempts": -1,
        "BisectBatchOnFunctionError": False,
        "TumblingWindowInSeconds": 0,
        "FunctionResponseTypes": [],
        "DestinationConfig": {"OnFailure": {}},
        "StartingPosition": "TRIM_HORIZON",
        "State": "Enabled",
        "LastProcessingResult": "No records processed",
        "EventSourceArn": stream,
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:echo",
    }
    assert {name: found[name] for name in expected} == expected
    assert "FilterCriteria" not in found


def test_a_mapping_is_changed_listed_and_deleted(functions: Any, stream: str) -> None:
    destination = "arn:aws:sqs:us-east-1:000000000000:failures"
    made = functions.create_event_source_mapping(
        EventSourceArn=stream,
        FunctionName="arn:aws:lambda:us-east-1:000000000000:function:echo",
        StartingPosition="LATEST",
        FilterCriteria={"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]},
        DestinationConfig={"OnFailure": {"Destination": destination}},
    )
    changed = functions.update_event_source_mapping(
        UUID=made["UUID"], BatchSize=7, Enabled=False, FunctionName="broken", MaximumRetryAttempts=2
    )
    assert (changed["State"], changed["BatchSize"]) == ("Updating", 7)
    (listed,) = functions.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    assert (listed["State"], listed["MaximumRetryAttempts"]) == ("Disabled", 2)
    assert listed["FilterCriteria"] == {"Filters": [{"Pattern": '{"eventName": ["INSERT"]}'}]}
    assert listed["DestinationConfig"] == {"OnFailure": {"Destination": destination}}
    assert listed["FunctionArn"].endswith(":broken")
    assert functions.delete_event_source_mapping(UUID=made["UUID"])["State"] == "Deleting"
    assert functions.list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"] == []
    assert refused(functions.delete_event_source_mapping, UUID=made["UUID"]) == (
        "ResourceNotFoundException",
        404,
        "The resource you requested does not exist.",
    )


def test_a_mapping_cannot_become_another_existing_one(functions: Any, stream: str) -> None:
    echo, broken = (
        functions.create_event_source_mapping(EventSourceArn=stream, FunctionName=name, StartingPosition="LATEST")
        for name in ("echo", "broken")
    )
    code, status, message = refused(functions.update_event_source_mapping, UUID=broken["UUID"], FunctionName="echo")
    assert (code, status) == ("ResourceConflictException", 409)
    assert message.endswith(f"mapping with UUID {echo['UUID']}")
    functions.update_event_source_mapping(UUID=echo["UUID"], FunctionName="echo", BatchSize=3)


@pytest.mark.parametrize("count", ["many", "-1", "0", "%C2%B2", "99999999999999999999"])
@pytest.mark.parametrize("path", ["functions", "event-source-mappings"])
def test_a_count_that_is_none_is_refused(server: Server, path: str, count: str) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(f"http://127.0.0.1:{server.port}/2015-03-31/{path}?MaxItems={count}", timeout=20)
    assert caught.value.code == 400


def test_lists_have_pages(functions: Any, stream: str) -> None:
    for name in ("echo", "broken"):
        functions.create_event_source_mapping(EventSourceArn=stream, FunctionName=name, StartingPosition="LATEST")
    pages = functions.get_paginator("list_event_source_mappings").paginate(
        EventSourceArn=stream, PaginationConfig={"PageSize": 1}
    )
    found = [[m["FunctionArn"].rpartition(":")[2] for m in page["EventSourceMappings"]] for page in pages]
    assert sorted(found) == [["broken"], ["echo"]]


def test_one_function_is_mapped_to_a_stream_once(functions: Any, stream: str) -> None:
    mapping = {"EventSourceArn": stream, "FunctionName": "echo", "StartingPosition": "LATEST"}
    made = functions.create_event_source_mapping(**mapping)
    code, status, message = refused(functions.create_event_source_mapping, **mapping)
    assert (code, status) == ("ResourceConflictException", 409)
    assert message.endswith(f"Please update or delete the existing mapping with UUID {made['UUID']}")


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"FunctionName": "nobody"}, "InvalidParameterValueException", "Function does not exist"),
        ({"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q"}, "InvalidParameterValueException",
         "Unrecognized event source."),
        ({"EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/y"},
         "InvalidParameterValueException",
         "Stream not found: arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/y"),
        ({"StartingPosition": None}, "ValidationException",
         "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: "
         "Member must not be null."),
        ({"FilterCriteria": {"Filters": [{"Pattern": "{"}]}}, "InvalidParameterValueException",
         "Invalid filter pattern definition."),
        ({"FilterCriteria": {"Filters": [{"Pattern": '{"a":' * 300 + '["b"]' + "}" * 300}]}},
         "InvalidParameterValueException", "Invalid filter pattern definition."),
        ({"BatchSize": 10_001}, "ValidationException",
         "1 validation error detected: Value '10001' at 'batchSize' failed to satisfy constraint: "
         "Member must have value less than or equal to 10000"),
        ({"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:000000000000:nowhere"}}},
         "InvalidParameterValueException", "Destination not found: arn:aws:sqs:us-east-1:000000000000:nowhere"),
    ],
)  # fmt: skip
def test_refusals(functions: Any, stream: str, members: dict[str, Any], code: str, message: str) -> None:
    mapping = {"EventSourceArn": stream, "FunctionName": "echo", "StartingPosition": "LATEST"} | members
    mapping = {name: value for name, value in mapping.items() if value is not None}
    assert refused(functions.create_event_source_mapping, **mapping) == (code, 400, message)


def test_functions_are_those_of_the_file(functions: Any) -> None:
    assert [f["FunctionName"] for f in functions.list_functions()["Functions"]] == ["broken", "echo"]
    assert functions.get_function(FunctionName="echo:$LATEST")["Configuration"]["State"] == "Active"
    assert functions.get_function_configuration(FunctionName="echo")["Handler"] == "cat"
    assert refused(functions.get_function, FunctionName="nobody") == (
        "ResourceNotFoundException",
        404,
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
    )


def test_invoke(functions: Any) -> None:
    answer = functions.invoke(FunctionName="echo", Payload=b'{"a": 1}')
    assert (answer["StatusCode"], json.loads(answer["Payload"].read())) == (200, {"a": 1})
    broken = functions.invoke(FunctionName="broken", Payload=b"{}")
    assert (broken["StatusCode"], broken["FunctionError"]) == (200, "Unhandled")
    assert functions.invoke(FunctionName="echo", InvocationType="Event")["StatusCode"] == 202
    assert functions.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    assert refused(functions.invoke, FunctionName="echo", Payload=b"{")[0] == "InvalidRequestContentException"
    assert refused(functions.invoke, FunctionName="nobody")[:2] == ("ResourceNotFoundException", 404)
    assert refused(functions.invoke, FunctionName="echo", InvocationType="Later")[0] == "ValidationException"


def test_unsupported_operations_are_refused(functions: Any) -> None:
    assert refused(functions.delete_function, FunctionName="echo") == (
        "UnknownOperationException", 404, "Atoll does not serve DELETE /2015-03-31/functions/echo"
    )  # fmt: skip


def test_moving_a_manual_clock_runs_due_work(tmp_path: Path) -> None:
    file = tmp_path / "functions.toml"
    file.write_text(
        '[functions.note]\ncommand = ["tee", "-a", "given.json"]\n'
        '[[triggers]]\ntable = "users"\nfunction = "note"\nmaximum_batching_window_in_seconds = 60\n'
    )
    server = Server(tmp_path, file, "--in-memory", "--clock", "manual")
    server.start()
    try:
        dynamodb = server.client("dynamodb")
        dynamodb.create_table(
            TableName="users",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        dynamodb.put_item(TableName="users", Item={"pk": {"S": "ann"}})
        advance(server, "59s")
        assert not (tmp_path / "given.json").exists()
        advance(server, "1s")
        assert len(json.loads((tmp_path / "given.json").read_text())["Records"]) == 1
    finally:
        server.end()


def advance(server: Server, time: str) -> None:
    request = Request(f"http://127.0.0.1:{server.port}/_atoll/clock", json.dumps({"advance": time}).encode())
    with urlopen(request, timeout=20) as answer:
        assert answer.status == 200
