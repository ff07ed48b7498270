"""CloudWatch's operations on metrics, in each of its protocols."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll.testing import LocalServer
from tests.metrics.conftest import MINUTE, START, client, statistics, table

THINGS = [{"Name": "TableName", "Value": "Things"}]
RANGE: dict[str, Any] = {"StartTime": START - 60 * MINUTE, "EndTime": START + 60 * MINUTE}


def put(cloudwatch: Any, *data: dict[str, Any], namespace: str = "App") -> None:
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "Orders", **one} for one in data])


def query(id: str, stat: str = "Sum", *, name: str = "Orders", period: int = 60, **more: Any) -> dict[str, Any]:
    dimensions = more.pop("dimensions", [])
    metric = {"Namespace": more.pop("namespace", "App"), "MetricName": name, "Dimensions": dimensions}
    unit = {"Unit": more.pop("unit")} if "unit" in more else {}
    return {"Id": id, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat, **unit}, **more}


def data(cloudwatch: Any, *queries: dict[str, Any], **more: Any) -> Any:
    return cloudwatch.get_metric_data(MetricDataQueries=list(queries), **{**RANGE, **more})


def refused(ask: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        ask()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_put_data_is_read_back(cloudwatch: Any) -> None:
    put(cloudwatch, {"Value": 2}, {"Value": 4, "Timestamp": START - MINUTE}, {"Values": [1, 3], "Counts": [3, 1]})
    found = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="Orders", Period=60, ExtendedStatistics=["p50"],
        Statistics=["Sum", "SampleCount", "Average", "Minimum", "Maximum"], **RANGE,
    )  # fmt: skip
    assert found["Label"] == "Orders"
    assert sorted(found["Datapoints"], key=lambda one: one["Timestamp"]) == [
        {"Timestamp": START - MINUTE, "SampleCount": 1, "Average": 4, "Sum": 4, "Minimum": 4, "Maximum": 4,
         "ExtendedStatistics": {"p50": 4}, "Unit": "None"},
        {"Timestamp": START, "SampleCount": 5, "Average": 1.6, "Sum": 8, "Minimum": 1, "Maximum": 3,
         "ExtendedStatistics": {"p50": 1}, "Unit": "None"},
    ]  # fmt: skip


def test_metrics_of_tables_are_read_by_their_dimensions(server: LocalServer, cloudwatch: Any) -> None:
    things = table(server)
    for _ in range(3):
        things.put_item(Item={"pk": "a"})
    assert statistics(cloudwatch, "ConsumedWriteCapacityUnits", TableName="Things") == [(0, 3)]
    assert statistics(cloudwatch, "ConsumedWriteCapacityUnits", TableName="Others") == []
    found = cloudwatch.list_metrics(Namespace="AWS/DynamoDB", MetricName="ConsumedWriteCapacityUnits")["Metrics"]
    assert found == [{"Namespace": "AWS/DynamoDB", "MetricName": "ConsumedWriteCapacityUnits", "Dimensions": THINGS}]


def test_several_metrics_and_an_expression_are_read_together(cloudwatch: Any) -> None:
    for minutes in range(3):
        put(cloudwatch, {"Value": 10 * minutes, "Timestamp": START - minutes * MINUTE})
    answer = data(
        cloudwatch, query("m1", ReturnData=False), query("m2", "Maximum"), {"Id": "e1", "Expression": "m1 * 2"}
    )
    assert answer["Messages"] == []
    first, second = answer["MetricDataResults"]
    assert (first["Id"], first["Label"], first["StatusCode"]) == ("m2", "Orders Maximum", "Complete")
    assert first["Timestamps"] == [START, START - MINUTE, START - 2 * MINUTE]
    assert first["Values"] == [0, 10, 20]
    assert (second["Id"], second["Label"], second["Values"]) == ("e1", "e1", [0, 20, 40])


def test_an_unknown_metric_has_an_empty_result(cloudwatch: Any) -> None:
    (found,) = data(cloudwatch, query("m1", name="Nothing"))["MetricDataResults"]
    assert found == {"Id": "m1", "Label": "Nothing", "Timestamps": [], "Values": [], "StatusCode": "Complete"}


def test_labels_show_the_differences_between_queries(cloudwatch: Any) -> None:
    queries = [query("a"), query("b", "Average", period=300), query("c", Label="mine")]
    found = data(cloudwatch, *queries)["MetricDataResults"]
    assert [one["Label"] for one in found] == ["Orders Sum 60", "Orders Average 300", "mine"]


def test_mixed_units_are_reported_and_a_unit_selects(cloudwatch: Any) -> None:
    put(cloudwatch, {"Value": 1, "Unit": "Seconds"}, {"Value": 5, "Unit": "Milliseconds"})
    mixed, seconds, none = data(cloudwatch, query("m1"), query("m2", unit="Seconds"), query("m3", unit="Bytes"))[
        "MetricDataResults"
    ]
    told = "Multiple units returned: '[Milliseconds, Seconds]'"
    assert mixed["Messages"] == [{"Code": "MultipleUnits", "Value": told}]
    assert (seconds["Values"], none["Values"]) == ([1], [])
    found = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="Orders", Period=60, Statistics=["Sum"], **RANGE
    )
    assert sorted((one["Unit"], one["Sum"]) for one in found["Datapoints"]) == [("Milliseconds", 5), ("Seconds", 1)]


def test_results_are_paged_by_their_datapoints(cloudwatch: Any) -> None:
    put(cloudwatch, *({"Value": n, "Timestamp": START - n * MINUTE} for n in range(5)))
    found: list[tuple[str, float]] = []
    token: dict[str, str] = {}
    pages = 0
    while True:
        page = data(cloudwatch, query("a"), query("b"), MaxDatapoints=3, ScanBy="TimestampAscending", **token)
        found += [(one["Id"], value) for one in page["MetricDataResults"] for value in one["Values"]]
        pages += 1
        if "NextToken" not in page:
            break
        assert page["MetricDataResults"][-1]["StatusCode"] == "PartialData"
        token = {"NextToken": page["NextToken"]}
    assert found == [(id, n) for id in "ab" for n in (4, 3, 2, 1, 0)]
    assert pages == 4


def test_periods_begin_at_the_start_of_the_request(cloudwatch: Any) -> None:
    put(cloudwatch, *({"Value": 1, "Timestamp": START + n * MINUTE} for n in range(10)))
    (found,) = data(
        cloudwatch,
        query("m1", period=300),
        StartTime=START + timedelta(minutes=2, seconds=10),
        EndTime=START + 30 * MINUTE,
    )["MetricDataResults"]
    assert found["Timestamps"] == [START + 7 * MINUTE, START + 2 * MINUTE]
    assert found["Values"] == [3, 5]


def test_metrics_are_listed_in_pages_by_namespace_name_and_dimensions(cloudwatch: Any) -> None:
    for chunk in range(3):
        names = [f"M{chunk}-{n:03}" for n in range(250)]
        dimensions = [{"Name": "Host", "Value": "a"}, {"Name": "Chunk", "Value": str(chunk)}]
        cloudwatch.put_metric_data(
            Namespace="App",
            MetricData=[{"MetricName": name, "Value": 1, "Dimensions": dimensions} for name in names],
        )
    pages = list(cloudwatch.get_paginator("list_metrics").paginate(Namespace="App"))
    assert [len(page["Metrics"]) for page in pages] == [500, 250]
    chosen = cloudwatch.list_metrics(Dimensions=[{"Name": "Chunk", "Value": "2"}, {"Name": "Host"}])["Metrics"]
    assert {one["MetricName"][:2] for one in chosen} == {"M2"}
    assert cloudwatch.list_metrics(Namespace="Other")["Metrics"] == []


MULTIPLE, INVALID = "InvalidParameterCombination", "InvalidParameterValue"
SUMMARY = {"SampleCount": 1, "Sum": 1, "Minimum": 1, "Maximum": 1}
OLD, LATE = START - timedelta(days=15), START + timedelta(hours=3)
DATUM = "MetricData.member.1"
REFUSED: list[tuple[list[dict[str, Any]], str, str]] = [
    ([{"Value": 1, "Values": [1]}], MULTIPLE,
     "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have "
     "specified both."),
    ([{"Value": 1}, {"Value": 1, "StatisticValues": SUMMARY}], MULTIPLE,
     "The parameters MetricData.member.2.Value and MetricData.member.2.StatisticValues are mutually exclusive and you "
     "have specified both."),
    ([{"Values": [1, 2], "Counts": [1]}], "InvalidParameterValue",
     "The parameters MetricData.member.1.Values and MetricData.member.1.Counts must be of the same size."),
    ([{"Value": 1, "Unit": "Pounds"}], "ValidationError", "1 validation error detected: Value 'Pounds' at "),
    ([{"Value": 2.0 ** 361}], "InvalidParameterValue", "The parameter MetricData.member.1.Value must be between"),
    ([{"Value": 1, "Timestamp": OLD}], INVALID, f"The parameter {DATUM}.Timestamp"),
    ([{"Value": 1, "Timestamp": LATE}], INVALID, f"The parameter {DATUM}.Timestamp"),
    ([{}], MULTIPLE, "At least one of the parameters"),
    ([{"Value": 1, "StorageResolution": 5}], INVALID, f"The parameter {DATUM}.StorageResolution"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "code", "message"), REFUSED, ids=range(len(REFUSED)))
def test_invalid_data_is_refused_as_a_whole(cloudwatch: Any, given: list[Any], code: str, message: str) -> None:
    found = refused(lambda: put(cloudwatch, {"Value": 1}, *given) if len(given) > 1 else put(cloudwatch, *given))
    expected = message.replace("member.2.", "member.3.") if len(given) > 1 else message
    assert found[0] == code
    assert found[1].startswith(expected)
    assert cloudwatch.list_metrics()["Metrics"] == []


def test_requests_that_make_no_sense_are_refused(cloudwatch: Any) -> None:
    def statistics(**more: Any) -> Any:
        ask = {"Namespace": "App", "MetricName": "M", "Period": 60, "Statistics": ["Sum"], **RANGE, **more}
        return lambda: cloudwatch.get_metric_statistics(**{key: value for key, value in ask.items() if value})

    assert refused(statistics(StartTime=RANGE["EndTime"])) == (
        "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.",
    )  # fmt: skip
    assert refused(statistics(StartTime=START - timedelta(days=59), EndTime=START + timedelta(days=1))) == (
        "InvalidParameterCombination",
        "You have requested up to 86400 datapoints, which exceeds the limit of 1440. You may reduce the datapoints "
        "requested by increasing Period, or decreasing the time range.",
    )
    assert refused(statistics(Period=61))[0] == "InvalidParameterValue"
    assert refused(statistics(Statistics=None))[0] == "InvalidParameterCombination"
    assert refused(statistics(Statistics=None, ExtendedStatistics=["p101"]))[0] == "InvalidParameterValue"
    assert refused(lambda: data(cloudwatch, query("M1")))[0] == "ValidationError"
    assert refused(lambda: data(cloudwatch, query("m1"), query("m1")))[0] == "ValidationError"
    assert refused(lambda: data(cloudwatch, query("m1", "Median")))[0] == "InvalidParameterValue"
    assert refused(lambda: data(cloudwatch, {"Id": "e1", "Expression": "m9"}))[0] == "ValidationError"
    assert refused(lambda: data(cloudwatch, query("m1", ReturnData=False)))[0] == "ValidationError"
    assert refused(lambda: data(cloudwatch, query("m1"), NextToken="x"))[0] == "InvalidNextToken"
    assert refused(lambda: cloudwatch.list_metrics(NextToken="x"))[0] == "InvalidNextToken"
    assert refused(lambda: put(cloudwatch, {"Value": 1}, namespace="AWS/Mine"))[0] == "InvalidParameterValue"
    assert refused(lambda: put(cloudwatch, {"Value": 1}, namespace=":mine"))[0] == "ValidationError"


def test_large_data_is_sent_compressed(cloudwatch: Any) -> None:
    """botocore compresses bodies of 10,240 bytes and more."""
    put(cloudwatch, *({"Values": [float(n) for n in range(100)], "Unit": "Count"} for _ in range(100)))
    (found,) = data(cloudwatch, query("m1", "SampleCount"))["MetricDataResults"]
    assert found["Values"] == [10_000]


def test_the_error_has_the_code_of_the_query_protocol_and_its_shape(server: LocalServer) -> None:
    with pytest.raises(ClientError) as caught:
        client(server).get_metric_statistics(
            Namespace="A", MetricName="M", Period=60, Statistics=["Sum"], StartTime=START, EndTime=START
        )
    assert caught.value.response["Error"] | {"Message": ""} == {
        "Code": "InvalidParameterValue", "QueryErrorCode": "InvalidParameterValueException", "Type": "Sender",
        "Message": "",
    }  # fmt: skip


def test_metrics_are_those_of_a_region(server: LocalServer, cloudwatch: Any) -> None:
    put(cloudwatch, {"Value": 1})
    other = server.client("cloudwatch", region_name="eu-west-1")
    assert other.list_metrics()["Metrics"] == []
    assert len(cloudwatch.list_metrics()["Metrics"]) == 1


def test_a_time_before_1970_is_no_failure(cloudwatch: Any) -> None:
    old = datetime(1900, 1, 1, tzinfo=UTC)
    assert (
        data(cloudwatch, query("m1", period=3600), StartTime=old, EndTime=START)["MetricDataResults"][0]["Values"] == []
    )


def test_a_search_finds_metrics(cloudwatch: Any) -> None:
    for host, value in (("a", 1), ("b", 2)):
        put(cloudwatch, {"Value": value, "Dimensions": [{"Name": "Host", "Value": host}]})
    put(cloudwatch, {"Value": 9})
    found = data(cloudwatch, {"Id": "e1", "Expression": "SEARCH('{App,Host} orders', 'Sum', 300)"})
    assert [(one["Id"], one["Label"], one["Values"]) for one in found["MetricDataResults"]] == [
        ("e1", "a", [1]),
        ("e1", "b", [2]),
    ]
    total = data(cloudwatch, {"Id": "e1", "Expression": "SUM(SEARCH('{App,Host}', 'Sum', 60))"})
    assert [one["Values"] for one in total["MetricDataResults"]] == [[3]]
    assert data(cloudwatch, {"Id": "e1", "Expression": "SEARCH('{App,None}', 'Sum')"})["MetricDataResults"] == []


@pytest.mark.parametrize("search", ["SEARCH('{', 'Sum')", "SEARCH('x', 'Most')", "SEARCH('x', 'Sum', 60 + 0)",
                                    "SEARCH('x')", "SEARCH('x', 'Sum', 61)"])  # fmt: skip
def test_searches_that_cannot_be(cloudwatch: Any, search: str) -> None:
    code, _ = refused(lambda: data(cloudwatch, {"Id": "e1", "Expression": search}))
    assert code in ("ValidationError", "InvalidParameterValue")


@pytest.mark.parametrize(
    ("age", "period", "found"),
    [
        (timedelta(hours=3), 30, True), (timedelta(hours=3, minutes=1), 30, False), (timedelta(days=15), 60, True),
        (timedelta(days=16), 60, False), (timedelta(days=16), 300, True), (timedelta(days=16), 420, False),
        (timedelta(days=63), 300, True), (timedelta(days=64), 300, False), (timedelta(days=64), 7200, True),
    ],
)  # fmt: skip
def test_a_period_that_is_too_fine_for_the_start_finds_nothing(
    cloudwatch: Any, age: timedelta, period: int, found: bool
) -> None:
    put(cloudwatch, {"Value": 7, "Timestamp": START - MINUTE})
    span = {"StartTime": START - age, "EndTime": START + MINUTE}
    queries = [query("m1", period=period), {"Id": "e1", "Expression": "m1 * 2"}]
    for asked in (queries[:1], queries):
        answer = cloudwatch.get_metric_data(MetricDataQueries=asked, **span)["MetricDataResults"]
        assert [one["Values"] for one in answer] == [[7], [14]][: len(asked)] if found else [[]] * len(asked)
        assert {one["StatusCode"] for one in answer} == {"Complete"}
