"""Outages of a collector: one line of the log when one begins, one when it ends.

The SDK logs each attempt to export, with another text each time. An outage begins with the first of these records, and
ends with the next export that succeeds.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


class Outage(logging.Filter):
    """A filter of the logger of one exporter; `kind` is what it exports."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.lasts = False
        self._kind = kind

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        if not self.lasts:
            self.lasts = True
            _log.warning(
                "%s cannot be exported (this is logged once, until they can be): %.1000s",
                self._kind,
                record.getMessage(),
            )
        return False

    def exported(self) -> None:
        if self.lasts:
            self.lasts = False
            _log.info("%s are exported again", self._kind)


class DuringOutage(logging.Filter):
    """Leaves out the lines of a logger as long as an outage lasts, which causes them."""

    def __init__(self, outage: Outage) -> None:
        super().__init__()
        self._outage = outage

    def filter(self, record: logging.LogRecord) -> bool:
        return not self._outage.lasts
