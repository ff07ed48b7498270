"""Limits: the number of targets, policies and scheduled actions, and the number and age of activities."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from atoll import limits
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.scaling import store
from atoll.scaling.targets import Activity
from atoll.testing.local import LocalServer
from tests import desk
from tests.engines import fresh_engine
from tests.scaling.test_operations import READ, WRITE, create, of, refused, tracking


@pytest.fixture
def target(scaling: Any, dynamodb: Any) -> dict[str, str]:
    found = of(create(dynamodb))
    scaling.register_scalable_target(**found, MinCapacity=1, MaxCapacity=100)
    return found


def test_targets_of_a_region(scaling: Any, dynamodb: Any, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCALABLE_TARGETS", 1)
    other = of(target["ResourceId"], WRITE)
    assert refused(scaling.register_scalable_target, **other, MinCapacity=1, MaxCapacity=2)[0] == (
        "LimitExceededException"
    )
    scaling.register_scalable_target(**target, MaxCapacity=50)
    scaling.deregister_scalable_target(**target)


def test_policies_of_a_target(scaling: Any, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCALING_POLICIES", 1)
    scaling.put_scaling_policy(**target, PolicyName="P", **tracking())
    scaling.put_scaling_policy(**target, PolicyName="P", **tracking(50.0))
    metric = {"MetricName": "Jobs", "Namespace": "Shop", "Statistic": "Average"}
    more: dict[str, Any] = {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.0, "CustomizedMetricSpecification": metric},
    }
    assert refused(scaling.put_scaling_policy, **target, PolicyName="Q", **more)[0] == "LimitExceededException"


def test_scheduled_actions_of_a_target(scaling: Any, target: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCHEDULED_ACTIONS", 1)
    body: dict[str, Any] = {"Schedule": "rate(1 day)", "ScalableTargetAction": {"MinCapacity": 5}}
    scaling.put_scheduled_action(**target, ScheduledActionName="A", **body)
    scaling.put_scheduled_action(**target, ScheduledActionName="A", **body)
    assert refused(scaling.put_scheduled_action, **target, ScheduledActionName="B", **body)[0] == (
        "LimitExceededException"
    )


def add(server: LocalServer, target: Any, count: int) -> None:
    """Activities, one a second, the last one now."""
    server.clock.advance("1m")
    region, now_ms = server._node.region(), round(server.clock.time() * 1000)
    for number in range(count):
        new = Activity(
            str(number), target["ResourceId"], READ, str(number), "", now_ms - 1000 * (count - number), "Successful"
        )
        server._do(region.transact(lambda tx, new=new: store.add_activity(tx, new)))  # type: ignore[misc]


def described(scaling: Any, target: Any) -> list[str]:
    pages = scaling.get_paginator("describe_scaling_activities").paginate(
        ServiceNamespace="dynamodb", ResourceId=target["ResourceId"], MaxResults=3
    )
    return [one["Description"] for page in pages for one in page["ScalingActivities"]]


def test_the_newest_activities_come_first_in_pages(server: LocalServer, scaling: Any, target: Any) -> None:
    add(server, target, 8)
    assert described(scaling, target) == [str(number) for number in reversed(range(8))]


def test_the_oldest_of_too_many_activities_are_deleted(
    server: LocalServer, scaling: Any, target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SCALING_ACTIVITIES", 5)
    add(server, target, 20)
    assert described(scaling, target) == [str(number) for number in reversed(range(15, 20))]


def test_activities_of_more_than_six_weeks_are_gone() -> None:
    clock = ManualClock(1_800_000_000_000)
    region = Region("us-east-1", fresh_engine(), clock, Settings())

    def add(number: int) -> None:
        new = Activity(str(number), "table/Things", READ, str(number), "", clock.now_ms(), "Successful")
        asyncio.run(region.transact(lambda tx: store.add_activity(tx, new)))

    def described() -> list[str]:
        body = {"ServiceNamespace": "dynamodb"}
        answer = asyncio.run(desk.call(region, "DescribeScalingActivities", body, "AnyScaleFrontendService"))
        return [one["Description"] for one in answer["ScalingActivities"]]

    for number in range(4):
        add(number)
        clock.advance(14 * 24 * 3600 * 1000)
    assert described() == ["3", "2", "1"]
    add(4)
    assert len(asyncio.run(region.read(lambda snapshot: store.activities(snapshot, None, 1000)))) == 4
