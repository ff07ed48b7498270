"""PutScalingPolicy, DeleteScalingPolicy, DescribeScalingPolicies, GetPredictiveScalingForecast.

DynamoDB's capacity has target-tracking policies only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from atoll import limits
from atoll.alarms import store as alarm_store
from atoll.api.scaling import requests
from atoll.database.region import Region
from atoll.errors import scaling as errors
from atoll.scaling import policies, store, tracking
from atoll.scaling.targets import Id, Policy
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]

TYPE = "TargetTrackingScaling"
CONFIGURATION = "TargetTrackingScalingPolicyConfiguration"
OTHERS = ("StepScalingPolicyConfiguration", "PredictiveScalingPolicyConfiguration")


async def put_scaling_policy(region: Region, body: Body) -> Body:
    id_, name, now_ms = requests.target_id(body), body["PolicyName"], region.clock.now_ms()

    def put(tx: Transaction) -> Body:
        requests.registered(tx, id_)
        old = store.policy(tx, id_, name)
        _check(body, id_, is_new=old is None)
        units = requests.units(region, tx, id_)
        return _put(region, tx, id_, name, body[CONFIGURATION], units or 1, now_ms)

    answer = await region.transact(put)
    region.wake()
    return answer


def _put(region: Region, tx: Transaction, id_: Id, name: str, given: Body, units: int, now_ms: int) -> Body:
    others = [one for one in store.policies(tx, *id_) if one.name != name]
    if len(others) >= limits.SCALING_POLICIES:
        raise errors.too_many_policies(limits.SCALING_POLICIES)
    if any(_metric(one.configuration) == _metric(given) for one in others):
        raise errors.duplicate_metric()
    policy = policies.put(region, tx, id_, name, given, units, now_ms)
    return {"PolicyARN": policies.arn(region, policy), "Alarms": _alarms(region, policy)}


def _metric(configuration: Any) -> Any:
    return configuration.get("PredefinedMetricSpecification") or configuration.get("CustomizedMetricSpecification")


def _check(body: Body, id_: Id, *, is_new: bool) -> None:
    kind = body.get("PolicyType") or ("StepScaling" if is_new else TYPE)
    if kind != TYPE:
        raise errors.policy_type_unsupported(kind) if is_new else errors.policy_type_fixed(kind)
    for member in OTHERS:
        if body.get(member) is not None:
            raise errors.other_configuration(member)
    given = body.get(CONFIGURATION)
    if given is None:
        raise errors.configuration_required()
    check_configuration(given, id_)


def check_configuration(given: Body, id_: Id) -> None:
    predefined: Body | None = given.get("PredefinedMetricSpecification")
    customized: Body | None = given.get("CustomizedMetricSpecification")
    if (predefined is None) == (customized is None):
        raise errors.one_metric_required()
    value = float(given["TargetValue"])
    if not limits.CUSTOMIZED_TARGET[0] <= value <= limits.CUSTOMIZED_TARGET[1]:
        raise errors.target_value(_java(value))
    if customized is not None:
        _check_customized(customized)
        return
    assert predefined is not None
    metric = predefined["PredefinedMetricType"]
    if metric != id_.metric:
        raise errors.metric_unfit(metric, id_.dimension)
    if predefined.get("ResourceLabel") is not None:
        raise errors.resource_label_unfit()
    least, most = limits.PREDEFINED_TARGET_PERCENT
    if not least <= value <= most:
        raise errors.predefined_target_value(metric, least, most, _java(value))


def _check_customized(metric: Body) -> None:
    if metric.get("Metrics") is not None:
        raise errors.metric_math_unsupported()
    if not (metric.get("MetricName") and metric.get("Namespace") and metric.get("Statistic")):
        raise errors.customized_metric_incomplete()
    texts = [metric["MetricName"], metric["Namespace"], metric.get("Unit") or ""]
    dimensions = metric.get("Dimensions") or ()
    for one in dimensions:
        texts += [one["Name"], one["Value"]]
        if not one["Name"] or not one["Value"]:
            raise errors.customized_metric_incomplete()
    if len(dimensions) > limits.CUSTOMIZED_METRIC_DIMENSIONS or any(
        len(text) > limits.CUSTOMIZED_METRIC_CHARS for text in texts
    ):
        raise errors.customized_metric_too_long()


def _java(value: float) -> str:
    """The number as Java prints a double."""
    text = repr(value)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return text
    mantissa, _, exponent = f"{value:.17e}".partition("e")
    for digits in range(17):
        short = f"{value:.{digits}e}"
        if float(short) == value:
            mantissa, _, exponent = short.partition("e")
            break
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"


async def delete_scaling_policy(region: Region, body: Body) -> Body:
    id_, name, now_ms = requests.target_id(body), body["PolicyName"], region.clock.now_ms()

    def delete(tx: Transaction) -> None:
        policy = store.policy(tx, id_, name)
        if policy is None:
            raise errors.policy_not_found(*id_, name)
        policies.delete(tx, policy, now_ms)

    await region.transact(delete)
    region.wake()
    return {}


async def describe_scaling_policies(region: Region, body: Body) -> Body:
    wanted, after = requests.names(body), requests.after(body, 3)
    only = body.get("PolicyNames")

    def read(snapshot: Snapshot) -> Body:
        limit = body.get("MaxResults") or limits.SCALING_POLICIES_PAGE
        found = iter(()) if wanted is None else _found(snapshot, wanted, only, after)
        return requests.page(
            "ScalingPolicies",
            found,
            limit,
            lambda one: _described(region, snapshot, one),
            lambda one: (*one.id, one.name),
        )

    return await region.read(read)


def _found(
    snapshot: Snapshot, names: tuple[str, ...], only: list[str] | None, after: tuple[str, ...] | None
) -> Iterator[Policy]:
    arns_or_names = None if not only else frozenset(only)
    for policy in store.policies(snapshot, *names):
        key = (*policy.id, policy.name)
        if (after is None or key > after) and (arns_or_names is None or policy.name in arns_or_names):
            yield policy


def _described(region: Region, snapshot: Snapshot, policy: Policy) -> Body:
    return {
        "PolicyARN": policies.arn(region, policy),
        "PolicyName": policy.name,
        **store.members(policy),
        "PolicyType": TYPE,
        CONFIGURATION: dict(policy.configuration),
        "Alarms": [one for one in _alarms(region, policy) if alarm_store.find(snapshot, one["AlarmName"]) is not None],
        "CreationTime": policy.created_ms / 1000,
    }


def _alarms(region: Region, policy: Policy) -> list[Body]:
    return [
        {"AlarmName": policy.alarms[kind], "AlarmARN": region.arn(f"alarm:{policy.alarms[kind]}", "cloudwatch")}
        for kind in tracking.KINDS
        if kind in policy.alarms
    ]


async def get_predictive_scaling_forecast(region: Region, body: Body) -> Body:
    raise errors.no_forecast()
