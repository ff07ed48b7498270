"""`atoll mcp`: its options. The library of the protocol is imported when the command runs."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from atoll.client.options import add_endpoint
from atoll.options import INTERRUPTED, Refused, port_number
from atoll.shell.session import connect

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

TOKEN_CHARACTERS = 16


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Let an assistant list tables, read schemas, query, run PartiQL and read streams, by the Model Context "
        "Protocol on standard input and output. Needs an extra: pip install 'atoll[mcp]'."
    )
    parser.add_argument("--allow-writes", action="store_true",
                        help="also allow statements that write, and moving the server's clock")  # fmt: skip
    parser.add_argument("--http", default="", metavar="PORT",
                        help="serve http://127.0.0.1:PORT/mcp instead of standard input; needs --token")  # fmt: skip
    parser.add_argument("--token", default=os.environ.get("ATOLL_MCP_TOKEN", ""), metavar="SECRET",
                        help="the bearer token that clients must send (ATOLL_MCP_TOKEN)")  # fmt: skip
    add_endpoint(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if find_spec("mcp") is None:
        raise Refused("`atoll mcp` needs an extra: pip install 'atoll[mcp]'")
    port = _port(options) if options.http else None
    from atoll.mcp.server import server

    found = server(connect(options), writes=options.allow_writes)
    try:
        if port is None:
            found.run("stdio")
        else:
            _serve(found, port, options.token)
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _port(options: argparse.Namespace) -> int:
    port = port_number("--http", options.http, 1)
    if len(options.token) < TOKEN_CHARACTERS or not options.token.isascii():
        raise Refused(f"--http needs --token, or ATOLL_MCP_TOKEN: a secret of at least {TOKEN_CHARACTERS} characters")
    return port


def _serve(server: MCPServer[Any], port: int, token: str) -> None:
    from atoll.mcp.http import serve

    try:
        serve(server, port, token)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise Refused(f"port {port} cannot be used: {reason}: choose another one with --http") from error
