"""Auto scaling acts: on consumption, on schedules, on changes by others. Through boto3, on a manual clock.

Traffic is written to the meter of the region, as operations would have counted it; `test_real_traffic` sends some.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from atoll import testing
from atoll.testing.local import LocalServer
from tests.scaling.test_operations import READ, WRITE, create, of, tracking


class Stage:
    """One server with a table and what a test does with it."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.dynamodb, self.scaling = server.client(), server.client("application-autoscaling")
        server.clock.set(server.clock.now.replace(second=0, microsecond=0) + timedelta(minutes=1))

    def table(self, least: int = 1, most: int = 100, dimension: str = WRITE, write: int = 5) -> str:
        self.name = create(self.dynamodb, write=write)
        self.target = of(self.name, dimension)
        self.kind = "Read" if dimension == READ else "Write"
        self.scaling.register_scalable_target(**self.target, MinCapacity=least, MaxCapacity=most)
        return self.name

    def policy(self, value: float = 70.0, name: str = "P", **more: Any) -> dict[str, str]:
        """The names of the policy's alarms by their kinds."""
        put = self.scaling.put_scaling_policy(**self.target, PolicyName=name, **tracking(value, self.kind, **more))
        return {alarm["AlarmName"].split("-")[2]: alarm["AlarmName"] for alarm in put["Alarms"]}

    def minutes(self, *consumed: float, count: int = 1) -> None:
        """Minutes with this consumption each, so many times."""
        for units in consumed * count:
            self.consume(units)
            self.server.clock.advance("1m")

    def consume(self, units: float) -> None:
        async def add() -> None:
            tally = self.server._node.region().meter.tally(self.name, None, "PutItem")
            (tally.reads if self.kind == "Read" else tally.writes)[units] += 1

        self.server._do(add())

    @property
    def units(self) -> int:
        described = self.dynamodb.describe_table(TableName=self.name)["Table"]["ProvisionedThroughput"]
        return int(described[f"{self.kind}CapacityUnits"])

    def set_units(self, units: int) -> None:
        described = self.dynamodb.describe_table(TableName=self.name)["Table"]["ProvisionedThroughput"]
        now = {f"{kind}CapacityUnits": described[f"{kind}CapacityUnits"] for kind in ("Read", "Write")}
        self.dynamodb.update_table(
            TableName=self.name, ProvisionedThroughput={**now, f"{self.kind}CapacityUnits": units}
        )

    def activities(self, *, all_: bool = False) -> list[dict[str, Any]]:
        """The oldest first."""
        found = self.scaling.describe_scaling_activities(
            ServiceNamespace="dynamodb", ResourceId=f"table/{self.name}", IncludeNotScaledActivities=all_
        )["ScalingActivities"]
        return list(reversed(found))


@pytest.fixture
def stage() -> Iterator[Stage]:
    with testing.serve(quotas=True) as server:
        yield Stage(server)


@pytest.mark.parametrize(
    "units, target, consumed, wanted",
    [
        (5, 70.0, 211, 6),  # 211/60 a second are 3.52 units, of which 70 % are 5.02
        (5, 70.0, 300, 8),
        (5, 50.0, 300, 10),
        (5, 90.0, 600, 12),
        (10, 70.0, 4200, 100),
        (10, 70.0, 60000, 100),  # bounded by the maximum
        (10, 10.0, 61, 11),
    ],
)
def test_two_minutes_above_the_target_raise_units_to_the_consumption(
    stage: Stage, units: int, target: float, consumed: float, wanted: int
) -> None:
    stage.table(write=units)
    stage.policy(target)
    stage.minutes(consumed)
    assert stage.units == units
    stage.minutes(consumed)
    assert stage.units == wanted


def test_one_minute_above_the_target_changes_nothing(stage: Stage) -> None:
    stage.table()
    stage.policy()
    stage.minutes(300, 100, 300, 200, count=3)
    assert stage.units == 5


def test_consumption_at_the_threshold_changes_nothing(stage: Stage) -> None:
    stage.table()
    stage.policy()
    stage.minutes(210, count=5)
    assert stage.units == 5


def test_a_rise_is_an_activity_with_its_alarm(stage: Stage) -> None:
    stage.table()
    alarms = stage.policy()
    stage.minutes(300, 300)
    (activity,) = stage.activities()
    assert activity["Description"] == "Setting write capacity units to 8."
    assert activity["Cause"] == f"monitor alarm {alarms['AlarmHigh']} in state ALARM triggered policy P"
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"] == (
        "Successfully set write capacity units to 8. Change successfully fulfilled by dynamodb."
    )


def test_a_rise_repeats_while_consumption_grows(stage: Stage) -> None:
    stage.table()
    stage.policy()
    found = []
    for consumed in (300, 300, 600, 600, 1200, 1200):
        stage.minutes(consumed)
        found.append(stage.units)
    assert found == [5, 8, 8, 15, 15, 29]


def test_fifteen_minutes_far_below_the_target_lower_units(stage: Stage) -> None:
    stage.table(write=20)
    stage.policy()
    stage.minutes(300, count=14)
    assert stage.units == 20
    stage.minutes(300)
    assert stage.units == 8


def test_units_fall_to_the_busiest_of_the_fifteen_minutes(stage: Stage) -> None:
    stage.table(write=20)
    stage.policy()
    stage.minutes(60, 420, 60, count=5)
    assert stage.units == 10


def test_units_between_the_thresholds_stay(stage: Stage) -> None:
    stage.table(write=20)
    stage.policy()
    stage.minutes(600, count=40)  # 50 %: the threshold of a fall
    assert stage.units == 20


def test_units_fall_to_the_minimum_and_no_further(stage: Stage) -> None:
    stage.table(least=4, write=20)
    stage.policy()
    stage.minutes(1, count=35)
    assert stage.units == 4
    others = [one for one in stage.activities(all_=True) if one.get("NotScaledReasons")]
    assert [one["NotScaledReasons"] for one in others] == [[{"Code": "AlreadyAtMinCapacity", "MinCapacity": 4}]]
    assert others[0]["Description"] == "Attempting to scale due to alarm triggered"
    assert others[0]["StatusCode"] == "Failed"
    assert all("NotScaledReasons" not in one for one in stage.activities())


def test_at_the_maximum_an_activity_explains_why_nothing_happens(stage: Stage) -> None:
    stage.table(most=5)
    stage.policy()
    stage.minutes(600, count=4)
    assert stage.units == 5
    (other,) = stage.activities(all_=True)
    assert other["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 5}]


def test_decreases_stop_at_the_quota_of_the_table(stage: Stage) -> None:
    """Four at any time of a day, then one an hour."""
    stage.server.clock.set(stage.server.clock.now.replace(hour=1, minute=0) + timedelta(days=1))
    stage.table(most=1000, write=1000)
    stage.policy()
    found = []
    consumed = 28_000.0
    for _ in range(6):
        stage.minutes(consumed, count=15)
        found.append(stage.units)
        consumed /= 2
    assert found == [667, 334, 167, 84, 84, 84]
    failed = [one for one in stage.activities() if one["StatusCode"] == "Failed"]
    assert failed[-1]["StatusMessage"].startswith("Failed to set write capacity units to 21. Reason: ")
    stage.minutes(consumed, count=60)
    assert stage.units == 11


class TestCooldowns:
    def test_a_fall_waits_for_the_cooldown_of_the_last_fall(self, stage: Stage) -> None:
        stage.table(write=40)
        stage.policy(ScaleInCooldown=1800)
        stage.minutes(600, count=15)
        assert stage.units == 15
        stage.minutes(60, count=29)
        assert stage.units == 15
        stage.minutes(60)
        assert stage.units == 2

    def test_a_rise_ends_the_cooldown_of_a_fall(self, stage: Stage) -> None:
        stage.table(write=40)
        stage.policy(ScaleInCooldown=36_000)
        stage.minutes(600, count=15)
        stage.minutes(1200, count=2)
        assert stage.units == 29
        stage.minutes(60, count=15)
        assert stage.units == 2

    def test_in_the_cooldown_of_a_rise_only_a_greater_rise_passes(self, stage: Stage) -> None:
        stage.table(write=5)
        stage.policy(ScaleOutCooldown=600)
        stage.minutes(600, count=2)
        assert stage.units == 15
        stage.set_units(6)
        stage.minutes(600, count=3)
        assert stage.units == 6
        stage.minutes(700, count=2)
        assert stage.units == 17

    def test_without_a_cooldown_a_lowered_capacity_is_raised_again(self, stage: Stage) -> None:
        stage.table(write=5)
        stage.policy()
        stage.minutes(600, count=2)
        stage.set_units(6)
        stage.minutes(700, count=2)
        assert stage.units == 17


class TestSwitches:
    def test_a_policy_that_may_not_scale_in_never_does(self, stage: Stage) -> None:
        stage.table(write=20)
        stage.policy(DisableScaleIn=True)
        stage.minutes(60, count=20)
        assert stage.units == 20
        stage.minutes(6000, count=2)
        assert stage.units == 100

    @pytest.mark.parametrize(
        "flag, consumed, count", [("DynamicScalingOutSuspended", 600, 3), ("DynamicScalingInSuspended", 6, 18)]
    )
    def test_suspended_actions_wait_until_they_resume(
        self, stage: Stage, flag: str, consumed: float, count: int
    ) -> None:
        stage.table(write=5)
        stage.policy()
        stage.scaling.register_scalable_target(**stage.target, SuspendedState={flag: True})
        stage.minutes(consumed, count=count)
        assert stage.units == 5
        stage.scaling.register_scalable_target(**stage.target, SuspendedState={flag: False})
        stage.minutes(consumed)
        assert stage.units == (15 if consumed == 600 else 1)


class TestOthersChanges:
    def test_a_capacity_set_within_the_bounds_on_an_idle_table_falls_back(self, stage: Stage) -> None:
        stage.table(write=5)
        stage.policy()
        stage.minutes(6, count=16)
        assert stage.units == 1
        stage.minutes(6, count=16)
        stage.set_units(10)
        stage.minutes(6, count=2)
        assert stage.units == 1

    def test_a_capacity_set_below_the_minimum_is_not_pushed_back(self, stage: Stage) -> None:
        stage.table(least=4, write=5)
        stage.policy()
        stage.set_units(2)
        stage.minutes(6, count=20)
        assert stage.units == 2

    def test_a_deleted_table_keeps_its_policies_and_has_no_more_activities(self, stage: Stage) -> None:
        stage.table()
        stage.policy()
        stage.minutes(300)
        stage.dynamodb.delete_table(TableName=stage.name)
        stage.minutes(300, count=3)
        assert not stage.activities(all_=True)
        assert stage.scaling.describe_scaling_policies(ServiceNamespace="dynamodb", ResourceId=f"table/{stage.name}")[
            "ScalingPolicies"
        ]

    def test_a_table_that_becomes_on_demand_is_left_alone(self, stage: Stage) -> None:
        stage.table()
        stage.policy()
        stage.dynamodb.update_table(TableName=stage.name, BillingMode="PAY_PER_REQUEST")
        stage.minutes(300, count=3)
        assert not stage.activities(all_=True)


class TestSchedules:
    def put(self, stage: Stage, schedule: str, name: str = "A", **more: Any) -> None:
        stage.scaling.put_scheduled_action(**stage.target, ScheduledActionName=name, Schedule=schedule, **more)

    def bounds(self, stage: Stage) -> tuple[int, int]:
        (target,) = stage.scaling.describe_scalable_targets(
            ServiceNamespace="dynamodb", ResourceIds=[stage.target["ResourceId"]]
        )["ScalableTargets"]
        return target["MinCapacity"], target["MaxCapacity"]

    def names(self, stage: Stage) -> list[str]:
        found = stage.scaling.describe_scheduled_actions(
            ServiceNamespace="dynamodb", ResourceId=stage.target["ResourceId"]
        )
        return [one["ScheduledActionName"] for one in found["ScheduledActions"]]

    def test_an_action_sets_the_bounds_and_the_capacity_follows(self, stage: Stage) -> None:
        stage.table()
        time = stage.server.clock.now + timedelta(minutes=10)
        self.put(
            stage, f"at({time:%Y-%m-%dT%H:%M:%S})", "Up", ScalableTargetAction={"MinCapacity": 20, "MaxCapacity": 30}
        )
        stage.server.clock.advance("9m")
        assert (self.bounds(stage), stage.units) == ((1, 100), 5)
        stage.server.clock.advance("1m")
        assert (self.bounds(stage), stage.units, self.names(stage)) == ((20, 30), 20, [])
        first, second = stage.activities()
        assert first["Description"] == "Setting min capacity to 20 and max capacity to 30"
        assert first["Cause"] == "scheduled action name Up was triggered"
        assert first["StatusMessage"] == "Successfully set min capacity to 20 and max capacity to 30"
        assert "EndTime" not in first
        assert second["Cause"] == "minimum capacity was set to 20"

    def test_a_recurring_action_runs_until_its_end(self, stage: Stage) -> None:
        stage.table()
        end = stage.server.clock.now + timedelta(minutes=12)
        self.put(stage, "rate(5 minutes)", EndTime=end, ScalableTargetAction={"MinCapacity": 2})
        stage.server.clock.advance("11m")
        assert len(stage.activities()) == 2
        assert self.names(stage) == []

    def test_a_cron_expression_in_its_time_zone(self, stage: Stage) -> None:
        stage.table()
        self.put(stage, "cron(30 9 * * ? *)", Timezone="Asia/Tokyo", ScalableTargetAction={"MinCapacity": 9})
        stage.server.clock.advance("24h")
        (first, _) = stage.activities()
        assert (first["StartTime"].astimezone().utctimetuple()[3:5]) == (0, 30)

    def test_a_suspended_run_is_skipped(self, stage: Stage) -> None:
        stage.table()
        self.put(stage, "rate(5 minutes)", ScalableTargetAction={"MinCapacity": 9})
        suspended = {"ScheduledScalingSuspended": True}
        stage.scaling.register_scalable_target(**stage.target, SuspendedState=suspended)
        stage.server.clock.advance("6m")
        assert (stage.activities(), stage.units) == ([], 5)
        stage.scaling.register_scalable_target(**stage.target, SuspendedState={"ScheduledScalingSuspended": False})
        stage.server.clock.advance("3m")
        assert stage.activities() == []
        stage.server.clock.advance("1m")
        assert stage.units == 9

    def test_two_actions_of_one_time_run_in_order(self, stage: Stage) -> None:
        stage.table()
        self.put(stage, "rate(5 minutes)", "B", ScalableTargetAction={"MinCapacity": 3})
        self.put(stage, "rate(5 minutes)", "A", ScalableTargetAction={"MinCapacity": 9})
        stage.server.clock.advance("5m")
        causes = [one["Cause"] for one in stage.activities() if "scheduled" in one["Cause"]]
        assert causes == ["scheduled action name A was triggered", "scheduled action name B was triggered"]
        assert self.bounds(stage)[0] == 3

    def test_bounds_that_cross_are_a_failed_activity(self, stage: Stage) -> None:
        stage.table(most=10)
        self.put(stage, "rate(5 minutes)", ScalableTargetAction={"MinCapacity": 20})
        stage.server.clock.advance("5m")
        (failed,) = stage.activities()
        assert (failed["StatusCode"], failed["StatusMessage"]) == (
            "Failed",
            "Failed to set min capacity to 20. Reason: Maximum capacity cannot be less than minimum capacity",
        )
        assert self.bounds(stage) == (1, 10)

    def test_a_deleted_action_does_not_run(self, stage: Stage) -> None:
        stage.table()
        self.put(stage, "rate(5 minutes)", ScalableTargetAction={"MinCapacity": 20})
        stage.scaling.delete_scheduled_action(**stage.target, ScheduledActionName="A")
        stage.server.clock.advance("10m")
        assert stage.units == 5


class TestSlowTables:
    """Changes of tables take 30 seconds."""

    @pytest.fixture
    def slow(self) -> Iterator[Stage]:
        with testing.serve(quotas=True, control_plane_delay_ms=30_000) as server:
            yield Stage(server)

    def test_an_activity_is_in_progress_until_the_table_is_active(self, slow: Stage) -> None:
        slow.table()
        slow.server.clock.advance("1m")
        slow.policy()
        slow.minutes(300, 300)
        (activity,) = slow.activities()
        assert activity["StatusCode"] == "InProgress"
        assert activity["StatusMessage"] == (
            "Successfully set write capacity units to 8. Waiting for change to be fulfilled by dynamodb."
        )
        assert "EndTime" not in activity
        slow.server.clock.advance("30s")
        (activity,) = slow.activities()
        assert activity["StatusCode"] == "Successful"
        assert (activity["EndTime"] - activity["StartTime"]).total_seconds() == 30

    def test_bounds_of_a_table_that_is_being_changed_are_applied_after_it(self, slow: Stage) -> None:
        slow.table(least=10)
        assert slow.activities() == []
        slow.server.clock.advance("60s")
        assert slow.units == 10
        assert [one["StatusCode"] for one in slow.activities()] == ["Successful"]


def test_real_traffic(stage: Stage) -> None:
    stage.table(dimension=READ)
    stage.policy()
    for _ in range(2):
        for _ in range(300):
            stage.dynamodb.get_item(TableName=stage.name, Key={"pk": {"S": "a"}}, ConsistentRead=True)
        stage.server.clock.advance("1m")
    assert stage.units == 8
