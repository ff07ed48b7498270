"""The actions that an alarm runs when its state changes. Each action is an ARN; the service in the ARN decides how it
runs.

    autoscaling   a scaling policy: a callable that the node provides. It runs again every period while the state lasts
    lambda        a function of the functions file, with the event that CloudWatch sends
    sns           the destination of the functions file whose name is the topic's: a webhook or a directory
    others        only logged

A scaling policy is awaited: it changes tables of this server, and must see its alarms in order. Calls of functions and
webhooks leave the server, so they are stored and run in the background (`deliveries`).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from atoll import arns
from atoll.alarms import messages
from atoll.alarms.alarm import Alarm
from atoll.alarms.deliveries import Deliveries
from atoll.database.region import Region
from atoll.triggers.functions import Functions
from atoll.triggers.registry import Function

AUTO_SCALING = "autoscaling"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """A state that an alarm entered, or is still in."""

    alarm: Alarm
    """The alarm in its new state."""
    old: Alarm
    """The alarm before the change."""
    now_ms: int
    data: Mapping[str, Any]
    """The data of the evaluation (StateReasonData), or what SetAlarmState gave; empty if it gave none."""
    repeats: bool = False
    """The state lasts: only scaling policies act again."""


Act = Callable[[Region, Event, str], Awaitable[None]]
"""Carries out one action, whose ARN is the last argument. It may run twice for the same event, after a crash."""


class Message(NamedTuple):
    """The message that an action sends."""

    arn: str
    body: Mapping[str, Any]


def repeats(arn: str) -> bool:
    """Whether an action runs again while the alarm's state lasts."""
    parsed = arns.parse(arn)
    return parsed is not None and parsed.service == AUTO_SCALING


class Actions:
    """The actions of the alarms of one region."""

    def __init__(self, region: Region, functions: Callable[[], Functions], acts: Mapping[str, Act]) -> None:
        """`acts`: the awaited actions, by the service in their ARNs."""
        self._region = region
        self._functions = functions
        self._acts = acts
        self._deliveries = Deliveries(region, functions)

    async def run(self, event: Event) -> list[Message]:
        """Run the awaited actions of the alarm's new state; returns the messages that the others deliver."""
        found = [await self._begin(event, arn) for arn in event.alarm.actions(event.alarm.state.value)]
        return [one for one in found if one is not None]

    async def repeat(self, event: Event) -> None:
        for arn in event.alarm.actions(event.alarm.state.value):
            if repeats(arn):
                await self._carry_out(event, arn)

    async def settle(self, now_ms: int) -> int | None:
        """Try the deliveries that are due; returns the time of the next one."""
        return await self._deliveries.settle(now_ms)

    async def stop(self) -> None:
        await self._deliveries.stop()

    async def _begin(self, event: Event, arn: str) -> Message | None:
        parsed = arns.parse(arn)
        service = "" if parsed is None else parsed.service
        functions = self._functions()
        if service in self._acts:
            error = await self._carry_out(event, arn)
            await self._deliveries.record(event.alarm, arn, error, event.now_ms)
        elif service == "lambda" and isinstance(functions.destination(arn), Function):
            body = messages.function_event(event.alarm, event.old, self._region)
            return Message(arn, body)
        elif service == "sns" and functions.destination(arn) is not None:
            body = messages.notification(event.alarm, event.old, self._region)
            return Message(arn, body)
        else:
            _log.warning("alarm %s is in state %s, but its action %s is unknown", event.alarm.name,
                         event.alarm.state.value, arn, extra={"region": self._region.name})  # fmt: skip
        return None

    async def _carry_out(self, event: Event, arn: str) -> str | None:
        """Returns the error, if the action fails."""
        parsed = arns.parse(arn)
        act = None if parsed is None else self._acts.get(parsed.service)
        if act is None:
            return None
        try:
            await act(self._region, event, arn)
        except Exception as error:
            if not self._region.health.failed(error, count=0):
                _log.exception("an action of the alarm %s failed: %s", event.alarm.name, arn,
                               extra={"region": self._region.name})  # fmt: skip
            return str(error) or type(error).__name__
        return None
