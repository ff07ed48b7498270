"""`atoll console`: its options and its start. Modules that only the console needs are imported when it runs."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import socket
import sys
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from atoll.client.endpoint import Location, locate
from atoll.client.failures import Misconfigured
from atoll.client.options import add_endpoint
from atoll.options import Refused, port_number

if TYPE_CHECKING:
    from uvicorn import Server

PASSWORD = "ATOLL_CONSOLE_PASSWORD"
LEAST_PASSWORD = 8


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "Serve a web page that shows and changes the tables of a DynamoDB endpoint."
    add_endpoint(parser, "--endpoint")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", default="8001", help="the port to listen on; 0 picks a free one (default: 8001)")
    parser.add_argument("--admin-token", default="", metavar="TOKEN", help="the secret of the server's administration")
    parser.add_argument("--allow-writes", action="store_true", help="allow changes even if the endpoint is not Atoll")
    parser.add_argument(
        "--ask-credential", action="store_true", help="ask users for a credential, and ignore the environment's"
    )
    parser.add_argument(
        "--password-file", default="", metavar="FILE", help=f"a file with the console's password (or {PASSWORD})"
    )
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME", help="a name of this machine that URLs may use"
    )
    parser.add_argument(
        "--tls-cert", default="", metavar="FILE", help="a PEM file with the certificate chain; the page is then HTTPS"
    )
    parser.add_argument(
        "--tls-key", default="", metavar="FILE", help="a PEM file with the private key, if not in the same file"
    )
    parser.add_argument("--with-server", action="store_true", help="end when the standard input ends")
    parser.add_argument("--open", action="store_true", help="open a browser")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if find_spec("nicegui") is None:
        raise Refused("the console needs an extra: pip install 'atoll[console]'")
    try:
        place = locate(options.endpoint_url, options.region, options.profile)
    except Misconfigured as error:
        raise Refused(str(error)) from None
    port = port_number("--port", options.port)
    password = _password(options.password_file)
    if not is_loopback(options.host) and not password:
        raise Refused(f"--host {options.host}: other machines can reach this address, and the console "
                      f"holds credentials: set a password with --password-file or {PASSWORD}")  # fmt: skip
    for name, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
        if path and not os.access(path, os.R_OK):
            raise Refused(f"{name}: {path} cannot be read")
    return _serve(options, place, port, password)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _password(path: str) -> str:
    try:
        password = Path(path).read_text().strip() if path else os.environ.get(PASSWORD, "")
    except (OSError, UnicodeError) as error:
        raise Refused(f"--password-file: {error}") from error
    if (path or password) and len(password) < LEAST_PASSWORD:
        raise Refused(f"the console's password must have at least {LEAST_PASSWORD} characters")
    return password


def _serve(options: argparse.Namespace, place: Location, port: int, password: str) -> int:
    from botocore.exceptions import BotoCoreError

    from atoll.console.endpoint import Address, Endpoint
    from atoll.console.web import Web, server, warm_up

    address = Address(
        place.url or place.region, options.region, options.profile, options.admin_token, options.ca_bundle
    )
    try:
        endpoint = Endpoint(address, allow_writes=options.allow_writes)
    except (BotoCoreError, ValueError) as error:
        raise Refused(str(error)) from error
    try:
        listening = socket.create_server(
            (options.host, port), family=socket.AF_INET6 if ":" in options.host else socket.AF_INET
        )
    except (OSError, UnicodeError) as error:
        raise Refused(f"--host {options.host}, --port {port}: {error}") from error
    web = Web(
        options.host, listening.getsockname()[1], password, options.ask_credential, tuple(options.allowed_host),
        is_loopback(options.host), options.tls_cert, options.tls_key,
    )  # fmt: skip
    app = server(web, endpoint)

    async def serve() -> None:
        await endpoint.recognize()
        warming = asyncio.create_task(warm_up(web, endpoint))
        print(f"the console is at {web.url}{' (read-only)' if endpoint.read_only else ''}", file=sys.stderr, flush=True)
        if options.open:
            webbrowser.open(web.url)
        if options.with_server:
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _end, app)
        await app.serve([listening])
        warming.cancel()
        await asyncio.wait([warming])

    asyncio.run(serve())
    return 0


def _end(app: Server) -> None:
    """Exit, because the server that started this console has ended. It never writes to the pipe, so data means the
    end."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    app.should_exit = True
