"""The metrics that SEARCH finds."""

from __future__ import annotations

import pytest

from atoll.errors.metric_math import Fault
from atoll.metrics.math.search import candidate, matcher
from atoll.metrics.series import Metric

READS = Metric("AWS/DynamoDB", "ReadThrottleEvents", (("TableName", "my-orders"),))
WRITES = Metric("AWS/DynamoDB", "WriteThrottleEvents", (("TableName", "customers"),))
INDEX = Metric("AWS/DynamoDB", "ReadThrottleEvents", (("GlobalSecondaryIndexName", "by-day"), ("TableName", "stock")))
OWN = Metric("My App", "Errors", (("Host Name", "a1"),))
ALL = [READS, WRITES, INDEX, OWN]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{AWS/DynamoDB,TableName}", [READS, WRITES]),
        ("{AWS/DynamoDB, TableName} ", [READS, WRITES]),
        ("{AWS/DynamoDB,TableName,GlobalSecondaryIndexName}", [INDEX]),
        ("{AWS/DynamoDB}", []),
        ('{"My App","Host Name"}', [OWN]),
        ("{My App,Host Name} errors", [OWN]),
        ("{AWS/DynamoDB,TableName} Throttle", [READS, WRITES]),
        ("{AWS/DynamoDB,TableName} Read", [READS]),
        ("{AWS/DynamoDB,TableName} readThrottle", [READS]),
        ("{AWS/DynamoDB,TableName} Rea", []),
        ("{AWS/DynamoDB,TableName} orders", [READS]),
        ('{AWS/DynamoDB,TableName} "orders"', []),
        ('{AWS/DynamoDB,TableName} "my-orders"', [READS]),
        ('TableName="customers"', [WRITES]),
        ("TableName=orders", [READS]),
        ('MetricName="ReadThrottleEvents"', [READS, INDEX]),
        ('MetricName="ReadThrottleEvents" NOT TableName=my', [INDEX]),
        ('Namespace="My App"', [OWN]),
        ("read OR errors", [READS, INDEX, OWN]),
        ("read orders OR errors", [READS, OWN]),
        ("throttle AND (customers OR day)", [WRITES, INDEX]),
        ("NOT (throttle)", [OWN]),
        ("NOT throttle OR customers", [WRITES, OWN]),
    ],
)
def test_terms(text, found):
    assert [metric for metric in ALL if matcher(text)(candidate(metric))] == found


@pytest.mark.parametrize("text", ["", "()", "(a", "a)", "OR a", "a OR", "NOT", "={", "{} a", '{"a} b', "(" * 50, 'a="'])
def test_invalid_searches(text):
    with pytest.raises(Fault):
        matcher(text)
