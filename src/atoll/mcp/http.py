"""The protocol over HTTP, on this machine only: a bearer token is required, and Host and Origin must be local.

The token keeps out other programs and users of the machine. The checks of Host and Origin keep out web pages, which a
browser allows to call this machine.
"""

from __future__ import annotations

import hmac
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost")

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def serve(server: MCPServer[Any], port: int, token: str) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError if the port is in use."""
    with socket.create_server((HOST, port)) as listening:
        config = uvicorn.Config(guarded(server, port, token), log_level="warning")
        uvicorn.Server(config).run([listening])


def guarded(server: MCPServer[Any], port: int, token: str) -> App:
    hosts = [f"{name}:{port}" for name in _NAMES]
    security = TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
    app = server.streamable_http_app(transport_security=security, host=HOST)
    wanted = f"Bearer {token}".encode()

    async def answer(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] == "http" and hmac.compare_digest(given, wanted):
            await app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    return answer
