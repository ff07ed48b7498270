"""The metrics of the last full minute in Prometheus' text format.

Names and labels follow the exporters that read CloudWatch: `aws_dynamodb_`, the metric's name in snake case, and the
statistic; `_index` precedes the statistic of an index's metric, and `_source`, `_verb` or `_operation_type` that of a
part of another metric. Each is a gauge of one minute, not a counter. All processes of a server show the same values,
because they read them from the store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from atoll import __version__
from atoll.aside import aside
from atoll.database.region import Region
from atoll.metrics import reading
from atoll.metrics.series import TABLES, Datapoint, Metric
from atoll.metrics.statistics import statistic

CONTENT_TYPE: str = CONTENT_TYPE_LATEST

_GAUGES = (
    "PendingReplicationCount", "OnlineIndexPercentageProgress", "AgeOfOldestUnreplicatedRecord",
    "AccountMaxReads", "AccountMaxWrites", "AccountMaxTableLevelReads", "AccountMaxTableLevelWrites",
    "AccountProvisionedReadCapacityUtilization", "AccountProvisionedWriteCapacityUtilization",
    "MaxProvisionedTableReadCapacityUtilization", "MaxProvisionedTableWriteCapacityUtilization",
)  # fmt: skip

STATISTICS: Mapping[str, tuple[str, ...]] = {
    **{f"Consumed{kind}CapacityUnits": ("Sum", "Maximum") for kind in ("Read", "Write")},
    **{f"Provisioned{kind}CapacityUnits": ("Average",) for kind in ("Read", "Write")},
    **{f"OnDemandMax{kind}RequestUnits": ("Average",) for kind in ("Read", "Write")},
    "SuccessfulRequestLatency": ("SampleCount", "Average", "p50", "p90", "p99", "Maximum"),
    "ReturnedItemCount": ("Sum", "SampleCount"),
    "ReturnedRecordsCount": ("Sum", "SampleCount"),
    "ReplicationLatency": ("Average", "Maximum"),
    **dict.fromkeys(_GAUGES, ("Maximum",)),
}
"""The statistics shown of each metric; of all others, the sum."""

LABELS = ("account_id", "region", "table_name", "operation", "stream_label", "receiving_region")
MORE_LABELS: Mapping[str, str] = {
    "global_secondary_index_name": "_index",
    "vector_index_name": "_index",
    "source": "_source",
    "verb": "_verb",
    "operation_type": "_operation_type",
    "delegated_operation": "",
}
"""Labels that only some metrics have, and what they add to the name."""

Found = list[tuple[Region, list[tuple[Metric, Datapoint]]]]


async def exposition(regions: Iterable[Region], lag_ms: int) -> bytes:
    """The metrics of the latest minute that ended at least `lag_ms` ago."""
    found = [(region, await reading.last_minute(region, TABLES, lag_ms)) for region in regions]
    return await aside(_text, found)


def _text(found: Found) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Last(found))
    return generate_latest(registry)


class _Last(Collector):
    def __init__(self, found: Found) -> None:
        self._found = found

    def collect(self) -> Iterable[GaugeMetricFamily]:
        info = GaugeMetricFamily("atoll_info", "The version of the server.", labels=["version"])
        info.add_metric([__version__], 1)
        writable = GaugeMetricFamily("atoll_store_writable", "Whether the store accepts writes.", labels=LABELS[:2])
        families: dict[str, GaugeMetricFamily] = {}
        for region, points in self._found:
            writable.add_metric([region.settings.account, region.name], float(region.health.writable))
            for metric, point in points:
                _add(families, region, metric, point)
        return [info, writable, *(families[name] for name in sorted(families))]


def _add(families: dict[str, GaugeMetricFamily], region: Region, metric: Metric, point: Datapoint) -> None:
    own = {snake(name): value for name, value in metric.dimensions}
    more = [label for label in MORE_LABELS if label in own]
    labels = (*LABELS, *more)
    part = "".join([MORE_LABELS[label] for label in more])
    own |= {"account_id": region.settings.account, "region": region.name}
    values = [own.get(label, "") for label in labels]
    for of in STATISTICS.get(metric.name, ("Sum",)):
        value = statistic(point, of)
        name = exported(metric.name, of, part)
        if value is not None:
            family = families.get(name)
            if family is None:
                text = f"{metric.name} of the last full minute, {of}."
                family = families[name] = GaugeMetricFamily(name, text, labels=labels)
            family.add_metric(values, value)


@lru_cache(1_000)
def exported(name: str, statistic: str, part: str = "") -> str:
    """The name of a statistic of a metric."""
    return f"aws_dynamodb_{snake(name)}{part}_{snake(statistic)}"


@lru_cache(1_000)
def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
