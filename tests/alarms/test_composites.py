"""Composite alarms: when they change, why, and what they do then."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from atoll.alarms import configuration, store
from tests.alarms.conftest import FUNCTION, MINUTE_MS, TOPIC, World

ARN = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:"


def compose(world: World, name: str, rule: str, **more: Any) -> None:
    checked = configuration.checked_composite({"AlarmName": name, "AlarmRule": rule, **more}, "us-east-1")
    asyncio.run(world.region.transact(lambda tx: store.put(tx, checked, world.clock.now_ms())))
    world.settle()


def set_state(world: World, name: str, value: str) -> None:
    def change(tx: Any) -> None:
        old = store.find(tx, name)
        assert old is not None
        store.change_state(tx, old, old.in_state(value, "by hand", None, world.clock.now_ms()), {}, 0)

    asyncio.run(world.region.transact(change))
    world.settle()


def minute(world: World, **values: float) -> None:
    """A minute in which metrics have values."""
    for metric, value in values.items():
        world.datapoint(value, metric)
    world.clock.advance(MINUTE_MS)
    world.settle()


def test_it_follows_its_children_with_reasons_and_actions(world: World) -> None:
    world.put("a", MetricName="A", TreatMissingData="notBreaching")
    world.put("b", MetricName="B", TreatMissingData="notBreaching")
    compose(world, "c", "ALARM(a) AND ALARM(b)", AlarmActions=[TOPIC, FUNCTION], OKActions=[TOPIC])
    assert world.state("c") == "OK"
    assert world.alarm("c").state.reason == f"{ARN}c was created and its alarm rule evaluates to OK"
    minute(world, A=5)
    assert (world.state("a"), world.state("c")) == ("ALARM", "OK")
    minute(world, A=5, B=5)
    state = world.alarm("c").state
    assert state.value == "ALARM"
    assert state.reason == f"{ARN}b transitioned to ALARM at Friday 15 January, 2027 08:02:00 UTC"
    assert orjson.loads(state.data) == {
        "triggeringAlarms": [
            {"arn": f"{ARN}b", "state": {"value": "ALARM", "timestamp": "2027-01-15T08:02:00.000+0000"}}
        ]
    }
    messages = [one for one in world.functions.reports if one["AlarmName"] == "c"]
    assert [one["NewStateValue"] for one in messages] == ["OK", "ALARM"]
    assert messages[1]["AlarmRule"] == "ALARM(a) AND ALARM(b)"
    assert messages[1]["TriggeringChildren"] == [
        {"Arn": f"{ARN}b", "State": {"Value": "ALARM", "Timestamp": "2027-01-15T08:02:00.000+0000"}}
    ]
    assert "Trigger" not in messages[1]
    (event,) = world.functions.events
    assert event["alarmData"]["configuration"] == {"alarmRule": "ALARM(a) AND ALARM(b)"}
    minute(world, A=0, B=0)
    assert world.state("c") == "OK"


def test_those_that_others_name_come_first_whatever_their_names(world: World) -> None:
    world.put("m", TreatMissingData="notBreaching")
    compose(world, "z", "ALARM(m)")
    compose(world, "a", "ALARM(z) OR ALARM(m)")
    compose(world, "k", "OK(a) AND ALARM(z)")
    minute(world, Errors=5)
    assert [world.state(name) for name in "mzak"] == ["ALARM", "ALARM", "ALARM", "OK"]
    assert world.history("StateUpdate").count("Alarm updated from INSUFFICIENT_DATA to OK") == 3
    assert world.history("StateUpdate").count("Alarm updated from OK to ALARM") == 2


def test_a_state_set_by_hand_lasts_until_a_child_changes(world: World) -> None:
    world.put("m", TreatMissingData="notBreaching")
    minute(world)
    minute(world)
    compose(world, "c", "ALARM(m)")
    set_state(world, "c", "ALARM")
    world.clock.advance(3 * MINUTE_MS)
    world.settle()
    assert world.state("c") == "ALARM"
    set_state(world, "m", "INSUFFICIENT_DATA")
    assert world.state("c") == "OK"


def test_a_state_of_a_child_set_by_hand_counts_at_once(world: World) -> None:
    world.put("m")
    compose(world, "c", "ALARM(m)", AlarmActions=[TOPIC])
    set_state(world, "m", "ALARM")
    assert world.state("c") == "ALARM"
    assert [one["AlarmName"] for one in world.functions.reports] == ["c"]


def test_a_new_rule_is_evaluated_at_once_also_after_a_deletion(world: World) -> None:
    compose(world, "c", "FALSE")
    assert world.state("c") == "OK"
    compose(world, "c", "TRUE")
    assert world.state("c") == "ALARM"
    assert world.alarm("c").state.reason == f"{ARN}c was updated and its alarm rule evaluates to ALARM"
    checked = configuration.checked_composite({"AlarmName": "c", "AlarmRule": "TRUE"}, "us-east-1")

    def again(tx: Any) -> None:
        store.delete(tx, ["c"], world.clock.now_ms())
        store.put(tx, checked, world.clock.now_ms())

    asyncio.run(world.region.transact(again))
    world.settle()
    assert world.state("c") == "ALARM"


def test_a_circle_changes_once_a_look(world: World) -> None:
    compose(world, "a", "TRUE")
    compose(world, "b", "ALARM(a)")
    compose(world, "a", "NOT ALARM(b)")
    for _ in range(4):
        before = len(world.history("StateUpdate"))
        world.clock.advance(MINUTE_MS)
        world.settle()
        assert len(world.history("StateUpdate")) - before <= 2
    compose(world, "a", "FALSE")
    assert (world.state("a"), world.state("b")) == ("OK", "OK")


@pytest.mark.parametrize("deleted", ["m", "c"])
def test_deletion(world: World, deleted: str) -> None:
    world.put("m", TreatMissingData="notBreaching")
    compose(world, "c", "ALARM(m)")
    minute(world, Errors=5)
    assert world.state("c") == "ALARM"
    asyncio.run(world.region.transact(lambda tx: store.delete(tx, [deleted], world.clock.now_ms())))
    world.settle()
    assert world.alarm("c") is None if deleted == "c" else world.state("c") == "OK"


def test_a_restart_keeps_states_and_misses_no_change(world: World) -> None:
    world.put("m", TreatMissingData="notBreaching")
    compose(world, "c", "ALARM(m)")
    minute(world, Errors=5)
    items = len(world.history())
    world.restart()
    world.settle()
    assert world.state("c") == "ALARM"
    assert len(world.history()) == items
    minute(world, Errors=0)
    assert world.state("c") == "OK"
