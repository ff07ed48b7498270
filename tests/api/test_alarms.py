"""The operations on alarms: exact shapes, filters, pages and refusals. `tests/alarms` tests their decisions and
actions."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from atoll import limits
from atoll.api import services
from atoll.api.authorization.checks import checks_of

NAME = "alarm"
ARN = f"arn:aws:cloudwatch:us-east-1:000000000000:alarm:{NAME}"
TOPIC = "arn:aws:sns:us-east-1:000000000000:ops"
BASIC: dict[str, Any] = {
    "AlarmName": NAME,
    "Namespace": "AWS/DynamoDB",
    "MetricName": "ReadThrottleEvents",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}
STAT = {"Metric": {"Namespace": "App", "MetricName": "Errors"}, "Period": 60, "Stat": "Sum"}
MATH: dict[str, Any] = {
    "AlarmName": NAME,
    "Metrics": [{"Id": "m", "MetricStat": STAT, "ReturnData": False}, {"Id": "e", "Expression": "m * 2"}],
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}


@pytest.fixture
def alarms(service):
    return Alarms(service)


class Alarms:
    """`alarms.put_metric_alarm(...)` is the request PutMetricAlarm."""

    def __init__(self, service) -> None:
        self.service = service

    def request(self, operation: str, body: dict[str, Any]) -> Any:
        return self.service.request(operation, body, "GraniteServiceVersion20100801")

    def __getattr__(self, name):
        operation = "".join(word.capitalize() for word in name.split("_"))
        return lambda **body: self.request(operation, body)

    def refused(self, operation: str, **body: Any) -> tuple[str, str | None]:
        with pytest.raises(self.error) as caught:
            self.request(operation, body)
        return caught.value.code, caught.value.message

    @property
    def error(self):
        from atoll.errors import ApiError

        return ApiError

    def put(self, name: str = NAME, **more: Any) -> None:
        body = {**BASIC, "AlarmName": name, **more}
        self.request("PutMetricAlarm", {key: value for key, value in body.items() if value is not None})

    def names(self, **body: Any) -> list[str]:
        return [alarm["AlarmName"] for alarm in self.request("DescribeAlarms", body)["MetricAlarms"]]

    def history(self, **body: Any) -> list[str]:
        return [item["HistorySummary"] for item in self.request("DescribeAlarmHistory", body)["AlarmHistoryItems"]]


def test_the_minimal_alarm(alarms):
    alarms.put()
    now = alarms.service.clock.now_ms() / 1000
    assert alarms.describe_alarms() == {
        "MetricAlarms": [{
            **BASIC,
            "AlarmArn": ARN,
            "ActionsEnabled": True,
            "OKActions": [],
            "AlarmActions": [],
            "InsufficientDataActions": [],
            "Dimensions": [],
            "Threshold": 1.0,
            "AlarmConfigurationUpdatedTimestamp": now,
            "StateValue": "INSUFFICIENT_DATA",
            "StateReason": "Unchecked: Initial alarm creation",
            "StateUpdatedTimestamp": now,
            "StateTransitionedTimestamp": now,
        }],
        "CompositeAlarms": [],
        "LogAlarms": [],
    }  # fmt: skip


def test_an_alarm_on_metric_math_has_no_members_of_a_metric(alarms):
    alarms.put_metric_alarm(**MATH)
    (alarm,) = alarms.describe_alarms()["MetricAlarms"]
    assert alarm["Metrics"] == MATH["Metrics"]
    assert not alarm.keys() & {"Namespace", "MetricName", "Period", "Statistic", "Dimensions"}


def test_all_members_come_back(alarms):
    more = {
        "AlarmDescription": "why",
        "ActionsEnabled": False,
        "OKActions": [TOPIC],
        "AlarmActions": [TOPIC, f"{TOPIC}-2"],
        "InsufficientDataActions": [TOPIC],
        "Dimensions": [{"Name": "TableName", "Value": "T"}],
        "Unit": "Count",
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "TreatMissingData": "notBreaching",
        "Statistic": None,
        "ExtendedStatistic": "p99.9",
        "EvaluateLowSampleCountPercentile": "ignore",
    }
    alarms.put(**more)
    (alarm,) = alarms.describe_alarms()["MetricAlarms"]
    assert alarm.items() >= {key: value for key, value in more.items() if value is not None}.items()
    assert "Statistic" not in alarm


def test_a_new_configuration_replaces_the_whole_old_one(alarms):
    alarms.put(AlarmDescription="old", Unit="Count")
    alarms.set_alarm_state(AlarmName=NAME, StateValue="OK", StateReason="tested")
    alarms.service.clock.advance(1_000)
    alarms.put(Threshold=5)
    (alarm,) = alarms.describe_alarms()["MetricAlarms"]
    assert (alarm["StateValue"], alarm["StateReason"], alarm["Threshold"]) == ("OK", "tested", 5)
    assert "AlarmDescription" not in alarm
    assert "Unit" not in alarm
    assert alarm["AlarmConfigurationUpdatedTimestamp"] == alarm["StateUpdatedTimestamp"] + 1


# Refusals

VALUE, COMBINATION = "InvalidParameterValueException", "InvalidParameterCombinationException"
MISSING, VALIDATION = "MissingRequiredParameterException", "ValidationException"


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"Period": 45}, VALUE, "Period must be 10, 20, 30 or a multiple of 60"),
        ({"Period": 0}, VALIDATION, None),
        ({"Period": None}, MISSING, "The parameter Period is required."),
        ({"MetricName": None}, MISSING, "The parameter MetricName is required."),
        ({"Namespace": None}, MISSING, "The parameter Namespace is required."),
        ({"Statistic": None}, MISSING, "The parameter Statistic is required."),
        ({"Threshold": None}, MISSING, "The parameter Threshold is required."),
        ({"EvaluationPeriods": None}, MISSING, "The parameter EvaluationPeriods is required."),
        ({"ComparisonOperator": None}, MISSING, "The parameter ComparisonOperator is required."),
        ({"EvaluationPeriods": 1441}, VALIDATION,
         "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."),
        ({"Period": 3600, "EvaluationPeriods": 169}, VALIDATION,
         "Metrics cannot be checked across more than a week (EvaluationPeriods * Period must be <= 604800)."),
        ({"DatapointsToAlarm": 2}, VALIDATION, "DatapointsToAlarm must be less than or equal to EvaluationPeriods"),
        ({"TreatMissingData": "no"}, VALUE,
         "The value no is not supported for TreatMissingData parameter. Supported values are [breaching, notBreaching, "
         "ignore, missing]."),
        ({"ExtendedStatistic": "p99"}, COMBINATION,
         "The parameters Statistic and ExtendedStatistic are mutually exclusive and you have specified both."),
        ({"Statistic": None, "ExtendedStatistic": "p101"}, VALUE,
         "The value p101 for parameter ExtendedStatistic is not supported."),
        ({"Statistic": None, "ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "maybe"}, VALUE,
         "Option maybe is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are evaluate "
         "and ignore."),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, COMBINATION, None),
        ({"AlarmActions": ["ops"]}, VALIDATION, "Invalid arn syntax: ops"),
        ({"OKActions": [TOPIC.replace("us-east-1", "eu-west-1")]}, VALIDATION,
         "Invalid region eu-west-1 specified. Only us-east-1 is supported."),
        ({"AlarmActions": [TOPIC] * 6}, VALIDATION, None),
        ({"Dimensions": [{"Name": "A", "Value": "1"}, {"Name": "A", "Value": "2"}]}, VALUE, None),
        ({"ThresholdMetricId": "m"}, VALIDATION, "Atoll does not support the parameter ThresholdMetricId"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, VALIDATION, None),
        ({"ComparisonOperator": "Greater"}, VALIDATION, None),
        ({"Metrics": MATH["Metrics"]}, COMBINATION,
         "The parameters MetricName and Metrics are mutually exclusive and you have specified both."),
        ({"Tags": [{"Key": "aws:x", "Value": "y"}]}, VALUE, None),
    ],
)  # fmt: skip
def test_configurations_that_cannot_be(alarms, changes, code, text):
    body = {**BASIC, **changes}
    refusal = alarms.refused("PutMetricAlarm", **{key: value for key, value in body.items() if value is not None})
    assert refusal[0] == code
    assert text is None or refusal[1] == text
    assert alarms.names() == []


def query(id, **more):
    return {"Id": id, **more}


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        ([query("m", MetricStat=STAT), query("e", Expression="m")],
         "Exactly one element of the metrics list should return data."),
        ([query("m", MetricStat=STAT, ReturnData=False)],
         "Exactly one element of the metrics list should return data."),
        ([query("m", MetricStat=STAT, ReturnData=False), query("e", Expression="SUM(SEARCH('x', 'Sum'))")],
         "SEARCH is not supported on Metric Alarms."),
        ([query("m", MetricStat=STAT, ReturnData=False), query("e", Expression="m +")],
         "Error in expression 'e': Unexpected end of expression"),
        ([query("m", MetricStat=STAT, ReturnData=False), query("e", Expression="x")],
         "Error in expression 'e': Unknown identifier 'x'"),
        ([query("m", MetricStat=STAT, ReturnData=False), query("e", Expression="FOO(m)")],
         "Error in expression 'e': Unknown function 'FOO'"),
        ([query("e", Expression="f", Period=60), query("f", Expression="e", ReturnData=False)],
         "Error in expression 'e': The expression refers to itself"),
        ([query("M", MetricStat=STAT)], None),
        ([query("m", MetricStat=STAT), query("m", MetricStat=STAT, ReturnData=False)],
         "The id m is given more than once in the metrics list."),
        ([query("m")], None),
        ([query("m", MetricStat=STAT, Expression="m")], None),
        ([query("m", MetricStat=STAT), query("n", MetricStat={**STAT, "Period": 300}, ReturnData=False)],
         "All metrics of the metrics list must have the same period."),
        ([query("m", MetricStat=STAT, ReturnData=False)] * 0 + [query("e", Expression="1")], None),
        ([query(f"m{i}", MetricStat=STAT, ReturnData=not i) for i in range(11)],
         "The metrics list may contain at most 10 metrics."),
        ([query("m", MetricStat={**STAT, "Stat": "Most"})], "The value Most for parameter Stat is not supported."),
    ],
)  # fmt: skip
def test_metric_math_that_cannot_be(alarms, metrics, text):
    _, message = alarms.refused("PutMetricAlarm", **{**MATH, "Metrics": metrics})
    assert text is None or message == text
    assert alarms.names() == []


def test_there_is_a_number_of_alarms(alarms, monkeypatch):
    monkeypatch.setattr(limits, "ALARMS", 2)
    alarms.put("a")
    alarms.put("b")
    assert alarms.refused("PutMetricAlarm", **{**BASIC, "AlarmName": "c"})[0] == "LimitExceededFault"
    alarms.put("b", Threshold=2)


# Reading


def test_filters(alarms):
    alarms.put("b-1", AlarmActions=[TOPIC])
    alarms.put("a-2", OKActions=["arn:aws:lambda:us-east-1:000000000000:function:f"])
    alarms.put("a-1")
    alarms.set_alarm_state(AlarmName="a-1", StateValue="OK", StateReason="tested")
    assert alarms.names() == ["a-1", "a-2", "b-1"]
    assert alarms.names(AlarmNames=["b-1", "a-1", "none"]) == ["a-1", "b-1"]
    assert alarms.names(AlarmNamePrefix="a-") == ["a-1", "a-2"]
    assert alarms.names(AlarmNamePrefix="c") == []
    assert alarms.names(StateValue="OK") == ["a-1"]
    assert alarms.names(ActionPrefix="arn:aws:sns") == ["b-1"]
    assert alarms.names(ActionPrefix="arn:aws:lambda") == ["a-2"]
    assert alarms.names(AlarmTypes=["CompositeAlarm"]) == []
    assert alarms.names(AlarmTypes=["CompositeAlarm", "MetricAlarm"], StateValue="OK") == ["a-1"]


def test_pages(alarms):
    for i in range(7):
        alarms.put(f"a{i}")
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = alarms.describe_alarms(MaxRecords=3, AlarmNamePrefix="a", **token)
        found += [alarm["AlarmName"] for alarm in page["MetricAlarms"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == [f"a{i}" for i in range(7)]
    assert alarms.names(AlarmNames=["a1", "a2", "a3"], MaxRecords=2) == ["a1", "a2"]


@pytest.mark.parametrize("token", ["", "x", "e30=", "WzFd", "WyJhIiwgImIiLCAiYyJd", "\u00e9"])
def test_tokens_that_are_none(alarms, token):
    for operation in ("DescribeAlarms", "DescribeAlarmHistory"):
        assert alarms.refused(operation, NextToken=token)[0] == "InvalidNextToken"


def test_alarms_for_a_metric(alarms):
    metric = {"Namespace": "AWS/DynamoDB", "MetricName": "ReadThrottleEvents"}
    table = [{"Name": "TableName", "Value": "T"}]
    alarms.put("one", Dimensions=table)
    alarms.put("two", Dimensions=table, Period=120, Statistic="Average")
    alarms.put("three")
    alarms.put_metric_alarm(**{**MATH, "AlarmName": "four"})

    def names(**body):
        return [a["AlarmName"] for a in alarms.describe_alarms_for_metric(**metric, **body)["MetricAlarms"]]

    assert names() == ["three"]
    assert names(Dimensions=table) == ["one", "two"]
    assert names(Dimensions=table, Period=60) == ["one"]
    assert names(Dimensions=table, Statistic="Average") == ["two"]
    assert names(Dimensions=table, Unit="Count") == []


# State, actions, deletion


def test_set_alarm_state(alarms):
    alarms.put()
    data = orjson.dumps({"version": "1.0", "recentDatapoints": [3]}).decode()
    alarms.set_alarm_state(AlarmName=NAME, StateValue="ALARM", StateReason="tested", StateReasonData=data)
    (alarm,) = alarms.describe_alarms()["MetricAlarms"]
    assert (alarm["StateValue"], alarm["StateReason"], alarm["StateReasonData"]) == ("ALARM", "tested", data)


def test_set_alarm_state_refuses(alarms):
    alarms.put()
    state = {"StateValue": "OK", "StateReason": "x"}
    assert alarms.refused("SetAlarmState", AlarmName="none", **state) == ("ResourceNotFound", None)
    assert alarms.refused("SetAlarmState", AlarmName=NAME, **{**state, "StateValue": "INVALID"}) == (
        "ValidationException",
        "1 validation error detected: Value 'INVALID' at 'stateValue' failed to satisfy constraint: Member must "
        "satisfy enum value set: [INSUFFICIENT_DATA, ALARM, OK]",
    )
    for data in ("{", "[" * 300 + "]" * 300, "[" * 249 + "]" * 249):
        refusal = alarms.refused("SetAlarmState", AlarmName=NAME, **state, StateReasonData=data)
        assert refusal[0] == "InvalidFormatFault"
    assert alarms.describe_alarms()["MetricAlarms"][0]["StateValue"] == "INSUFFICIENT_DATA"


def test_actions_are_enabled_and_disabled(alarms):
    alarms.put()
    alarms.disable_alarm_actions(AlarmNames=[NAME, "none"])
    assert alarms.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is False
    alarms.enable_alarm_actions(AlarmNames=[NAME])
    assert alarms.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"] is True


def test_delete_alarms_ignores_unknown_names(alarms):
    alarms.put("a")
    alarms.put("b")
    alarms.delete_alarms(AlarmNames=["none", "a"])
    assert alarms.names() == ["b"]
    assert alarms.refused("DeleteAlarms", AlarmNames=["x"] * 101)[0] == "ValidationException"


def test_history(alarms):
    alarms.put("a")
    alarms.service.clock.advance(1_000)
    alarms.put("b")
    alarms.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="tested")
    alarms.service.clock.advance(1_000)
    alarms.delete_alarms(AlarmNames=["a"])
    start = alarms.service.clock.now_ms() / 1000 - 2
    assert alarms.history() == [
        'Alarm "a" deleted',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        'Alarm "b" created',
        'Alarm "a" created',
    ]
    assert alarms.history(AlarmName="b") == ['Alarm "b" created']
    assert alarms.history(AlarmName="a", ScanBy="TimestampAscending")[0] == 'Alarm "a" created'
    assert alarms.history(HistoryItemType="StateUpdate") == ["Alarm updated from INSUFFICIENT_DATA to ALARM"]
    assert alarms.history(StartDate=start + 1, EndDate=start + 2, AlarmName="b") == ['Alarm "b" created']
    assert alarms.history(AlarmTypes=["CompositeAlarm"]) == []
    (item,) = alarms.describe_alarm_history(HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    data = orjson.loads(item.pop("HistoryData"))
    assert item == {
        "AlarmName": "a",
        "AlarmType": "MetricAlarm",
        "Timestamp": start + 1,
        "HistoryItemType": "StateUpdate",
        "HistorySummary": "Alarm updated from INSUFFICIENT_DATA to ALARM",
    }
    assert data == {
        "version": "1.0",
        "oldState": {"stateValue": "INSUFFICIENT_DATA", "stateReason": "Unchecked: Initial alarm creation"},
        "newState": {"stateValue": "ALARM", "stateReason": "tested"},
    }


def test_long_data_is_left_out_of_the_history(alarms):
    name = "n" * 255
    alarms.put(name, AlarmDescription="d" * 1024, AlarmActions=[f"{TOPIC}{'x' * 980}"] * 5)
    data = orjson.dumps({"text": "x" * 3980}).decode()
    alarms.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="x", StateReasonData=data)
    alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="y" * 1023, StateReasonData=data)
    items = alarms.describe_alarm_history(ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert all(len(item["HistorySummary"]) <= 255 for item in items)
    created, first, second = [orjson.loads(item["HistoryData"]) for item in items]
    assert created == {"version": "1.0"}
    assert "stateReasonData" not in first["newState"]
    assert second["newState"] == {"stateValue": "ALARM", "stateReason": "y" * 1023}


@pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
def test_pages_of_the_history(alarms, order):
    for i in range(7):
        alarms.put(f"a{i}")
        alarms.service.clock.advance(i % 2)
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = alarms.describe_alarm_history(MaxRecords=3, ScanBy=order, **token)
        found += [item["AlarmName"] for item in page["AlarmHistoryItems"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    names = [f"a{i}" for i in range(7)]
    assert found == (names if order == "TimestampAscending" else names[::-1])


# Tags


def test_tags(alarms):
    alarms.put(Tags=[{"Key": "a", "Value": "1"}])
    alarms.put(Tags=[{"Key": "b", "Value": "2"}])
    assert alarms.list_tags_for_resource(ResourceARN=ARN) == {"Tags": [{"Key": "a", "Value": "1"}]}
    alarms.tag_resource(ResourceARN=ARN, Tags=[{"Key": "a", "Value": "3"}, {"Key": "c", "Value": ""}])
    alarms.untag_resource(ResourceARN=ARN, TagKeys=["a", "none"])
    assert alarms.list_tags_for_resource(ResourceARN=ARN) == {"Tags": [{"Key": "c", "Value": ""}]}
    alarms.delete_alarms(AlarmNames=[NAME])
    assert alarms.list_tags_for_resource(ResourceARN=ARN) == {"Tags": []}
    assert alarms.refused("TagResource", ResourceARN=ARN, Tags=[])[0] == "ResourceNotFoundException"


def test_tags_refused(alarms):
    alarms.put()
    for arn in ("arn:aws:s3:::bucket", ARN.replace("us-east-1", "eu-west-1"), "x"):
        assert alarms.refused("ListTagsForResource", ResourceARN=arn)[0] == VALUE
    many = [{"Key": f"k{i}", "Value": ""} for i in range(51)]
    assert alarms.refused("TagResource", ResourceARN=ARN, Tags=many)[0] == VALUE
    assert alarms.list_tags_for_resource(ResourceARN=ARN) == {"Tags": []}


SUPPRESSOR = {
    "ActionsSuppressor": "alarm",
    "ActionsSuppressorWaitPeriod": 60,
    "ActionsSuppressorExtensionPeriod": 120,
}


class TestComposites:
    def test_members_of_described_alarms(self, alarms):
        alarms.put()
        answer = alarms.put_composite_alarm(AlarmName="c", AlarmRule="ALARM(alarm)", AlarmActions=[TOPIC])
        assert answer == {}
        (shown,) = alarms.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        assert {name: shown[name] for name in shown if "Timestamp" not in name} == {
            "AlarmName": "c", "AlarmArn": ARN.replace(":alarm:alarm", ":alarm:c"), "AlarmRule": "ALARM(alarm)",
            "ActionsEnabled": True, "OKActions": [], "AlarmActions": [TOPIC], "InsufficientDataActions": [],
            "StateValue": "INSUFFICIENT_DATA", "StateReason": "Unchecked: Initial alarm creation",
        }  # fmt: skip
        assert alarms.describe_alarms()["CompositeAlarms"] == []
        both = alarms.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"])
        assert [len(both["MetricAlarms"]), len(both["CompositeAlarms"])] == [1, 1]
        pages = alarms.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"], MaxRecords=1)
        assert [len(pages["MetricAlarms"]), len(pages["CompositeAlarms"])] == [1, 0]
        rest = alarms.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"], NextToken=pages["NextToken"])
        assert [one["AlarmName"] for one in rest["CompositeAlarms"]] == ["c"]
        (item,) = alarms.describe_alarm_history(AlarmTypes=["CompositeAlarm"])["AlarmHistoryItems"]
        assert (item["AlarmName"], item["AlarmType"]) == ("c", "CompositeAlarm")
        of = {"Namespace": "AWS/DynamoDB", "MetricName": "ReadThrottleEvents"}
        assert len(alarms.describe_alarms_for_metric(**of)["MetricAlarms"]) == 1

    def test_children_and_parents(self, alarms):
        alarms.put()
        alarms.put_composite_alarm(AlarmName="c", AlarmRule=f"ALARM({ARN})")
        alarms.put_composite_alarm(AlarmName="d", AlarmRule='OK("c") OR ALARM("alarm")')
        children = alarms.describe_alarms(ChildrenOfAlarmName="d")
        assert [one["AlarmName"] for one in children["CompositeAlarms"]] == ["c"]
        members = {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}
        assert [set(one) for one in children["MetricAlarms"]] == [members]
        parents = alarms.describe_alarms(ParentsOfAlarmName="alarm")
        assert [one["AlarmName"] for one in parents["CompositeAlarms"]] == ["c", "d"]
        assert set(parents["CompositeAlarms"][0]) == {"AlarmName", "AlarmArn"}
        assert alarms.describe_alarms(ChildrenOfAlarmName="alarm")["MetricAlarms"] == []
        both = {"ChildrenOfAlarmName": "d", "AlarmTypes": ["MetricAlarm"]}
        assert alarms.refused("DescribeAlarms", **both)[0] == "InvalidParameterCombinationException"

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"AlarmRule": "ALARM(x) OR OK(alarm)"},
             f"Could not save the composite alarm as alarms [{ARN.replace(':alarm:alarm', ':alarm:x')}] in the alarm "
             "rule do not exist"),
            ({"AlarmRule": f"ALARM({ARN.replace('us-east-1', 'us-west-2')})"},
             f"Could not save the composite alarm as alarms [{ARN.replace('us-east-1', 'us-west-2')}] in the alarm "
             "rule do not exist"),
            ({"AlarmRule": "ALARM(c)"}, "AlarmRule must not name the alarm itself"),
            ({"AlarmRule": "ALARM(alarm) AND"}, "AlarmRule is invalid: unexpected end"),
            ({"AlarmName": "alarm"},
             "alarm is an alarm of the other type: metric alarms and composite alarms share their names"),
            ({"AlarmActions": ["arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:p"]},
             "A composite alarm cannot have the action arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:p"),
            ({**SUPPRESSOR, "ActionsSuppressor": "x"},
             f"Could not save the composite alarm as the suppressor alarm {ARN.replace(':alarm:alarm', ':alarm:x')} "
             "does not exist"),
            ({**SUPPRESSOR, "ActionsSuppressor": "c"}, "ActionsSuppressor must not name the alarm itself"),
            ({"ActionsSuppressorWaitPeriod": 1}, "ActionsSuppressorWaitPeriod needs an ActionsSuppressor"),
        ],
    )  # fmt: skip
    def test_refused(self, alarms, more, message):
        alarms.put()
        body = {"AlarmName": "c", "AlarmRule": "TRUE", **more}
        assert alarms.refused("PutCompositeAlarm", **body) == ("ValidationException", message)

    def test_a_suppressor(self, alarms):
        alarms.put()
        alarms.put_composite_alarm(AlarmName="c", AlarmRule="TRUE", **SUPPRESSOR)
        (shown,) = alarms.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        assert {name: shown[name] for name in SUPPRESSOR} == SUPPRESSOR
        assert "ActionsSuppressedBy" not in shown
        alarms.set_alarm_state(AlarmName="c", StateValue="ALARM", StateReason="by hand")
        (shown,) = alarms.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        assert (shown["ActionsSuppressedBy"], shown["ActionsSuppressedReason"]) == (
            "WaitPeriod",
            "Actions suppressed by WaitPeriod",
        )

    @pytest.mark.parametrize("member", ["ActionsSuppressorWaitPeriod", "ActionsSuppressorExtensionPeriod"])
    def test_periods_of_a_suppressor(self, alarms, member):
        alarms.put()
        body = {"AlarmName": "c", "AlarmRule": "TRUE", **SUPPRESSOR}
        lacking = {name: value for name, value in body.items() if name != member}
        assert alarms.refused("PutCompositeAlarm", **lacking)[0] == "MissingRequiredParameterException"
        negative = alarms.refused("PutCompositeAlarm", **body | {member: -1})
        assert negative == ("InvalidParameterValueException", f"The parameter {member} must not be negative.")

    def test_a_composite_alarm_does_not_become_one_on_a_metric(self, alarms):
        alarms.put_composite_alarm(AlarmName=NAME, AlarmRule="TRUE")
        assert alarms.refused("PutMetricAlarm", **BASIC)[0] == "ValidationException"

    def test_tags_and_deletion(self, alarms):
        alarms.put_composite_alarm(AlarmName=NAME, AlarmRule="TRUE", Tags=[{"Key": "a", "Value": "b"}])
        assert alarms.list_tags_for_resource(ResourceARN=ARN) == {"Tags": [{"Key": "a", "Value": "b"}]}
        alarms.delete_alarms(AlarmNames=[NAME])
        assert alarms.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"] == []


@pytest.mark.parametrize(
    ("operation", "body", "resources"),
    [
        ("PutMetricAlarm", BASIC, ["arn:aws:cloudwatch:{region}:{account}:alarm:alarm"]),
        ("DeleteAlarms", {"AlarmNames": ["a", "b"]},
         ["arn:aws:cloudwatch:{region}:{account}:alarm:a", "arn:aws:cloudwatch:{region}:{account}:alarm:b"]),
        ("DescribeAlarms", {}, ["*"]),
        ("TagResource", {"ResourceARN": ARN, "Tags": []}, [ARN]),
        ("GetMetricData", {"MetricDataQueries": []}, ["*"]),
    ],
)  # fmt: skip
def test_policies_may_name_alarms(operation, body, resources):
    row = services.TARGETS[f"GraniteServiceVersion20100801.{operation}".encode()]
    found = checks_of(row, body)
    assert [check.resource for check in found] == resources
    assert {check.action for check in found} == {f"cloudwatch:{operation}"}
