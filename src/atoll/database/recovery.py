"""Point-in-time recovery of a table: its settings and its window.

While it is on, the table's change log keeps the old image of each change, from which `moment` computes the table's
state at an earlier moment. No copies of the table are needed. A job that copies the table (for a backup, for example)
needs the same images, from its moment until its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from atoll import limits

DAY_MS = 24 * 3600 * 1000
GRACE_MS = DAY_MS
"""How long the log keeps changes after they have left the window, for a restore that began just before."""


@dataclass(frozen=True)
class Recovery:
    """The settings of a table whose point-in-time recovery is on."""

    enabled_ms: int
    days: int

    @property
    def keep_ms(self) -> int:
        return self.days * DAY_MS + GRACE_MS


@dataclass(frozen=True)
class Origin:
    """The source of a table that is being restored."""

    moment_ms: int
    table_arn: str
    backup_arn: str | None = None


class RecoveryWindow(NamedTuple):
    """The first and the last moment to which a table can be restored, in milliseconds."""

    earliest_ms: int
    latest_ms: int

    def moment(self, asked_ms: int) -> int | None:
        """The moment that a request for `asked_ms` means; None if it is outside the window. Requests and answers have
        whole seconds, so the window includes the second in which it begins."""
        if asked_ms // 1000 < self.earliest_ms // 1000 or asked_ms > self.latest_ms:
            return None
        return max(asked_ms, self.earliest_ms)


def window(recovery: Recovery, now_ms: int, *, lags: bool) -> RecoveryWindow:
    """The window now. `lags`: the last minutes cannot be restored yet, as with the service."""
    latest_ms = now_ms - limits.RECOVERY_LAG_MS if lags else now_ms
    earliest_ms = max(recovery.enabled_ms, now_ms - recovery.days * DAY_MS)
    return RecoveryWindow(earliest_ms, max(recovery.enabled_ms, latest_ms))
