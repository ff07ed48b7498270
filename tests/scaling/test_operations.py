"""The operations of Application Auto Scaling, through boto3: answers, texts, pages, tags."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing.local import LocalServer

READ, WRITE = "dynamodb:table:ReadCapacityUnits", "dynamodb:table:WriteCapacityUnits"
NAMES = (f"Table{number}" for number in count())
ROLE = (
    "arn:aws:iam::000000000000:role/aws-service-role/dynamodb.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_DynamoDBTable"
)
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def create(dynamodb: Any, *, read: int = 5, write: int = 5, index: str | None = None, on_demand: bool = False) -> str:
    name = next(NAMES)
    units = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    more: dict[str, Any] = {"BillingMode": "PAY_PER_REQUEST"} if on_demand else {"ProvisionedThroughput": units}
    if index is not None:
        projected = {"IndexName": index, "KeySchema": keys, "Projection": {"ProjectionType": "ALL"}}
        more["GlobalSecondaryIndexes"] = [{**projected, "ProvisionedThroughput": units}]
    definitions = [{"AttributeName": "pk", "AttributeType": "S"}]
    dynamodb.create_table(TableName=name, KeySchema=keys, AttributeDefinitions=definitions, **more)
    return name


def of(table: str, dimension: str = READ) -> dict[str, str]:
    resource = table if table.startswith("table/") else f"table/{table}"
    return {"ServiceNamespace": "dynamodb", "ResourceId": resource, "ScalableDimension": dimension}


def refused(call: Any, **body: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**body)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def tracking(value: float = 70.0, kind: str = "Read", **more: Any) -> dict[str, Any]:
    metric = {"PredefinedMetricType": f"DynamoDB{kind}CapacityUtilization"}
    configuration = {"TargetValue": value, "PredefinedMetricSpecification": metric, **more}
    return {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": configuration}


@pytest.fixture
def table(dynamodb: Any) -> str:
    return create(dynamodb)


@pytest.fixture
def target(scaling: Any, table: str) -> dict[str, str]:
    scaling.register_scalable_target(**of(table), MinCapacity=1, MaxCapacity=100)
    return of(table)


class TestTargets:
    def test_a_target_is_read_back_with_all_that_the_service_adds(self, scaling: Any, table: str) -> None:
        arn = scaling.register_scalable_target(**of(table), MinCapacity=5, MaxCapacity=10)["ScalableTargetARN"]
        assert re.fullmatch(
            r"arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/[a-zA-Z0-9-]+", arn
        )
        (found,) = scaling.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=[f"table/{table}"])[
            "ScalableTargets"
        ]
        assert isinstance(found.pop("CreationTime"), datetime)
        assert found == {
            **of(table),
            "MinCapacity": 5,
            "MaxCapacity": 10,
            "RoleARN": ROLE,
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            "ScalableTargetARN": arn,
        }

    def test_registering_again_changes_only_the_given_members(self, scaling: Any, target: Any) -> None:
        first = scaling.register_scalable_target(**target, MaxCapacity=50)
        second = scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": True})
        assert first["ScalableTargetARN"] == second["ScalableTargetARN"]
        (found,) = scaling.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=[target["ResourceId"]], ScalableDimension=READ
        )["ScalableTargets"]
        assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 50)
        assert found["SuspendedState"]["DynamicScalingInSuspended"]

    @pytest.mark.parametrize(
        "bounds, cause, units",
        [
            ({"MinCapacity": 10, "MaxCapacity": 20}, "minimum capacity was set to 10", 10),
            ({"MinCapacity": 1, "MaxCapacity": 3}, "maximum capacity was set to 3", 3),
            ({"MinCapacity": 7, "MaxCapacity": 7}, "minimum capacity was set to 7", 7),
        ],
    )
    def test_capacity_outside_of_the_bounds_is_clamped_at_once(
        self, scaling: Any, dynamodb: Any, table: str, bounds: Any, cause: str, units: int
    ) -> None:
        scaling.register_scalable_target(**of(table), **bounds)
        described = dynamodb.describe_table(TableName=table)["Table"]["ProvisionedThroughput"]
        assert (described["ReadCapacityUnits"], described["WriteCapacityUnits"]) == (units, 5)
        (activity,) = scaling.describe_scaling_activities(ServiceNamespace="dynamodb", ResourceId=f"table/{table}")[
            "ScalingActivities"
        ]
        assert re.fullmatch(UUID, activity.pop("ActivityId"))
        assert activity.pop("StartTime") == activity.pop("EndTime")
        assert activity == {
            **of(table),
            "Description": f"Setting read capacity units to {units}.",
            "Cause": cause,
            "StatusCode": "Successful",
            "StatusMessage": f"Successfully set read capacity units to {units}. "
            "Change successfully fulfilled by dynamodb.",
        }

    def test_an_index_is_scaled_apart_from_its_table(self, scaling: Any, dynamodb: Any) -> None:
        name = create(dynamodb, index="by_pk")
        id_ = of(f"table/{name}/index/by_pk", "dynamodb:index:WriteCapacityUnits")
        scaling.register_scalable_target(**id_, MinCapacity=8, MaxCapacity=9)
        described = dynamodb.describe_table(TableName=name)["Table"]
        assert described["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"]["WriteCapacityUnits"] == 8
        assert described["ProvisionedThroughput"]["WriteCapacityUnits"] == 5

    def test_a_minimum_above_the_quota_is_registered_and_its_activity_fails(self, scaling: Any, table: str) -> None:
        scaling.register_scalable_target(**of(table), MinCapacity=50_000, MaxCapacity=60_000)
        (activity,) = scaling.describe_scaling_activities(ServiceNamespace="dynamodb", ResourceId=f"table/{table}")[
            "ScalingActivities"
        ]
        assert activity["StatusCode"] == "Failed"
        assert activity["StatusMessage"].startswith("Failed to set read capacity units to 50000. Reason: ")
        assert "(Service: AmazonDynamoDBv2; " in activity["StatusMessage"]

    def test_an_on_demand_table_is_registered_and_left_alone(self, scaling: Any, dynamodb: Any) -> None:
        name = create(dynamodb, on_demand=True)
        scaling.register_scalable_target(**of(name), MinCapacity=10, MaxCapacity=20)
        assert not scaling.describe_scaling_activities(ServiceNamespace="dynamodb", ResourceId=f"table/{name}")[
            "ScalingActivities"
        ]

    @pytest.mark.parametrize(
        "more, text",
        [
            ({"MinCapacity": 5, "MaxCapacity": 4}, "Maximum capacity cannot be less than minimum capacity"),
            ({"MinCapacity": 0, "MaxCapacity": 4}, "Minimum capacity cannot be less than 1"),
            ({"MinCapacity": 5},
             "Both minimum capacity and maximum capacity must be specified to register a new scalable target"),
            ({"ServiceNamespace": "ecs", "MinCapacity": 1, "MaxCapacity": 4},
             "Unsupported service namespace, resource type or scalable dimension"),
            ({"ScalableDimension": "dynamodb:index:ReadCapacityUnits", "MinCapacity": 1, "MaxCapacity": 4},
             "Unsupported service namespace, resource type or scalable dimension"),
            ({"ResourceId": "table/Missing", "MinCapacity": 1, "MaxCapacity": 4},
             "DynamoDB table does not exist: table/Missing"),
        ],
    )  # fmt: skip
    def test_a_bad_target_is_refused(self, scaling: Any, table: str, more: Any, text: str) -> None:
        assert refused(scaling.register_scalable_target, **{**of(table), **more}) == ("ValidationException", text)

    def test_a_target_for_a_missing_index_is_refused(self, scaling: Any, table: str) -> None:
        id_ = of(f"table/{table}/index/missing", "dynamodb:index:ReadCapacityUnits")
        assert refused(scaling.register_scalable_target, **id_, MinCapacity=1, MaxCapacity=2) == (
            "ValidationException",
            f"DynamoDB index does not exist: table/{table}/index/missing",
        )

    def test_an_enum_is_checked_with_the_services_text(self, scaling: Any, table: str) -> None:
        id_ = {**of(table), "ScalableDimension": "dynamodb:table:Units"}
        code, text = refused(scaling.register_scalable_target, **id_, MinCapacity=1, MaxCapacity=2)
        assert code == "ValidationException"
        assert text.startswith(
            "1 validation error detected: Value 'dynamodb:table:Units' at 'scalableDimension' failed to satisfy "
            "constraint: Member must satisfy enum value set: ["
        )

    def test_deregistering_deletes_policies_alarms_and_scheduled_actions(self, scaling: Any, target: Any) -> None:
        scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
        scaling.put_scheduled_action(
            **target, ScheduledActionName="A", Schedule="rate(1 day)", ScalableTargetAction={"MinCapacity": 2}
        )
        scaling.deregister_scalable_target(**target)
        of_table = {"ServiceNamespace": "dynamodb", "ResourceId": target["ResourceId"]}
        assert not scaling.describe_scaling_policies(**of_table)["ScalingPolicies"]
        assert not scaling.describe_scheduled_actions(**of_table)["ScheduledActions"]
        text = (
            f"No scalable target found for service namespace: dynamodb, resource ID: {target['ResourceId']}, "
            f"scalable dimension: {READ}"
        )
        assert refused(scaling.deregister_scalable_target, **target) == ("ObjectNotFoundException", text)

    def test_deleting_the_table_keeps_target_policies_and_actions(
        self, scaling: Any, dynamodb: Any, target: Any
    ) -> None:
        scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
        dynamodb.delete_table(TableName=target["ResourceId"].removeprefix("table/"))
        of_table = {"ServiceNamespace": "dynamodb", "ResourceId": target["ResourceId"]}
        (policy,) = scaling.describe_scaling_policies(**of_table)["ScalingPolicies"]
        assert len(policy["Alarms"]) == 4
        assert refused(scaling.put_scaling_policy, **target, PolicyName="P", **tracking()) == (
            "ValidationException",
            f"DynamoDB table does not exist: {target['ResourceId']}",
        )

    def test_targets_come_in_pages(self, scaling: Any, dynamodb: Any) -> None:
        names = [create(dynamodb) for _ in range(3)]
        for name in names:
            for dimension in (READ, WRITE):
                scaling.register_scalable_target(**of(name, dimension), MinCapacity=1, MaxCapacity=9)
        wanted = {"ServiceNamespace": "dynamodb", "ResourceIds": [f"table/{name}" for name in names]}
        pages = list(scaling.get_paginator("describe_scalable_targets").paginate(**wanted, MaxResults=2))
        assert [len(page["ScalableTargets"]) for page in pages] == [2, 2, 2]
        found = {(t["ResourceId"], t["ScalableDimension"]) for page in pages for t in page["ScalableTargets"]}
        assert found == {(f"table/{name}", dimension) for name in names for dimension in (READ, WRITE)}

    @pytest.mark.parametrize("limit", [0, 51])
    def test_a_page_has_at_most_50_targets(self, scaling: Any, limit: int) -> None:
        code, text = refused(scaling.describe_scalable_targets, ServiceNamespace="dynamodb", MaxResults=limit)
        assert code == "ValidationException"
        assert text.startswith(f"1 validation error detected: Value '{limit}' at 'maxResults' failed to satisfy")

    def test_a_foreign_token_is_refused(self, scaling: Any) -> None:
        for token in ("nonsense", "W10=", "WzEsMl0="):
            code, _ = refused(scaling.describe_scalable_targets, ServiceNamespace="dynamodb", NextToken=token)
            assert code == "InvalidNextTokenException"

    def test_other_namespaces_have_nothing(self, scaling: Any, target: Any) -> None:
        assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []


class TestTags:
    def test_tags_are_a_map(self, scaling: Any, table: str) -> None:
        arn = scaling.register_scalable_target(**of(table), MinCapacity=1, MaxCapacity=9, Tags={"team": "blue"})[
            "ScalableTargetARN"
        ]
        scaling.tag_resource(ResourceARN=arn, Tags={"stage": "test"})
        assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"team": "blue", "stage": "test"}
        scaling.untag_resource(ResourceARN=arn, TagKeys=["team", "unknown"])
        assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"stage": "test"}

    def test_a_registered_target_is_not_tagged_by_registering_it_again(self, scaling: Any, target: Any) -> None:
        assert refused(scaling.register_scalable_target, **target, Tags={"a": "b"}) == (
            "ValidationException",
            "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, "
            "use the TagResource API.",
        )

    def test_tags_of_a_missing_target(self, scaling: Any) -> None:
        arn = "arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target/0ec5"
        for call, more in (
            (scaling.tag_resource, {"Tags": {"a": "b"}}),
            (scaling.untag_resource, {"TagKeys": ["a"]}),
            (scaling.list_tags_for_resource, {}),
        ):
            assert refused(call, ResourceARN=arn, **more)[0] == "ResourceNotFoundException"

    def test_fifty_tags_at_most(self, scaling: Any, table: str) -> None:
        arn = scaling.register_scalable_target(**of(table), MinCapacity=1, MaxCapacity=9)["ScalableTargetARN"]
        scaling.tag_resource(ResourceARN=arn, Tags={f"key{number}": "" for number in range(50)})
        code, _ = refused(scaling.tag_resource, ResourceARN=arn, Tags={"another": ""})
        assert code == "TooManyTagsException"


class TestPolicies:
    def test_a_policy_is_read_back_with_its_alarms(self, scaling: Any, target: Any) -> None:
        given = tracking(ScaleOutCooldown=60, ScaleInCooldown=120, DisableScaleIn=False)
        put = scaling.put_scaling_policy(**target, PolicyName="Mine", **given)
        assert re.fullmatch(
            f"arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:{UUID}:resource/dynamodb/"
            f"{target['ResourceId']}:policyName/Mine",
            put["PolicyARN"],
        )
        kinds = ["AlarmHigh", "AlarmLow", "ProvisionedCapacityHigh", "ProvisionedCapacityLow"]
        for alarm, kind in zip(put["Alarms"], kinds, strict=True):
            assert re.fullmatch(f"TargetTracking-{target['ResourceId']}-{kind}-{UUID}", alarm["AlarmName"])
            assert alarm["AlarmARN"] == f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{alarm['AlarmName']}"
        (found,) = scaling.describe_scaling_policies(ServiceNamespace="dynamodb", PolicyNames=["Mine"])[
            "ScalingPolicies"
        ]
        assert isinstance(found.pop("CreationTime"), datetime)
        assert found == {
            "PolicyARN": put["PolicyARN"],
            "PolicyName": "Mine",
            **target,
            **given,
            "Alarms": put["Alarms"],
        }

    def test_a_changed_policy_keeps_its_arn_and_its_alarms(self, scaling: Any, target: Any) -> None:
        first = scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
        second = scaling.put_scaling_policy(**target, PolicyName="P", **tracking(50.0))
        assert (first["PolicyARN"], first["Alarms"]) == (second["PolicyARN"], second["Alarms"])

    def test_a_deleted_policy_is_gone(self, scaling: Any, target: Any) -> None:
        scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
        scaling.delete_scaling_policy(**target, PolicyName="P")
        text = (
            f"No scaling policy found for service namespace: dynamodb, resource ID: {target['ResourceId']}, "
            f"scalable dimension: {READ}, policy name: P"
        )
        assert refused(scaling.delete_scaling_policy, **target, PolicyName="P") == ("ObjectNotFoundException", text)

    def test_a_policy_needs_a_target(self, scaling: Any, table: str) -> None:
        text = (
            f"No scalable target registered for service namespace: dynamodb, resource ID: table/{table}, "
            f"scalable dimension: {READ}"
        )
        assert refused(scaling.put_scaling_policy, **of(table), PolicyName="P", **tracking()) == (
            "ObjectNotFoundException",
            text,
        )

    @pytest.mark.parametrize("value", [10.0, 90.0])
    def test_a_target_value_at_the_bounds(self, scaling: Any, target: Any, value: float) -> None:
        scaling.put_scaling_policy(**target, PolicyName="P", **tracking(value))

    @pytest.mark.parametrize(
        "value, text",
        [
            (90.1, "For predefined metric type DynamoDBReadCapacityUtilization, target value must be between '10.0' "
                   "and '90.0', but was '90.1'."),
            (9.9, "For predefined metric type DynamoDBReadCapacityUtilization, target value must be between '10.0' "
                  "and '90.0', but was '9.9'."),
            (1e10, "For predefined metric type DynamoDBReadCapacityUtilization, target value must be between '10.0' "
                   "and '90.0', but was '1.0E10'."),
            (0.0, "For target tracking scaling, target value must be between '8.51592E-109' and '1.174271E108', but "
                  "was '0.0'."),
        ],
    )  # fmt: skip
    def test_a_target_value_out_of_bounds(self, scaling: Any, target: Any, value: float, text: str) -> None:
        assert refused(scaling.put_scaling_policy, **target, PolicyName="P", **tracking(value)) == (
            "ValidationException",
            text,
        )

    @pytest.mark.parametrize("seconds", [-1, 2_000_000_000])
    def test_odd_cooldowns_pass(self, scaling: Any, target: Any, seconds: int) -> None:
        given = tracking(ScaleOutCooldown=seconds, ScaleInCooldown=seconds)
        scaling.put_scaling_policy(**target, PolicyName="P", **given)

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity"}},
            {"PolicyType": "PredictiveScaling"},
            {"PolicyType": "TargetTrackingScaling"},
            {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 50.0}},
            tracking(kind="Write"),
            {"PolicyType": "TargetTrackingScaling",
             "TargetTrackingScalingPolicyConfiguration": {
                 "TargetValue": 50.0, "CustomizedMetricSpecification": {"MetricName": "M"}}},
            {"PolicyType": "TargetTrackingScaling",
             "TargetTrackingScalingPolicyConfiguration": {
                 "TargetValue": 50.0,
                 "CustomizedMetricSpecification": {"Metrics": [{"Id": "m", "Expression": "1"}]}}},
        ],
    )  # fmt: skip
    def test_other_policies_are_refused(self, scaling: Any, target: Any, given: Any) -> None:
        assert refused(scaling.put_scaling_policy, **target, PolicyName="P", **given)[0] == "ValidationException"

    def test_a_metric_has_one_policy(self, scaling: Any, target: Any) -> None:
        scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
        assert refused(scaling.put_scaling_policy, **target, PolicyName="Q", **tracking(50.0)) == (
            "ValidationException",
            "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
        )

    def test_predictions_are_refused(self, scaling: Any, target: Any) -> None:
        now = datetime.now(UTC)
        code, _ = refused(
            scaling.get_predictive_scaling_forecast,
            **target,
            PolicyName="P",
            StartTime=now,
            EndTime=now + timedelta(days=1),
        )
        assert code == "ValidationException"


class TestScheduledActions:
    def test_an_action_is_read_back(self, scaling: Any, server: LocalServer, target: Any) -> None:
        start = server.clock.now.replace(microsecond=0) + timedelta(days=1)
        scaling.put_scheduled_action(
            **target,
            ScheduledActionName="Morning",
            Schedule="cron(0 8 * * ? *)",
            Timezone="Europe/Berlin",
            StartTime=start,
            EndTime=start + timedelta(days=30),
            ScalableTargetAction={"MinCapacity": 5, "MaxCapacity": 10},
        )
        (found,) = scaling.describe_scheduled_actions(
            ServiceNamespace="dynamodb", ResourceId=target["ResourceId"], ScheduledActionNames=["Morning"]
        )["ScheduledActions"]
        assert isinstance(found.pop("CreationTime"), datetime)
        assert re.fullmatch(
            f"arn:aws:autoscaling:us-east-1:000000000000:scheduledAction:{UUID}:resource/dynamodb/"
            f"{target['ResourceId']}:scheduledActionName/Morning",
            found.pop("ScheduledActionARN"),
        )
        assert (found.pop("StartTime"), found.pop("EndTime")) == (start, start + timedelta(days=30))
        assert found == {
            "ScheduledActionName": "Morning",
            **target,
            "Schedule": "cron(0 8 * * ? *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 5, "MaxCapacity": 10},
        }

    def test_an_update_without_times_removes_them(self, scaling: Any, server: LocalServer, target: Any) -> None:
        start = server.clock.now + timedelta(days=1)
        first = {"Schedule": "rate(1 day)", "StartTime": start, "ScalableTargetAction": {"MinCapacity": 5}}
        scaling.put_scheduled_action(**target, ScheduledActionName="A", **first)
        scaling.put_scheduled_action(**target, ScheduledActionName="A", ScalableTargetAction={"MaxCapacity": 50})
        (found,) = scaling.describe_scheduled_actions(ServiceNamespace="dynamodb", ResourceId=target["ResourceId"])[
            "ScheduledActions"
        ]
        assert (found["Schedule"], found["ScalableTargetAction"]) == ("rate(1 day)", {"MaxCapacity": 50})
        assert "StartTime" not in found

    @pytest.mark.parametrize(
        "given",
        [
            {"Schedule": "cron(0 25 * * ? *)", "ScalableTargetAction": {"MinCapacity": 5}},
            {"Schedule": "rate(1 day)", "Timezone": "Mars/Olympus", "ScalableTargetAction": {"MinCapacity": 5}},
            {"Schedule": "at(2020-01-01T00:00:00)", "ScalableTargetAction": {"MinCapacity": 5}},
            {"Schedule": "rate(1 day)"},
            {"Schedule": "rate(1 day)", "ScalableTargetAction": {}},
            {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 5, "MaxCapacity": 4}},
            {"ScalableTargetAction": {"MinCapacity": 5}},
            {"Schedule": "rate(1 day)", "EndTime": datetime(2020, 1, 1, tzinfo=UTC),
             "ScalableTargetAction": {"MinCapacity": 5}},
        ],
    )  # fmt: skip
    def test_a_bad_action_is_refused_and_nothing_is_stored(self, scaling: Any, target: Any, given: Any) -> None:
        code, _ = refused(scaling.put_scheduled_action, **target, ScheduledActionName="A", **given)
        assert code == "ValidationException"
        assert not scaling.describe_scheduled_actions(ServiceNamespace="dynamodb", ResourceId=target["ResourceId"])[
            "ScheduledActions"
        ]

    @pytest.mark.parametrize("name", ["a:b", "a/b", "a|b", " a", "a ", ""])
    def test_names_of_actions(self, scaling: Any, target: Any, name: str) -> None:
        body = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 5}}
        with pytest.raises(Exception, match=r"validation|Invalid length"):
            scaling.put_scheduled_action(**target, ScheduledActionName=name, **body)

    def test_an_action_needs_a_target(self, scaling: Any, table: str) -> None:
        body = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 5}}
        code, text = refused(scaling.put_scheduled_action, **of(table), ScheduledActionName="A", **body)
        assert (code, text[:47]) == ("ObjectNotFoundException", "No scalable target registered for service names")

    def test_a_missing_action(self, scaling: Any, target: Any) -> None:
        text = (
            f"No scheduled action found for service namespace: dynamodb, resource ID: {target['ResourceId']}, "
            f"scalable dimension: {READ}, scheduled action name: A"
        )
        assert refused(scaling.delete_scheduled_action, **target, ScheduledActionName="A") == (
            "ObjectNotFoundException",
            text,
        )
