"""An in-process server: in memory, on a free loopback port, with a clock that the test moves.

The server runs in its own thread with its own event loop, so a test may block while it waits for an answer. Calls that
control the server (clock, state) run in that thread, too, between two requests.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self, TypeVar

from atoll import platforms
from atoll.api import admin, faults, links
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.data_directory import REGION_NAME
from atoll.database.region import DEFAULT_ACCOUNT, Region, Settings
from atoll.errors import ApiError
from atoll.faults.rule import Rule
from atoll.node import Node
from atoll.replication.faults import LinkFaults
from atoll.storage.memory import MemoryEngine
from atoll.storage.memory import MemoryState as Rows
from atoll.templates import declarations
from atoll.templates.declarations import Declarations
from atoll.templates.documents import BadTemplate
from atoll.testing.fault import Fault
from atoll.testing.link import Link

T = TypeVar("T")

Duration = str | float | timedelta
"""As in "25h", "1h30m", "500ms"; or seconds."""

CREDENTIALS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}


def serve(
    *,
    region: str | None = None,
    regions: Sequence[str] = (),
    clock: str = "manual",
    throttling: bool | str = False,
    quotas: bool = False,
    auth: str | None = None,
    policies: Mapping[str, Any] | str | None = None,
    audit_log: str | Path | None = None,
    admin_token: str = "",
    tables: Mapping[str, Any] | Sequence[Any] | str | Path | None = None,
    **settings: Any,
) -> LocalServer:
    """A server that runs inside `with`, or from `start()` to `stop()`. A "manual" clock starts at the real time and
    moves only by `server.clock`; a "system" clock is the real time. The first of `regions` is the
    default region; with one region, `region` says the same. Throttling is off by default, since tables get no
    new units while the clock stands still; True is "on", and "full" adds partitions, growth and account maxima. Quotas
    are off, since tests change tables often. `settings` are those of `atoll.database.region.Settings`.

    `policies` declares users, groups and roles, as a policies file does: a mapping, or the path of such a file. With
    them `auth` is "iam": requests are signed, and authorized by policies. `LocalServer.user` has a user's clients.
    `audit_log` and `admin_token` are as for `atoll serve`. So is `tables`, the path of a file of tables to make; or it
    is what such a file has: a template, or a list of bodies of CreateTable.
    """
    if isinstance(throttling, bool):
        throttling = "on" if throttling else "off"
    settings = {"throttling": throttling, "quotas": quotas, **settings}
    names = list(regions) or [region or "us-east-1"]
    if region not in (None, names[0]):
        raise ValueError(f"the default region is the first of regions, {names[0]}, not {region}")
    if len(set(names)) < len(names):
        raise ValueError(f"a region is named twice: {', '.join(names)}")
    _check(names, clock, settings)
    auth = auth or ("none" if policies is None else "iam")
    if auth not in ("none", "sigv4", "iam", "iam-log"):
        raise ValueError(f"auth must be 'none', 'sigv4', 'iam' or 'iam-log', not {auth!r}")
    config = Config(
        port=0, data=None, region=names[0], more_regions=names[1:], max_regions=max(64, len(names)), clock=clock,
        auth=auth, admin_token=admin_token, audit_log=None if audit_log is None else Path(audit_log),
        policies=Path(policies) if isinstance(policies, str) else None,
        declared=policies if isinstance(policies, Mapping) else None, settings=Settings(**settings),
        tables=_declared(tables, names[0], Settings(**settings)),
    )  # fmt: skip
    return LocalServer(config)


def _declared(
    tables: Mapping[str, Any] | Sequence[Any] | str | Path | None, region: str, settings: Settings
) -> Declarations | None:
    if tables is None:
        return None
    if isinstance(tables, str | Path):
        reading = declarations.read(Path(tables), region, settings)
    else:
        reading = declarations.tried(tables, region, settings)
    with ThreadPoolExecutor(1) as thread:  # this one may have an event loop that runs
        try:
            return thread.submit(asyncio.run, reading).result()
        except BadTemplate as error:
            raise ValueError(f"tables: {error}") from None


_CHOICES = {"clock": ("manual", "system"), "error_style": ("2026", "classic"), "throttling": ("off", "on", "full")}
_SWITCHES = ("quotas", "strict_stream_readers")
_AMOUNTS = {"control_plane_delay_ms": 0, "ttl_delay_ms": 0, "ttl_rate": 1}


def _check(regions: list[str], clock: str, settings: dict[str, Any]) -> None:
    """Refuse what the command line would refuse."""
    for region in regions:
        if REGION_NAME.fullmatch(region) is None:
            raise ValueError(f"region must be a region name such as eu-west-1, not {region!r}")
    if re.fullmatch("[0-9]{12}", settings.get("account", DEFAULT_ACCOUNT)) is None:
        raise ValueError(f"account must be twelve digits, not {settings['account']!r}")
    for name, value in {"clock": clock, **settings}.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"{name} must be {' or '.join(map(repr, _CHOICES[name]))}, not {value!r}")
        if name in _SWITCHES and not isinstance(value, bool):
            raise ValueError(f"{name} must be True or False, not {value!r}")
        least = _AMOUNTS.get(name)
        if least is not None and not (type(value) is int and value >= least) and not (name == "ttl_rate" and not value):
            raise ValueError(f"{name} must be a number from {least}, not {value!r}")


@dataclass(frozen=True)
class State:
    """A snapshot of all regions: their rows and the time of their last version; and of the faults of their links."""

    now_ms: int
    regions: dict[str, tuple[Rows, int]]
    links: Mapping[tuple[str, str], LinkFaults]
    faults: Sequence[Rule]


class LocalServer:
    def __init__(self, config: Config) -> None:
        self._node = Node(config)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self.region = config.region
        self.regions = config.regions
        self.clock = Clock(self)

    # Start and stop

    def start(self) -> Self:
        """Start, and return once the server answers requests. A stopped server cannot be restarted."""
        if self._node.server is not None:
            raise RuntimeError("this server has been started already")
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="atoll", daemon=True)
        self._thread.start()
        started.result()
        return self

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, started: Future[None]) -> None:
        with asyncio.Runner(loop_factory=platforms.event_loop()) as runner:
            runner.run(self._serve(started))

    async def _serve(self, started: Future[None]) -> None:
        try:
            await self._node.start()
        except BaseException as error:
            started.set_exception(error)
            return
        self._loop = asyncio.get_running_loop()
        started.set_result(None)
        await self._stopping.wait()
        await self._node.stop()

    def _administer(self, action: admin.Action, body: admin.Body) -> admin.Body:
        try:
            return self._do(action(self._node, body))
        except ApiError as error:
            raise ValueError(error.message) from None

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` in the server's thread and wait for it."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the server is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # Clients

    @property
    def endpoint_url(self) -> str:
        return "http://{}:{}".format(*self._node.address)

    def client(self, service: str = "dynamodb", **options: Any) -> Any:
        """A boto3 client for this server; `options` are those of boto3."""
        return _session().client(service, **self._options(options))

    def user(self, name: str, service: str = "dynamodb", *, account: str = "", **options: Any) -> Any:
        """A boto3 client that signs with the first access key of a declared user."""
        users = self._node.callers.directory.account(account or self._node.config.settings.account).users
        if name not in users or not users[name].access_keys:
            raise ValueError(f"no user {name!r} with access keys is declared")
        access_key, secret = next(iter(users[name].access_keys.items()))
        return self.client(service, aws_access_key_id=access_key, aws_secret_access_key=secret, **options)

    def resource(self, service: str = "dynamodb", **options: Any) -> Any:
        """A boto3 resource for this server; `options` are those of boto3."""
        return _session().resource(service, **self._options(options))

    def _options(self, given: dict[str, Any]) -> dict[str, Any]:
        from botocore.config import Config as ClientConfig

        config = ClientConfig(proxies={})  # bypass any proxy set in the environment
        if given.get("config") is not None:
            config = config.merge(given["config"])
        return {"endpoint_url": self.endpoint_url, "region_name": self.region, **CREDENTIALS, **given, "config": config}

    # Streams: trigger now what takes hours or large tables otherwise. `stream` is a table name or a stream ARN.

    def rotate(self, stream: str, *, region: str = "") -> list[str]:
        """Close each open shard and open one child for it; returns the open shards."""
        return self._reshard(admin.rotate, stream, region)

    def split(self, stream: str, *, region: str = "") -> list[str]:
        """Close each open shard and open two children for it; returns the open shards."""
        return self._reshard(admin.split, stream, region)

    def trim(self, stream: str, *, region: str = "") -> None:
        """Delete all records, as if they were a day old."""
        self._administer(admin.trim, {"stream": stream, "region": region})

    def _reshard(self, action: admin.Action, stream: str, region: str) -> list[str]:
        shards: list[str] = self._administer(action, {"stream": stream, "region": region})["open_shards"]
        return shards

    # Faults

    def fault(self, fault: str, **rule: Any) -> Fault:
        """A fault for `with`, or from `start()` to `stop()`; `rule` are members of `POST /_atoll/faults`."""
        return Fault(self, fault, rule)

    def change_faults(self, change: admin.Body) -> admin.Body:
        """Change the faults, as `POST /_atoll/faults`."""
        return self._administer(faults.change_faults, change)

    def show_faults(self) -> list[admin.Body]:
        """The faults, as `GET /_atoll/faults`."""
        shown: list[admin.Body] = self._administer(faults.show_faults, {})["faults"]
        return shown

    # Links between regions

    def link(self, from_: str, to: str) -> Link:
        """The link between two regions, to give it faults."""
        return Link(self, from_, to)

    def change_link(self, change: admin.Body) -> None:
        """Change a link, as `POST /_atoll/replication/links`."""
        self._administer(links.change_link, change)

    def show_links(self) -> list[admin.Body]:
        """The links, as `GET /_atoll/replication/links`."""
        shown: list[admin.Body] = self._administer(links.show_links, {})["links"]
        return shown

    def settle(self) -> None:
        """Return when every region has the changes of all regions that it can reach, and due background work is done.
        With a manual clock, changes that a link delays stay under way: advance the clock."""
        self._do(self._settle())

    async def _settle(self) -> None:
        for _ in range(3):  # what one region tells another may make work due
            await self._node.settle()

    # State

    def snapshot(self) -> State:
        """The state of all regions, for `restore`."""
        return self._do(self._snapshot())

    def restore(self, state: State) -> None:
        """Restore all data, and a manual clock, from a `snapshot`. A state can be restored many times."""
        self._do(self._restore(state))

    async def _snapshot(self) -> State:
        regions = self._node.regions.items()
        return State(
            self._node.clock.now_ms(),
            {name: (_engine(region).snapshot(), region.versions.last) for name, region in regions},
            self._node.peering.faults.all(),
            self._node.faults.saved(),
        )

    async def _restore(self, state: State) -> None:
        await self._node.peering.drop()
        clock = self._node.clock
        if isinstance(clock, ManualClock):
            clock.set(state.now_ms)
        empty = (MemoryEngine().snapshot(), 0)
        for name in {*self._node.regions, *state.regions}:
            region = await self._node.open_region(name)
            rows, last = state.regions.get(name, empty)
            _engine(region).restore(rows)
            region.rewind(last)
            self._node.triggers[name].forget()
            region.wake()
        self._node.peering.faults.replace(state.links)
        self._node.faults.replace(state.faults)
        self._node.peering.waits.settle()


class Clock:
    """The server's clock. Each call returns after the background work that became due is done."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self._server._node.clock.now_ms() / 1000, UTC)

    def time(self) -> float:
        """Seconds since 1970, like `time.time()`."""
        return self._server._node.clock.now_ms() / 1000

    def advance(self, duration: Duration) -> datetime:
        """Advance the clock and run the work that becomes due; returns the new time."""
        return self._move(advance=duration.total_seconds() if isinstance(duration, timedelta) else duration)

    def set(self, time: str | float | datetime) -> datetime:
        """Advance to a time: seconds since 1970, an ISO 8601 text or a datetime."""
        return self._move(set=time.isoformat() if isinstance(time, datetime) else time)

    def _move(self, **how: object) -> datetime:
        self._server._administer(admin.move_clock, how)
        return self.now


def _engine(region: Region) -> MemoryEngine:
    assert isinstance(region.engine, MemoryEngine)
    return region.engine


@cache
def _session() -> Any:
    """A session that ignores the AWS profiles of the machine."""
    try:
        import boto3
    except ImportError:
        raise ImportError(
            "server.client() and server.resource() need boto3, which is not installed: pip install boto3"
        ) from None
    import botocore.session

    no_profile = {"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)}
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=no_profile))
