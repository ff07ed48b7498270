"""Contributor insights: DynamoDB's UpdateContributorInsights, DescribeContributorInsights and ListContributorInsights,
CloudWatch's DescribeInsightRules and GetInsightRuleReport, and a request of the admin API:

    GET /_atoll/insights   ?table=Orders, &minutes=60, &top=10, &region=eu-west-1
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Protocol

from atoll import limits
from atoll.api import phases
from atoll.api.global_table_names import NAME_CHARS
from atoll.api.metrics import milliseconds, shown_time
from atoll.api.table_names import table_name
from atoll.database.region import Region
from atoll.database.schema import Index, Table
from atoll.errors import backups as backup_errors
from atoll.errors import features as feature_errors
from atoll.errors import metrics as metric_errors
from atoll.errors import tables as table_errors
from atoll.insights import reports, settings
from atoll.insights.observing import MINUTE_MS, Insights
from atoll.insights.settings import Setting
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]

PAGE = 100


def _check_index_name(body: Body) -> None:
    index = body.get("IndexName")
    if index is not None and not NAME_CHARS[0] <= len(index) <= NAME_CHARS[1]:
        raise feature_errors.index_name_length()


def _table(region: Region, snapshot: Snapshot, name: str, now_ms: int) -> Table:
    table = region.catalog.described(snapshot, name, now_ms)
    if phases.creating_before(region, table, now_ms, phases.UNKNOWN):
        raise table_errors.table_not_found(name)
    return table


def _index(table: Table, body: Body) -> Index | None:
    name = body.get("IndexName")
    if name is None:
        return None
    index = table.index(name)
    if index is None or index.local:
        raise feature_errors.index_not_found(name, table.name)
    return index


# DynamoDB's operations


async def update_contributor_insights(region: Region, body: Body) -> Body:
    _check_index_name(body)
    name, now_ms = table_name(region, body), region.clock.now_ms()
    enable = body["ContributorInsightsAction"] == "ENABLE"

    def update(tx: Transaction) -> Body:
        table = _table(region, tx, name, now_ms)
        index = _index(table, body)
        _check_status(region, table, index, now_ms)
        old = settings.find(tx, table, index)
        mode = body.get("ContributorInsightsMode") or (settings.ALL_KEYS if enable or old is None else old.mode)
        answer: Body = {"TableName": table.name}
        if index is not None:
            answer["IndexName"] = index.name
        status = "DISABLED" if old is None else old.status(now_ms)
        if old is None and not enable:
            return {**answer, "ContributorInsightsStatus": status}
        if old is not None and status == ("ENABLED" if enable else "DISABLED") and mode == old.mode:
            return {**answer, "ContributorInsightsStatus": status, "ContributorInsightsMode": mode}
        tables = region.catalog.tables(tx)
        failed = enable and region.settings.quotas and settings.exceeds_rules(tx, tables, table, index, mode)
        due_ms = now_ms + region.settings.control_plane_delay_ms
        space = settings.space_of(table, index)
        settings.save(tx, Setting(table.space, space, mode, enable, now_ms, due_ms, failed))
        status = "ENABLING" if enable else "DISABLING"
        return {**answer, "ContributorInsightsStatus": status, "ContributorInsightsMode": mode}

    answer = await region.transact(update)
    await region.state(Insights).refresh()
    region.wake()
    return answer


def _check_status(region: Region, table: Table, index: Index | None, now_ms: int) -> None:
    if table.status_at(now_ms) == "CREATING" or phases.deleting_after(region, table, now_ms):
        raise feature_errors.insights_of_inactive("Table")
    if index is None:
        return
    if index.status_at(now_ms) == "CREATING" and now_ms < index.due_ms:
        raise feature_errors.index_not_found(index.name, table.name)
    if index.status_at(now_ms) in ("CREATING", "DELETING"):
        raise feature_errors.insights_of_inactive("Index")


async def describe_contributor_insights(region: Region, body: Body) -> Body:
    _check_index_name(body)
    name, now_ms = table_name(region, body), region.clock.now_ms()

    def read(snapshot: Snapshot) -> Body:
        table = _table(region, snapshot, name, now_ms)
        index = _index(table, body)
        return _described(table, index, settings.find(snapshot, table, index), now_ms)

    return await region.read(read)


def _described(table: Table, index: Index | None, setting: Setting | None, now_ms: int) -> Body:
    answer: Body = {"TableName": table.name}
    if index is not None:
        answer["IndexName"] = index.name
    if setting is None:
        return {**answer, "ContributorInsightsStatus": "DISABLED"}
    status = setting.status(now_ms)
    if status in ("ENABLED", "ENABLING") and setting.observes:
        kinds = settings.rule_kinds(settings.keys_of(table, index), setting.mode)
        index_name = None if index is None else index.name
        names = [settings.rule_name(kind, table.name, index_name, setting.changed_ms) for kind in kinds]
        if status == "ENABLED":
            answer["ContributorInsightsRuleList"] = names
    answer |= {"ContributorInsightsStatus": status, "LastUpdateDateTime": setting.changed_ms / 1000}
    if status == "FAILED":
        answer["FailureException"] = feature_errors.TOO_MANY_INSIGHT_RULES
    return {**answer, "ContributorInsightsMode": setting.mode}


async def list_contributor_insights(region: Region, body: Body) -> Body:
    """Without TableName a page ends at a number of tables, whether or not they have insights."""
    now_ms, most = region.clock.now_ms(), body.get("MaxResults") or PAGE
    name = table_name(region, body) if "TableName" in body else None
    after = _token(body.get("NextToken"))

    def read(snapshot: Snapshot) -> Body:
        if name is not None:
            tables = [_table(region, snapshot, name, now_ms)]
        else:
            tables = [one for one in region.catalog.tables(snapshot) if not one.gone_at(now_ms)]
        by_space = {one.part: one for one in settings.all_of(snapshot)}
        found = [
            (table.name, "" if index is None else index.name, by_space[settings.space_of(table, index)])
            for table, index in settings.parts(tables)
            if settings.space_of(table, index) in by_space
        ]
        shown = [one for one in found if one[2].status(now_ms) != "DISABLED" and (after is None or one[:2] > after)]
        answer: Body = {"ContributorInsightsSummaries": [_summary(*one, now_ms) for one in shown[:most]]}
        if len(shown) > most:
            answer["NextToken"] = _as_token(*shown[most - 1][:2])
        return answer

    return await region.read(read)


def _summary(table: str, index: str, setting: Setting, now_ms: int) -> Body:
    of = {"TableName": table, **({"IndexName": index} if index else {})}
    status = setting.status(now_ms)
    return {**of, "ContributorInsightsStatus": status, "ContributorInsightsMode": setting.mode}


def _as_token(table: str, index: str) -> str:
    return base64.urlsafe_b64encode(f"{table}/{index}".encode()).decode()


def _token(token: str | None) -> tuple[str, str] | None:
    if token is None:
        return None
    try:
        table, separator, index = base64.urlsafe_b64decode(token.encode()).decode().partition("/")
    except (binascii.Error, ValueError):
        separator = ""
    if not separator:
        raise backup_errors.next_token_invalid(token)
    return table, index


# CloudWatch's operations


async def describe_insight_rules(region: Region, body: Body) -> Body:
    """Describe the rules. Only those of DynamoDB's contributor insights exist."""
    most, token = body.get("MaxResults") or limits.INSIGHT_RULES_PAGE, body.get("NextToken")
    rules = [rule for rule in await reports.find_rules(region) if token is None or rule.name > token]
    answer: Body = {"InsightRules": [reports.described(rule) for rule in rules[:most]]}
    if len(rules) > most:
        answer["NextToken"] = rules[most - 1].name
    return answer


async def get_insight_rule_report(region: Region, body: Body) -> Body:
    start_ms, end_ms = milliseconds(body["StartTime"], "StartTime"), milliseconds(body["EndTime"], "EndTime")
    if start_ms >= end_ms:
        raise metric_errors.start_not_before_end()
    period_ms = body["Period"] * 1000
    if period_ms <= 0 or period_ms % MINUTE_MS:
        raise metric_errors.invalid_insight_period()
    if end_ms - start_ms > limits.INSIGHT_REPORT_MS:
        raise metric_errors.invalid_value("The time range of a report must not exceed 24 hours.")
    most, metrics = body.get("MaxContributorCount"), body.get("Metrics") or []
    if most is not None and not 1 <= most <= limits.INSIGHT_CONTRIBUTORS:
        raise metric_errors.out_of_bounds("MaxContributorCount", 1, limits.INSIGHT_CONTRIBUTORS)
    for metric in metrics:
        if metric not in reports.METRICS:
            raise metric_errors.unknown_choice("Metrics", reports.METRICS)
    order = body.get("OrderBy") or "Sum"
    if order not in ("Sum", "Maximum"):
        raise metric_errors.unknown_choice("OrderBy", ("Sum", "Maximum"))
    rule = next((one for one in await reports.find_rules(region) if one.name == body["RuleName"]), None)
    if rule is None:
        raise metric_errors.unknown_insight_rule(body["RuleName"])
    answer = await reports.report(
        region, rule, start_ms, end_ms, period_ms, most=most or 10, metrics=metrics, by_maximum=order == "Maximum"
    )
    points = [*answer.get("MetricDatapoints", ())]
    points += [point for one in answer["Contributors"] for point in one["Datapoints"]]
    for point in points:
        point["Timestamp"] = shown_time(point["Timestamp"])
    return answer


# The admin API


class Server(Protocol):
    def region(self, name: str = "") -> Region:
        """The region of this name; without a name the default region."""


async def show_insights(server: Server, body: Body) -> Body:
    region = server.region(str(body.get("region") or ""))
    now_ms = region.clock.now_ms()
    lasting = _number(body, "minutes", 60, 180)
    start_ms = now_ms - now_ms % MINUTE_MS - (lasting - 1) * MINUTE_MS
    table = body.get("table")
    found = await reports.overview(
        region, None if table is None else str(table), start_ms, now_ms + 1, _number(body, "top", 10, 100)
    )
    return {"from_ms": start_ms, "to_ms": now_ms, "insights": found}


def _number(body: Body, member: str, default: int, most: int) -> int:
    value = body.get(member, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, bool) or not 1 <= number <= most:
        raise feature_errors.bad_number(member, most)
    return number
