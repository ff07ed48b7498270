"""Run `atoll serve`: serve in this process or in several, until a signal."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from atoll import __version__, logs, platforms
from atoll.check.start import unclosed
from atoll.config import Config
from atoll.console import child as console
from atoll.data_directory import claim
from atoll.node import Node
from atoll.options import Refused
from atoll.security.credentials import BadCredentials
from atoll.security.directory import BadDirectory
from atoll.security.sessions import BadKey
from atoll.storage.engine import Corrupt, Full, Locked
from atoll.storage.locks import FileLock
from atoll.storage.postgresql.url import BadStore
from atoll.supervisor import CANNOT_START, Once, supervise

# Run the garbage collector after this many more allocations than deallocations of container objects.
GC_OBJECTS = 50_000

_log = logging.getLogger("atoll")


def serve(config: Config, *, announces: bool = False) -> int:
    """Serve; returns the exit code. `announces`: whether to print on standard output how to use the server."""
    return _serve_with_workers(config, announces) if config.workers > 1 else _run(config, announces)


def _run(config: Config, announces: bool, parent: int | None = None, refusal: Once | None = None) -> int:
    """Serve in this process until SIGTERM or SIGINT, or until the pipe `parent` is closed because the supervisor has
    ended. Workers share `refusal`: they usually fail for the same reason, which only the first one prints."""
    try:
        platforms.run(_serve_until_signal(config, announces, parent))
    except Refused as refused:
        if refusal is None or refusal.take():
            logs.refuse(str(refused))
        return CANNOT_START
    return 0


async def _serve_until_signal(config: Config, announces: bool, parent: int | None) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if parent is not None:
            loop.remove_reader(parent)
        told.set()

    if parent is not None:
        loop.add_reader(parent, end)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if config.otel:
        from atoll.telemetry import exporters  # an extra

        config = replace(config, telemetry=exporters.opened())
    try:
        node = Node(config)
        await node.start()
    except Locked as error:
        raise Refused(f"{error}: choose another data directory with --data") from error
    except (OSError, UnicodeError) as error:  # UnicodeError: an invalid host name
        raise _start_failure(config, error) from error
    except (Corrupt, Full, BadCredentials, BadDirectory, BadKey, BadStore) as error:
        raise Refused(str(error)) from error
    # Exclude the objects that exist now from garbage collection: scanning them would delay requests by milliseconds.
    # Objects of requests are freed by reference counting, so collect cycles rarely.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS)
    _log.info(
        "atoll %s serves %s", __version__, _url(config, *node.address),
        extra={
            "region": ",".join(config.regions), "data": str(config.data or node.shared or "(memory)"),
            "engine": config.engine, "auth": config.auth,
        },
    )  # fmt: skip
    if announces:
        print(_welcome(config, node), flush=True)
    if config.telemetry is not None:
        config.telemetry.observe(lambda: list(node.regions.values()))
    with _console(config, *node.address) if parent is None else nullcontext():
        await told.wait()
    _log.info("stopping: answering the requests received so far")
    await node.stop()
    if config.telemetry is not None:
        await config.telemetry.close()


def _url(config: Config, host: str, port: int) -> str:
    scheme = "https" if config.tls is not None else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _welcome(config: Config, node: Node) -> str:
    """Print the address, and the environment variables with which SDKs and the AWS CLI use it."""
    host, port = node.address
    url = _url(config, {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)
    lines = [f"Atoll {__version__} serves DynamoDB at {url}. For SDKs, the AWS CLI and other programs:", ""]
    lines += [f"    export AWS_ENDPOINT_URL={url}", f"    export AWS_DEFAULT_REGION={config.region}"]
    if config.auth == "none":
        lines += ["    export AWS_ACCESS_KEY_ID=anything", "    export AWS_SECRET_ACCESS_KEY=anything"]
    else:
        lines += ["", "Requests need an access key: `atoll credentials create` makes one."]
    return "\n".join([*lines, ""])


def _start_failure(config: Config, error: OSError | UnicodeError) -> Refused:
    """The reason why the server cannot start, with the faulty option. File errors have a file name."""
    if isinstance(error, OSError) and error.filename is not None:
        return Refused(f"--data {config.data}: {error}")
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return Refused(f"port {config.port} of {config.host} is in use by another program: stop it, or choose another "
                       "port with --port or ATOLL_PORT")  # fmt: skip
    return Refused(f"--host {config.host}, --port {config.port}: {error}")


def _serve_with_workers(config: Config, announces: bool) -> int:
    """Bind the port here without listening, so that with `--port 0` all workers use the same port."""
    try:
        if config.port:  # fail if another server uses the port
            _bound(config, shared=False).close()
        reserved = _bound(config, shared=True)
    except (OSError, UnicodeError) as error:
        raise _start_failure(config, error) from error
    data = config.data
    with reserved, nullcontext() if data is None else closing(_claimed(data)):
        config = replace(config, port=reserved.getsockname()[1], unclosed=())
        first = config if data is None else replace(config, unclosed=unclosed(data))
        refusal = Once()
        with _console(config, config.host, config.port):
            return supervise(
                config.workers,
                partial(_run, config, False, refusal=refusal),
                partial(_run, first, announces, refusal=refusal),
            )


def _console(config: Config, host: str, port: int) -> AbstractContextManager[None]:
    if config.console_port is None:
        return nullcontext()
    url = console.endpoint(host, port)
    return console.running(url, config.region, config.console_port, asks=config.auth != "none")


def _claimed(data: Path) -> FileLock:
    try:
        return claim(data)
    except Locked as error:
        raise Refused(f"{error}: name another data directory with --data") from error
    except OSError as error:
        raise Refused(f"--data {data}: {error}") from error


def _bound(config: Config, *, shared: bool) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a previous server may linger
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        bound.bind((config.host, config.port))
    except BaseException:
        bound.close()
        raise
    return bound
