"""CloudWatch's operations on alarms. The evaluation of alarms and their actions are background work (`atoll.alarms`).

A change wakes the region, so that its actions run at once: SetAlarmState stores the new state with its event, as an
evaluation does.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice
from typing import Any

import orjson

from atoll import limits
from atoll.alarms import configuration, inputs, rules, store, suppression
from atoll.alarms.alarm import COMPOSITE, METRIC, Alarm, name_of
from atoll.alarms.composites import composite
from atoll.api.metrics import milliseconds
from atoll.database.region import Region
from atoll.errors import alarms as errors
from atoll.errors import metrics as metric_errors
from atoll.storage.engine import Snapshot, Transaction

Body = dict[str, Any]

PAGE = 50
TYPES = (METRIC, COMPOSITE)
HISTORY_READ = 5_000
"""The history items that one request examines; most may belong to other alarms."""
HISTORY_TOGETHER = 500
"""The history items examined before other requests run."""


async def put_metric_alarm(region: Region, body: Body) -> Body:
    new = configuration.checked(body, region.name)
    tags = _new_tags(body.get("Tags") or [])

    def put(tx: Transaction) -> None:
        _put(tx, region, new, METRIC, tags)

    await region.transact(put)
    region.wake()
    return {}


async def put_composite_alarm(region: Region, body: Body) -> Body:
    new = configuration.checked_composite(body, region.name)
    tags = _new_tags(body.get("Tags") or [])
    named = rules.parse(new["AlarmRule"]).alarms
    if new["AlarmName"] in map(name_of, named):
        raise errors.rule_of_itself()

    def put(tx: Transaction) -> None:
        unknown = [name for name in named if not _exists(tx, region, name)]
        if unknown:
            raise errors.unknown_children([_arn(region, name) for name in unknown])
        suppressor = new.get("ActionsSuppressor")
        if suppressor is not None and not _exists(tx, region, suppressor):
            raise errors.unknown_suppressor(_arn(region, suppressor))
        _put(tx, region, new, COMPOSITE, tags)

    await region.transact(put)
    region.wake()
    return {}


def _exists(tx: Transaction, region: Region, reference: str) -> bool:
    """Whether this region has the alarm that a rule names."""
    name = name_of(reference)
    return _arn(region, name) == _arn(region, reference) and store.find(tx, name) is not None


def _arn(region: Region, reference: str) -> str:
    return reference if reference.startswith("arn:") else region.arn(f"alarm:{reference}", "cloudwatch")


def _put(tx: Transaction, region: Region, new: Body, type: str, tags: dict[str, str]) -> None:
    old = store.find(tx, new["AlarmName"])
    if old is None and store.count(tx) >= limits.ALARMS:
        raise errors.too_many_alarms()
    if old is not None and old.type != type:
        raise errors.other_type(old.name)
    store.put(tx, new, region.clock.now_ms())
    if old is None and tags:
        store.put_tags(tx, new["AlarmName"], tags)


async def delete_alarms(region: Region, body: Body) -> Body:
    now_ms = region.clock.now_ms()
    await region.transact(lambda tx: store.delete(tx, body["AlarmNames"], now_ms))
    return {}


async def enable_alarm_actions(region: Region, body: Body) -> Body:
    return await _enable(region, body, True)


async def disable_alarm_actions(region: Region, body: Body) -> Body:
    return await _enable(region, body, False)


async def _enable(region: Region, body: Body, enabled: bool) -> Body:
    now_ms = region.clock.now_ms()
    await region.transact(lambda tx: store.enable_actions(tx, body["AlarmNames"], enabled, now_ms))
    region.wake()
    return {}


async def set_alarm_state(region: Region, body: Body) -> Body:
    data = _parsed(body.get("StateReasonData"))

    def change(tx: Transaction) -> None:
        old = store.find(tx, body["AlarmName"])
        if old is None:
            raise errors.unknown_alarm()
        now_ms = region.clock.now_ms()
        new = old.in_state(body["StateValue"], body["StateReason"], body.get("StateReasonData"), now_ms)
        store.change_state(tx, old, new, data, now_ms)

    await region.transact(change)
    region.wake()
    return {}


def _parsed(data: str | None) -> Body:
    if not data:
        return {}
    try:
        found = orjson.loads(data)
        orjson.dumps([[[[[[found]]]]]])  # stored alarms nest it some levels deeper
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        raise errors.reason_data_not_json() from None
    return found if isinstance(found, dict) else {}


# Reading


async def describe_alarms(region: Region, body: Body) -> Body:
    if body.get("AlarmNames") and body.get("AlarmNamePrefix"):
        raise metric_errors.exclusive("AlarmNames", "AlarmNamePrefix")
    after = _token(body.get("NextToken"), 1)
    most = body.get("MaxRecords") or PAGE
    related = await _related(region, body)
    types = body.get("AlarmTypes") or ([METRIC] if related is None else [METRIC, COMPOSITE])

    passes = _filter(body)
    found: list[Alarm] = []
    async for page in _chosen(region, body, None if after is None else after[0]):
        for alarm in page:
            if alarm.type in types and passes(alarm) and (related is None or related(alarm)):
                found.append(alarm)
            if related is not None and alarm.rule:
                await asyncio.sleep(0)  # parsing the rule may have taken long
        if len(found) > most:
            break
    members = None if related is None else _OF_PARENTS if body.get("ParentsOfAlarmName") else _OF_CHILDREN
    answer: Body = {"MetricAlarms": [], "CompositeAlarms": [], "LogAlarms": []}
    for alarm in found[:most]:
        shown = _shown(alarm, region)
        if members is not None:
            shown = {name: shown[name] for name in members}
        answer[f"{alarm.type}s"].append(shown)
    if len(found) > most:
        answer["NextToken"] = _as_token(found[most - 1].name)
    return answer


_OF_PARENTS = ("AlarmName", "AlarmArn")
_OF_CHILDREN = (*_OF_PARENTS, "StateValue", "StateUpdatedTimestamp")
"""The members shown of child and parent alarms."""


async def _related(region: Region, body: Body) -> Callable[[Alarm], bool] | None:
    """The names of the alarms that a request for children or parents asks for; None for another request."""
    children_of, parents_of = body.get("ChildrenOfAlarmName"), body.get("ParentsOfAlarmName")
    if children_of is None and parents_of is None:
        return None
    member = "ParentsOfAlarmName" if children_of is None else "ChildrenOfAlarmName"
    for other in _NOT_WITH_RELATED:
        if other != member and body.get(other):
            raise metric_errors.exclusive(member, other)
    if children_of is None:
        return lambda alarm: bool(alarm.rule) and parents_of in composite(alarm).children
    parent = await region.read(lambda snapshot: store.find(snapshot, children_of))
    names = frozenset(() if parent is None or not parent.rule else composite(parent).children)
    return lambda alarm: alarm.name in names


_NOT_WITH_RELATED = (
    "ParentsOfAlarmName", "AlarmNames", "AlarmNamePrefix", "AlarmTypes", "StateValue", "ActionPrefix",
)  # fmt: skip


def _chosen(region: Region, body: Body, after: str | None) -> AsyncIterator[list[Alarm]]:
    """The alarms with one of the names, or those with the prefix; after the name `after`, in the order of names, in
    pages."""
    if body.get("AlarmNames"):
        names = [name for name in sorted(set(body["AlarmNames"])) if after is None or name.encode() > after.encode()]
        return _named_alarms(region, names)
    return store.pages(region, body.get("AlarmNamePrefix") or "", after)


async def _named_alarms(region: Region, names: Sequence[str]) -> AsyncIterator[list[Alarm]]:
    found = await region.read(lambda snapshot: [store.find(snapshot, name) for name in names])
    yield [alarm for alarm in found if alarm is not None]


def _filter(body: Body) -> Callable[[Alarm], bool]:
    state, prefix = body.get("StateValue"), body.get("ActionPrefix")

    def passes(alarm: Alarm) -> bool:
        if state and alarm.state.value != state:
            return False
        return not prefix or any(
            action.startswith(prefix)
            for member in ("OKActions", "AlarmActions", "InsufficientDataActions")
            for action in alarm.configuration[member]
        )

    return passes


async def describe_alarms_for_metric(region: Region, body: Body) -> Body:
    """The alarms on one metric. Alarms on metric math are not among them."""
    wanted = inputs.metric(body)

    def concerns(alarm: Alarm) -> bool:
        configured = alarm.configuration
        return (
            not alarm.rule
            and not alarm.metrics
            and inputs.metric(configured) == wanted
            and all(
                body.get(name) is None or configured.get(name) == body[name]
                for name in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            )
        )

    shown: list[Body] = []
    async for page in store.pages(region):
        shown += [_shown(alarm, region) for alarm in page if concerns(alarm)]
    return {"MetricAlarms": shown}


def _shown(alarm: Alarm, region: Region) -> Body:
    state = alarm.state
    shown = {
        "AlarmArn": region.arn(alarm.resource, "cloudwatch"),
        **alarm.configuration,
        "AlarmConfigurationUpdatedTimestamp": alarm.configured_ms / 1000,
        "StateValue": state.value,
        "StateReason": state.reason,
        "StateUpdatedTimestamp": state.updated_ms / 1000,
        "StateTransitionedTimestamp": state.transitioned_ms / 1000,
    }
    if state.data is not None:
        shown["StateReasonData"] = state.data
    if alarm.suppression is not None:
        shown["ActionsSuppressedBy"] = alarm.suppression.by
        shown["ActionsSuppressedReason"] = suppression.reason(alarm)
    return shown


async def describe_alarm_history(region: Region, body: Body) -> Body:
    after = _token(body.get("NextToken"), 2)
    most = body.get("MaxRecords") or limits.ALARM_PAGE
    from_ms = 0 if body.get("StartDate") is None else milliseconds(body["StartDate"], "StartDate")
    until_ms = store.LATEST_MS if body.get("EndDate") is None else milliseconds(body["EndDate"], "EndDate")
    reverse = body.get("ScanBy") != "TimestampAscending"
    name, kind, types = body.get("AlarmName"), body.get("HistoryItemType"), body.get("AlarmTypes") or TYPES

    last: tuple[str, str] | None = None if after is None else (after[0], after[1])

    def read(snapshot: Snapshot) -> list[tuple[tuple[str, str], list[Any]]]:
        return list(
            islice(store.history(snapshot, from_ms, until_ms, reverse=reverse, after=last), HISTORY_TOGETHER + 1)
        )

    items: list[Body] = []
    for _ in range(HISTORY_READ // HISTORY_TOGETHER):
        found = await region.read(read)
        for key, item in found[:HISTORY_TOGETHER]:
            if len(items) == most:
                return {"AlarmHistoryItems": items, "NextToken": _as_token(*last or ())}
            last = key
            if name in (None, item[0]) and kind in (None, item[2]) and item[5] in types:
                items.append(_item(*item))
        if len(found) <= HISTORY_TOGETHER:
            return {"AlarmHistoryItems": items}
        await asyncio.sleep(0)
    return {"AlarmHistoryItems": items, "NextToken": _as_token(*last or ())}


def _item(name: str, time_ms: int, kind: str, summary: str, data: str, type: str) -> Body:
    return {
        "AlarmName": name,
        "AlarmType": type,
        "Timestamp": time_ms / 1000,
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": data,
    }


def _as_token(*names: str) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(names)).decode()


def _token(token: str | None, length: int) -> list[str] | None:
    if token is None:
        return None
    try:
        names = orjson.loads(base64.urlsafe_b64decode(token))
    except (ValueError, binascii.Error):
        raise metric_errors.invalid_token() from None
    if not isinstance(names, list) or len(names) != length or not all(isinstance(name, str) for name in names):
        raise metric_errors.invalid_token()
    return names


# Tags


async def tag_resource(region: Region, body: Body) -> Body:
    new = _new_tags(body["Tags"])
    name = _named(region, body["ResourceARN"])

    def tag(tx: Transaction) -> None:
        if store.find(tx, name) is None:
            raise errors.unknown_resource(body["ResourceARN"])
        tags = store.tags(tx, name) | new
        if len(tags) > limits.TAGS:
            raise errors.too_many_tags()
        store.put_tags(tx, name, tags)

    await region.transact(tag)
    return {}


async def untag_resource(region: Region, body: Body) -> Body:
    name = _named(region, body["ResourceARN"])

    def untag(tx: Transaction) -> None:
        if store.find(tx, name) is None:
            raise errors.unknown_resource(body["ResourceARN"])
        gone = frozenset(body["TagKeys"])
        store.put_tags(tx, name, {key: value for key, value in store.tags(tx, name).items() if key not in gone})

    await region.transact(untag)
    return {}


async def list_tags_for_resource(region: Region, body: Body) -> Body:
    name = _named(region, body["ResourceARN"])
    tags = await region.read(lambda snapshot: store.tags(snapshot, name))
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _named(region: Region, arn: str) -> str:
    """The name of the alarm with this ARN."""
    kind, _, name = (region.resource(arn, "cloudwatch") or "").partition(":")
    if kind != "alarm" or not name:
        raise errors.invalid_resource(arn)
    return name


def _new_tags(tags: list[Body]) -> dict[str, str]:
    found = {tag["Key"]: tag["Value"] for tag in tags}
    if len(found) > limits.TAGS:
        raise errors.too_many_tags()
    if any(key.lower().startswith("aws:") for key in found):
        raise errors.reserved_tag()
    return found
