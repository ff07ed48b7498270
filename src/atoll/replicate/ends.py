"""One end of a replication: a DynamoDB endpoint, called through botocore.

`End.call` sends a request until it succeeds or is refused. It repeats throttled requests forever, and requests that met
a failure of the network or of the server for some minutes. Between two attempts it waits, longer each time and for a
random time, so that several processes do not come back together. botocore's own retries are off: they would neither
count throttling nor end when the user stops the replication.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as CannotConnect

from atoll.clock import monotonic_ns
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.progress import Counters

Gate = Callable[[], None]
"""Called before each attempt of a call. It waits until the attempt is allowed, or raises."""

DEFAULT_REGION = "us-east-1"
CONNECTIONS = 64
CONNECT_SECONDS = 5
READ_SECONDS = 20

FIRST_DELAY_S = 0.05
LONGEST_DELAY_S = 10.0
PATIENCE_S = 300.0
"""Give up on an endpoint that cannot be reached, or only fails, for this long."""

TABLES = "dynamodb"
STREAMS = "dynamodbstreams"
_STREAM_OPERATIONS = {"describe_stream", "get_shard_iterator", "get_records"}

_THROTTLED = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TransactionInProgressException",
}
_PASSING_REASONS = {"None", "ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"}
_SERVER_FAILED = 500

TRANSACTION_CANCELED = "TransactionCanceledException"
NOT_FOUND = "ResourceNotFoundException"


@dataclass(frozen=True)
class Address:
    """How the user names an end: a URL, or a region of the service, with a profile of boto's configuration."""

    place: str
    region: str = ""
    profile: str = ""
    streams: str = ""
    """The URL of the streams API, if it differs from that of the tables."""

    @property
    def is_url(self) -> bool:
        return self.place.startswith(("http://", "https://"))

    def clients(self) -> dict[str, Any]:
        """botocore's clients, by service. They may be shared by threads."""
        session = botocore.session.Session(profile=self.profile or None)
        region = self.region or (session.get_config_variable("region") if self.is_url else self.place)
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=CONNECTIONS,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            # A region is the service's, even if the environment directs SDKs to another endpoint.
            ignore_configured_endpoint_urls=True,
        )
        url = self.place if self.is_url else None
        urls = {TABLES: url, STREAMS: self.streams or url}
        return {
            service: session.create_client(
                service, region_name=region or DEFAULT_REGION, endpoint_url=urls[service], config=config
            )
            for service in (TABLES, STREAMS)
        }


class End:
    def __init__(self, role: str, clients: dict[str, Any], pause: Callable[[float], None], counters: Counters) -> None:
        self.role = role
        """"source" or "target", for messages."""
        self._clients = clients
        self.pause = pause
        """Wait this many seconds; raises Stopped if the replication has to end."""
        self._counters = counters
        self._reached = False

    def call(self, operation: str, gate: Gate | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer. Raises CallFailed if the endpoint refuses the call, Failed if it cannot be reached."""
        attempt = 0
        failing_since_ns: int | None = None
        while True:
            if gate is not None:
                gate()
            try:
                answer = self.send(operation, parameters)
            except ClientError as error:
                if not self._passes(error, operation):
                    raise _refusal(self.role, operation, error) from error
                failure = None if _is_throttled(error, operation) else str(error)
            except (HTTPClientError, CannotConnect) as error:
                failure = str(error)
            except BotoCoreError as error:
                raise Failed(f"{self.role}: {operation}: {error}") from error
            else:
                self._reached = True
                return answer
            if failure is None:
                self._counters.add(throttled=1)
                failing_since_ns = None
            else:
                failing_since_ns = failing_since_ns or monotonic_ns()
                self._give_up(operation, failure, failing_since_ns)
            self.back_off(attempt)
            attempt += 1

    def send(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """One attempt."""
        client = self._clients[STREAMS if operation in _STREAM_OPERATIONS else TABLES]
        answer: dict[str, Any] = getattr(client, operation)(**parameters)
        return answer

    def back_off(self, attempt: int) -> None:
        """Wait before another attempt. The first one has the number 0."""
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(attempt, 16))
        self.pause(delay_s * random.uniform(0.5, 1.0))

    def _passes(self, error: ClientError, operation: str) -> bool:
        """Whether the same request may succeed later."""
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _is_throttled(error, operation) or status >= _SERVER_FAILED

    def _give_up(self, operation: str, failure: str, since_ns: int) -> None:
        """Raise if this has lasted too long: the first call of a run must succeed at once."""
        failing_s = (monotonic_ns() - since_ns) / 1e9
        if not self._reached or failing_s > PATIENCE_S:
            raise Failed(f"{self.role}: {operation}: {failure}")
        self._counters.trouble(f"{self.role}: {operation}: {failure}")


def _is_throttled(error: ClientError, operation: str) -> bool:
    code = error.response["Error"].get("Code", "")
    if code == TRANSACTION_CANCELED:
        return set(_reasons(error)) <= _PASSING_REASONS
    if code == "LimitExceededException":  # of a stream: too many readers or calls; of tables: a quota
        return operation in _STREAM_OPERATIONS
    return code in _THROTTLED


def _refusal(role: str, operation: str, error: ClientError) -> CallFailed:
    told = error.response["Error"]
    return CallFailed(role, operation, told.get("Code", ""), told.get("Message", ""), tuple(_reasons(error)))


def _reasons(error: ClientError) -> list[str]:
    return [reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())]
