"""Tables that a file declares are created when a server starts."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from pathlib import Path
from typing import Any

import pytest

from atoll.api import services
from atoll.cli import main
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.storage.memory import MemoryEngine
from atoll.templates import declarations
from atoll.templates.documents import BadTemplate, load
from atoll.templates.resources import Request
from atoll.testing import serve

TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Units: {Type: Number, Default: 5}
  Regions: {Type: CommaDelimitedList, Default: "eu-west-1, us-east-1"}
Mappings:
  Days: {dev: {keep: 3}, prod: {keep: 35}}
Conditions:
  IsProduction: !Equals [!Ref Stage, prod]
  IsTried: !Not [!Condition IsProduction]
  Both: !And [!Condition IsTried, !Or [!Condition IsProduction, !Equals [a, a]]]
Resources:
  Orders:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      TableName: !Sub "${Stage}-orders-${AWS::Region}"
      BillingMode: !If [IsProduction, PAY_PER_REQUEST, PROVISIONED]
      ProvisionedThroughput: {ReadCapacityUnits: !Ref Units, WriteCapacityUnits: 2}
      AttributeDefinitions:
        - {AttributeName: id, AttributeType: S}
        - {AttributeName: day, AttributeType: N}
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      GlobalSecondaryIndexes:
        - IndexName: by-day
          KeySchema: [{AttributeName: day, KeyType: HASH}]
          Projection: {ProjectionType: KEYS_ONLY}
          ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}
          ContributorInsightsSpecification: {Enabled: true}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      SSESpecification: {SSEEnabled: true}
      DeletionProtectionEnabled: true
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
      PointInTimeRecoverySpecification:
        PointInTimeRecoveryEnabled: true
        RecoveryPeriodInDays: !FindInMap [Days, !Ref Stage, keep]
      KinesisStreamSpecification:
        StreamArn: !GetAtt Changes.Arn
        ApproximateCreationDateTimePrecision: MICROSECOND
      ResourcePolicy:
        PolicyDocument:
          Version: 2012-10-17
          Statement:
            - {Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: dynamodb:GetItem, Resource: "*"}
      Tags:
        - {Key: stage, Value: !Ref Stage}
        - {Key: number, Value: 5}
        - !If [IsProduction, {Key: loud, Value: "yes"}, !Ref AWS::NoValue]
      ImportSourceSpecification: {InputFormat: CSV}
  Changes:
    Type: AWS::Kinesis::Stream
    Properties: {Name: !Join ["-", [!Ref Stage, !Select [1, !Split [":", "a:changes"]]]]}
  Plain:
    Type: AWS::Serverless::SimpleTable
    Condition: Both
  Keyed:
    Type: AWS::Serverless::SimpleTable
    Properties:
      TableName: keyed
      PrimaryKey: {Name: number, Type: Number}
      Tags: {a: b}
  Absent:
    Type: AWS::Serverless::SimpleTable
    Condition: IsProduction
  Target:
    Type: AWS::ApplicationAutoScaling::ScalableTarget
    Properties:
      MinCapacity: 5
      MaxCapacity: 50
      ResourceId: !Sub table/${Orders}
      ScalableDimension: dynamodb:table:ReadCapacityUnits
      ServiceNamespace: dynamodb
      RoleARN: arn:aws:iam::000000000000:role/any
  Policy:
    Type: AWS::ApplicationAutoScaling::ScalingPolicy
    Properties:
      PolicyName: reads
      PolicyType: TargetTrackingScaling
      ScalingTargetId: !Ref Target
      TargetTrackingScalingPolicyConfiguration:
        TargetValue: 70.0
        PredefinedMetricSpecification: {PredefinedMetricType: DynamoDBReadCapacityUtilization}
  Function:
    Type: AWS::Serverless::Function
    Properties: {Handler: index.handler}
Outputs:
  Name: {Value: !Ref Orders}
"""

GLOBAL = """
Resources:
  World:
    Type: AWS::DynamoDB::GlobalTable
    Properties:
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      BillingMode: PROVISIONED
      WriteProvisionedThroughputSettings:
        WriteCapacityAutoScalingSettings:
          MinCapacity: 3
          MaxCapacity: 30
          TargetTrackingScalingPolicyConfiguration: {TargetValue: 60}
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      Replicas:
        - Region: eu-west-1
          ReadProvisionedThroughputSettings: {ReadCapacityUnits: 9}
        - Region: us-east-1
          ReadProvisionedThroughputSettings: {ReadCapacityUnits: 7}
          PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}
        - Region: ap-south-1
"""

BODY = {
    "TableName": "Things",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


def test_each_property_of_a_template_takes_effect(template: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "atoll"), serve(tables=template) as server:
        client, name = server.client("dynamodb"), "dev-orders-us-east-1"
        assert client.list_tables()["TableNames"] == ["Plain", name, "keyed"]
        table = client.describe_table(TableName=name)["Table"]
        units = {one: table["ProvisionedThroughput"][f"{one}CapacityUnits"] for one in ("Read", "Write")}
        assert (units, table["DeletionProtectionEnabled"]) == ({"Read": 5, "Write": 2}, True)
        (index,) = table["GlobalSecondaryIndexes"]
        assert (index["IndexName"], index["Projection"]) == ("by-day", {"ProjectionType": "KEYS_ONLY"})
        assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
        assert table["SSEDescription"]["Status"] == "ENABLED"
        ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
        backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 3
        insights = client.describe_contributor_insights(TableName=name, IndexName="by-day")
        assert insights["ContributorInsightsStatus"] in ("ENABLING", "ENABLED")
        (stream,) = client.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"]
        assert stream["StreamArn"] == "arn:aws:kinesis:us-east-1:000000000000:stream/dev-changes"
        policy = json.loads(client.get_resource_policy(ResourceArn=table["TableArn"])["Policy"])
        assert policy["Version"] == "2012-10-17"
        assert policy["Statement"][0]["Principal"] == {"AWS": "arn:aws:iam::000000000000:root"}
        tags = client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"]
        assert {one["Key"]: one["Value"] for one in tags} == {"stage": "dev", "number": "5"}
        keyed = client.describe_table(TableName="keyed")["Table"]
        assert keyed["AttributeDefinitions"] == [{"AttributeName": "number", "AttributeType": "N"}]
        assert keyed["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        scaling = server.client("application-autoscaling")
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
        assert (target["ResourceId"], target["MaxCapacity"]) == (f"table/{name}", 50)
        (scaled,) = scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
        assert scaled["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70
    (ignored,) = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert ignored == "ignored properties of declared tables: Orders.ImportSourceSpecification"


def test_a_global_table_has_its_settings_here_and_its_replicas(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "world.yml"
    path.write_text(GLOBAL)
    with caplog.at_level(logging.WARNING, "atoll"), serve(regions=["us-east-1", "eu-west-1"], tables=path) as server:
        client = server.client("dynamodb")
        for _ in range(100):
            server.settle()
            table = client.describe_table(TableName="World")["Table"]
            if "Replicas" in table:
                break
        units = table["ProvisionedThroughput"]
        assert (units["ReadCapacityUnits"], units["WriteCapacityUnits"]) == (7, 3)
        assert [one["RegionName"] for one in table["Replicas"]] == ["eu-west-1"]
        backups = client.describe_continuous_backups(TableName="World")["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        scaling = server.client("application-autoscaling")
        (target,) = scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]
        assert target["ScalableDimension"] == "dynamodb:table:WriteCapacityUnits"
        (policy,) = scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]
        assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 60
    assert "a declared replica in ap-south-1 was not created: name the region with --region" in caplog.messages


@pytest.mark.parametrize("document", [BODY, [BODY], {"Tables": [BODY]}], ids=["one", "a list", "below Tables"])
def test_bodies_of_create_table(document: Any) -> None:
    with serve(tables=document) as server:
        assert server.client("dynamodb").list_tables()["TableNames"] == ["Things"]


def test_tables_that_exist_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> list[str]:
        region = Region("us-east-1", MemoryEngine(), ManualClock(declarations.SCRATCH_MS))
        first = await declarations.tried([BODY], "us-east-1", Settings())
        changed = {**BODY, "BillingMode": "PROVISIONED", "TimeToLiveSpecification": {"AttributeName": "e"}}
        changed["ProvisionedThroughput"] = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        second = await declarations.tried([changed, {**BODY, "TableName": "More"}], "us-east-1", Settings())
        for given in (first, first, second):
            await declarations.begin(region, given)
            caplog.records.append(logging.makeLogRecord({"msg": "---"}))
        found = await declarations._ask(region, "DescribeTable", TableName="Things")
        assert found["Table"]["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level(logging.INFO, "atoll"):
        said = asyncio.run(scenario())
    assert said == [
        "created the declared tables Things",
        "---",
        "---",
        "a table differs from its declaration, and is not changed: BillingModeSummary, ProvisionedThroughput, "
        "TimeToLiveSpecification",
        "created the declared tables More",
        "---",
    ]


def test_each_setting_that_differs_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        region = Region("us-east-1", MemoryEngine(), ManualClock(declarations.SCRATCH_MS))
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"AWS": "000000000000"}, "Action": "dynamodb:GetItem", "Resource": "*"}
            ],
        }
        more = {
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "ContributorInsightsSpecification": {"Enabled": True},
            "KinesisStreamSpecification": {"StreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/changes"},
            "ResourcePolicy": {"PolicyDocument": policy},
            "Tags": [{"Key": "stage", "Value": "dev"}],
        }
        for properties in ({}, more):
            given = await declarations.tried(resource(**properties), "us-east-1", Settings())
            await declarations.begin(region, given)

    with caplog.at_level(logging.WARNING, "atoll"):
        asyncio.run(scenario())
    assert caplog.messages == [
        "a table differs from its declaration, and is not changed: ContributorInsightsSpecification, "
        "KinesisStreamSpecification, PointInTimeRecoverySpecification, ResourcePolicy, Tags"
    ]


class Killed(BaseException):
    """The process ends at once."""


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_table_is_completed_after_a_kill_at_any_request(
    is_sent: bool, template: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run of the server is killed before or after one further request, until one ends."""
    send = declarations._send

    async def scenario() -> int:
        region = Region("us-east-1", MemoryEngine(), ManualClock(declarations.SCRATCH_MS))
        given = await declarations.read(template, "us-east-1", Settings())
        for run in range(1, 100):
            left = run if is_sent else 2

            async def sent(region: Region, request: Any) -> Any:
                nonlocal left
                if request.operation.name.startswith(("Describe", "List", "Get")):
                    return await send(region, request)
                left -= 1
                if not left and not is_sent:
                    raise Killed
                answer = await send(region, request)
                if not left:
                    raise Killed
                return answer

            monkeypatch.setattr(declarations, "_send", sent)
            try:
                await declarations.begin(region, given)
            except Killed:
                continue
            monkeypatch.setattr(declarations, "_send", send)
            caplog.clear()
            await declarations.begin(region, given)  # compares the tables with their declarations
            targets = services.TARGETS[b"AnyScaleFrontendService.DescribeScalingPolicies"]
            found = await send(region, Request(targets, {"ServiceNamespace": "dynamodb"}))
            assert len(found["ScalingPolicies"]) == 1
            return run
        raise AssertionError("it never ends")

    with caplog.at_level(logging.WARNING, "atoll"):
        runs = asyncio.run(scenario())
    assert runs > 3
    assert [one for one in caplog.messages if "ignored" not in one] == []


def test_later_settings_are_made_when_the_table_is_active(template: Path) -> None:
    with serve(tables=template, clock="system", control_plane_delay_ms=100) as server:
        client, name = server.client("dynamodb"), "dev-orders-us-east-1"
        scaling = server.client("application-autoscaling")
        while not scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"]:
            client.describe_table(TableName=name)
        ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        assert ttl["TimeToLiveStatus"] in ("ENABLING", "ENABLED")
        (stream,) = client.describe_kinesis_streaming_destination(TableName=name)["KinesisDataStreamDestinations"]
        assert stream["DestinationStatus"] in ("ENABLING", "ENABLE_FAILED")
    with serve(tables=template, control_plane_delay_ms=100):
        pass  # its manual clock stands still, so what waits is given up


def resource(**properties: Any) -> Any:
    kept = {name: value for name, value in {**BODY, **properties}.items() if value is not None}
    return {"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": kept}}}


def global_table(**properties: Any) -> Any:
    given = {**BODY, "Replicas": [{"Region": "us-east-1"}], **properties}
    return {"Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": given}}}


def many_times(levels: int) -> Any:
    """As anchors of YAML: each level has the one below ten times."""
    value: Any = "x"
    for _ in range(levels):
        value = [value] * 10
    return value


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def twice(levels: int) -> Any:
    """Conditions of which each asks twice for the next one."""
    found: Any = {f"C{at}": {"Fn::And": [{"Condition": f"C{at + 1}"}] * 2} for at in range(levels)}
    return {**found, f"C{levels}": {"Fn::Equals": ["a", "a"]}}


BAD: list[tuple[Any, str]] = [
    (5, "is neither a template with Resources nor a body of CreateTable nor a list of such bodies"),
    ({"Resources": {}}, "declares no table"),
    ({"Resources": 5}, "Resources is not a mapping"),
    ({"Resources": {"T": 5}}, "the resource T is not a mapping"),
    ([BODY, BODY], "declares a table twice: Things"),
    ([{"KeySchema": []}], "table 1 has no TableName"),
    (resource(TableName={"Ref": "Nothing"}), "there is no parameter or resource Nothing"),
    ({"Parameters": {"P": {"Type": "String"}}, **resource(TableName={"Ref": "P"})}, "the parameter P has no default"),
    (resource(TableName={"Fn::ImportValue": "x"}), "the function Fn::ImportValue is not supported"),
    (resource(TableName={"Fn::Join": "x"}), 'the argument of Fn::Join is wrong: "x"'),
    (resource(TableName={"Fn::GetAtt": "T.StreamArn"}), "the attribute T.StreamArn is not known before the stack"),
    (resource(TableName={"Fn::Sub": "${T}"}), "refers to itself"),
    (resource(KeySchema="x"), 'T.KeySchema has a value of another type: "x"'),
    (resource(ProvisionedThroughput={"ReadCapacityUnits": "x"}), "T.ProvisionedThroughput.ReadCapacityUnits has a"),
    (resource(AttributeDefinitions=None), "CreateTable of Things is refused: "),
    (resource(TableName="x y"), "CreateTable of x y is refused: 1 validation error detected"),
    (resource(TimeToLiveSpecification={"AttributeName": ""}), "UpdateTimeToLive of Things is refused: "),
    (resource(PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 99}),
     "UpdateContinuousBackups of Things is refused: "),
    (resource(TableName=["T"]), "the name of T is not a string"),
    (resource(TableName="\ud800"), "T has a value that no request can have: "),
    (resource(ProvisionedThroughput={"ReadCapacityUnits": 10**30}), "T has a value that no request can have: "),
    (resource(ProvisionedThroughput={"ReadCapacityUnits": math.inf}), "T.ProvisionedThroughput.ReadCapacityUnits has"),
    (resource(Tags=many_times(10)), "has too many values"),
    (resource(Tags=nested(100)), "is nested too deeply"),
    (resource(Tags=nested(50_000)), "is nested too deeply"),
    ({"Globals": {"SimpleTable": "x"}, **resource()}, "Globals.SimpleTable is not a mapping"),
    ({"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Condition": ["x"]}}}, "there is no condition ['x']"),
    ({"Conditions": twice(40), "Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Condition": "C0"}}},
     "calls too many functions"),
    (global_table(Replicas="x"), "T.Replicas is not a list"),
    (global_table(Replicas=[]), "T.Replicas is empty"),
    (global_table(Replicas=[{"GlobalSecondaryIndexes": 5}]), "T.Replicas.GlobalSecondaryIndexes is not a list"),
    (global_table(GlobalSecondaryIndexes=["x"]), "T.GlobalSecondaryIndexes is not a mapping"),
    (global_table(GlobalSecondaryIndexes=[{"IndexName": ["a"]}]), "T.GlobalSecondaryIndexes.IndexName has a value of"),
    (global_table(WriteOnDemandThroughputSettings="x"), "WriteOnDemandThroughputSettings is not a mapping"),
    (global_table(WriteProvisionedThroughputSettings="x"), "WriteProvisionedThroughputSettings is not a mapping"),
    (global_table(WriteProvisionedThroughputSettings={"WriteCapacityAutoScalingSettings": "x"}),
     "WriteCapacityAutoScalingSettings is not a mapping"),
    (global_table(WriteProvisionedThroughputSettings={
        "WriteCapacityAutoScalingSettings": {"TargetTrackingScalingPolicyConfiguration": "x"}
     }), "TargetTrackingScalingPolicyConfiguration is not a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "text"), BAD, ids=[text for _, text in BAD])
def test_invalid_declarations_are_refused_before_any_table_is_made(document: Any, text: str) -> None:
    with pytest.raises(BadTemplate) as refused:
        asyncio.run(declarations.tried(document, "us-east-1", Settings()))
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("t.yaml", b"a: [", "is not YAML: while parsing"),
        ("t.yaml", b"? [a]\n: b", "is not YAML"),
        ("t.yaml", b"\xff", "is not in UTF-8"),
        ("t.json", b"{", "is not JSON: "),
        ("t.json", b"[" * 100_000, "is nested too deeply"),
        ("t.yaml", b"Resources: {T: {Type: AWS::DynamoDB::Table}}", "CreateTable of T is refused: "),
        ("t.yaml", b"", "is neither a template"),
        ("t.json", b"\xef\xbb\xbf[]", "declares no table"),
    ],
)
def test_a_bad_file_ends_the_program_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, text: str
) -> None:
    path, data = tmp_path / name, tmp_path / "data"
    path.write_bytes(content)
    assert main(["serve", "--data", str(data), "--tables", str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"--tables: {path}: {text}" in line
    assert not data.exists()
    assert main(["serve", "--data", str(data), "--tables", str(tmp_path / "absent")]) == 2
    with pytest.raises(ValueError, match="tables: "):
        serve(tables=str(path))


def test_yaml_needs_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    path = tmp_path / "t.yaml"
    path.write_text(json.dumps([BODY]))
    assert load(path) == [BODY]
    path.write_text("a: b")
    with pytest.raises(BadTemplate, match=r"needs the package PyYAML: install atoll\[tables\]"):
        load(path)
