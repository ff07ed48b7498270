"""Faults of the link between two regions of a server, for tests.

    server.link("us-east-1", "eu-west-1").partition()
    ...
    server.link("us-east-1", "eu-west-1").heal()

Each call changes both directions; with `one_way=True` only that in which data flow from the first region to the second.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol, Self

Duration = str | float | timedelta
"""As in "200ms", "1h30m"; or seconds."""

_HEALTHY = {"partition": False, "paused": False, "delay": 0, "jitter": 0, "loss": 0, "duplicate": 0}


class Server(Protocol):
    def change_link(self, change: dict[str, Any]) -> None: ...

    def show_links(self) -> list[dict[str, Any]]: ...


class Link:
    def __init__(self, server: Server, from_: str, to: str) -> None:
        self._server = server
        self._from = from_
        self._to = to

    def partition(self, *, one_way: bool = False) -> Self:
        """Cut the link."""
        return self._change(one_way, partition=True)

    def pause(self, *, one_way: bool = False) -> Self:
        """Stop replication, without an error."""
        return self._change(one_way, paused=True)

    def resume(self, *, one_way: bool = False) -> Self:
        return self._change(one_way, paused=False)

    def delay(self, delay: Duration, jitter: Duration = 0, *, one_way: bool = False) -> Self:
        """Let changes arrive later, by `delay` and at random by up to `jitter` more."""
        return self._change(one_way, delay=_plain(delay), jitter=_plain(jitter))

    def lose(self, part: float, *, one_way: bool = False) -> Self:
        """Lose this part of the messages, from 0 to 1."""
        return self._change(one_way, loss=part)

    def duplicate(self, part: float, *, one_way: bool = False) -> Self:
        """Deliver this part of the messages twice, from 0 to 1."""
        return self._change(one_way, duplicate=part)

    def heal(self, *, one_way: bool = False) -> Self:
        """Remove all faults."""
        return self._change(one_way, **_HEALTHY)

    @property
    def state(self) -> dict[str, Any]:
        """The direction from the first region to the second, as `GET /_atoll/replication/links` shows it."""
        for row in self._server.show_links():
            if (row["from"], row["to"]) == (self._from, self._to):
                return row
        raise ValueError(f"there is no link from {self._from} to {self._to}")

    def _change(self, one_way: bool, **members: object) -> Self:
        self._server.change_link({"from": self._from, "to": self._to, **members})
        if not one_way:
            self._server.change_link({"from": self._to, "to": self._from, **members})
        return self


def _plain(duration: Duration) -> str | float:
    return duration.total_seconds() if isinstance(duration, timedelta) else duration
