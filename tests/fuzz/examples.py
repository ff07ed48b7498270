"""Requests that succeed, or almost; `services` changes some of their members."""

from __future__ import annotations

from typing import Any

ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/plain"
_KEY = {"TableName": "plain", "Key": {"pk": {"S": "p"}}}
_TARGET = {"ServiceNamespace": "dynamodb", "ResourceId": "table/ranged"}
_DIMENSION = {**_TARGET, "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}
_METRIC = {"Namespace": "Mine", "MetricName": "a"}
_SPAN = {"StartTime": 1_699_990_000, "EndTime": 1_700_000_000}
_QUERY = {"Id": "m1", "MetricStat": {"Metric": _METRIC, "Period": 60, "Stat": "Sum"}}
_ALARM = {"EvaluationPeriods": 3, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
_TRACKING = {
    "TargetValue": 50.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
    "ScaleInCooldown": 60,
}


def _math(*texts: str) -> dict[str, Any]:
    second = {
        "Id": "m2",
        "MetricStat": {"Metric": {"Namespace": "Mine", "MetricName": "b"}, "Period": 60, "Stat": "p99"},
    }
    return {
        "MetricDataQueries": [_QUERY, second, *({"Id": f"e{n}", "Expression": text} for n, text in enumerate(texts))],
        **_SPAN,
    }


EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    (
        "PutMetricData",
        {
            "Namespace": "Mine",
            "MetricData": [
                {
                    "MetricName": "a",
                    "Value": 1,
                    "Timestamp": 1_699_999_000,
                    "Dimensions": [{"Name": "Of", "Value": "x"}],
                },
                {"MetricName": "a", "Values": [1, 2.5, 3], "Counts": [1, 2, 1], "Unit": "Count"},
                {"MetricName": "b", "StatisticValues": {"SampleCount": 2, "Sum": 3, "Minimum": 1, "Maximum": 2}},
            ],
        },
    ),
    ("GetMetricData", _math("m1+m2*2", "SUM(METRICS())")),
    ("GetMetricData", _math("IF(m1>0,m2,0/0)", "FILL(m1,LINEAR)", "SORT(METRICS('m'),AVG,DESC,1)")),
    ("GetMetricData", _math("SEARCH('{Mine,Of} a OR NOT b', 'Sum', 60)", "RATE(m1)^0.5", "STDDEV([m1,m2])")),
    ("GetMetricData", _math("PERIOD(m1)/DIFF_TIME(m1)", "RUNNING_SUM(m1)%3", "SLICE(SORT(METRICS(),SUM,ASC),0,2)")),
    ("GetMetricData", _math("DAY(m1)+HOUR(m2)", "TIME_SERIES(1e308)*1e308", "(m1-m2)/(m2-m2)", "MAX([m1,0])")),
    ("GetMetricStatistics", {**_METRIC, **_SPAN, "Period": 60, "Statistics": ["Sum"]}),
    ("GetMetricStatistics", {**_METRIC, **_SPAN, "Period": 60, "ExtendedStatistics": ["p99", "TM(10%:90%)", "PR(:3)"]}),
    ("ListMetrics", {"Namespace": "Mine", "Dimensions": [{"Name": "Of", "Value": "x"}]}),
    ("PutMetricAlarm", {"AlarmName": "one", **_METRIC, **_ALARM, "Period": 60, "Statistic": "Sum"}),
    (
        "PutMetricAlarm",
        {
            "AlarmName": "two",
            **_ALARM,
            "Metrics": [{**_QUERY, "ReturnData": False}, {"Id": "e", "Expression": "m1*2", "ReturnData": True}],
        },
    ),
    ("PutCompositeAlarm", {"AlarmName": "both", "AlarmRule": 'ALARM(one) OR (OK("two") AND NOT FALSE)'}),
    ("DescribeAlarms", {"AlarmTypes": ["CompositeAlarm", "MetricAlarm"], "MaxRecords": 2}),
    ("DescribeAlarmsForMetric", {**_METRIC, "Statistic": "Sum"}),
    ("DescribeAlarmHistory", {"AlarmName": "one", "MaxRecords": 5, "ScanBy": "TimestampAscending"}),
    ("SetAlarmState", {"AlarmName": "one", "StateValue": "ALARM", "StateReason": "r", "StateReasonData": '{"a":1}'}),
    ("DeleteAlarms", {"AlarmNames": ["one", "both"]}),
    ("GetInsightRuleReport", {"RuleName": "DynamoDBContributorInsights-PKC-plain-1", "Period": 60, **_SPAN}),
    ("RegisterScalableTarget", {**_DIMENSION, "MinCapacity": 1, "MaxCapacity": 9}),
    ("DescribeScalableTargets", {"ServiceNamespace": "dynamodb", "MaxResults": 5}),
    (
        "PutScalingPolicy",
        {
            **_DIMENSION,
            "PolicyName": "p",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": _TRACKING,
        },
    ),
    (
        "PutScheduledAction",
        {
            **_DIMENSION,
            "ScheduledActionName": "a",
            "Schedule": "cron(0/5 8 L-3W * ? 2026-2199/7)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 5},
        },
    ),
    (
        "PutScheduledAction",
        {
            **_DIMENSION,
            "ScheduledActionName": "b",
            "Schedule": "cron(0 8 ? JAN-MAR,12 MON#2 *)",
            "ScalableTargetAction": {"MinCapacity": 1},
        },
    ),
    ("DescribeScheduledActions", {"ServiceNamespace": "dynamodb"}),
    ("DescribeScalingPolicies", {"ServiceNamespace": "dynamodb"}),
    ("DescribeScalingActivities", {"ServiceNamespace": "dynamodb"}),
    ("CreateBackup", {"TableName": "plain", "BackupName": "one"}),
    ("ListBackups", {"TableName": "plain", "Limit": 2, "TimeRangeLowerBound": 0}),
    (
        "UpdateContinuousBackups",
        {"TableName": "plain", "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}},
    ),
    (
        "RestoreTableToPointInTime",
        {"SourceTableName": "plain", "TargetTableName": "again", "UseLatestRestorableTime": True},
    ),
    ("ExportTableToPointInTime", {"TableArn": TABLE, "S3Bucket": "bucket"}),
    (
        "ImportTable",
        {
            "S3BucketSource": {"S3Bucket": "bucket"},
            "InputFormat": "CSV",
            "TableCreationParameters": {
                "TableName": "imported",
                "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
            },
        },
    ),
    (
        "StartBulkPutItems",
        {
            "TableName": "plain",
            "InputS3Configuration": {"S3Bucket": "bucket", "S3Key": "a.json"},
            "OutputS3Configuration": {"S3Bucket": "bucket"},
        },
    ),
    (
        "CreateTable",
        {
            "TableName": "vectors",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "VectorIndexes": [
                {
                    "IndexName": "near",
                    "VectorAttribute": {"AttributeName": "v"},
                    "Dimensions": 2,
                    "DistanceFunction": "COSINE",
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        },
    ),
    ("PutItem", {"TableName": "vectors", "Item": {"pk": {"S": "a"}, "v": {"L": [{"N": "1"}, {"N": "0.5"}]}}}),
    (
        "SearchVectors",
        {"TableName": "vectors", "IndexName": "near", "TopK": 3, "SearchVector": [{"N": "1"}, {"N": "2"}]},
    ),
    (
        "UpdateTable",
        {"TableName": "plain", "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}},
    ),
    ("UpdateTimeToLive", {"TableName": "plain", "TimeToLiveSpecification": {"AttributeName": "t", "Enabled": True}}),
    ("UpdateContributorInsights", {"TableName": "plain", "ContributorInsightsAction": "ENABLE"}),
    (
        "EnableKinesisStreamingDestination",
        {"TableName": "plain", "StreamArn": f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/s"},
    ),
    ("PutResourcePolicy", {"ResourceArn": TABLE, "Policy": "{}"}),
    ("TagResource", {"ResourceArn": TABLE, "Tags": [{"Key": "k", "Value": "v"}]}),
    ("UpdateTableReplicaAutoScaling", {"TableName": "plain", "ReplicaUpdates": [{"RegionName": "us-east-1"}]}),
    ("GetItem", _KEY),
    ("DeleteItem", _KEY),
    ("ExecuteStatement", {"Statement": "SELECT * FROM plain"}),
    ("AssumeRole", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ops", "RoleSessionName": "me", "DurationSeconds": 900}),
    ("ExplainPolicies", {"principal": f"arn:aws:iam::{ACCOUNT}:root", "action": "dynamodb:GetItem", "resource": "*"}),
    ("ChangeFaults", {"fault": "throttling", "table": "plain", "operation": ["GetItem"], "times": 1, "seed": 3}),
    ("RotateStream", {"table": "plain"}),
    ("SplitStream", {"table": "plain"}),
    ("TrimStream", {"table": "plain"}),
    ("UpgradeGlobalTable", {"table": "plain"}),
    ("AddReplica", {"table": "plain", "region": "eu-west-1"}),
]
