"""The errors that end a replication early."""

from __future__ import annotations

from atoll.logs import one_line


class Failed(Exception):
    """The replication cannot go on. Its checkpoint stays, so another run continues.

    Endpoints choose parts of the text, so it is reduced to one line without control characters.
    """

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))


class Stopped(Exception):
    """The user asked the replication to end."""


class Gap(Exception):
    """The source trimmed records of its stream before they were read."""


class CallFailed(Failed):
    """An endpoint refused a call."""

    def __init__(self, role: str, operation: str, code: str, message: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(f"{role}: {operation}: {code}: {message}")
        self.code = code
        self.message = message
        self.reasons = reasons
        """Of a cancelled transaction: a code for each action."""
