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


def test_alarms_in_rules_of_others_are_evaluated_first(world: World) -> None:
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


SUPPRESSED: dict[str, Any] = {
    "ActionsSuppressor": "quiet",
    "ActionsSuppressorWaitPeriod": 120,
    "ActionsSuppressorExtensionPeriod": 180,
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC],
}


def suppressed(world: World, **more: Any) -> None:
    """A composite alarm that has settled, with a suppressor."""
    world.put("m", TreatMissingData="ignore")
    world.put("quiet", MetricName="Quiet", TreatMissingData="ignore")
    compose(world, "c", "ALARM(m)", **SUPPRESSED | more)
    wait(world, 3)
    world.functions.reports.clear()


def wait(world: World, minutes: float) -> None:
    world.clock.advance(round(minutes * MINUTE_MS))
    world.settle()


def notified(world: World) -> list[str]:
    return [one["NewStateValue"] for one in world.functions.reports]


def by(world: World) -> str | None:
    found = world.alarm("c").suppression
    return None if found is None else found.by


def test_actions_wait_for_the_suppressor_and_run_without_it(world: World) -> None:
    suppressed(world)
    set_state(world, "m", "ALARM")
    assert (world.state("c"), by(world), notified(world)) == ("ALARM", "WaitPeriod", [])
    wait(world, 1.9)
    assert (by(world), notified(world)) == ("WaitPeriod", [])
    wait(world, 0.1)
    assert (by(world), notified(world)) == (None, ["ALARM"])
    assert world.functions.reports[0]["OldStateValue"] == "OK"


def test_actions_are_suppressed_during_the_alarm_and_its_extension(world: World) -> None:
    suppressed(world)
    set_state(world, "m", "ALARM")
    set_state(world, "quiet", "ALARM")
    wait(world, 60)
    assert (by(world), notified(world)) == ("Alarm", [])
    set_state(world, "quiet", "OK")
    assert (by(world), notified(world)) == ("ExtensionPeriod", [])
    wait(world, 2.9)
    assert (by(world), notified(world)) == ("ExtensionPeriod", [])
    wait(world, 0.1)
    assert (by(world), notified(world)) == (None, ["ALARM"])


def test_a_state_that_returned_meanwhile_has_no_actions(world: World) -> None:
    suppressed(world)
    set_state(world, "quiet", "ALARM")
    assert by(world) == "Alarm"
    for state in ("ALARM", "OK"):
        set_state(world, "m", state)
    set_state(world, "quiet", "OK")
    wait(world, 3)
    assert (by(world), notified(world)) == (None, [])


def test_a_state_set_by_hand_is_suppressed_too(world: World) -> None:
    suppressed(world)
    set_state(world, "quiet", "ALARM")
    set_state(world, "c", "ALARM")
    assert (world.state("c"), by(world), notified(world)) == ("ALARM", "Alarm", [])


def test_periods_of_no_length_act_at_once(world: World) -> None:
    suppressed(world, ActionsSuppressorWaitPeriod=0, ActionsSuppressorExtensionPeriod=0)
    set_state(world, "m", "ALARM")
    assert (by(world), notified(world)) == (None, ["ALARM"])
    set_state(world, "quiet", "ALARM")
    set_state(world, "m", "OK")
    assert (by(world), notified(world)) == ("Alarm", ["ALARM"])
    set_state(world, "quiet", "OK")
    assert (by(world), notified(world)) == (None, ["ALARM", "OK"])


@pytest.mark.parametrize("way", ["deleted", "removed"])
def test_without_its_suppressor_the_alarm_acts(world: World, way: str) -> None:
    suppressed(world)
    set_state(world, "quiet", "ALARM")
    set_state(world, "m", "ALARM")
    if way == "deleted":
        asyncio.run(world.region.transact(lambda tx: store.delete(tx, ["quiet"], world.clock.now_ms())))
        world.settle()
        assert by(world) == "ExtensionPeriod"
        wait(world, 3)
    else:
        compose(world, "c", "ALARM(m)", AlarmActions=[TOPIC])
    assert (by(world), notified(world)) == (None, ["ALARM"])


def test_a_suppression_outlives_a_restart(world: World) -> None:
    suppressed(world)
    set_state(world, "m", "ALARM")
    world.restart()
    world.settle()
    assert (by(world), notified(world)) == ("WaitPeriod", [])
    wait(world, 2)
    assert (by(world), notified(world)) == (None, ["ALARM"])
