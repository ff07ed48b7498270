"""The admin API, which DynamoDB does not have: move the clock; rotate, split or trim streams; check the stores.

    GET  /_atoll/clock
    POST /_atoll/clock            {"advance": "25h"}, {"set": "2026-01-02T03:04:05Z"} or {"skew": "20m"}
    POST /_atoll/streams/rotate   {"stream": a table's name or a stream's ARN, "region": the table's region}
    POST /_atoll/streams/split    the same
    POST /_atoll/streams/trim     the same
    POST /_atoll/store/check      {"region": a region}; without it all open regions
    GET  /_atoll/store/check

Moving the clock stops at every due time and runs the work due then; the answer comes after that work. A move by more
than a week skips the rotations before its last week, whose shards would be trimmed anyway. Clients sign with the real
time, so signatures are checked against the real time, shifted by `skew`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from atoll import arns
from atoll.clock import Clock, ManualClock, SkewedClock
from atoll.database import streams
from atoll.database.log import maintenance
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.durations import duration_ms, time_ms
from atoll.errors import admin as admin_errors
from atoll.errors import replication as replication_errors
from atoll.faults.injection import Faults
from atoll.replication.links import Links
from atoll.storage.engine import Transaction

Body = dict[str, Any]


class Explanations(Protocol):
    """See `authorization.explaining`."""

    async def explain(self, body: Body) -> Body: ...


class Observed(Protocol):
    """See `authorization.auditing`."""

    def policies(self) -> Body: ...


class Server(Protocol):
    """The parts of the server that the administration uses."""

    clock: Clock
    signature_clock: Clock
    """The clock for checking signatures."""
    links: Links
    """The links between regions."""
    faults: Faults
    """The faults on demand of requests."""
    operations: list[str]
    """The names of DynamoDB's operations."""

    @property
    def explanations(self) -> Explanations: ...

    @property
    def observed(self) -> Observed: ...

    def region(self, name: str = "") -> Region:
        """The region of this name; without a name the default region."""

    async def move_clock(self, until: Callable[[int], int]) -> None:
        """Move the clock to `until(now)`, running all work that becomes due on the way."""

    async def settle(self) -> int | None:
        """Run the work that is due now."""

    async def start_check(self, region: str | None) -> None:
        """Start a check of the region's store, or of all. Raises `KeyError` for a region that is not open."""

    def checks(self) -> Body:
        """For each region the state of its store's check, its progress while it runs, and the last report."""


Action = Callable[[Server, Body], Coroutine[Any, Any, Body]]


async def show_clock(server: Server, body: Body) -> Body:
    now_ms = server.clock.now_ms()
    front = server.signature_clock
    return {
        "clock": "manual" if isinstance(server.clock, ManualClock) else "system",
        "now": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "now_ms": now_ms,
        "skew_ms": front.skew_ms if isinstance(front, SkewedClock) else 0,
    }


async def move_clock(server: Server, body: Body) -> Body:
    front = server.signature_clock
    if not (isinstance(server.clock, ManualClock) and isinstance(front, SkewedClock)):
        raise admin_errors.clock_is_not_manual()
    if len(body) != 1:
        raise admin_errors.one_of(["advance", "set", "skew"])
    match body:
        case {"advance": duration}:
            ms = duration_ms(duration)
            if ms < 0:
                raise admin_errors.back_in_time()
            await server.move_clock(lambda now_ms: time_ms((now_ms + ms) / 1000))
        case {"set": time}:
            set_ms = time_ms(time)
            await server.move_clock(lambda _: set_ms)
        case {"skew": duration}:
            front.skew_ms = duration_ms(duration)
        case _:
            raise admin_errors.one_of(["advance", "set", "skew"])
    return await show_clock(server, {})


async def rotate(server: Server, body: Body) -> Body:
    return await _reshard(server, body, maintenance.force_rotate)


async def split(server: Server, body: Body) -> Body:
    return await _reshard(server, body, maintenance.force_split)


async def trim(server: Server, body: Body) -> Body:
    region, name = _stream(server, body)
    now_ms = region.clock.now_ms()
    while await region.transact(partial(maintenance.force_trim, region=region, name=name, now_ms=now_ms)):
        pass
    await server.settle()
    return {}


async def start_check(server: Server, body: Body) -> Body:
    region = body.get("region")
    if body.keys() - {"region"} or not isinstance(region, str | None):
        raise admin_errors.region_expected()
    try:
        await server.start_check(region)
    except KeyError:
        raise admin_errors.region_not_open(str(region)) from None
    return await show_checks(server, {})


async def show_checks(server: Server, body: Body) -> Body:
    return {"regions": server.checks()}


async def _reshard(server: Server, body: Body, force: Callable[[Transaction, Region, str, int], Table]) -> Body:
    region, name = _stream(server, body)
    now_ms = region.clock.now_ms()
    table = await region.transact(lambda tx: force(tx, region, name, now_ms))
    await server.settle()
    return {"open_shards": [streams.shard_id(shard) for shard in table.shards]}


def _stream(server: Server, body: Body) -> tuple[Region, str]:
    name, region = body.get("stream"), body.get("region", "")
    if not isinstance(name, str) or not name or not isinstance(region, str) or body.keys() - {"stream", "region"}:
        raise admin_errors.stream_required()
    if (arn := arns.parse(name)) is not None:
        region = arn.region
    return server.region(region), name


# Requests about replication


def check_members(body: Body, known: tuple[str, ...]) -> None:
    for member in sorted(body.keys() - set(known)):
        raise replication_errors.unknown_member(member, known)


def text_of(body: Body, member: str) -> str:
    """The text of a member that must be there."""
    text = body.get(member)
    if not isinstance(text, str):
        raise replication_errors.member_required(member)
    return text


def region_of(server: Server, body: Body) -> Region:
    """The region that the request names, which must be one of this server; without a name the default region."""
    name = text_of({"region": "", **body}, "region") or server.links.regions[0]
    if name not in server.links.regions:
        raise replication_errors.no_region_of_this_node(name)
    return server.region(name)
