"""Alarms on a clock that the test moves, minute by minute."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.alarms import store
from atoll.alarms.deciding import decide, evaluation_range
from atoll.alarms.evaluation import ACTED_TOGETHER, Watch
from tests.alarms.conftest import FUNCTION, MINUTE_MS, POLICY, START_MS, TOPIC, UNKNOWN, World

NONE, A, OK = "INSUFFICIENT_DATA", "ALARM", "OK"


def test_an_alarm_follows_its_metric(world):
    world.put()
    assert world.state() == NONE
    assert world.minutes(5, 0, None, None, None) == [A, OK, OK, OK, NONE]


def test_a_state_has_its_reason(world):
    world.put()
    world.minutes(5)
    state = world.alarm().state
    assert state.reason == (
        "Threshold Crossed: 1 datapoint [5.0 (15/01/27 08:00:00)] was greater than the threshold (1.0)."
    )
    data = orjson.loads(state.data)
    assert data["recentDatapoints"] == [5.0]
    assert data["evaluatedDatapoints"] == [
        {"timestamp": "2027-01-15T08:00:00.000+0000", "sampleCount": 1.0, "value": 5.0}
    ]
    assert state.updated_ms == state.transitioned_ms == START_MS + MINUTE_MS


def test_the_history_tells_of_changes(world):
    world.put()
    world.minutes(5, 0)
    assert world.history() == [
        'Alarm "a" created',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        "Alarm updated from ALARM to OK",
    ]


def test_two_out_of_three(world):
    world.put(EvaluationPeriods=3, DatapointsToAlarm=2, TreatMissingData="notBreaching")
    assert world.minutes(5, None, 5, None, None, None, None) == [OK, OK, A, A, A, OK, OK]


def test_missing_data_that_breaches(world):
    world.put(TreatMissingData="breaching", EvaluationPeriods=2)
    assert world.minutes(None, 0, 0, None, None, None, None) == [A, OK, OK, OK, OK, OK, A]


def test_alarms_on_dynamodb_ignore_missing_data_unless_told(world):
    world.put(Namespace="AWS/DynamoDB", MetricName="ReadThrottleEvents")
    world.put("b", Namespace="AWS/DynamoDB", MetricName="ReadThrottleEvents", TreatMissingData="missing")
    metric = {"Namespace": "AWS/DynamoDB", "MetricName": "ReadThrottleEvents"}
    assert world.alarm().configuration.items() >= metric.items()
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert "TreatMissingData" not in world.alarm().configuration
    assert world.alarm().missing == "ignore"
    assert world.alarm("b").missing == "missing"


def test_a_window_of_five_minutes_slides_by_the_minute(world):
    world.put(Period=300, Threshold=10)
    assert world.minutes(4, 4, 4, 0, 0, 0, 0) == [OK, OK, A, A, A, OK, OK]


@pytest.mark.parametrize(
    ("statistic", "state"),
    [("Sum", A), ("Average", OK), ("Maximum", A), ("Minimum", OK), ("SampleCount", OK)],
)
def test_statistics(world, statistic, state):
    world.put(Statistic=statistic, Threshold=7)
    world.datapoint(1)
    world.datapoint(1)
    world.datapoint(8)
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert world.state() == state


def test_a_percentile_of_few_samples_may_be_held(world):
    percentile = {"Statistic": None, "ExtendedStatistic": "p90"}
    world.put("held", EvaluateLowSampleCountPercentile="ignore", **percentile)
    world.put("free", EvaluateLowSampleCountPercentile="evaluate", **percentile)
    world.datapoint(5, count=99)
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert [world.state("held"), world.state("free")] == [NONE, A]
    world.datapoint(5, count=100)
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert [world.state("held"), world.state("free")] == [A, A]


def rate(**more):
    stat = {"Period": 60, "Stat": "Sum"}
    return [
        {"Id": "e", "Expression": "100 * errors / calls", "ReturnData": True},
        {
            "Id": "errors",
            "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "Errors"}, **stat},
            "ReturnData": False,
        },
        {
            "Id": "calls",
            "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "Calls"}, **stat},
            "ReturnData": False,
        },
    ]


def test_metric_math(world):
    world.put(Metrics=rate(), Threshold=5)
    world.datapoint(100, "Calls")
    world.datapoint(6)
    world.clock.advance(MINUTE_MS)
    world.settle()
    assert world.state() == A
    assert "[6.0 (15/01/27 08:00:00)]" in world.alarm().state.reason
    world.datapoint(100, "Calls")
    assert world.minutes(None) == [OK]


def test_a_late_datapoint_is_seen(world):
    world.put(EvaluationPeriods=3, DatapointsToAlarm=1, TreatMissingData="notBreaching")
    assert world.minutes(0, None, None, None, None, None) == [OK] * 6
    assert world.settle() is None, "it is quiet"
    world.datapoint(9, at_ms=world.clock.now_ms() - MINUTE_MS)
    assert world.minutes(None) == [A]


def test_quiet_alarms_cause_no_work(world):
    world.put()
    assert world.settle() is not None
    world.minutes(None)
    assert world.settle() is None
    world.minutes(3)
    assert world.settle() is not None
    world.minutes(None, None, None)
    assert world.state() == NONE
    assert world.settle() is None


def test_states_outlive_a_restart(world):
    world.put()
    world.minutes(5)
    before = world.alarm()
    world.restart()
    world.settle()
    assert world.alarm() == before
    world.minutes(0)
    assert world.state() == OK


def test_a_new_configuration_keeps_the_state(world):
    world.put()
    world.minutes(5)
    world.put(Threshold=10)
    assert world.state() == A
    assert world.alarm().configuration["Threshold"] == 10
    assert world.minutes(None) == [OK]


def test_a_deleted_alarm_is_not_evaluated(world):
    world.put(AlarmActions=[FUNCTION])
    asyncio.run(world.region.transact(lambda tx: store.delete(tx, ["a", "none"], world.clock.now_ms())))
    world.datapoint(5)
    world.clock.advance(MINUTE_MS)
    assert world.settle() is None
    assert world.alarm() is None
    assert world.history() == ['Alarm "a" created', 'Alarm "a" deleted']


@pytest.mark.parametrize("number", [1, store.NAMED, store.NAMED + 1, 3 * store.NAMED])
def test_many_changes_at_a_time(world, number):
    world.put("old")
    names = [f"a{i}" for i in range(number)]

    def change(tx):
        for name in names:
            store.put(tx, {**world.alarm("old").configuration, "AlarmName": name}, world.clock.now_ms())
        store.delete(tx, ["old", names[0]], world.clock.now_ms())

    alarm = world.alarm("old")
    world.alarm = lambda name: alarm
    asyncio.run(world.region.transact(change))
    world.settle()
    assert set(world.region.state(Watch).alarms) == {*names[1:]}


# Actions


def test_the_actions_of_many_alarms_let_others_run(world):
    world.put("old")
    configuration = {**world.alarm("old").configuration, "AlarmActions": [POLICY]}

    def put(tx):
        for number in range(5 * ACTED_TOGETHER):
            store.put(tx, {**configuration, "AlarmName": f"a{number}"}, world.clock.now_ms())

    asyncio.run(world.region.transact(put))
    world.settle()
    world.datapoint(5)
    world.clock.advance(MINUTE_MS)
    seen = [0]

    async def look():
        while True:
            seen.append(len(world.scaled))
            await asyncio.sleep(0)

    async def scenario():
        looking = asyncio.create_task(look())
        await world.evaluation.settle()
        looking.cancel()

    asyncio.run(scenario())
    assert len(world.scaled) == 5 * ACTED_TOGETHER
    steps = [after - before for before, after in pairwise([*seen, len(world.scaled)])]
    assert max(steps) <= ACTED_TOGETHER


def test_actions_of_a_change(world):
    world.put(AlarmActions=[TOPIC, FUNCTION], OKActions=[TOPIC], InsufficientDataActions=[FUNCTION])
    world.minutes(5, 5, 0)
    assert [report["NewStateValue"] for report in world.functions.reports] == [A, OK]
    assert [event["alarmData"]["state"]["value"] for event in world.functions.events] == [A]
    *first, last = world.history("Action")
    assert {*first} == {f"Successfully executed action {arn}" for arn in (TOPIC, FUNCTION)}
    assert last == f"Successfully executed action {TOPIC}"


def test_the_message_to_a_topic(world):
    world.put(AlarmActions=[TOPIC], AlarmDescription="too many", Dimensions=[], Unit="Count")
    world.minutes(5)
    (message,) = world.functions.reports
    assert message == {
        "AlarmName": "a",
        "AlarmDescription": "too many",
        "AWSAccountId": "000000000000",
        "AlarmConfigurationUpdatedTimestamp": "2027-01-15T08:00:00.000+0000",
        "NewStateValue": "ALARM",
        "NewStateReason": world.alarm().state.reason,
        "StateChangeTime": "2027-01-15T08:01:00.000+0000",
        "Region": "US East (N. Virginia)",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a",
        "OldStateValue": "INSUFFICIENT_DATA",
        "OKActions": [],
        "AlarmActions": [TOPIC],
        "InsufficientDataActions": [],
        "Trigger": {
            "MetricName": "Errors",
            "Namespace": "App",
            "StatisticType": "Statistic",
            "Statistic": "SUM",
            "Unit": "Count",
            "Dimensions": [],
            "Period": 60,
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 1.0,
            "TreatMissingData": "",
            "EvaluateLowSampleCountPercentile": "",
        },
    }


def test_the_event_of_a_function(world):
    world.put(AlarmActions=[FUNCTION])
    world.minutes(5)
    (event,) = world.functions.events
    data = event.pop("alarmData")
    assert event == {
        "source": "aws.cloudwatch",
        "alarmArn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:a",
        "accountId": "000000000000",
        "time": "2027-01-15T08:01:00.000+0000",
        "region": "us-east-1",
    }
    assert data["previousState"]["reason"] == "Unchecked: Initial alarm creation"
    assert data["configuration"]["metrics"] == [{
        "id": "m1",
        "metricStat": {
            "metric": {"namespace": "App", "name": "Errors", "dimensions": {}}, "period": 60, "stat": "Sum",
        },
        "returnData": True,
    }]  # fmt: skip


def test_actions_that_are_disabled(world):
    world.put(AlarmActions=[TOPIC], ActionsEnabled=False)
    world.minutes(5)
    assert world.state() == A
    assert not world.functions.reports


def test_unknown_actions_are_logged(world, caplog):
    unknown_topic = TOPIC + "-2"
    world.put(AlarmActions=[UNKNOWN, unknown_topic])
    world.minutes(5)
    assert UNKNOWN in caplog.text
    assert unknown_topic in caplog.text
    assert not world.history("Action")


def test_a_delivery_that_fails_is_tried_again(world):
    world.put(AlarmActions=[TOPIC])
    world.functions.failures = 2
    world.minutes(5)
    assert not world.functions.reports
    for _ in range(2):
        world.clock.set(world.settle())
        world.settle()
    assert len(world.functions.reports) == 1
    assert world.clock.now_ms() == START_MS + MINUTE_MS + 3_000
    assert world.history("Action") == [f"Successfully executed action {TOPIC}"]


def test_a_delivery_is_given_up(world):
    world.put(AlarmActions=[FUNCTION])
    world.functions.failures = 99
    world.minutes(5, 5, 5)
    for _ in range(5):
        world.clock.advance(16_000)
        world.settle()
    assert world.functions.failures == 94
    assert world.history("Action") == [f'Failed to execute action {FUNCTION}. Received error: "5 attempts failed"']


@pytest.mark.parametrize("action", [TOPIC, FUNCTION])
def test_a_delivery_that_waits_at_a_stop_arrives_later(world, action):
    """Deliveries were once in memory only."""
    world.put(AlarmActions=[action])
    world.functions.failures = 1
    world.minutes(5)
    assert not world.functions.reports and not world.functions.events
    world.restart()
    world.settle()
    assert len(world.functions.reports) + len(world.functions.events) == 1
    world.restart()
    world.settle()
    assert len(world.functions.reports) + len(world.functions.events) == 1
    assert world.history("Action") == [f"Successfully executed action {action}"]


def test_a_delivery_that_another_process_has_made_is_not_repeated(world):
    world.put(AlarmActions=[TOPIC])
    world.functions.failures = 1
    world.minutes(5)
    first, actions = world.evaluation, world.alarms
    world.restart()
    world.settle()
    assert len(world.functions.reports) == 1
    world.evaluation, world.alarms = first, actions
    world.clock.advance(16_000)
    world.settle()
    assert len(world.functions.reports) == 1


def test_scaling_policies_act_every_minute(world):
    world.put(AlarmActions=[POLICY])
    world.minutes(5, 6, 7, 0, 0)
    assert [(event.repeats, event.data["recentDatapoints"]) for event in world.scaled] == [
        (False, [5.0]),
        (True, [6.0]),
        (True, [7.0]),
    ]
    assert world.history("Action") == [f"Successfully executed action {POLICY}"]


def test_scaling_policies_act_again_without_new_data(world):
    world.put(AlarmActions=[POLICY], TreatMissingData="breaching", Period=120)
    world.minutes(*[None] * 7)
    assert [event.now_ms - START_MS for event in world.scaled] == [MINUTE_MS * n for n in (1, 3, 5, 7)]


def test_an_action_outlives_a_crash(world):
    """The state is stored with its event; the process dies before the actions ran."""
    world.put(AlarmActions=[TOPIC])
    old = world.alarm()
    new = old.in_state(A, "why", None, world.clock.now_ms())
    asyncio.run(world.region.transact(lambda tx: store.change_state(tx, old, new, {}, world.clock.now_ms())))
    world.restart()
    world.settle()
    assert [report["NewStateReason"] for report in world.functions.reports] == ["why"]
    world.settle()
    world.restart()
    world.settle()
    assert len(world.functions.reports) == 1


def test_a_state_that_was_set_lasts_until_the_next_evaluation(world):
    world.put(OKActions=[TOPIC])
    world.minutes(5, 5, 5, 5)
    old = world.alarm()
    new = old.in_state(OK, "tested", None, world.clock.now_ms())
    asyncio.run(world.region.transact(lambda tx: store.change_state(tx, old, new, {}, world.clock.now_ms())))
    world.settle()
    assert world.state() == OK
    assert len(world.functions.reports) == 1
    assert world.minutes(None) == [A]


def test_the_history_ends_after_thirty_days(world):
    world.put()
    world.minutes(5, 0)
    world.clock.advance(31 * 24 * 60 * MINUTE_MS)
    world.minutes(5)
    assert world.history() == ["Alarm updated from OK to ALARM"]


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from([0, 9, None]), min_size=1, max_size=25),
    st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.sampled_from(["missing", "ignore", "breaching", "notBreaching"]),
)
def test_minute_by_minute_it_decides_as_stated(tmp_path_factory, values, periods, treatment):
    """An alarm that skips evaluations because it is quiet decides as one that is evaluated every minute."""
    n, m = periods
    world = World(tmp_path_factory.mktemp("w"))
    world.put(EvaluationPeriods=n, DatapointsToAlarm=m, TreatMissingData=treatment)
    state, expected = NONE, []
    points = [None if value is None else value > 1 for value in values]
    for minute in range(len(points)):
        window = [points[minute - back] if back <= minute else None for back in range(evaluation_range(n))]
        state = decide(window, n, m, treatment).state or state
        expected.append(state)
    assert world.minutes(*values) == expected


def test_a_week_of_many_alarms(world):
    """Errors come in bursts of three minutes, every three hours, at one of 30 hosts. Each alarm knows only its own."""
    hosts, bursts = 30, 7 * 8
    for host in range(hosts):
        world.put(f"a{host}", MetricName=f"Errors{host}", EvaluationPeriods=2, TreatMissingData="notBreaching")
    for burst in range(bursts):
        for _ in range(3):
            world.datapoint(5, f"Errors{burst % hosts}")
            world.clock.advance(MINUTE_MS)
            world.settle()
        until = START_MS + (burst + 1) * 180 * MINUTE_MS
        while (wake := world.settle()) is not None and wake < until:
            world.clock.set(wake)
        world.clock.set(until)
        world.settle()
    raised = [line for line in world.history("StateUpdate") if line.endswith("to ALARM")]
    assert len(raised) == bursts
    assert all(world.state(f"a{host}") == OK for host in range(hosts))
