"""One end of a replication: a DynamoDB endpoint, called with `client`.

`End.call` sends a request until it succeeds or is refused. It retries throttled requests forever, and requests after a
failure of the network or the server for some minutes. The pauses between attempts grow and are random, so that several
processes do not retry at the same time. The client's own retries are not used: they neither count throttling nor last
as long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from atoll.client import Client, resolve
from atoll.client.client import delay_s, with_token
from atoll.client.failures import Misconfigured, Refusal, Unreachable
from atoll.clock import monotonic_ns
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.progress import Counters

Gate = Callable[[], None]
"""Called before each attempt of a call. Waits until the attempt is allowed, or raises."""

LONGEST_DELAY_S = 10.0
PATIENCE_S = 300.0
"""An endpoint that is unreachable or fails for this long ends the replication."""


@dataclass(frozen=True)
class Address:
    """The user's arguments that name an end, as for `client.endpoint.resolve`."""

    place: str
    region: str = ""
    profile: str = ""
    streams: str = ""
    """The URL of the streams API, if it differs from that of the tables."""
    ca_bundle: str = ""

    def client(self) -> Client:
        """A client, which threads may share. Raises Misconfigured."""
        # A region means the service, even if the environment directs SDKs to another endpoint.
        streams = self.streams or self.place
        endpoint = resolve(self.place, self.region, self.profile, streams_url=streams, ca_bundle=self.ca_bundle)
        return Client(replace(endpoint, streams_url=self.streams) if self.streams else endpoint)


class End:
    def __init__(self, role: str, client: Client, pause: Callable[[float], None], counters: Counters) -> None:
        self.role = role
        """One of "source" or "target", for messages."""
        self._client = client
        self.pause = pause
        """Wait this many seconds; raises Stopped if the replication has to end."""
        self._counters = counters
        self._reached = False

    def call(self, operation: str, gate: Gate | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer. Raises CallFailed if the endpoint refuses the call, Failed if it cannot be reached."""
        parameters = with_token(operation, parameters)
        attempt = 0
        failing_since_ns: int | None = None
        while True:
            if gate is not None:
                gate()
            try:
                answer = self.send(operation, parameters)
            except Refusal as error:
                if not error.passes:
                    raise CallFailed(self.role, operation, error.code, error.message, tuple(error.reasons)) from error
                failure = None if error.throttled else str(error)
            except Unreachable as error:
                if not error.passes:
                    raise Failed(f"{self.role}: {operation}: {error}") from error
                failure = str(error)
            except Misconfigured as error:  # renewing the keys failed during the replication
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
        return self._client.send(operation, parameters)

    def back_off(self, attempt: int) -> None:
        """Wait before another attempt. The first one has the number 0."""
        self.pause(delay_s(attempt, LONGEST_DELAY_S))

    def _give_up(self, operation: str, failure: str, since_ns: int) -> None:
        """Raise if failures have lasted too long. The first call of a run must succeed at once."""
        failing_s = (monotonic_ns() - since_ns) / 1e9
        if not self._reached or failing_s > PATIENCE_S:
            raise Failed(f"{self.role}: {operation}: {failure}")
        self._counters.trouble(f"{self.role}: {operation}: {failure}")
