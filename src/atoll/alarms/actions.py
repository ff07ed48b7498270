"""What an alarm does when its state changes: each action is an ARN, and the ARN's service decides who carries it out.

    autoscaling   a scaling policy: the callable that the node has for the service. It runs again every period while the
                  state lasts
    lambda        a function of the functions file, with the event that CloudWatch sends
    sns           the destination of the functions file whose name is the topic's: a webhook or a directory
    others        only logged

A scaling policy is awaited: it changes tables and settings of this server, and must see its alarms in order. Calls of
functions and webhooks leave the server, so `deliveries` makes them in the background.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.alarms.alarm import Alarm
from atoll.database.region import Region

AUTO_SCALING = "autoscaling"


@dataclass(frozen=True)
class Event:
    """A state that an alarm entered, or is still in."""

    alarm: Alarm
    """In its new state."""
    old: Alarm
    """As it was before."""
    now_ms: int
    data: Mapping[str, Any]
    """The data of the evaluation (StateReasonData), or what SetAlarmState gave; empty if it gave none."""
    repeats: bool = False
    """The state lasts: only scaling policies act again."""


Act = Callable[[Region, Event, str], Awaitable[None]]
"""Carries out one action, whose ARN is the last argument. It may run twice for the same event, after a crash."""
