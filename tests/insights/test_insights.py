"""Contributor insights, with boto3 against a server in this process: its states and its reports."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import testing

ONCE = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
BOTH = "ACCESSED_AND_THROTTLED_KEYS"
THROTTLED = "THROTTLED_KEYS"


@pytest.fixture
def server() -> Iterator[testing.LocalServer]:
    with testing.serve(throttling="full", quotas=True) as running:
        yield running


@pytest.fixture
def client(server: testing.LocalServer) -> Any:
    return server.client(config=ONCE)


def create(client: Any, name: str = "Things", *, sort: bool = True, **more: Any) -> None:
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}]
    if sort:
        keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
    names = [*(key["AttributeName"] for key in keys), "g"]
    client.create_table(
        TableName=name, KeySchema=keys, BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in names],
        GlobalSecondaryIndexes=[{
            "IndexName": "by-g", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }], **more,
    )  # fmt: skip


def enable(client: Any, action: str = "ENABLE", **more: Any) -> Any:
    answer = client.update_contributor_insights(**{"TableName": "Things", "ContributorInsightsAction": action, **more})
    del answer["ResponseMetadata"]
    return answer


def describe(client: Any, **more: Any) -> Any:
    answer = client.describe_contributor_insights(**{"TableName": "Things", **more})
    del answer["ResponseMetadata"]
    return answer


def listed(client: Any, **more: Any) -> list[tuple[str, str | None, str]]:
    found = client.list_contributor_insights(**more)["ContributorInsightsSummaries"]
    return [(one["TableName"], one.get("IndexName"), one["ContributorInsightsStatus"]) for one in found]


def put(client: Any, pk: str, sk: str = "0", kilobytes: int = 1, **more: Any) -> None:
    item = {"pk": {"S": pk}, "sk": {"S": sk}, "x": {"S": "x" * (kilobytes * 1000 - 100)}}
    item |= {name: {"S": value} for name, value in more.items()}
    client.put_item(TableName="Things", Item=item)


def get(client: Any, pk: str, sk: str = "0") -> None:
    client.get_item(TableName="Things", Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True)


def error(call: Any, *args: Any, **more: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def insights(server: testing.LocalServer, query: str = "") -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.endpoint_url}/_atoll/insights?{query}") as answer:
        return json.load(answer)["insights"]


def pairs(rows: Any, member: str) -> list[tuple[Any, float]]:
    return [("/".join(value["S"] for value in row["key"].values()), row[member]) for row in rows]


class TestStates:
    def test_a_table_that_never_used_it(self, client: Any) -> None:
        create(client)
        assert describe(client) == {"TableName": "Things", "ContributorInsightsStatus": "DISABLED"}
        assert enable(client, "DISABLE") == {"TableName": "Things", "ContributorInsightsStatus": "DISABLED"}
        assert listed(client) == listed(client, TableName="Things") == []

    def test_enabling_and_disabling(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        now_ms = round(server.clock.time() * 1000)
        answer = {"TableName": "Things", "ContributorInsightsMode": BOTH}
        assert enable(client) == {**answer, "ContributorInsightsStatus": "ENABLING"}
        shown = describe(client)
        changed = shown.pop("LastUpdateDateTime")
        assert round(changed.timestamp() * 1000) == now_ms
        assert shown == {
            **answer, "ContributorInsightsStatus": "ENABLED",
            "ContributorInsightsRuleList": [
                f"DynamoDBContributorInsights-{kind}-Things-{now_ms}" for kind in ("PKC", "SKC", "PKT", "SKT")
            ],
        }  # fmt: skip
        assert enable(client) == {**answer, "ContributorInsightsStatus": "ENABLED"}
        assert enable(client, "DISABLE") == {**answer, "ContributorInsightsStatus": "DISABLING"}
        shown = describe(client)
        assert shown.pop("LastUpdateDateTime")
        assert shown == {**answer, "ContributorInsightsStatus": "DISABLED"}
        assert enable(client, "DISABLE") == {**answer, "ContributorInsightsStatus": "DISABLED"}
        assert listed(client) == []

    def test_modes_and_indexes_have_states_of_their_own(self, client: Any) -> None:
        create(client)
        enable(client, ContributorInsightsMode=THROTTLED)
        kinds = [rule.split("-")[1] for rule in describe(client)["ContributorInsightsRuleList"]]
        assert kinds == ["PKT", "SKT"]
        enable(client, IndexName="by-g")
        rules = describe(client, IndexName="by-g")["ContributorInsightsRuleList"]
        assert [rule.rpartition("-")[0] for rule in rules] == [
            "DynamoDBContributorInsights-PKC-Things-by-g", "DynamoDBContributorInsights-PKT-Things-by-g",
        ]  # fmt: skip
        assert enable(client)["ContributorInsightsMode"] == BOTH
        assert listed(client) == [("Things", None, "ENABLED"), ("Things", "by-g", "ENABLED")]

    def test_with_a_delay_a_change_takes_a_while(self) -> None:
        with testing.serve(control_plane_delay_ms=5_000) as server:
            client = server.client()
            create(client)
            server.clock.advance(1)
            assert error(enable, client)[1].startswith("Requested resource not found: Table: Things")
            server.clock.advance(2)
            assert error(enable, client) == (
                "ValidationException",
                "Table or Index is not in a valid state to update Key Access Insights: TableStatus must be ACTIVE to "
                "enable ContributorInsights.",
            )
            server.clock.advance(10)
            enable(client)
            assert describe(client)["ContributorInsightsStatus"] == "ENABLING"
            server.clock.advance(5)
            assert describe(client)["ContributorInsightsStatus"] == "ENABLED"
            enable(client, "DISABLE")
            assert listed(client) == [("Things", None, "DISABLING")]
            server.clock.advance(5)
            assert listed(client) == []

    def test_errors(self, client: Any) -> None:
        assert error(enable, client)[1] == "Requested resource not found: Table: Things not found"
        create(client)
        missing = "Requested resource not found: Index: by-h not found for table: Things"
        assert error(enable, client, IndexName="by-h") == ("ResourceNotFoundException", missing)
        too_short = "IndexName must be at least 3 characters long and at most 255 characters long"
        assert error(enable, client, IndexName="") == ("ValidationException", too_short)
        for member, values in (
            ("contributorInsightsAction", "[ENABLE, DISABLE]"),
            ("contributorInsightsMode", "[THROTTLED_KEYS, ACCESSED_AND_THROTTLED_KEYS]"),
        ):
            body = {"ContributorInsightsAction": "ENABLE", member[0].upper() + member[1:]: "ALL"}
            code, message = error(client.update_contributor_insights, TableName="Things", **body)
            assert code == "ValidationException"
            assert f"'{member}' failed to satisfy constraint: Member must satisfy enum value set: {values}" in message

    def test_a_hundred_rules_are_the_most(self, client: Any) -> None:
        for number in range(26):
            create(client, f"table{number:02}")
            enable(client, TableName=f"table{number:02}")
        shown = describe(client, TableName="table25")
        assert shown["ContributorInsightsStatus"] == "FAILED"
        assert shown["FailureException"]["ExceptionName"] == "LimitExceededException"
        assert "ContributorInsightsRuleList" not in shown
        enable(client, "DISABLE", TableName="table00")
        assert enable(client, TableName="table25")["ContributorInsightsStatus"] == "ENABLING"
        assert describe(client, TableName="table25")["ContributorInsightsStatus"] == "ENABLED"

    def test_pages(self, client: Any) -> None:
        for name in ("aaa", "bbb", "ccc"):
            create(client, name)
            enable(client, TableName=name)
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = client.list_contributor_insights(MaxResults=2, **token)
            found += [one["TableName"] for one in answer["ContributorInsightsSummaries"]]
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert found == ["aaa", "bbb", "ccc"]
        assert error(client.list_contributor_insights, NextToken="nonsense")[0] == "ValidationException"

    def test_a_recreated_table_or_index_has_none(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        enable(client)
        enable(client, IndexName="by-g")
        client.update_table(TableName="Things", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-g"}}])
        server.settle()
        assert listed(client) == [("Things", None, "ENABLED")]
        client.delete_table(TableName="Things")
        server.settle()
        assert listed(client) == []
        create(client)
        assert describe(client)["ContributorInsightsStatus"] == "DISABLED"
        server.clock.advance("2m")
        put(client, "a")
        assert insights(server) == []


class TestKeys:
    def test_the_most_accessed_keys_by_units(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        put(client, "before")
        enable(client)
        for number in range(3):
            put(client, "a", str(number))
        put(client, "b", "0", 4)
        for _ in range(5):
            get(client, "c")
        (seen,) = insights(server)
        assert (seen["table"], seen["index"], seen["mode"]) == ("Things", None, BOTH)
        assert pairs(seen["accessed"], "units") == [("b", 12), ("a", 9), ("c", 5)]
        assert pairs(seen["accessed_items"], "units") == [("b/0", 12), ("c/0", 5), ("a/0", 3), ("a/1", 3), ("a/2", 3)]
        assert seen["throttled"] == seen["throttled_items"] == seen["conflicts"] == []

    def test_queries_batches_and_transactions(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        for number in range(4):
            put(client, "a", str(number))
        enable(client)
        condition: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk AND sk > :sk",
            "ExpressionAttributeValues": {":pk": {"S": "a"}, ":sk": {"S": "1"}},
        }
        client.query(TableName="Things", ConsistentRead=True, **condition)
        client.scan(TableName="Things")
        keys = [{"pk": {"S": "a"}, "sk": {"S": sk}} for sk in "01"]
        client.batch_get_item(RequestItems={"Things": {"Keys": keys, "ConsistentRead": True}})
        client.transact_get_items(TransactItems=[{"Get": {"TableName": "Things", "Key": keys[0]}}])
        requests = [{"DeleteRequest": {"Key": key}} for key in keys]
        client.batch_write_item(RequestItems={"Things": requests})
        (seen,) = insights(server)
        assert pairs(seen["accessed"], "units") == [("a", 1 + 2 + 2 + 6)]
        assert pairs(seen["accessed_items"], "units") == [("a/0", 1 + 2 + 3), ("a/1", 1 + 3)]

    def test_an_index(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        enable(client, IndexName="by-g")
        for number in range(3):
            put(client, f"p{number}", g="hot")
        query = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "hot"}}}
        client.query(TableName="Things", IndexName="by-g", **query)
        (seen,) = insights(server, "table=Things")
        assert (seen["index"], pairs(seen["accessed"], "units")) == ("by-g", [("hot", 9.5)])
        assert "accessed_items" not in seen
        assert "conflicts" not in seen

    def test_throttled_keys_alone(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        enable(client, ContributorInsightsMode=THROTTLED)
        refusals = 0
        for number in range(8):
            try:
                put(client, "hot", str(number), 390)
            except ClientError:
                refusals += 1
        assert refusals == 5
        put(client, "cold")
        (seen,) = insights(server)
        assert pairs(seen["throttled"], "events") == [("hot", 5)]
        assert pairs(seen["throttled_items"], "events")[0] == ("hot/3", 1)
        assert "accessed" not in seen

    def test_conflicts_of_conditional_writes_by_item(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        enable(client)
        for pk in "ab":
            put(client, pk, version="1")
        update: dict[str, Any] = {
            "TableName": "Things", "UpdateExpression": "SET version = :new", "ConditionExpression": "version = :old",
        }  # fmt: skip
        for pk, old in (("a", "1"), ("a", "1"), ("a", "1"), ("b", "1"), ("a", "2")):
            values = {":old": {"S": old}, ":new": {"S": "2"}}
            with contextlib.suppress(client.exceptions.ConditionalCheckFailedException):
                client.update_item(Key={"pk": {"S": pk}, "sk": {"S": "0"}}, ExpressionAttributeValues=values, **update)
        (seen,) = insights(server)
        (conflict,) = seen["conflicts"]
        assert conflict.pop("key") == {"pk": {"S": "a"}, "sk": {"S": "0"}}
        assert conflict == {"conditional": 4, "failed": 2, "rate": 0.5}

    def test_minutes_are_kept_for_three_hours(self, server: testing.LocalServer, client: Any) -> None:
        create(client)
        enable(client)
        put(client, "old")
        server.clock.advance("2m")
        put(client, "new")
        (seen,) = insights(server, "minutes=1")
        assert pairs(seen["accessed"], "units") == [("new", 3)]
        (seen,) = insights(server, "minutes=180")
        assert pairs(seen["accessed"], "units") == [("new", 3), ("old", 3)]
        server.clock.advance("3h")
        put(client, "last")
        (seen,) = insights(server, "minutes=180&top=1")
        assert pairs(seen["accessed"], "units") == [("last", 3)]

    @pytest.mark.parametrize("query", ["minutes=0", "minutes=many", "top=101", "minutes=181"])
    def test_a_wrong_number_is_refused(self, server: testing.LocalServer, query: str) -> None:
        with pytest.raises(urllib.error.HTTPError):
            insights(server, query)


class TestCloudWatch:
    @pytest.fixture
    def watch(self, server: testing.LocalServer) -> Any:
        return server.client("cloudwatch", config=ONCE)

    def rule(self, client: Any, kind: str) -> str:
        return str(next(name for name in describe(client)["ContributorInsightsRuleList"] if kind in name))

    def report(self, server: testing.LocalServer, watch: Any, rule: str, **more: Any) -> Any:
        start = server.clock.now.replace(second=0, microsecond=0) - timedelta(minutes=2)
        body = {"RuleName": rule, "StartTime": start, "EndTime": start + timedelta(minutes=3), "Period": 60, **more}
        return watch.get_insight_rule_report(**body)

    def test_rules_are_described(self, client: Any, watch: Any) -> None:
        assert watch.describe_insight_rules()["InsightRules"] == []
        create(client)
        enable(client)
        rules = watch.describe_insight_rules()["InsightRules"]
        assert [rule["Name"] for rule in rules] == sorted(describe(client)["ContributorInsightsRuleList"])
        assert {rule["State"] for rule in rules} == {"ENABLED"}
        assert all(rule["ManagedRule"] and rule["Schema"] == "CloudWatchLogRule/1" for rule in rules)
        answer = watch.describe_insight_rules(MaxResults=3)
        assert len(answer["InsightRules"]) == 3
        assert len(watch.describe_insight_rules(NextToken=answer["NextToken"])["InsightRules"]) == 1

    def test_metric_math_reads_a_rule(self, server: testing.LocalServer, client: Any, watch: Any) -> None:
        create(client)
        enable(client)
        for key in "aab":
            put(client, key)
        rule = self.rule(client, "PKC")
        start = server.clock.now.replace(second=0, microsecond=0)
        (report,) = self.report(server, watch, rule, Metrics=["MaxContributorValue"])["MetricDatapoints"][-1:]

        def ask(expression: str) -> Any:
            queries = [{"Id": "e", "Expression": expression}]
            time = {"StartTime": start, "EndTime": start + timedelta(minutes=1)}
            return watch.get_metric_data(MetricDataQueries=queries, **time)["MetricDataResults"]

        (result,) = ask(f"INSIGHT_RULE_METRIC('{rule}', MaxContributorValue) + 1")
        assert result["Values"] == [report["MaxContributorValue"] + 1]
        assert report["MaxContributorValue"] > 0
        (result,) = ask(f"INSIGHT_RULE_METRIC('{rule}', 'UniqueContributors')")
        assert result["Values"] == [2]
        assert error(ask, expression="INSIGHT_RULE_METRIC('none', Sum)")[0] == "ResourceNotFoundException"
        assert error(ask, expression=f"INSIGHT_RULE_METRIC('{rule}', Median)")[0] == "InvalidParameterValue"

    def test_a_report(self, server: testing.LocalServer, client: Any, watch: Any) -> None:
        create(client)
        enable(client)
        put(client, "a")
        put(client, "b")
        server.clock.advance("1m")
        for _ in range(2):
            put(client, "b")
        answer = self.report(server, watch, self.rule(client, "PKC"), Metrics=["MaxContributorValue", "Sum"])
        assert answer["KeyLabels"] == ["pk"]
        assert (answer["AggregationStatistic"], answer["AggregateValue"]) == ("Sum", 12)
        assert answer["ApproximateUniqueCount"] == 2
        contributors = [(one["Keys"], one["ApproximateAggregateValue"]) for one in answer["Contributors"]]
        assert contributors == [(["b"], 9), (["a"], 3)]
        assert [point["ApproximateValue"] for point in answer["Contributors"][0]["Datapoints"]] == [3, 6]
        points = [(one["MaxContributorValue"], one["Sum"]) for one in answer["MetricDatapoints"]]
        assert points == [(0, 0), (3, 6), (6, 6)]
        assert "Average" not in answer["MetricDatapoints"][0]
        one = self.report(server, watch, self.rule(client, "SKC"), MaxContributorCount=1, OrderBy="Maximum")
        assert [one["Keys"] for one in one["Contributors"]] == [["b", "0"]]
        assert self.report(server, watch, self.rule(client, "PKT"))["AggregationStatistic"] == "SampleCount"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"RuleName": "none"}, "ResourceNotFoundException"), ({"Period": 7}, "InvalidParameterValue"),
            ({"MaxContributorCount": 101}, "InvalidParameterValue"), ({"Metrics": ["p99"]}, "InvalidParameterValue"),
            ({"OrderBy": "Minimum"}, "InvalidParameterValue"), ({"EndTime": 1}, "InvalidParameterValue"),
        ],
    )  # fmt: skip
    def test_a_wrong_report_is_refused(
        self, server: testing.LocalServer, client: Any, watch: Any, change: Any, code: str
    ) -> None:
        create(client)
        enable(client)
        rule = self.rule(client, "PKC")
        body = {"RuleName": rule, "StartTime": 1_700_000_000, "EndTime": 1_700_000_600, "Period": 60, **change}
        assert error(watch.get_insight_rule_report, **body)[0] == code
