"""The settings of a node."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Any

from atoll.database.region import Settings
from atoll.security.browsers import Browsers
from atoll.security.credentials import FILE_NAME as CREDENTIALS_FILE
from atoll.security.vault import PLAIN, Vault
from atoll.templates.declarations import Declarations
from atoll.transfer.buckets import DIRECTORY as BUCKETS_DIRECTORY
from atoll.transfer.buckets import Buckets, Directories, Memory
from atoll.triggers.registry import Registry
from atoll.wire import memory

if TYPE_CHECKING:
    from atoll.telemetry.exporters import Telemetry


@dataclass(frozen=True)
class Config:
    host: str = "127.0.0.1"
    port: int = 8000
    data: Path | None = Path("data")
    """The data directory; None keeps everything in memory, or in the store."""
    store: str = field(default="", repr=False)
    """The URL of a PostgreSQL database that several front ends share; it may have a password."""
    read_store: str = field(default="", repr=False)
    """The URL of PostgreSQL replicas for eventually consistent reads."""
    region: str = "us-east-1"
    """The default region: requests that name no region get it."""
    more_regions: Sequence[str] = ()
    """Further regions that are always open."""
    only_regions: bool = False
    """Whether to refuse all other regions."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """The regions that other nodes serve, each with the URL of its node."""
    peer_credentials: Path | None = None
    """The file of the peering credentials; None is the credentials file."""
    peer_tls: SSLContext | None = None
    """How to verify the certificates of peers; None trusts the certificate authorities of the system."""
    workers: int = 1
    auth: str = "none"
    """One of "none", "sigv4", "iam" or "iam-log"."""
    clock: str = "system"
    """Either "system", or "manual": it starts at the real time and moves only on request."""
    durability: str = "full"
    on_damage: str = "stop"
    """Either "stop" or "serve": whether a damaged store accepts writes."""
    unclosed: Collection[Path] | None = None
    """The directories of stores that were not closed; None: each store is examined when it is opened."""
    reserves: bool = False
    """Whether to hold disk space back, so that data can be deleted from a full disk."""
    tls: SSLContext | None = None
    """A context with the server's certificate, to serve HTTPS; None serves HTTP."""
    slow_ms: int | None = None
    """Requests that take at least this long are logged; None logs none."""
    otel: bool = False
    """Whether each serving process exports spans and metrics (OpenTelemetry)."""
    telemetry: Telemetry | None = None
    """The exporter of this process."""
    access_log: bool = False
    """Whether to log each request."""
    credentials: Path | None = None
    """The credentials file; None is the one in the data directory."""
    policies: Path | None = None
    """The file that declares users, groups and roles; None is the one in the data directory."""
    declared: Mapping[str, Any] | None = None
    """Further declarations, in the form of that file."""
    session_key: Path | None = None
    """The file of the key of session tokens; None is the one in the data directory."""
    vault: Vault = PLAIN
    """Encrypts the credentials file's secrets and the session tokens' key."""
    audit_log: Path | None = None
    audit_log_bytes: int = 100 * 1024**2
    """The audit log is rotated when it exceeds this size."""
    admin_token: str = ""
    memory_limit: int = memory.LIMIT_BYTES
    """The most bytes of requests and answers in flight, in each process."""
    max_connections: int = 1_000
    """The most connections of each process."""
    max_regions: int = 64
    """The most regions that are open at a time."""
    cors_origins: Sequence[str] = ()
    allowed_hosts: Sequence[str] = ()
    buckets: Buckets | None = None
    """The buckets of exports and imports; None means a directory in the data directory, or memory."""
    kinesis: str = ""
    """The URL of the Kinesis endpoint that gets changes; see `transfer.kinesis`."""
    functions: Registry = field(default_factory=Registry)
    console_port: int | None = None
    """The port of the console that starts with the server; None starts none."""
    tables: Declarations | None = None
    """Tables of the default region that are created at the start."""
    settings: Settings = field(default_factory=Settings)

    @property
    def regions(self) -> tuple[str, ...]:
        """The named regions; the first is the default."""
        return (self.region, *self.more_regions)

    def serves(self, region: str) -> bool:
        return region in self.regions or not (self.only_regions or region in self.peers)

    def replicable(self, region: str) -> bool:
        """Whether a table may have a replica in the region: only in a named region or a peer's."""
        return region in self.regions or region in self.peers

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def credentials_file(self) -> Path | None:
        return self.credentials or (None if self.data is None else self.data / CREDENTIALS_FILE)

    @property
    def keeps_in_memory(self) -> bool:
        return self.data is None and not self.store

    @property
    def peer_credentials_file(self) -> Path | None:
        """The file with the peering credentials; None if the node has no peers."""
        return self.peer_credentials or (self.credentials_file if self.peers else None)

    @property
    def kept_buckets(self) -> Buckets:
        if self.buckets is not None:
            return self.buckets
        return Memory() if self.data is None else Directories(self.data / BUCKETS_DIRECTORY)

    @property
    def evaluates(self) -> bool:
        """Whether policies are evaluated."""
        return self.auth in ("iam", "iam-log")

    @property
    def browsers(self) -> Browsers:
        """The rules for browsers. `Host` is checked if the server is on loopback without authentication: there a web
        page in a local browser could reach what other machines cannot."""
        return Browsers(self.cors_origins, self.allowed_hosts if self.loopback and self.auth == "none" else None)

    @property
    def engine(self) -> str:
        if self.store:
            return "postgresql"
        return "memory" if self.data is None else f"sqlite ({self.durability} durability)"
