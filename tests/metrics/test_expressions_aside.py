"""Metric math, which may take a second of work, runs in a thread."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from atoll.api import metric_data
from atoll.testing import LocalServer
from tests.metrics.conftest import MINUTE, START, client

STAT = {"Id": "q", "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "Calls"}, "Period": 60, "Stat": "Sum"}}
DOUBLE = {"Id": "e", "Expression": "q * 2"}
WRONG = {"Id": "e", "Expression": "q *"}


@pytest.mark.parametrize(("queries", "aside"), [([STAT], False), ([STAT, DOUBLE], True), ([STAT, WRONG], True)])
def test_expressions_are_evaluated_in_a_thread(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, queries: list[dict[str, Any]], aside: bool
) -> None:
    evaluated, threads = metric_data._evaluated, []

    def recorded(*args: Any) -> Any:
        threads.append(threading.current_thread().name)
        return evaluated(*args)

    monkeypatch.setattr(metric_data, "_evaluated", recorded)
    cloudwatch = client(server)
    cloudwatch.put_metric_data(Namespace="App", MetricData=[{"MetricName": "Calls", "Value": 3, "Timestamp": START}])
    server.clock.advance(60)
    try:
        answer = cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=START, EndTime=START + MINUTE)
    except cloudwatch.exceptions.ClientError as error:
        assert WRONG in queries
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    else:
        assert [one["Values"] for one in answer["MetricDataResults"]] == [[3.0], [6.0]][: len(queries)]
    assert [name.startswith("atoll-large") for name in threads] == [aside]
