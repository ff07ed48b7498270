"""The report of a check: the findings in each store, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from atoll.check.findings import CHECKSUM, FILE, MEANINGS, Finding

KEPT = 1_000
"""The findings of each kind that a report shows in detail; it counts all."""

KEPT_LOSSES = 100_000
"""Lost rows that a report names."""


class Report:
    """The findings of one store."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.findings: list[Finding] = []
        self.repaired: Counter[str] = Counter()
        self.lost: list[Finding] = []
        self.rows = 0
        self.kept_file: str | None = None
        """The file before its repair."""

    @property
    def is_repairable(self) -> bool:
        """Whether a repair changes anything."""
        return any(finding.is_repairable for finding in self.findings)

    @property
    def is_complete(self) -> bool:
        """Whether certainly no table definition is lost."""
        return not any(one.kind == FILE or (one.kind == CHECKSUM and not one.fixes) for one in self.findings)

    @property
    def is_clean(self) -> bool:
        return not self.counts

    def add(self, finding: Finding) -> None:
        self.counts[finding.kind] += 1
        if self.counts[finding.kind] <= (KEPT_LOSSES if finding.is_loss else KEPT):
            self.findings.append(finding)

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "clean": self.is_clean,
            "rows": self.rows,
            "counts": dict(self.counts),
            "findings": [finding.as_json() for finding in self.findings],
        }
        if self.kept_file is not None:
            found |= {
                "repaired": dict(self.repaired),
                "lost": [finding.as_json() for finding in self.lost],
                "kept_file": self.kept_file,
            }
        return found

    def lines(self) -> Iterator[str]:
        """The findings, by kind, each kind with its meaning."""
        for kind, count in self.counts.items():
            yield f"{kind}: {count} found. {MEANINGS[kind]}"
            shown = [finding for finding in self.findings if finding.kind == kind]
            yield from (f"  {line(finding)}" for finding in shown)
            if count > len(shown):
                yield f"  ... and {count - len(shown)} more"


def line(finding: Finding) -> str:
    place = "" if finding.table is None else f"{finding.table} "
    key = "" if finding.key is None or finding.key == finding.table else f"{_readable(finding.key)} "
    return f"{place}{key}".strip() + (": " if place or key else "") + finding.text


def _readable(key: str | dict[str, Any]) -> str:
    if isinstance(key, str):
        return key
    return " ".join(f"{name}={_value(value)}" for name, value in key.items())


def _value(value: Any) -> str:
    if isinstance(value, dict) and len(value) == 1:
        [(_, content)] = value.items()
        return str(content) if not isinstance(content, dict) else f"({_readable(value)})"
    return f"({_readable(value)})" if isinstance(value, dict) else str(value)
