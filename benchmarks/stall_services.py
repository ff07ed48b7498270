"""The slowest requests to other services than DynamoDB: CloudWatch in its three protocols, Application Auto Scaling,
STS, Lambda, the administration and `/metrics`. `load` fills a server whose clock is manual.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import cbor2

from benchmarks.client import UNVERIFIED, Client
from benchmarks.servers import HOST
from benchmarks.stall_requests import NOTHING, Request

Body = dict[str, Any]

CLOUDWATCH = "GraniteServiceVersion20100801"
SCALING = "AnyScaleFrontendService"
STS_VERSION = "2011-06-15"

ALARMS = 2_500
NAMES = 11_000
DAYS = 15
DAY_S = 24 * 3600
LONG = 3
"""How many metrics have a datapoint in each minute of two weeks."""
FUNCTION = "stalls"
FUNCTIONS = f'[functions.{FUNCTION}]\ncommand = ["cat"]\n'
"""The functions file of the server."""
_START = [0.0]
_STREAM = [""]


# Requests


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Authorization: {UNVERIFIED}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def in_json(service: str, operation: str, body: Body) -> bytes:
    content = json.dumps(body, separators=(",", ":")).encode()
    kind = "application/x-amz-json-1.1" if service == SCALING else "application/x-amz-json-1.0"
    return http("POST", "/", content, Content_Type=kind, X_Amz_Target=f"{service}.{operation}")


def in_cbor(operation: str, body: Body) -> bytes:
    path = f"/service/{CLOUDWATCH}/operation/{operation}"
    return http("POST", path, cbor2.dumps(body), Content_Type="application/cbor", smithy_protocol="rpc-v2-cbor")


def in_form(operation: str, fields: dict[str, Any], version: str = "2010-08-01") -> bytes:
    content = urlencode({"Action": operation, "Version": version, **fields}).encode()
    return http("POST", "/", content, Content_Type="application/x-www-form-urlencoded; charset=utf-8")


# Data


def load(client: Client) -> None:
    """Create tables that are idle for two weeks, metrics with a datapoint in each minute, many metric names, and
    alarms."""
    for number in range(20):
        _call(client, "DynamoDB_20120810", "CreateTable", _table(f"Table{number}"))
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    client.call("UpdateTable", {"TableName": "Table1", "StreamSpecification": stream})
    _STREAM[0] = client.call("DescribeTable", {"TableName": "Table1"}).body["Table"]["LatestStreamArn"]
    moved = client.exchange(http("POST", "/_atoll/clock", b'{"advance": "15d"}', Content_Type="application/json"))
    now_s = _START[0] = moved.body["now_ms"] / 1000
    first_s = int(now_s) // 60 * 60 - 14 * DAY_S + 3600
    times = range(first_s, int(now_s) + 1, 60)
    for metric in range(LONG):
        for start in range(0, len(times), 1_000):
            data = [{"MetricName": f"Long{metric}", "Timestamp": at, "Value": at % 97} for at in times[start:][:1_000]]
            _call(client, CLOUDWATCH, "PutMetricData", {"Namespace": "Stalls", "MetricData": data})
    for start in range(0, NAMES, 1_000):
        data = [_named(number) for number in range(start, start + 1_000)]
        _call(client, CLOUDWATCH, "PutMetricData", {"Namespace": "Named", "MetricData": data})
    for number in range(ALARMS):
        _call(client, CLOUDWATCH, "PutMetricAlarm", alarm(f"alarm{number}"))


def _named(number: int) -> Body:
    return {
        "MetricName": f"Requests{number % 10}",
        "Value": 1,
        "Dimensions": [{"Name": "Of", "Value": f"Part{number}"}],
    }


def alarm(name: str) -> Body:
    return {
        "AlarmName": name, "Namespace": "Stalls", "MetricName": "Long0", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 3, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
        "AlarmDescription": "d" * 1_000,
    }  # fmt: skip


def _table(name: str) -> Body:
    return {
        "TableName": name, "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    }  # fmt: skip


def _call(client: Client, service: str, operation: str, body: Body) -> None:
    answer = client.exchange(in_json(service, operation, body))
    assert answer.ok, answer


# The worst requests


def requests() -> Iterator[Request]:
    yield Request(NOTHING, http("GET", "/metrics"))
    for family in (_puts, _reads, _math, _searches, _alarms, _scaling, _lambda, _administration, _others):
        for name, sent in family():
            yield Request(name, sent)


def _span(days: float = DAYS) -> Body:
    end = int(_START[0]) + 60
    return {"StartTime": end - days * DAY_S, "EndTime": end}


def _puts() -> Iterator[tuple[str, bytes]]:
    values = {"Values": [n / 7 for n in range(150)], "Counts": [1] * 150}
    many = {"Namespace": "Put", "MetricData": [{"MetricName": f"m{n}", **values} for n in range(1_000)]}
    distinct = {"Namespace": "Put", "MetricData": [
        {"MetricName": "m", "Values": [n + 1_000 * m for m in range(150)]} for n in range(1_000)
    ]}  # fmt: skip
    short = {
        "Namespace": "Put",
        "MetricData": [{"MetricName": f"m{n}", "Values": list(range(150))} for n in range(1_000)],
    }
    yield "PutMetricData 150,000 values of one metric", in_json(CLOUDWATCH, "PutMetricData", distinct)
    yield "PutMetricData 150,000 values", in_json(CLOUDWATCH, "PutMetricData", many)
    yield "PutMetricData 150,000 values, CBOR", in_cbor("PutMetricData", short)
    yield (
        "PutMetricData 1,000,000 data",
        in_json(CLOUDWATCH, "PutMetricData", {"Namespace": "P", "MetricData": [{}] * 300_000}),
    )
    yield (
        "PutMetricData 900,000 dimensions",
        in_json(
            CLOUDWATCH,
            "PutMetricData",
            {"Namespace": "P", "MetricData": [{"MetricName": "m", "Value": 1, "Dimensions": [{}] * 300_000}]},
        ),
    )
    yield (
        "PutMetricData 500,000 values, CBOR",
        in_cbor("PutMetricData", {"Namespace": "P", "MetricData": [{"MetricName": "m", "Values": [1] * 1_000_000}]}),
    )
    yield (
        "PutMetricData form of 20,000 fields",
        in_form(
            "PutMetricData",
            {
                "Namespace": "P",
                "MetricData.member.1.MetricName": "m",
                **{f"MetricData.member.1.Values.member.{n}": n for n in range(1, 20_000)},
            },
        ),
    )
    yield (
        "PutMetricData form of 60,000 unknown fields",
        in_form("PutMetricData", {f"a.b.{n}": n for n in range(60_000)}),
    )
    yield (
        "nested CBOR",
        http(
            "POST",
            f"/service/{CLOUDWATCH}/operation/PutMetricData",
            b"\x81" * 1_000_000,
            Content_Type="application/cbor",
            smithy_protocol="rpc-v2-cbor",
        ),
    )


def _query(number: int, name: str = "Long0", period: int = 60, stat: str = "Sum", **members: Any) -> Body:
    return {"Id": f"q{number}", "MetricStat": {
        "Metric": {"Namespace": "Stalls", "MetricName": name}, "Period": period, "Stat": stat}, **members}  # fmt: skip


def _reads() -> Iterator[tuple[str, bytes]]:
    def data(queries: list[Body], **members: Any) -> Body:
        return {"MetricDataQueries": queries, **_span(), **members}

    five = data([_query(n, f"Long{n % LONG}") for n in range(5)])
    yield "GetMetricData 100,000 datapoints", in_json(CLOUDWATCH, "GetMetricData", five)
    yield "GetMetricData 100,000 datapoints, CBOR", in_cbor("GetMetricData", five)
    yield (
        "GetMetricData 100,000 datapoints, XML",
        in_form(
            "GetMetricData",
            {"StartTime": "2020-01-01T00:00:00Z", "EndTime": "2040-01-01T00:00:00Z"}
            | {
                f"MetricDataQueries.member.{n}.{name}": value
                for n in range(1, 6)
                for name, value in {
                    "Id": f"q{n}",
                    "MetricStat.Metric.Namespace": "Stalls",
                    "MetricStat.Metric.MetricName": "Long0",
                    "MetricStat.Period": 60,
                    "MetricStat.Stat": "Sum",
                }.items()
            },
        ),
    )
    different = data([_query(n, period=3600, stat=f"p{n}") for n in range(100)])
    yield "GetMetricData 100 different queries by the hour", in_json(CLOUDWATCH, "GetMetricData", different)
    empty = {"Namespace": "P", "MetricData": [{}] * 900_000}
    yield "PutMetricData 900,000 empty maps, CBOR", in_cbor("PutMetricData", empty)
    yield "GetMetricData 500 queries", in_json(CLOUDWATCH, "GetMetricData", data([_query(n) for n in range(500)]))
    of_table = {"Namespace": "AWS/DynamoDB", "MetricName": "ConsumedReadCapacityUnits",
                "Dimensions": [{"Name": "TableName", "Value": "Table1"}]}  # fmt: skip
    idle = [{"Id": f"q{n}", "MetricStat": {"Metric": of_table, "Period": 60, "Stat": "Sum"}} for n in range(500)]
    yield "GetMetricData 500 idle tables", in_json(CLOUDWATCH, "GetMetricData", data(idle))
    yield (
        "GetMetricData 500 queries by the hour",
        in_json(CLOUDWATCH, "GetMetricData", data([_query(n, f"Long{n % LONG}", 3600, "p99") for n in range(500)])),
    )
    yield (
        "GetMetricData last page",
        in_json(CLOUDWATCH, "GetMetricData", data([_query(n) for n in range(20)], NextToken="MTkuMA==")),
    )
    yield "GetMetricData 200,000 queries", in_json(CLOUDWATCH, "GetMetricData", data([{"Id": "a"}] * 200_000))
    yield "GetMetricData one second", in_json(CLOUDWATCH, "GetMetricData", data([_query(1, period=1)]))
    yield (
        "GetMetricStatistics 1,440",
        in_json(
            CLOUDWATCH,
            "GetMetricStatistics",
            {
                "Namespace": "Stalls",
                "MetricName": "Long0",
                "Period": 60,
                **_span(1 - 2 / 1_440),
                "Statistics": ["Sum", "Average"],
                "ExtendedStatistics": ["p50", "p90", "tm99", "wm10", "IQM", "PR(1:20)"],
            },
        ),
    )
    yield (
        "GetMetricStatistics 10,000 statistics",
        in_json(
            CLOUDWATCH,
            "GetMetricStatistics",
            {
                "Namespace": "Stalls",
                "MetricName": "Long0",
                "Period": 60,
                **_span(1),
                "ExtendedStatistics": [f"p{n / 1000}" for n in range(10_000)],
            },
        ),
    )
    for name, send in (("", lambda *one: in_json(CLOUDWATCH, *one)), (", CBOR", in_cbor), (", XML", in_form)):
        yield f"ListMetrics{name}", send("ListMetrics", {})
    yield "ListMetrics of a dimension", in_json(CLOUDWATCH, "ListMetrics", {"Dimensions": [{"Name": "Of"}]})
    yield (
        "ListMetrics 100,000 dimensions",
        in_json(CLOUDWATCH, "ListMetrics", {"Dimensions": [{"Name": "Of"}] * 100_000}),
    )


def _expressions(*texts: str, queries: int = 3, **members: Any) -> bytes:
    body = {"MetricDataQueries": [
        *[_query(n, f"Long{n % LONG}", ReturnData=False) for n in range(queries)],
        *[{"Id": f"e{n}", "Expression": text} for n, text in enumerate(texts)],
    ], **_span()}  # fmt: skip
    return in_json(CLOUDWATCH, "GetMetricData", body | members)


def _math() -> Iterator[tuple[str, bytes]]:
    yield "math sum of three", _expressions("q0+q1+q2")
    yield "math of METRICS()", _expressions("SUM(METRICS())", queries=100)
    yield "math 100 expressions", _expressions(*["RUNNING_SUM(q0)/q1" for _ in range(100)])
    yield "math long", _expressions("+".join(["q0"] * 600))
    yield "math nested", _expressions("(" * 900 + "q0" + ")" * 900)
    yield (
        "math squares",
        _expressions("SUM(METRICS())", *[f"e{n}*METRICS()" for n in range(8)]),
    )
    yield "math SORT", _expressions("SORT(METRICS(), AVG, DESC)", queries=200)
    yield "math FILL", _expressions(*["FILL(q0, LINEAR)" for _ in range(50)])


def _searches() -> Iterator[tuple[str, bytes]]:
    def search(*texts: str, days: float = DAYS) -> bytes:
        return in_json(CLOUDWATCH, "GetMetricData", {"MetricDataQueries": [
            {"Id": f"s{n}", "Expression": text} for n, text in enumerate(texts)], **_span(days)})  # fmt: skip

    yield "SEARCH all", search("SEARCH('{Named,Of} Requests', 'Sum', 3600)")
    yield "SEARCH all by the minute", search("SEARCH('{Named,Of} Requests', 'Sum', 60)")
    yield "SEARCH 100 times", search(*[f"SEARCH('{{Named,Of}} Part{n}', 'Sum', 60)" for n in range(100)])
    yield "SEARCH 500 long terms", search(*[f"SEARCH('Part{n} {'a ' * 400}', 'Sum', 60)" for n in range(500)])
    yield "SEARCH of alternatives", search("SEARCH('" + " OR ".join(f"Part{n}" for n in range(80)) + "', 'Sum', 60)")
    yield "SEARCH long metrics", search("SUM(SEARCH('{Stalls}', 'Sum', 60))")


def _alarms() -> Iterator[tuple[str, bytes]]:
    of = {"Namespace": "Stalls", "MetricName": "Long0"}
    yield "DescribeAlarmsForMetric", in_json(CLOUDWATCH, "DescribeAlarmsForMetric", of)
    yield "DescribeAlarmsForMetric, CBOR", in_cbor("DescribeAlarmsForMetric", of)
    yield "DescribeAlarmsForMetric, XML", in_form("DescribeAlarmsForMetric", of)
    yield (
        "DescribeAlarms none of a state",
        in_json(CLOUDWATCH, "DescribeAlarms", {"StateValue": "ALARM", "ActionPrefix": "x"}),
    )
    yield "DescribeAlarms 100", in_json(CLOUDWATCH, "DescribeAlarms", {"MaxRecords": 100})
    yield "DescribeAlarmHistory of nobody", in_json(CLOUDWATCH, "DescribeAlarmHistory", {"AlarmName": "nobody"})
    for number in range(5):
        yield f"PutMetricAlarm {number}", in_json(CLOUDWATCH, "PutMetricAlarm", alarm(f"new{number}"))
    yield (
        "PutMetricAlarm of math",
        in_json(
            CLOUDWATCH,
            "PutMetricAlarm",
            {
                "AlarmName": "math",
                "EvaluationPeriods": 1,
                "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "Metrics": [
                    *[_query(n, ReturnData=False) for n in range(9)],
                    {"Id": "e", "Expression": "+".join(["q1"] * 680), "ReturnData": True},
                ],
            },
        ),
    )
    yield (
        "PutMetricAlarm 300,000 metrics",
        in_json(
            CLOUDWATCH,
            "PutMetricAlarm",
            {
                "AlarmName": "math",
                "EvaluationPeriods": 1,
                "Threshold": 1.0,
                "ComparisonOperator": "GreaterThanThreshold",
                "Metrics": [{"Id": "a"}] * 300_000,
            },
        ),
    )
    names = [f"alarm{n}" for n in range(100)]
    yield "DisableAlarmActions 100", in_json(CLOUDWATCH, "DisableAlarmActions", {"AlarmNames": names})
    yield "DisableAlarmActions 1,000,000", in_json(CLOUDWATCH, "DisableAlarmActions", {"AlarmNames": ["a"] * 1_000_000})
    yield "DeleteAlarms 100", in_json(CLOUDWATCH, "DeleteAlarms", {"AlarmNames": names})
    yield (
        "SetAlarmState long",
        in_json(
            CLOUDWATCH,
            "SetAlarmState",
            {
                "AlarmName": "alarm200",
                "StateValue": "ALARM",
                "StateReason": "r",
                "StateReasonData": json.dumps({"a": [1] * 1_200}),
            },
        ),
    )
    rule = " OR ".join(f"ALARM(alarm{number})" for number in range(200, 300))
    for number in range(3):
        composite = {"AlarmName": f"composite{number}", "AlarmRule": rule}
        yield f"PutCompositeAlarm {number}", in_json(CLOUDWATCH, "PutCompositeAlarm", composite)
    nested = {"AlarmName": "nested", "AlarmRule": "(" * 5_000 + "TRUE" + ")" * 5_000}
    yield "PutCompositeAlarm nested", in_json(CLOUDWATCH, "PutCompositeAlarm", nested)
    yield "DescribeAlarms, parents", in_json(CLOUDWATCH, "DescribeAlarms", {"ParentsOfAlarmName": "alarm250"})
    yield "DescribeInsightRules", in_json(CLOUDWATCH, "DescribeInsightRules", {"MaxResults": 500})


def _scaling() -> Iterator[tuple[str, bytes]]:
    target = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": "table/Table1",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    yield (
        "RegisterScalableTarget 500,000 tags",
        in_json(
            SCALING,
            "RegisterScalableTarget",
            {**target, "MinCapacity": 1, "MaxCapacity": 2, "Tags": {f"k{n}": "v" for n in range(500_000)}},
        ),
    )
    yield (
        "DescribeScalableTargets 1,000,000 ids",
        in_json(
            SCALING,
            "DescribeScalableTargets",
            {"ServiceNamespace": "dynamodb", "ResourceIds": ["table/Table1"] * 800_000},
        ),
    )
    ranges = {"MinCapacity": 1, "MaxCapacity": 2}
    yield "RegisterScalableTarget", in_json(SCALING, "RegisterScalableTarget", target | ranges)
    yield (
        "PutScheduledAction long cron",
        in_json(
            SCALING,
            "PutScheduledAction",
            {**target, "ScheduledActionName": "a", "Schedule": "cron(" + "0-59/1," * 200 + "0 * * * ? *)"},
        ),
    )
    yield (
        "PutScheduledAction never",
        in_json(
            SCALING,
            "PutScheduledAction",
            {
                **target,
                "ScheduledActionName": "a",
                "Schedule": "cron(0 0 30 2 ? *)",
                "ScalableTargetAction": {"MinCapacity": 1},
            },
        ),
    )
    yield (
        "PutScalingPolicy 300,000 dimensions",
        in_json(
            SCALING,
            "PutScalingPolicy",
            {
                **target,
                "PolicyName": "p",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 50.0,
                    "CustomizedMetricSpecification": {
                        "Namespace": "a",
                        "MetricName": "m",
                        "Statistic": "Sum",
                        "Dimensions": [{"Name": "a", "Value": "b"}] * 300_000,
                    },
                },
            },
        ),
    )


def in_path(method: str, path: str, body: Any) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    return http(method, path, content, Content_Type="application/json")


def _lambda() -> Iterator[tuple[str, bytes]]:
    mappings, invocations = "/2015-03-31/event-source-mappings/", f"/2015-03-31/functions/{FUNCTION}/invocations"

    def mapping(patterns: list[str], **members: Any) -> bytes:
        filters = {"Filters": [{"Pattern": pattern} for pattern in patterns]}
        of = {"EventSourceArn": _STREAM[0], "FunctionName": FUNCTION, "StartingPosition": "LATEST"}
        return in_path("POST", mappings, of | {"FilterCriteria": filters} | members)

    alternatives = json.dumps({"dynamodb": {"NewImage": {"a": {"S": [{"prefix": f"{n}"} for n in range(190)]}}}})
    nested = '{"dynamodb":' * 90 + "{}" + "}" * 90
    yield "Lambda mapping with long filters", mapping([alternatives, nested] * 2)
    yield "Lambda mapping with filters too deep", mapping(['{"a":' * 800 + "[1]" + "}" * 800])
    yield "Lambda mapping with 60,000 filters", mapping(["{}"] * 60_000)
    yield "Lambda mapping with 500,000 topics", mapping([], Topics=["t"] * 500_000)
    yield "Lambda mappings", http("GET", mappings)
    yield "Lambda Invoke of 6 MB", in_path("POST", invocations, b"[" + b"1," * 2_900_000 + b"1]")
    yield "Lambda Invoke of objects", in_path("POST", invocations, b"[" + b"{}," * 1_900_000 + b"1]")
    yield "Lambda Invoke of brackets", in_path("POST", invocations, b"[" * 3_000_000 + b"]" * 3_000_000)


def _administration() -> Iterator[tuple[str, bytes]]:
    explain, faults = "/_atoll/policies/explain", "/_atoll/faults"
    root = {"principal": "arn:aws:iam::000000000000:root"}
    get = {"action": "dynamodb:GetItem", "resource": "*"}
    context = {f"k{n}": ["v"] for n in range(18_000)}
    item = {"pk": {"S": "a"}, **{f"a{n}": {"N": "1"} for n in range(18_000)}}
    put = {"operation": "PutItem", "request": {"TableName": "Table1", "Item": item}}
    yield "admin policies, context of 18,000 keys", in_path("POST", explain, root | get | {"context": context})
    yield (
        "admin policies, key of 19,000 values",
        in_path("POST", explain, root | get | {"context": {"k": [1] * 19_000}}),
    )
    yield "admin policies, item of 18,000 attributes", in_path("POST", explain, root | put)
    drop = {"fault": "dropped_connection", "table": "Nowhere"}
    yield "admin fault at a long key", in_path("POST", faults, drop | {"key": item})
    yield "admin fault of 18,000 operations", in_path("POST", faults, drop | {"operation": ["GetItem"] * 18_000})
    yield (
        "admin fault of 500,000 members, refused",
        in_path("POST", faults, drop | {f"m{n}": 1 for n in range(500_000)}),
    )
    for number in range(3):
        yield f"admin fault {number}", in_path("POST", faults, drop | {"seed": number})
    yield "admin faults", http("GET", faults)
    yield "admin faults removed", in_path("POST", faults, {"remove": "all"})


def _others() -> Iterator[tuple[str, bytes]]:
    yield (
        "AssumeRole form of 100,000 tags",
        in_form(
            "AssumeRole",
            {
                "RoleArn": "arn:aws:iam::000000000000:role/r",
                "RoleSessionName": "me",
                **{f"Tags.member.{n // 2}.{'Key' if n % 2 else 'Value'}": f"t{n // 2}" for n in range(2, 20_000)},
            },
            STS_VERSION,
        ),
    )
    yield (
        "AssumeRole policy of a megabyte",
        in_form(
            "AssumeRole",
            {"RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "me", "Policy": "[" * 900_000},
            STS_VERSION,
        ),
    )
    yield "/metrics", http("GET", "/metrics")
    yield "admin insights", http("GET", "/_atoll/insights")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "dynamodb:GetItem",
                "Resource": "arn:aws:dynamodb:*:*:table/" + "?*" * 4_000,
            }
        ],
    }
    yield (
        "PutResourcePolicy of wildcards",
        in_json(
            "DynamoDB_20120810",
            "PutResourcePolicy",
            {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Table1", "Policy": json.dumps(policy)},
        ),
    )
    many = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
                "Action": "dynamodb:*",
                "Resource": "*",
            }
        ]
        * 200,
    }
    yield (
        "PutResourcePolicy of statements",
        in_json(
            "DynamoDB_20120810",
            "PutResourcePolicy",
            {"ResourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Table1", "Policy": json.dumps(many)},
        ),
    )
    for name, operation, body in (
        ("ExportTableToPointInTime", "ExportTableToPointInTime", {"TableArn": "a" * 1_000_000, "S3Bucket": "b"}),
        ("ImportTable 300,000 headers", "ImportTable", {
            "S3BucketSource": {"S3Bucket": "b"}, "InputFormat": "CSV", "TableCreationParameters": _table("Imported"),
            "InputFormatOptions": {"Csv": {"HeaderList": ["h"] * 300_000}}}),
        ("RestoreTableFromBackup 100,000 indexes", "RestoreTableFromBackup", {
            "TargetTableName": "Restored",
            "BackupArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Table1/backup/0123",
            "GlobalSecondaryIndexOverride": [{"IndexName": "i"}] * 100_000}),
        ("ListBackups", "ListBackups", {"Limit": 100}),
        ("UpdateGlobalTable 300,000 replicas", "UpdateGlobalTable", {
            "GlobalTableName": "Table1", "ReplicaUpdates": [{"Create": {"RegionName": "r"}}] * 300_000}),
        ("UpdateContributorInsights", "UpdateContributorInsights", {
            "TableName": "Table1", "ContributorInsightsAction": "ENABLE"}),
        ("UpdateTableReplicaAutoScaling", "UpdateTableReplicaAutoScaling", {
            "TableName": "Table1", "ReplicaUpdates": [{"RegionName": "us-east-1"}] * 300_000}),
    ):  # fmt: skip
        yield name, in_json("DynamoDB_20120810", operation, body)
