"""One measurement: wrk replays signed requests over many connections, and /proc has the server's CPU and memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.servers import CACHE, HOST, Server, require

CONNECTIONS = 32
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Result:
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the server's processes, for each request
    rss_mb: float
    failed: int  # answers other than 200, and socket errors


def measure(
    server: Server,
    requests: Iterable[bytes],
    *,
    seconds: float,
    warm_up: float,
    connections: int = CONNECTIONS,
    rate: float | None = None,
) -> Result:
    """`rate` limits the requests a second; without it, wrk sends as many as the server answers."""
    require("wrk")
    CACHE.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=CACHE, suffix=".requests") as file:
        for request in requests:
            file.write(b"%d\n%b\n" % (len(request), request))
        file.flush()
        if warm_up:
            _wrk(server, Path(file.name), warm_up, connections)
        before = cpu_seconds(server)
        count, duration_us, p50_us, p99_us, *failed = _wrk(server, Path(file.name), seconds, connections, rate)
        used = cpu_seconds(server) - before
    return Result(
        count / duration_us * 1e6, p50_us / 1e3, p99_us / 1e3, used / max(count, 1) * 1e6, rss_mb(server), sum(failed)
    )


def together(results: Sequence[Result]) -> Result:
    """The combined result of several servers measured at the same time."""
    return Result(
        sum(one.per_second for one in results),
        fmean(one.p50_ms for one in results),
        max(one.p99_ms for one in results),
        fmean(one.cpu_us for one in results),
        sum(one.rss_mb for one in results),
        sum(one.failed for one in results),
    )


def _wrk(server: Server, file: Path, seconds: float, connections: int, rate: float | None = None) -> list[int]:
    script = Path(__file__).with_name("replay.lua")
    duration = f"{max(round(seconds), 1)}s"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}", "--latency", "-s", str(script)]
    output = subprocess.run(
        [*command, f"http://{HOST}:{server.port}/", "--", str(file), *([] if rate is None else [str(rate)])],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    line = next(line for line in output.splitlines() if line.startswith("RESULT"))
    return [int(word) for word in line.split()[1:]]


def cpu_seconds(server: Server) -> float:
    """User and system time of the process and its descendants."""
    return sum(_ticks(pid) for pid in server.pids) / TICKS


def _ticks(pid: int) -> int:
    """utime and stime, which are the 14th and 15th field. The 2nd is a name in parentheses with any characters."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rss_mb(server: Server) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in server.pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
