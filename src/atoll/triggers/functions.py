"""The functions and destinations of one region. The event loop invokes them, and they run in threads.

Each function has its own threads, as many as it may have invocations at a time. So a slow function delays no other
function.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from atoll import arns
from atoll.clock import monotonic_ns
from atoll.database.region import Region
from atoll.errors import triggers as trigger_errors
from atoll.logs import Repeats
from atoll.triggers.batches import BatchOutcome
from atoll.triggers.calls import Runner, failed, shown
from atoll.triggers.registry import Destination, Function, Registry
from atoll.triggers.runners import Python, runner
from atoll.triggers.webhooks import Webhook

DESTINATION_TIMEOUT_S = 30.0
DESTINATION_THREADS = 4

_log = logging.getLogger(__name__)


class Functions:
    def __init__(self, registry: Registry, region: Region, environment: Callable[[], Mapping[str, str]] = dict) -> None:
        """`environment` holds default variables; the server's own and the function's take precedence."""
        self.registry = registry
        self._region = region
        self._environment = environment
        self._runners: dict[str, Runner] = {}
        self._webhooks = {
            one.name: Webhook(one.webhook, one.headers, DESTINATION_TIMEOUT_S)
            for one in registry.destinations.values()
            if one.webhook is not None
        }
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._loading: asyncio.Task[None] | None = None
        self._repeats = Repeats(_log, monotonic_ns)
        self.closed = False

    def find(self, given: str) -> Function | None:
        """Find a function by its name or ARN, with or without a version."""
        if given.startswith("arn:"):
            kind, _, given = (self._region.resource(given, "lambda") or "").partition(":")
            if kind != "function":
                return None
        elif ":function:" in given:
            given = given.rpartition(":function:")[2]
        return self.registry.functions.get(given.partition(":")[0])

    def arn(self, name: str) -> str:
        return self._region.arn(f"function:{name}", "lambda")

    def mapping_arn(self, uuid: str) -> str:
        return self._region.arn(f"event-source-mapping:{uuid}", "lambda")

    def new_request_id(self) -> str:
        return str(uuid.uuid4())

    async def invoke(self, function: Function, event: bytes, request_id: str) -> BatchOutcome:
        """Call the function once. A failure is an outcome, too. Raises if `close` is called before the call begins."""
        if self.closed:
            raise trigger_errors.stopping()
        call = partial(self._call, self._runner(function), event, request_id)
        threads = self._pool(function.name, function.concurrency)
        outcome = await asyncio.get_running_loop().run_in_executor(threads, call)
        if outcome.error is not None:
            self.failed(function.name, outcome, request_id)
        return outcome

    def failed(self, name: str, outcome: BatchOutcome, request_id: str | None = None) -> None:
        """Log a failure; if it repeats, once a minute."""
        reason = shown(outcome)
        extra = {"region": self._region.name, "function": name, "invocation": request_id}
        self._repeats.log((name, reason), logging.WARNING, f"function {name} failed: {reason}", extra)

    def _call(self, one: Runner, event: bytes, request_id: str) -> BatchOutcome:
        """Runs in a thread; `close` may have been called while the call waited for the thread."""
        if self.closed:
            raise trigger_errors.stopping()
        return one.call(event, request_id)

    def load(self) -> None:
        """Start a process for each Python function in the background, so that import errors are logged now, not at the
        first invocation."""
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        for function in self.registry.functions.values():
            one = self._runner(function)
            if isinstance(one, Python):
                threads = self._pool(function.name, function.concurrency)
                outcome = await asyncio.get_running_loop().run_in_executor(threads, one.load)
                if outcome.error is not None:
                    message = shown(outcome)
                    extra = {"region": self._region.name, "function": function.name}
                    _log.warning("function %s: %s cannot be loaded: %s", function.name, function.python, message,
                                 extra=extra)  # fmt: skip

    def _runner(self, function: Function) -> Runner:
        if function.name not in self._runners:
            environment = {
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "AWS_REGION": self._region.name,
                "AWS_DEFAULT_REGION": self._region.name,
                **self._environment(),
            }
            self._runners[function.name] = runner(function, self.arn(function.name), environment)
        return self._runners[function.name]

    def _pool(self, name: str, size: int) -> ThreadPoolExecutor:
        if name not in self._threads:
            self._threads[name] = ThreadPoolExecutor(size, f"atoll-{name}")
        return self._threads[name]

    # Destinations

    def destination_arn(self, name: str) -> str:
        """The ARN of a destination or function of the file. SDKs see a destination as a queue."""
        if name in self.registry.destinations:
            return self._region.arn(name, "sqs")
        return self.arn(name)

    def destination(self, arn: str) -> Destination | Function | None:
        """Find a destination by the last part of its ARN, whatever the ARN's service is."""
        given = arns.parse(arn)
        if given is not None and given.service == "lambda":
            return self.find(arn)
        return self.registry.destinations.get(arn.rpartition(":")[2])

    async def report(self, arn: str, report: dict[str, Any], name: str) -> bool:
        """Send a report to a destination; return whether it arrived. Reports of the same batch have the same `name`."""
        target = self.destination(arn)
        body = orjson.dumps(report)
        if target is None:
            extra = {"region": self._region.name, "destination": arn}
            _log.error("unknown destination; the report is lost: %s", body.decode(), extra=extra)
            return True
        if isinstance(target, Function):
            outcome = await self.invoke(target, body, self.new_request_id())
        else:
            threads = self._pool(f" {target.name}", DESTINATION_THREADS)
            outcome = await asyncio.get_running_loop().run_in_executor(threads, self._deliver, target, body, name)
        if outcome.error is not None:
            reason, extra = shown(outcome), {"region": self._region.name, "destination": arn}
            message = f"the destination did not accept a report: {reason}"
            self._repeats.log((arn, reason), logging.ERROR, message, extra)
        return outcome.error is None

    def _deliver(self, target: Destination, report: bytes, name: str) -> BatchOutcome:
        webhook = self._webhooks.get(target.name)
        if webhook is not None:
            return webhook.call(report, name)
        assert target.directory is not None
        try:
            _write(target.directory / f"{name}.json", report)
        except OSError as error:
            return failed("Destination.Unwritable", str(error))
        return BatchOutcome(b"null")

    def close(self) -> None:
        """End all running calls; later calls fail."""
        self.closed = True
        if self._loading is not None:
            self._loading.cancel()
        for one in (*self._runners.values(), *self._webhooks.values()):
            one.close()
        for threads in self._threads.values():
            threads.shutdown(wait=False)


def _write(path: Path, content: bytes) -> None:
    """Write the file atomically and sync it, because the lane then discards the records that the file reports."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
