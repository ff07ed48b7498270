"""Create the declared tables of a region, with the operations that clients call.

Before a server starts, its file is tried on a scratch region in memory. So a file that the service would refuse is
refused before anything is changed. The scratch region also has each table as it will be, for the comparison with an
existing one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from atoll.api import services
from atoll.api.call import Caller, Desk
from atoll.clock import ManualClock
from atoll.database.region import Region, Settings
from atoll.errors import ApiError
from atoll.storage.memory import MemoryEngine
from atoll.templates import unfinished
from atoll.templates.documents import BadTemplate, check, load
from atoll.templates.resources import Declared, DeclaredTable, Request, declared
from atoll.templates.unfinished import Unfinished

_log = logging.getLogger(__name__)

Body = dict[str, Any]

SCRATCH_MS = 1_800_000_000_000
AGAIN_S = 0.2
_VOLATILE = frozenset(
    {
        "CreationDateTime", "LatestStreamArn", "LatestStreamLabel", "ItemCount", "TableId", "TableSizeBytes",
        "TableStatus", "IndexStatus", "IndexSizeBytes", "LastUpdateToPayPerRequestDateTime", "NumberOfDecreasesToday",
        "LastIncreaseDateTime", "LastDecreaseDateTime", "WarmThroughput", "Replicas", "GlobalTableVersion",
        "Backfilling", "LastUpdateDateTime",
    }
)  # fmt: skip
"""Members that differ between equal tables."""
_ENABLED = ("ENABLED", "ENABLING", "UPDATING", "ACTIVE")


@dataclass(frozen=True)
class Declarations:
    declared: Declared
    expected: Mapping[str, Body]
    """How each table looks."""


async def read(path: Path, region: str, settings: Settings) -> Declarations:
    """Raises `BadTemplate` or `OSError`."""
    return await tried(load(path), region, settings)


async def tried(document: Any, region: str, settings: Settings) -> Declarations:
    """The declarations of a document that the service would accept. Raises `BadTemplate`."""
    check(document)
    found = declared(document, region, settings.account)
    scratch = Region(
        region, MemoryEngine(), ManualClock(SCRATCH_MS), replace(settings, control_plane_delay_ms=0, quotas=False)
    )
    try:
        for table in found.tables:
            for request in (table.create, *table.later):
                await _send(scratch, request)
        for request in found.scaling:
            await _send(scratch, request)
    except ApiError as error:
        raise BadTemplate(f"{_subject(request)}: {error.message or error.code}") from None
    return Declarations(found, {table.name: await _look(scratch, table.name) for table in found.tables})


def _subject(request: Request) -> str:
    name = request.body.get("TableName") or request.body.get("ResourceId")
    return f"{request.operation.name} of {name} is refused"


async def _send(region: Region, request: Request) -> Any:
    desk = Desk({services.REGION: lambda _: region})
    caller = Caller(None, region.settings.account, admin=True)
    body = orjson.loads(orjson.dumps(request.body))
    return await desk.call(request.operation, region.name, caller, body, region.clock.now_ms())


async def _ask(region: Region, operation: str, **body: Any) -> Any:
    row = services.TARGETS[f"{services.DYNAMODB.target}.{operation}".encode()]
    return orjson.loads(orjson.dumps(await _send(region, Request(row, body))))


async def _look(region: Region, name: str) -> Body:
    """The settings of a table that a template can make."""
    table = (await _ask(region, "DescribeTable", TableName=name))["Table"]
    shown: Body = _lasting(table)
    ttl = (await _ask(region, "DescribeTimeToLive", TableName=name))["TimeToLiveDescription"]
    if ttl["TimeToLiveStatus"] in _ENABLED:
        shown["TimeToLiveSpecification"] = ttl["AttributeName"]
    backups = (await _ask(region, "DescribeContinuousBackups", TableName=name))["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] in _ENABLED:
        shown["PointInTimeRecoverySpecification"] = recovery["RecoveryPeriodInDays"]
    insights = (await _ask(region, "ListContributorInsights", TableName=name))["ContributorInsightsSummaries"]
    observed = [one for one in insights if one["ContributorInsightsStatus"] in _ENABLED]
    shown["ContributorInsightsSpecification"] = sorted(
        (one.get("IndexName", ""), one.get("ContributorInsightsMode")) for one in observed
    )
    streams = await _ask(region, "DescribeKinesisStreamingDestination", TableName=name)
    shown["KinesisStreamSpecification"] = sorted(
        one["StreamArn"] for one in streams["KinesisDataStreamDestinations"] if one["DestinationStatus"] in _ENABLED
    )
    arn = table["TableArn"]
    shown["Tags"] = _lasting((await _ask(region, "ListTagsOfResource", ResourceArn=arn))["Tags"])
    try:
        shown["ResourcePolicy"] = (await _ask(region, "GetResourcePolicy", ResourceArn=arn))["Policy"]
    except ApiError as error:
        if error.code != "PolicyNotFoundException":
            raise
    return shown


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _lasting(member) for name, member in value.items() if name not in _VOLATILE}
    if isinstance(value, list):
        return sorted((_lasting(one) for one in value), key=orjson.dumps)
    return value


async def begin(region: Region, given: Declarations | None) -> asyncio.Task[None] | None:
    """Make the tables, in one of several processes. What takes time is left to the task that is returned."""
    if given is None or not await region.engine.lease():
        return None
    finishing = asyncio.create_task(finish(region, await make(region, given)))
    if not region.settings.control_plane_delay_ms and not any(table.replicas for table in given.declared.tables):
        await finishing
    return finishing


async def make(region: Region, given: Declarations) -> list[Unfinished]:
    """Make the tables that are not there; returns what is left to be set, for `finish`."""
    rest: list[Unfinished] = []
    made: list[str] = []
    if given.declared.unsupported:
        _log.warning("ignored properties of declared tables: %s", ", ".join(given.declared.unsupported))
    for table in given.declared.tables:
        if await _status(region, table.create) is not None:
            left = await unfinished.find(region, table.name)
            if left is None:
                await _compare(region, table.name, given.expected[table.name])
            else:
                _log.info("completing a declared table that was created before", extra={"table": table.name})
                rest.append(left)
            continue
        # A provisioned table gets replicas only when it is scaled.
        scaling = [one for one in given.declared.scaling if _scaled_table(one) == table.name]
        requests = [*table.later, *scaling, *_replications(region, table)]
        await unfinished.store(region, table.name, requests)
        try:
            await _send(region, table.create)
        except ApiError as error:
            _log.error("a declared table was not created: %s", error.message, extra={"table": table.name})
            await unfinished.store(region, table.name, [])
            continue
        made.append(table.name)
        rest.append(Unfinished(table.name, requests))
    if made:
        _log.info("created the declared tables %s", ", ".join(sorted(made)), extra={"region": region.name})
    return rest


async def finish(region: Region, rest: Iterable[Unfinished]) -> None:
    """Send the requests of each table, each as soon as the table is ready. That takes real time."""
    for one in rest:
        for number, request in enumerate(one.rest):
            while True:
                if await _is_done(region, request, may_repeat=one.is_resumed and number == 0):
                    break
                await asyncio.sleep(AGAIN_S)
            await unfinished.store(region, one.table, one.rest[number + 1 :])


async def _is_done(region: Region, request: Request, *, may_repeat: bool) -> bool:
    """Send a request, unless its table is not ready; returns whether it was sent. A request that may have been sent
    before may be refused."""
    if await _status(region, request) not in (None, "ACTIVE"):
        return False
    try:
        await _send(region, request)
    except ApiError as error:
        if error.code == "ContinuousBackupsUnavailableException":  # for some time after the table's creation
            return False
        if not may_repeat:
            _log.error("%s: %s", _subject(request), error.message or error.code)
    return True


async def _status(region: Region, request: Request) -> str | None:
    """The status of the request's table; None if it is gone."""
    name = request.body.get("TableName") or _scaled_table(request)
    try:
        status: str = (await _ask(region, "DescribeTable", TableName=name))["Table"]["TableStatus"]
    except ApiError:
        return None
    return status


def _scaled_table(request: Request) -> str:
    name: str = request.body["ResourceId"].split("/")[1]
    return name


async def _compare(region: Region, name: str, expected: Body) -> None:
    found = await _look(region, name)
    differing = sorted(one for one in expected.keys() | found.keys() if expected.get(one) != found.get(one))
    if differing:
        _log.warning(
            "a table differs from its declaration, and is not changed: %s", ", ".join(differing),
            extra={"table": name},
        )  # fmt: skip


def _replications(region: Region, table: DeclaredTable) -> Iterator[Request]:
    row = services.TARGETS[f"{services.DYNAMODB.target}.UpdateTable".encode()]
    for name in table.replicas:
        if region.neighbours is not None and region.neighbours.replicable(name):
            updates = [{"Create": {"RegionName": name}}]
            yield Request(row, {"TableName": table.name, "ReplicaUpdates": updates})
        else:
            _log.warning(
                "a declared replica in %s was not created: name the region with --region", name,
                extra={"table": table.name},
            )  # fmt: skip
