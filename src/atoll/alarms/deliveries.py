"""Deliver the messages of alarms to functions and webhooks, in the background, with a limited number of attempts.

A delivery is tried up to `ATTEMPTS` times, each time after a longer pause. It is stored until it has arrived or failed:
after a stop, the next process begins anew with those that are left, so one may arrive twice. The alarm's history tells
how each one ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from atoll.alarms import store
from atoll.alarms.alarm import Alarm
from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.storage.engine import Transaction
from atoll.triggers.functions import Functions
from atoll.triggers.registry import Function

ATTEMPTS = 5
PAUSE_MS = 1_000
"""The pause before the second attempt; each further pause is twice as long."""
MOST = 1_000
"""The most deliveries of a region at a time; more wait in the store."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    number: int
    alarm: Alarm
    arn: str
    body: Mapping[str, Any]
    due_ms: int
    attempt: int = 1


class Deliveries:
    def __init__(self, region: Region, functions: Callable[[], Functions]) -> None:
        self._region = region
        self._functions = functions
        self._seen = 0
        """The number of the last delivery that was read."""
        self._waiting: list[Delivery] = []
        self._running: set[asyncio.Task[None]] = set()

    async def settle(self, now_ms: int) -> int | None:
        """Begin the deliveries that are due. On a manual clock also wait for them, since no time passes meanwhile."""
        room = MOST - len(self._waiting) - len(self._running)
        if room > 0:
            for stored in await self._region.read(partial(store.deliveries, after=self._seen, most=room)):
                self._waiting.append(Delivery(*stored, due_ms=now_ms))
                self._seen = stored.number
        waiting, self._waiting = self._waiting, []
        for delivery in waiting:
            if delivery.due_ms > now_ms:
                self._waiting.append(delivery)
                continue
            task = asyncio.create_task(self._deliver(delivery))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if self._running and isinstance(self._region.clock, ManualClock):
            await asyncio.wait(list(self._running))
        return min((delivery.due_ms for delivery in self._waiting), default=None)

    async def stop(self) -> None:
        """Cancel the running deliveries. The functions are closed before, so none takes long to end."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running))

    async def _deliver(self, delivery: Delivery) -> None:
        functions = self._functions()
        try:
            if await self._region.read(partial(store.is_delivered, number=delivery.number)):
                return  # by another process, which had the lease meanwhile
            target = functions.destination(delivery.arn)
            if isinstance(target, Function):
                await functions.invoke(target, orjson.dumps(delivery.body), functions.new_request_id())
                arrived = True
            else:
                arrived = await functions.report(delivery.arn, dict(delivery.body), functions.new_request_id())
        except Exception as error:
            _log.warning("an action of the alarm %s failed: %s: %s", delivery.alarm.name, delivery.arn, error,
                         extra={"region": self._region.name})  # fmt: skip
            arrived = False
        await self._end(delivery, arrived)

    async def _end(self, delivery: Delivery, arrived: bool) -> None:
        now_ms = self._region.clock.now_ms()
        if not arrived and delivery.attempt < ATTEMPTS:
            pause_ms = PAUSE_MS << (delivery.attempt - 1)
            self._waiting.append(replace(delivery, attempt=delivery.attempt + 1, due_ms=now_ms + pause_ms))
            return
        error = None if arrived else f"{delivery.attempt} attempts failed"
        await self.record(delivery.alarm, delivery.arn, error, now_ms, delivery.number)

    async def record(self, alarm: Alarm, arn: str, error: str | None, now_ms: int, number: int | None = None) -> None:
        """Add an action's result to the alarm's history."""
        if error is None:
            summary = f"Successfully executed action {arn}"
        else:
            summary = f'Failed to execute action {arn}. Received error: "{error}"'
        data = {
            "actionState": "Succeeded" if error is None else "Failed",
            "notificationResource": arn,
            "stateUpdateTimestamp": alarm.state.updated_ms,
        }
        if error is not None:
            data["error"] = error
        await self._region.transact(partial(_record, alarm, summary, data, now_ms, number))


def _record(alarm: Alarm, summary: str, data: dict[str, Any], now_ms: int, number: int | None, tx: Transaction) -> None:
    """`number` is that of the delivery that has ended, if it was one."""
    if number is not None:
        store.forget_delivery(tx, number)
    store.record(tx, alarm, store.ACTION, summary, data, now_ms=now_ms)
