"""Two servers in this process, and replications between them whose calls a test sees and may disturb."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any, Self

from atoll import testing
from atoll.client import Client
from atoll.clock import Clock, SystemClock
from atoll.replicate.crew import Pauses
from atoll.replicate.ends import Address, End
from atoll.replicate.progress import Counters, Display
from atoll.replicate.run import Options, Replication

Before = Callable[[str, str, dict[str, Any]], None]
"""Called before each request, one at a time, with the role, the operation and its parameters. What it raises, the
replication gets as the request's failure."""

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


class Killed(BaseException):
    """The process is killed: nothing is cleaned up."""


class QuickPauses(Pauses):
    """Pauses that do not wait for long. `slept` learns how long they would."""

    def __init__(self, slept: Callable[[float], None] | None = None) -> None:
        super().__init__()
        self._slept = slept

    def sleep(self, seconds: float) -> None:
        if self._slept is not None:
            self._slept(seconds)
        super().sleep(min(seconds, 0.001))


class WatchedEnd(End):
    before: Before | None = None
    lock = threading.Lock()

    def send(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if self.before is not None:
            with self.lock:
                self.before(self.role, operation, parameters)
        return super().send(operation, parameters)


class World:
    def __init__(self, source: dict[str, Any] | None = None, target: dict[str, Any] | None = None) -> None:
        self.source = testing.serve(**(source or {}))
        self.target = testing.serve(**(target or {}))
        self._stack = ExitStack()
        self._clients: dict[str, Client] = {}
        self.told = io.StringIO()
        self.counters = Counters()
        self.pauses: Pauses = QuickPauses()
        self.clock: Clock = SystemClock()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.source)
        self._stack.enter_context(self.target)
        self.here = self.source.client()
        self.there = self.target.client()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # Tables

    def create(self, name: str = "Things", *, stream: bool = True, sort_key: bool = False, **more: Any) -> None:
        keys = [("pk", "HASH"), ("sk", "RANGE")] if sort_key else [("pk", "HASH")]
        if stream:
            more.setdefault("StreamSpecification", STREAM)
        more.setdefault("BillingMode", "PAY_PER_REQUEST")
        more.setdefault("AttributeDefinitions", [{"AttributeName": n, "AttributeType": "S"} for n, _ in keys])
        self.here.create_table(
            TableName=name, KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in keys], **more
        )

    def put(self, key: str, value: int, **more: Any) -> None:
        self.here.put_item(TableName="Things", Item={"pk": {"S": key}, "n": {"N": str(value)}} | more)

    def delete(self, key: str) -> None:
        self.here.delete_item(TableName="Things", Key={"pk": {"S": key}})

    def fill(self, keys: Iterable[int], table: str = "Things", size: int = 0) -> None:
        requests = [
            {"PutRequest": {"Item": {"pk": {"S": f"item-{n}"}, "n": {"N": str(n)}, "text": {"S": "x" * size}}}}
            for n in keys
        ]
        for first in range(0, len(requests), 25):
            self.here.batch_write_item(RequestItems={table: requests[first : first + 25]})

    def items(self, server: testing.LocalServer, table: str = "Things") -> dict[str, Any]:
        pages = server.client().get_paginator("scan").paginate(TableName=table)
        return {item["pk"]["S"]: item for page in pages for item in page["Items"]}

    @property
    def is_equal(self) -> bool:
        return self.items(self.source) == self.items(self.target)

    # Replications

    def replication(self, before: Before | None = None, pauses: Pauses | None = None, **options: Any) -> Replication:
        self.counters, self.told = Counters(), io.StringIO()
        self.pauses = pauses or QuickPauses()
        display = Display(self.counters, self.told, as_json=False)
        wanted = Options(**{
            "table": "Things", "target_table": options.get("table", "Things"), "checkpoint_table": "checkpoints",
            "poll_s": 0.001, "segments": 2,
        } | options)  # fmt: skip
        ends = [self._end(role, server, before) for role, server in (("source", self.source), ("target", self.target))]
        return Replication(wanted, ends[0], ends[1], self.pauses, self.counters, display, self.clock)

    def _end(self, role: str, server: testing.LocalServer, before: Before | None) -> End:
        if role not in self._clients:  # they take long to make
            self._clients[role] = Address(server.endpoint_url, server.region).client()
        end = WatchedEnd(role, self._clients[role], self.pauses, self.counters)
        end.before = before
        return end

    def replicate(self, before: Before | None = None, pauses: Pauses | None = None, **options: Any) -> str:
        """Replicate until the target has caught up; returns the output."""
        self.replication(before, pauses, once=True, **options).replicate()
        return self.told.getvalue()
