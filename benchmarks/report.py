"""Format results as Markdown tables, which are readable on a terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.measure import Result

HEADINGS = ["", "server", "requests/s", "p50 ms", "p99 ms", "CPU us/request", "RSS MB", "Atoll is faster by"]


class Results:
    def __init__(self, machine: str) -> None:
        self._machine = machine
        self._found: dict[str, dict[str, Result | None]] = {}
        self._variants: dict[str, dict[str, dict[str, Result | None]]] = {}
        self._started: dict[str, tuple[float, float]] = {}
        self._others: list[str] = []

    def start(self, server: str, milliseconds: float, rss_mb: float) -> None:
        self._started[server] = (milliseconds, rss_mb)

    def add(self, workload: str, server: str, result: Result | None) -> None:
        self._found.setdefault(workload, {})[server] = result

    def add_variant(self, what: str, workload: str, variant: str, result: Result | None) -> None:
        self._variants.setdefault(what, {}).setdefault(workload, {})[variant] = result

    def add_table(self, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table of other measurements than requests of one kind."""
        self._others.append(f"## {title}\n\n" + table(headings, rows))

    def line(self, workload: str, server: str) -> str:
        return "  ".join(_cells(self._found[workload][server]))

    def text(self) -> str:
        parts = [
            "# What requests cost\n",
            f"{self._machine}. 1 KB items, signed requests over 32 connections from wrk on the same machine.\n",
        ]
        if self._started:
            rows = [[server, f"{ms:.0f}", f"{rss:.0f}"] for server, (ms, rss) in self._started.items()]
            parts.append(table(["server", "ms to the first answer", "idle RSS MB"], rows))
        if self._found:
            parts.append(table(HEADINGS, self._rows(self._found, "Atoll")))
        for what, found in self._variants.items():
            base = next(iter(next(iter(found.values()))))
            parts.append(f"## By {what}\n\n" + table([*HEADINGS[:-1], f"{base} faster by"], self._rows(found, base)))
        return "\n".join(parts + self._others)

    def _rows(self, found: dict[str, dict[str, Result | None]], base: str) -> Iterable[Sequence[str]]:
        for workload, results in found.items():
            ours = results.get(base)
            for at, (server, result) in enumerate(results.items()):
                ratio = ""
                if server != base and ours and result and result.per_second:
                    ratio = f"{ours.per_second / result.per_second:.2f}"
                yield [workload if at == 0 else "", server, *_cells(result), ratio]


def _cells(result: Result | None) -> list[str]:
    if result is None:
        return ["-"] * 5
    failed = f" ({result.failed} failed)" if result.failed else ""
    return [
        f"{result.per_second:,.0f}{failed}",
        f"{result.p50_ms:.2f}",
        f"{result.p99_ms:.2f}",
        f"{result.cpu_us:.0f}",
        f"{result.rss_mb:.0f}",
    ]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(headings))]
    first, *rest = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    return "\n".join([first, "|" + "|".join("-" * (width + 2) for width in widths) + "|", *rest, ""])
