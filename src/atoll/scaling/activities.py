"""The scaling activities and their texts, for DescribeScalingActivities."""

from __future__ import annotations

from typing import Any

from atoll.errors import ApiError
from atoll.errors import scaling as errors
from atoll.scaling import decision
from atoll.scaling.targets import Id

IN_PROGRESS, SUCCESSFUL, OVERRIDDEN, FAILED = "InProgress", "Successful", "Overridden", "Failed"


def minimum_set(units: int) -> str:
    return f"minimum capacity was set to {units}"


def maximum_set(units: int) -> str:
    return f"maximum capacity was set to {units}"


def alarm_triggered(alarm: str, state: str, policy: str) -> str:
    return f"monitor alarm {alarm} in state {state} triggered policy {policy}"


def schedule_triggered(name: str) -> str:
    return f"scheduled action name {name} was triggered"


def setting(id_: Id, units: int) -> str:
    return f"Setting {id_.noun} to {units}."


def fulfilled(id_: Id, units: int) -> str:
    return f"Successfully set {id_.noun} to {units}. Change successfully fulfilled by dynamodb."


def waiting(id_: Id, units: int) -> str:
    return f"Successfully set {id_.noun} to {units}. Waiting for change to be fulfilled by dynamodb."


def overridden(id_: Id, units: int, now: int | None) -> str:
    """The text is assumed."""
    other = "another change" if now is None else f"a change to {now}"
    return f"Successfully set {id_.noun} to {units}. The change was overridden by {other}."


def failed(id_: Id, units: int, error: ApiError) -> str:
    told = f"(Service: AmazonDynamoDBv2; Status Code: {error.status}; Error Code: {error.code})"
    return f"Failed to set {id_.noun} to {units}. Reason: {error.message} {told}"


def bounds_described(least: int | None, most: int | None) -> str:
    parts = [f"{name} capacity to {value}" for name, value in (("min", least), ("max", most)) if value is not None]
    return " and ".join(parts)


BOUNDS_REVERSED = errors.bounds_reversed().message

NOT_SCALED = "Attempting to scale due to alarm triggered"


def reason(code: str, bounds: decision.Bounds, units: int) -> dict[str, Any]:
    if code == decision.AT_MAX:
        return {"Code": code, "MaxCapacity": bounds.most}
    if code == decision.AT_MIN:
        return {"Code": code, "MinCapacity": bounds.least}
    return {"Code": code, "CurrentCapacity": units}


def ended(id_: Id, units: int, now: int | None) -> tuple[str, str]:
    """The status and message of a finished change to `units`, after which the table has `now` units."""
    if now == units:
        return SUCCESSFUL, fulfilled(id_, units)
    return OVERRIDDEN, overridden(id_, units, now)
