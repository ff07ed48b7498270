"""Report the contributors in a time span, for the admin API and for CloudWatch's rules.

Weights of several minutes are sums over each minute's stored keys, which are its heaviest. So a key's sum lacks the
minutes in which it was not among these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from atoll.aside import aside
from atoll.database.region import Region
from atoll.database.schema import Index, KeySchema, Table
from atoll.insights import minutes, settings
from atoll.insights.minutes import Seen
from atoll.insights.observing import Insights
from atoll.insights.settings import Setting
from atoll.insights.sketch import merged
from atoll.storage.engine import Snapshot

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Observation:
    """A table or index with insights."""

    setting: Setting
    table: Table
    index: Index | None

    @property
    def keys(self) -> KeySchema:
        return settings.keys_of(self.table, self.index)

    @property
    def index_name(self) -> str | None:
        return None if self.index is None else self.index.name


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of CloudWatch's Contributor Insights."""

    name: str
    kind: str
    of: Observation

    @property
    def key_labels(self) -> list[str]:
        keys = self.of.keys
        return [one.name for one in (keys.attributes if self.kind.startswith("S") else keys.partition)]

    @property
    def counts(self) -> bool:
        """Whether the rule counts events; otherwise it adds up units."""
        return self.kind.endswith("T")


def observations(region: Region, snapshot: Snapshot) -> list[Observation]:
    """All tables and indexes with insights, sorted by table and index."""
    by_space = {one.part: one for one in settings.all_of(snapshot) if one.observes}
    if not by_space:
        return []
    now_ms = region.clock.now_ms()
    return [
        Observation(by_space[settings.space_of(table, index)], table, index)
        for table, index in settings.parts(region.catalog.tables(snapshot))
        if settings.space_of(table, index) in by_space and not table.gone_at(now_ms)
    ]


def rules(region: Region, snapshot: Snapshot) -> list[Rule]:
    """All rules, by name: those of enabled tables and indexes."""
    found = [
        Rule(settings.rule_name(kind, one.table.name, one.index_name, one.setting.changed_ms), kind, one)
        for one in observations(region, snapshot)
        for kind in settings.rule_kinds(one.keys, one.setting.mode)
    ]
    return sorted(found, key=lambda rule: rule.name)


# The admin API


async def overview(region: Region, table: str | None, start_ms: int, end_ms: int, most: int) -> list[Body]:
    """The contributors of each table and index with insights, or only of one table and its indexes."""
    await region.state(Insights).flush()

    found = await region.read(lambda snapshot: observations(region, snapshot))
    shown = []
    for one in found:
        if table in (None, one.table.name):
            documents = await _documents(region, one.setting, start_ms, end_ms)
            shown.append(await aside(_shown, one, documents, most))
    return shown


async def _documents(region: Region, setting: Setting, start_ms: int, end_ms: int) -> list[Body]:
    return await region.read(lambda snapshot: list(minutes.between(snapshot, setting, start_ms, end_ms)))


def _shown(one: Observation, documents: list[Body], most: int) -> Body:
    keys = one.keys
    shown: Body = {"table": one.table.name, "index": one.index_name, "mode": one.setting.mode}
    for member, kind, unit in (
        ("accessed", "PKC", "units"), ("accessed_items", "SKC", "units"),
        ("throttled", "PKT", "events"), ("throttled_items", "SKT", "events"),
    ):  # fmt: skip
        if kind in settings.rule_kinds(keys, one.setting.mode):
            attributes = keys.attributes if kind.startswith("S") else keys.partition
            names = [(a.name, a.type) for a in attributes]
            shown[member] = [{"key": _key(names, label), unit: weight} for label, weight in _top(documents, kind, most)]
    if one.index is None and one.setting.mode == settings.ALL_KEYS:
        shown["conflicts"] = _conflicts(one, documents, most)
    return shown


def _conflicts(one: Observation, documents: list[Body], most: int) -> list[Body]:
    """The items whose conditional writes failed most often."""
    names = [(a.name, a.type) for a in one.table.keys.attributes]
    writes = dict(_top(documents, "CONDITIONAL", len(documents) * minutes.TOP))
    found = []
    for label, failed in _top(documents, "FAILED", most):
        conditional = max(failed, writes.get(label, 0))
        rate = round(failed / conditional, 4)
        found.append({"key": _key(names, label), "conditional": conditional, "failed": failed, "rate": rate})
    return found


def _top(documents: Sequence[Body], kind: str, most: int) -> list[tuple[str, float]]:
    return merged([document[kind]["top"] for document in documents if kind in document], most)


def _key(names: Sequence[tuple[str, str]], label: str) -> Body:
    return {name: {type_: content} for (name, type_), content in zip(names, orjson.loads(label), strict=True)}


# CloudWatch's rules


async def find_rules(region: Region) -> list[Rule]:
    return await region.read(lambda snapshot: rules(region, snapshot))


def described(rule: Rule) -> Body:
    """The rule as an item of DescribeInsightRules."""
    definition = {
        "Schema": {"Name": "CloudWatchLogRule", "Version": 1},
        "AggregateOn": "Count" if rule.counts else "Sum",
        "Contribution": {"Filters": [], "Keys": rule.key_labels},
        "LogFormat": "JSON",
    }
    return {
        "Name": rule.name,
        "State": "ENABLED",
        "Schema": "CloudWatchLogRule/1",
        "Definition": orjson.dumps(definition).decode(),
        "ManagedRule": True,
        "ApplyOnTransformedLogs": False,
    }


METRICS = (
    "UniqueContributors", "MaxContributorValue", "SampleCount", "Sum", "Minimum", "Maximum", "Average",
)  # fmt: skip


async def report(
    region: Region, rule: Rule, start_ms: int, end_ms: int, period_ms: int, *, most: int, metrics: Sequence[str],
    by_maximum: bool,
) -> Body:  # fmt: skip
    """The answer of GetInsightRuleReport, with times in milliseconds."""
    await region.state(Insights).flush()
    documents = await _documents(region, rule.of.setting, start_ms, end_ms)
    return await aside(_report, rule, documents, (start_ms, end_ms, period_ms), most, metrics, by_maximum)


def _report(
    rule: Rule, documents: list[Body], time: tuple[int, int, int], most: int, metrics: Sequence[str], by_maximum: bool
) -> Body:
    """A report; `time` is its start, end and period."""
    start_ms, end_ms, period_ms = time
    by_period: dict[int, list[Seen]] = {}
    for document in documents:
        if rule.kind in document:
            by_period.setdefault(int(document["minute_ms"]) // period_ms, []).append(document[rule.kind])
    periods = [
        (first_ms, by_period.get(first_ms // period_ms, []))
        for first_ms in range(start_ms - start_ms % period_ms, end_ms, period_ms)
    ]
    sums = [(first_ms, dict(merged([one["top"] for one in seen], minutes.TOP))) for first_ms, seen in periods]
    totals = merged([list(weights.items()) for _, weights in sums], len(documents) * minutes.TOP)
    if by_maximum:
        greatest = {label: max(weights.get(label, 0) for _, weights in sums) for label, _ in totals}
        totals.sort(key=lambda pair: (-greatest[pair[0]], pair[0]))
    contributors = [
        {
            "Keys": [str(content) for content in orjson.loads(label)],
            "ApproximateAggregateValue": weight,
            "Datapoints": [
                {"Timestamp": first_ms, "ApproximateValue": weights[label]}
                for first_ms, weights in sums
                if label in weights
            ],
        }
        for label, weight in totals[:most]
    ]
    every = [seen for _, found in periods for seen in found]
    answer: Body = {
        "KeyLabels": rule.key_labels,
        "AggregationStatistic": "SampleCount" if rule.counts else "Sum",
        "AggregateValue": float(sum(seen["total"] for seen in every)),
        "ApproximateUniqueCount": max(len(totals), *(seen["unique"] for seen in every)) if every else 0,
        "Contributors": contributors,
    }
    if metrics:
        answer["MetricDatapoints"] = list(_datapoints(periods, metrics))
    return answer


def _datapoints(periods: Sequence[tuple[int, list[Seen]]], metrics: Sequence[str]) -> Iterator[Body]:
    """One datapoint for each period, zeros included."""
    for first_ms, seen in periods:
        weights = [weight for _, weight in merged([one["top"] for one in seen], minutes.TOP)]
        samples, total = sum(one["samples"] for one in seen), sum(one["total"] for one in seen)
        values = {
            "UniqueContributors": max((one["unique"] for one in seen), default=0),
            "MaxContributorValue": max(weights, default=0),
            "SampleCount": samples,
            "Sum": total,
            "Minimum": min(weights, default=0),
            "Maximum": max(weights, default=0),
            "Average": total / samples if samples else 0,
        }
        yield {"Timestamp": first_ms, **{name: float(values[name]) for name in METRICS if name in metrics}}
