"""The web application: the guard around NiceGUI's pages, and the files that pages need."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import uvicorn
from fastapi import FastAPI
from nicegui import ui
from nicegui.client import templates
from starlette.staticfiles import StaticFiles

from atoll.console.endpoint import UNSIGNED, Connection, Endpoint
from atoll.console.guard import Guard
from atoll.console.pages import (  # noqa: F401  importing registers them
    backups,
    capacity,
    clock,
    creation,
    editor,
    expiry,
    indexes,
    items,
    nearest,
    partiql,
    regions,
    settings,
    storage,
    streams,
    tables,
    triggers,
)
from atoll.console.shell import known_features
from atoll.console.widgets import STATIC
from atoll.security.browsers import Browsers


@dataclass(frozen=True)
class Web:
    host: str
    port: int
    password: str = ""
    asks: bool = False
    """Whether to ask for a credential instead of using the environment's."""
    allowed_hosts: tuple[str, ...] = ()
    loopback: bool = True
    cert: str = ""
    key: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.cert else 'http'}://{host}:{self.port}"


async def warm_up(web: Web, endpoint: Endpoint) -> None:
    """Load in advance what the first page needs: NiceGUI's template, anyio's backend, botocore's models, the
    features."""
    templates.get_template("index.html")
    anyio.Event()
    key = await endpoint.warm_up()
    usable = not web.asks and (key is not UNSIGNED or endpoint.address.url is not None)
    if usable and await endpoint.recognize():
        await known_features(Connection(endpoint, key))


def server(web: Web, endpoint: Endpoint) -> uvicorn.Server:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/console-static", StaticFiles(directory=STATIC))
    ui.run_with(
        app,
        title="Atoll console",
        tailwind=False,
        dark=None,
        language="en-US",
        binding_refresh_interval=None,
        show_welcome_message=False,
    )
    browsers = Browsers(hosts=web.allowed_hosts if web.loopback else None)
    guard = Guard(app, endpoint, browsers, web.password, asks=web.asks)
    config = uvicorn.Config(
        guard, web.host, web.port, log_level="warning", server_header=False, access_log=False,
        ssl_certfile=web.cert or None, ssl_keyfile=web.key or None, timeout_graceful_shutdown=1,
    )  # fmt: skip
    return uvicorn.Server(config)
