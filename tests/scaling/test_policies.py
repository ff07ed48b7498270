"""The alarms of policies, policies on other metrics, and several policies of one target."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from atoll import testing
from atoll.alarms import store
from atoll.alarms.alarm import Alarm
from tests.scaling.test_acting import Stage
from tests.scaling.test_operations import create, of, tracking


@pytest.fixture
def stage() -> Iterator[Stage]:
    with testing.serve(quotas=True) as server:
        yield Stage(server)


def alarm(stage: Stage, name: str) -> Alarm | None:
    return stage.server._do(stage.server._node.region().read(lambda snapshot: store.find(snapshot, name)))


def threshold(stage: Stage, name: str) -> float:
    found = alarm(stage, name)
    assert found is not None
    return float(found.configuration["Threshold"])


@pytest.mark.parametrize(
    "units, target, high, low",
    [
        (5, 70.0, 210.0, 150.0),
        (12, 70.0, 504.0, 360.0),
        (2, 75.0, 90.0, 66.0),
        (5, 75.0, 225.0, 165.0),
        (7, 33.3, 139.86, 55.86),
        (10, 20.0, 120.0, 60.0),
        (10, 10.0, 60.0, 30.0),
    ],
)
def test_thresholds_are_units_a_minute(stage: Stage, units: int, target: float, high: float, low: float) -> None:
    stage.table(write=units)
    alarms = stage.policy(target)
    assert (threshold(stage, alarms["AlarmHigh"]), threshold(stage, alarms["AlarmLow"])) == (high, low)
    assert threshold(stage, alarms["ProvisionedCapacityHigh"]) == units
    assert threshold(stage, alarms["ProvisionedCapacityLow"]) == units


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("AlarmHigh", ("ConsumedReadCapacityUnits", "Sum", 60, 2, "GreaterThanThreshold")),
        ("AlarmLow", ("ConsumedReadCapacityUnits", "Sum", 60, 15, "LessThanThreshold")),
        ("ProvisionedCapacityHigh", ("ProvisionedReadCapacityUnits", "Average", 300, 3, "GreaterThanThreshold")),
        ("ProvisionedCapacityLow", ("ProvisionedReadCapacityUnits", "Average", 300, 3, "LessThanThreshold")),
    ],
)
def test_metrics_of_the_alarms_of_a_policy(stage: Stage, kind: str, expected: tuple[Any, ...]) -> None:
    name = create(stage.dynamodb, index="by_pk")
    target = of(f"table/{name}/index/by_pk", "dynamodb:index:ReadCapacityUnits")
    stage.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=10)
    put = stage.scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
    (alarm_name,) = (one["AlarmName"] for one in put["Alarms"] if f"-{kind}-" in one["AlarmName"])
    found = alarm(stage, alarm_name)
    assert found is not None
    configuration = dict(found.configuration)
    assert alarm_name.startswith(f"TargetTracking-table/{name}/index/by_pk-")
    members = ("MetricName", "Statistic", "Period", "EvaluationPeriods", "ComparisonOperator")
    assert tuple(configuration[member] for member in members) == expected
    assert configuration["Namespace"] == "AWS/DynamoDB"
    assert {one["Name"]: one["Value"] for one in configuration["Dimensions"]} == {
        "TableName": name,
        "GlobalSecondaryIndexName": "by_pk",
    }
    assert configuration["AlarmActions"] == [put["PolicyARN"]]
    assert configuration["AlarmDescription"] == (
        f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {put['PolicyARN']}."
    )
    assert "DatapointsToAlarm" not in configuration and "TreatMissingData" not in configuration
    assert found.state.value == "INSUFFICIENT_DATA"


def test_thresholds_follow_the_policy_and_alarms_start_again(stage: Stage) -> None:
    stage.table()
    alarms = stage.policy()
    stage.minutes(300, 300)
    assert threshold(stage, alarms["AlarmHigh"]) == 8 * 60 * 0.7
    for name in alarms.values():
        found = alarm(stage, name)
        assert found is not None and found.state.value == "INSUFFICIENT_DATA"
    stage.minutes(300)
    found = alarm(stage, alarms["AlarmHigh"])
    assert found is not None and found.state.value == "OK"


def test_a_deleted_policy_takes_its_alarms_along(stage: Stage) -> None:
    stage.table()
    alarms = stage.policy()
    stage.scaling.delete_scaling_policy(**stage.target, PolicyName="P")
    assert all(alarm(stage, name) is None for name in alarms.values())
    stage.minutes(300, count=3)
    assert stage.units == 5


def test_cloudwatch_describes_the_alarms_of_a_policy(stage: Stage) -> None:
    stage.table()
    alarms = stage.policy()
    prefix = f"TargetTracking-table/{stage.name}-"
    found = stage.server.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)["MetricAlarms"]
    assert {one["AlarmName"] for one in found} == set(alarms.values())
    assert {one["Threshold"] for one in found} == {210.0, 150.0, 5.0}
    assert {one["StateReason"] for one in found} == {"Unchecked: Initial alarm creation"}


@pytest.mark.parametrize("data, units", [('{"evaluatedDatapoints": [{"value": 300.0}, {}]}', 8), ("{}", 5)])
def test_an_alarm_set_by_hand_scales_by_its_datapoints(stage: Stage, data: str, units: int) -> None:
    stage.table()
    alarms = stage.policy()
    stage.server.client("cloudwatch").set_alarm_state(
        AlarmName=alarms["AlarmHigh"], StateValue="ALARM", StateReason="a test", StateReasonData=data
    )
    stage.server.settle()
    assert stage.units == units


class TestCustomizedMetrics:
    """A policy that keeps ten jobs waiting for each unit."""

    @pytest.fixture
    def jobs(self, stage: Stage) -> Stage:
        stage.table()
        self.put(stage)
        return stage

    def put(self, stage: Stage, **more: Any) -> dict[str, str]:
        metric = {
            "MetricName": "Jobs",
            "Namespace": "Shop",
            "Dimensions": [{"Name": "Queue", "Value": stage.name}],
            "Statistic": "Average",
        }
        configuration = {"TargetValue": 10.0, "CustomizedMetricSpecification": metric, **more}
        put = stage.scaling.put_scaling_policy(
            **stage.target,
            PolicyName="Jobs",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=configuration,
        )
        return {one["AlarmName"].split("-")[2]: one["AlarmName"] for one in put["Alarms"]}

    def waiting(self, stage: Stage, *values: float, count: int = 1) -> None:
        cloudwatch = stage.server.client("cloudwatch")
        for value in values * count:
            dimensions = [{"Name": "Queue", "Value": stage.name}]
            data = {"MetricName": "Jobs", "Dimensions": dimensions, "Value": value, "Timestamp": stage.server.clock.now}
            cloudwatch.put_metric_data(Namespace="Shop", MetricData=[data])
            stage.server.clock.advance("1m")

    def test_it_has_one_pair_of_alarms(self, stage: Stage) -> None:
        stage.table()
        alarms = self.put(stage)
        assert list(alarms) == ["AlarmHigh", "AlarmLow"]
        assert (threshold(stage, alarms["AlarmHigh"]), threshold(stage, alarms["AlarmLow"])) == (10.0, 9.0)

    def test_units_rise_and_fall_in_proportion(self, jobs: Stage) -> None:
        self.waiting(jobs, 25, count=3)
        assert jobs.units == 13  # 5 * 25 / 10
        self.waiting(jobs, 4, count=15)
        assert jobs.units == 6

    def test_in_a_cooldown_added_capacity_counts(self, stage: Stage) -> None:
        """The metric does not show it yet: without the cooldown, the units would rise repeatedly."""
        stage.table()
        self.put(stage, ScaleOutCooldown=600)
        self.waiting(stage, 20, count=6)
        assert stage.units == 10
        self.waiting(stage, 30, count=3)
        assert stage.units == 15

    def test_a_policy_may_change_to_another_metric(self, jobs: Stage) -> None:
        put = jobs.scaling.put_scaling_policy(**jobs.target, PolicyName="Jobs", **tracking(kind="Write"))
        assert len(put["Alarms"]) == 4
        jobs.minutes(300, 300)
        assert jobs.units == 8


class TestSeveralPolicies:
    @pytest.fixture
    def both(self, stage: Stage) -> Stage:
        stage.table(write=20)
        stage.policy(name="Consumed")
        TestCustomizedMetrics().put(stage)
        return stage

    def minutes(self, stage: Stage, consumed: float, jobs: float, count: int) -> None:
        for _ in range(count):
            stage.consume(consumed)
            TestCustomizedMetrics().waiting(stage, jobs)

    def test_the_capacity_rises_if_any_wants_it(self, both: Stage) -> None:
        self.minutes(both, 60, 15, 3)
        assert both.units == 30

    def test_the_largest_wins(self, both: Stage) -> None:
        self.minutes(both, 60, 11, 1)
        self.minutes(both, 1680, 11, 2)
        assert both.units == 40

    def test_the_capacity_falls_only_if_all_agree(self, both: Stage) -> None:
        self.minutes(both, 60, 9.5, 17)
        assert both.units == 20
        reasons = [one["NotScaledReasons"][0] for one in both.activities(all_=True) if one.get("NotScaledReasons")]
        assert {"Code": "AutoScalingAnticipatedFlapping", "CurrentCapacity": 20} in reasons
        self.minutes(both, 60, 5, 15)
        assert both.units == 10  # the most that any of them wants

    def test_policy_that_may_not_scale_in_leaves_it_to_the_others(self, both: Stage) -> None:
        TestCustomizedMetrics().put(both, DisableScaleIn=True)
        self.minutes(both, 60, 9.5, 16)
        assert both.units == 2


def test_thresholds_follow_changes_by_others_after_a_quarter_of_an_hour(stage: Stage) -> None:
    stage.table(write=20)
    alarms = stage.policy()
    stage.minutes(640)
    stage.set_units(21)
    stage.minutes(640, count=16)
    assert threshold(stage, alarms["AlarmHigh"]) == 21 * 60 * 0.7


def test_an_idle_table_falls_to_its_minimum(stage: Stage) -> None:
    stage.table(least=3, write=20)
    stage.policy()
    stage.server.clock.advance("20m")
    assert stage.units == 3
