"""The URL of a store: postgresql://user:password@host1:5432,host2/database?sslmode=verify-full

Hosts, TLS and passwords are given as to libpq, and by its environment variables (PGPASSWORD, PGPASSFILE, PGSSLROOTCERT,
...). Nothing here puts the password into a text that people see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlencode

_URL = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^@/?]*)@)?(?P<hosts>[^/?@]*)(?:/(?P<database>[^?]*))?(?:\?(?P<query>.*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")

# What libpq knows, and this client does itself.
_TIMES = {"connect_timeout": 3, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
_IGNORED = frozenset(
    ["target_session_attrs", "load_balance_hosts", "keepalives", "tcp_user_timeout", "gssencmode", "channel_binding",
     "client_encoding", "fallback_application_name", "application_name", "sslcompression", "sslsni"]
)  # fmt: skip


class BadURL(ValueError):
    """Its text has no password."""


class BadStore(Exception):
    """The store cannot be used. Its text has no password."""


@dataclass(frozen=True, slots=True)
class Server:
    host: str
    port: int
    dsn: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StoreURL:
    servers: tuple[Server, ...]
    database: str
    times: dict[str, int] = field(hash=False, compare=False)
    """Seconds, and how often: see `_TIMES`."""

    def __str__(self) -> str:
        return f"postgresql://{','.join(map(str, self.servers))}/{self.database}"


def is_url(text: str) -> bool:
    return text.startswith(("postgresql://", "postgres://"))


def parse(text: str) -> StoreURL:
    found = _URL.fullmatch(text.strip())
    if found is None:
        raise BadURL("a store needs a URL such as postgresql://user@host1,host2/database")
    query = parse_qsl(found["query"] or "", keep_blank_values=True)
    times = dict(_TIMES)
    kept: list[tuple[str, str]] = []
    for name, value in query:
        if name in times:
            if not value.isdigit():
                raise BadURL(f"{name} must be a number")
            times[name] = int(value)
        elif name not in _IGNORED and name not in ("host", "port"):
            kept.append((name, value))
    named = dict(query)
    hosts = unquote(found["hosts"]) or named.get("host", "") or "localhost"
    ports = named.get("port", "5432").split(",")
    servers = []
    for number, one in enumerate(hosts.split(",")):
        if one.startswith("/"):
            host, port = one, ports[min(number, len(ports) - 1)]
        else:
            parts = _HOST.fullmatch(one)
            if parts is None or not parts["host"]:
                raise BadURL("a host needs a form such as db1.example, db1.example:5433 or [::1]:5433")
            host, port = parts["host"].strip("[]"), parts["port"] or ports[min(number, len(ports) - 1)]
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise BadURL("a port is a number from 1 to 65535")
        servers.append(Server(host, int(port), _dsn(found["user"], host, int(port), found["database"] or "", kept)))
    return StoreURL(tuple(servers), unquote(found["database"] or ""), times)


def _dsn(user: str | None, host: str, port: int, database: str, query: list[tuple[str, str]]) -> str:
    options = [*query, ("host", host), ("port", str(port))]
    place = f"{user}@" if user else ""
    return f"postgresql://{place}/{database}?{urlencode(options, quote_via=quote)}"
