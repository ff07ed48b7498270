"""The load of the drill: processes with several clients each, which use the other front end when one fails.

chains    items whose history must be serializable, as in `tests.processes.load`: conditional puts, updates, deletions,
          reads and transactions
puts      new items, each sent again until it is acknowledged: none may be missing
counters  conditional additions: their sum is that of the acknowledged ones, and of some of the unknown ones
"""

from __future__ import annotations

import multiprocessing
import pickle
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from atoll.testing.histories import Operation, Write
from atoll.testing.histories.operations import Outcome
from tests.processes.load import REFUSED, Body, Session, key
from tests.processes.world import TABLE

CLIENTS = 3
"""Of each process."""
COUNTERS = 20
PAUSE_S = 0.03
"""Between two requests of a client: the drill is no benchmark."""
INDEX = "owners"
READS = {"get_item", "transact_get_items"}


@dataclass
class Result:
    history: list[Operation] = field(default_factory=list)
    puts: dict[str, str] = field(default_factory=dict)
    """The item and value of each that was acknowledged."""
    added: int = 0
    unknown: int = 0
    """Additions."""
    acknowledged_ns: list[int] = field(default_factory=list)
    """Of all writes."""


class Client(Session):
    def __init__(self, name: str, endpoints: list[str], seed: str) -> None:
        clients = [connect(url) for url in endpoints]
        chance = random.Random(seed)
        super().__init__("cluster", name, clients[0], chance)
        self._clients = clients
        self._turn = chance.randrange(len(clients))
        self.result = Result(history=self.history)

    def work(self, stopped: Callable[[], bool], note: Callable[[int], None]) -> Result:
        self._note = note
        kinds: list[Callable[[], object]] = [
            *[self._put, self._add] * 2,
            *[self._append, self._put_if, self._transact] * 2,
            self._delete,
            self._get,
            self._read_both,
        ]
        while not stopped():
            self.random.choice(kinds)()
            time.sleep(PAUSE_S)
        return self.result

    def _put(self) -> None:
        item, value = f"put/{self._value()}", str(self.random.random())
        body = {"TableName": TABLE, "Item": {**key(item), "v": {"S": value}, "owner": {"S": self.name}}}
        if self._insist("put_item", body)[0] == "ok":
            self.result.puts[item] = value

    def _add(self) -> None:
        outcome, _ = self._send(
            "update_item",
            {
                "TableName": TABLE,
                "Key": key(f"counter/{self.random.randrange(COUNTERS)}"),
                "UpdateExpression": "SET #owner = :owner ADD n :one",
                "ConditionExpression": "attribute_not_exists(n) OR n >= :one",
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": {":owner": {"S": self.name}, ":one": {"N": "1"}},
            },
        )
        self.result.added += outcome == "ok"
        self.result.unknown += outcome == "unknown"

    def _transact(self) -> None:
        """With a token, so that the other front end may be asked again."""
        items, value = self._own(2), self._value()
        actions = [{"Update": self._append_to(item, value + part)} for item, part in zip(items, "ab", strict=True)]
        writes = tuple([Write(item, value + part) for item, part in zip(items, "ab", strict=True)])
        invoked = time.monotonic_ns()
        outcome, _ = self._insist("transact_write_items", {"TransactItems": actions, "ClientRequestToken": value})
        completed = None if outcome == "unknown" else time.monotonic_ns()
        self.history.append(Operation("transact_write_items", self.name, invoked, completed, outcome, (), writes))

    def _insist(self, name: str, body: Body) -> tuple[Outcome, Body | None]:
        """Send what may be sent twice until the outcome is known, for at most two minutes."""
        until = time.monotonic() + 120
        while True:
            found = self._send(name, body)
            if found[0] != "unknown" or time.monotonic() > until:
                return found

    def _send(self, name: str, body: Body) -> tuple[Outcome, Body | None]:
        try:
            answer: Body = getattr(self._clients[self._turn], name)(**body)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in REFUSED:
                reasons = [one.get("Code") for one in error.response.get("CancellationReasons", ())]
                return ("unknown" if "TransactionConflict" in reasons else "failed"), None
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 and code not in _AGAIN:
                raise
        except BotoCoreError:
            time.sleep(0.02)  # the front end is down
        else:
            if name not in READS:
                now = time.monotonic_ns()
                self.result.acknowledged_ns.append(now)
                self._note(now)
            return "ok", answer
        self._turn = (self._turn + 1) % len(self._clients)
        return "unknown", None


_AGAIN = {"TransactionInProgressException", "TransactionConflictException"}


def connect(endpoint: str) -> Any:
    """A client that does not try again by itself."""
    return boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="drill",
        aws_secret_access_key="drill",
        config=Config(proxies={}, retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=20),
    )


class Load:
    """Processes that work until they are stopped. Each process seldom writes `acknowledged_ns`."""

    def __init__(self, directory: Path, endpoints: list[str], processes: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._last = [context.Value("q", 0, lock=False) for _ in range(processes)]
        self._files = [directory / f"load-{number}" for number in range(processes)]
        self._processes = [
            context.Process(
                target=_work, args=(f"p{number}", endpoints, f"{seed}/{number}", self._stop, last, file), daemon=True
            )
            for number, (last, file) in enumerate(zip(self._last, self._files, strict=True))
        ]
        for process in self._processes:
            process.start()

    def last_ns(self) -> int:
        """When a write was acknowledged last."""
        return max(one.value for one in self._last)

    def stop(self) -> list[Result]:
        self._stop.set()
        for process in self._processes:
            process.join(180)
            assert process.exitcode == 0, f"a process of the load ended with {process.exitcode}"
        return [one for file in self._files for one in pickle.loads(file.read_bytes())]


def _work(name: str, endpoints: list[str], seed: str, stop: Any, last: Any, file: Path) -> None:
    def note(now: int) -> None:
        last.value = now

    clients = [Client(f"{name}c{number}", endpoints, f"{seed}/{number}") for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        working = [pool.submit(client.work, stop.is_set, note) for client in clients]
        file.write_bytes(pickle.dumps([one.result() for one in working]))
