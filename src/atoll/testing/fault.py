"""A fault on demand, for tests.

with server.fault("throttling", table="Orders", count=3) as fault:
    ...
assert fault.injected == 3
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Protocol, Self


class Server(Protocol):
    def change_faults(self, change: dict[str, Any]) -> dict[str, Any]: ...

    def show_faults(self) -> list[dict[str, Any]]: ...


class Fault:
    def __init__(self, server: Server, fault: str, rule: dict[str, Any]) -> None:
        self._server = server
        self._rule = {"fault": fault, **{name: _plain(value) for name, value in rule.items()}}
        self._id: str | None = None
        self._injected = 0

    def start(self) -> Self:
        if self._id is None:
            self._id = self._server.change_faults(self._rule)["added"]
        return self

    def stop(self) -> None:
        if self._id is not None:
            self._injected = self.injected
            if self._shown() is not None:
                self._server.change_faults({"remove": self._id})
            self._id = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def injected(self) -> int:
        """How often it struck."""
        shown = self._shown()
        return self._injected if shown is None else int(shown["injected"])

    def _shown(self) -> dict[str, Any] | None:
        """The rule as the server shows it; None if it was removed, for example because the server's state was
        restored."""
        return next((one for one in self._server.show_faults() if one["id"] == self._id), None)


def _plain(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value
