"""`atoll serve`: its options, and the node's settings that follow from them.

Every option may also be an environment variable: `--data` is ATOLL_DATA, `--control-plane-delay` is
ATOLL_CONTROL_PLANE_DELAY.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from atoll import logs, serving
from atoll.api.functions import check_registry
from atoll.config import Config
from atoll.data_directory import warn_of_readers
from atoll.database.region import Settings
from atoll.durations import duration_ms
from atoll.errors import ApiError
from atoll.options import Declared, Refused, number, port_number, size
from atoll.serve_options import (
    buckets,
    check_store,
    credentials_file,
    kinesis_url,
    origins,
    peer_credentials,
    peer_tls,
    peers,
    policies_file,
    raise_file_limit,
    regions,
    secrets_key,
    writable,
)
from atoll.templates import declarations
from atoll.templates.declarations import Declarations
from atoll.templates.documents import BadTemplate
from atoll.triggers.registry import BadRegistry, Registry
from atoll.triggers.registry import load as load_registry
from atoll.wire.memory import LEAST_BYTES as MEMORY_BYTES

# File descriptors: the most of an open region's store, and those needed besides regions and connections.
REGION_FILES = 16
OTHER_FILES = 100
LEAST_CONNECTIONS = 10
AUDIT_BYTES = 64 * 1024


class _Data(argparse.Action):
    """Record that --data was given on the command line, not by the environment."""

    def __call__(self, parser: object, namespace: argparse.Namespace, values: object, option: object = None) -> None:
        namespace.data, namespace.data_named = values, True


def add(serve: argparse.ArgumentParser) -> None:
    serve.description = "Serve DynamoDB's API."
    declared = Declared(serve)
    option, flag, repeatable = declared.option, declared.flag, declared.repeatable
    option("--host", "127.0.0.1", "the address to listen on")
    option("--port", "8000", "the port to listen on; 0 picks a free one")
    option("--data", "data", "the directory for tables and credentials", action=_Data)
    flag("--in-memory", "keep everything in memory; all data is lost when the process ends")
    option("--store", "", "a PostgreSQL database that front ends share: postgresql://user@host1,host2/database")
    option("--read-store", "", "the replicas of that database, for eventually consistent reads")
    repeatable("--region", "a region that is always open; requests that name no region use the first one", "REGION",
               ["us-east-1"])  # fmt: skip
    flag("--only-regions", "refuse all regions that --region does not name")
    repeatable("--peer", "a region that another server serves, and its address", "REGION=URL")
    option("--peer-credentials", "", "the file of the peering credentials, if it is not the file of the access keys")
    option("--peer-ca", "", "a PEM file of the certificate authorities of peers, instead of the system's")
    option("--workers", "1", "the number of worker processes")
    option("--auth", "none", "sigv4: require signed requests; iam: also authorize them by policies; iam-log: only log "
           "the requests that iam would refuse", ["none", "sigv4", "iam", "iam-log"])  # fmt: skip
    option("--policies", "", "the file of users, groups and roles, if not policies.toml in the data directory")
    option("--session-key", "", "a file with the key of session tokens, if not session.key in the data directory")
    option("--credentials", "", "the file of the access keys, if not credentials.json in the data directory")
    option("--secrets-key", "", "a file with the key that encrypts stored secrets, or env:NAME for a variable with it")
    option("--audit-log", "", "the file of the audit log: the caller and decision of each request, as JSON lines")
    option("--audit-log-size", "100MB", "the size at which the audit log is rotated; five older files are kept")
    option("--admin-token", "", "a secret with which clients may administer the server, as a bearer token")
    option("--clock", "system", "manual: only POST /_atoll/clock moves the time", ["system", "manual"])
    option("--account", "000000000000", "the account number in ARNs")
    option("--durability", "full", "full: writes survive power failures; relaxed: only crashes of the process",
           ["full", "relaxed"])  # fmt: skip
    option("--on-damage", "stop", "stop: a damaged store refuses writes; serve: it accepts them", ["stop", "serve"])
    option("--control-plane-delay", "0", "seconds that a table stays CREATING, UPDATING or DELETING")
    option("--error-style", "2026", "the wording of validation errors", ["2026", "classic"])
    option("--ttl-delay", "0", "seconds from the expiry of an item to its deletion")
    option("--ttl-rate", "", "maximum number of expired items to delete per second")
    option("--quotas", "on", "enforce the account's quotas, and the intervals between changes of tables", ["on", "off"])
    option("--throttling", "on", "on: enforce the throughput of tables; full: also that of partition keys and of "
           "on-demand tables", ["on", "off", "full"])  # fmt: skip
    flag("--strict-stream-readers", "throttle a third reader of a shard, as the service does")
    option("--slow", "", "log requests that take at least this long, as in 1s or 500ms")
    flag("--otel", "export traces and metrics by OpenTelemetry, to the endpoint that the OTEL_* variables set")
    flag("--access-log", "log each request: its operation, table, status and time")
    option("--log-format", "text", "the form of log lines on standard error", logs.FORMATS)
    option("--log-level", "info", "leave out log lines below this level", logs.LEVELS)
    option("--s3", "", "where the buckets of exports are: file:///DIRECTORY or https://ENDPOINT, if not DATA/s3")
    option("--kinesis", "", "where tables send their changes: file:///DIRECTORY or https://ENDPOINT of Kinesis")
    option("--functions", "", "a TOML file with functions and the tables that trigger them")
    option("--tables", "", "a file of tables to create: CloudFormation, SAM, or bodies of CreateTable as JSON")
    option("--tls-cert", "", "a PEM file with the server's certificate chain; the server then serves HTTPS")
    option("--tls-key", "", "a PEM file with the private key, if it is not in the same file")
    option("--memory-limit", "256MB", "the maximum bytes of requests and answers that each worker holds")
    option("--max-connections", "1000", "the maximum number of connections of each worker")
    option("--max-regions", "64", "the maximum number of regions whose stores are open at a time")
    repeatable("--cors-origin", "an origin of web pages that may send requests; * for all", "ORIGIN")
    repeatable("--allowed-host", "a name of this server, besides addresses and local names", "NAME")
    flag("--insecure", "allow --auth none on an address that other machines can reach")
    flag("--console", "start the console with the server")
    option("--console-port", "8001", "the console's port on 127.0.0.1; 0 picks a free one")
    serve.set_defaults(run=_serve, allowed=declared.allowed, data_named=False)


def _serve(options: argparse.Namespace) -> int:
    config = _config(options)
    logs.configure(options.log_format, options.log_level)
    if config.auth == "none" and not options.insecure and not config.loopback:
        raise Refused(
            f"--auth none on {config.host} gives everyone who can reach this address full access: "
            "use --auth sigv4, or --insecure to allow this"
        )
    if config.data is not None:
        warn_of_readers(config.data)
    files = raise_file_limit(2 * config.max_connections + REGION_FILES * config.max_regions + OTHER_FILES)
    # A process without a free descriptor cannot open a store. A refused connection takes one, too, for a moment.
    room = max(LEAST_CONNECTIONS, (files - OTHER_FILES - REGION_FILES) // 2)
    config = replace(config, max_connections=min(config.max_connections, room))
    return serving.serve(config, announces=options.log_format == "text")


def _config(options: argparse.Namespace) -> Config:
    for name, choices in options.allowed.items():
        value = getattr(options, name.strip("-").replace("-", "_"))
        if value not in choices:
            raise Refused(f"{name} must be {' or '.join(choices)}, not {value!r}")
    if options.in_memory and options.data_named:
        raise Refused("--in-memory and --data exclude each other: remove one of them")
    check_store(options.store, options.read_store, in_memory=options.in_memory, data_named=options.data_named)
    named = regions("--region", options.region)
    vault = secrets_key("--secrets-key", options.secrets_key)
    settings = _settings(options)
    config = Config(
        host=options.host,
        port=port_number("--port", options.port),
        data=None if options.in_memory or options.store else Path(options.data),
        store=options.store,
        read_store=options.read_store,
        region=named[0],
        more_regions=named[1:],
        only_regions=options.only_regions,
        peers=peers("--peer", options.peer, named),
        peer_credentials=peer_credentials("--peer-credentials", options.peer_credentials, vault),
        peer_tls=peer_tls("--peer-ca", options.peer_ca),
        workers=number("--workers", options.workers, 1),
        auth=options.auth,
        clock=options.clock,
        durability=options.durability,
        on_damage=options.on_damage,
        reserves=True,
        tls=_tls(options.tls_cert, options.tls_key),
        access_log=options.access_log,
        otel=_otel(options.otel),
        slow_ms=_duration_ms("--slow", options.slow) if options.slow else None,
        credentials=credentials_file("--credentials", options.credentials, options.auth, vault),
        policies=policies_file("--policies", options.policies),
        session_key=Path(options.session_key) if options.session_key else None,
        vault=vault,
        audit_log=writable("--audit-log", options.audit_log),
        audit_log_bytes=size("--audit-log-size", options.audit_log_size, AUDIT_BYTES),
        admin_token=options.admin_token,
        memory_limit=size("--memory-limit", options.memory_limit, MEMORY_BYTES),
        max_connections=number("--max-connections", options.max_connections, 1),
        max_regions=number("--max-regions", options.max_regions, 1),
        cors_origins=origins("--cors-origin", options.cors_origin),
        allowed_hosts=tuple(options.allowed_host),
        kinesis=kinesis_url("--kinesis", options.kinesis),
        buckets=buckets("--s3", options.s3),
        functions=_registry(options.functions),
        console_port=port_number("--console-port", options.console_port) if options.console else None,
        tables=_tables(options.tables, named[0], settings),
        settings=settings,
    )
    _check(config)
    return config


def _otel(wanted: bool) -> bool:
    if not wanted:
        return False
    try:
        from atoll.telemetry import exporters
    except ImportError:
        raise Refused("--otel needs an extra: pip install 'atoll[otel]'") from None
    try:
        exporters.check()
    except exporters.BadVariable as fault:
        raise Refused(f"--otel: {fault}") from None
    return True


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        account=options.account,
        control_plane_delay_ms=_milliseconds("--control-plane-delay", options.control_plane_delay),
        error_style=options.error_style,
        ttl_delay_ms=_milliseconds("--ttl-delay", options.ttl_delay),
        ttl_rate=number("--ttl-rate", options.ttl_rate, 1) if options.ttl_rate else None,
        strict_stream_readers=options.strict_stream_readers,
        quotas=options.quotas == "on",
        throttling=options.throttling,
    )


def _check(config: Config) -> None:
    """Refuse options that exclude each other, or need each other."""
    if config.console_port is not None:
        if find_spec("nicegui") is None:
            raise Refused("--console needs an extra: pip install 'atoll[console]'")
        if config.tls is not None:
            raise Refused("--console cannot know for which host name the certificate is valid: "
                          "start atoll console with --endpoint instead")  # fmt: skip
    if config.peers and config.peer_credentials_file is None and not config.store:
        raise Refused("--peer needs peering credentials: remove --in-memory, "
                      "or name their file with --peer-credentials")  # fmt: skip
    if config.max_regions < len(config.regions):
        raise Refused(f"--max-regions must be at least the number of regions named by --region, {len(config.regions)}")
    if config.auth != "none" and config.credentials_file is None and config.policies is None and not config.store:
        raise Refused(f"--auth {config.auth} needs the credentials in the data directory: remove --in-memory, "
                      "or name their file with --credentials or --policies")  # fmt: skip
    if config.workers > 1 and config.keeps_in_memory:
        raise Refused("--workers greater than 1 needs --data: several workers cannot share memory")
    if config.workers > 1 and config.clock == "manual":
        raise Refused("--clock manual needs --workers 1: several workers cannot share a manual clock")
    if re.fullmatch("[0-9]{12}", config.settings.account) is None:
        raise Refused("--account must be twelve digits")


def _milliseconds(name: str, text: str) -> int:
    try:
        ms = int(float(text) * 1000)
    except (ValueError, OverflowError):
        ms = -1
    if ms < 0:
        raise Refused(f"{name} must be a number of seconds, at least 0, not {text!r}")
    return ms


def _duration_ms(name: str, text: str) -> int:
    try:
        ms = duration_ms(text)
    except ApiError:
        ms = -1
    if ms < 0:
        raise Refused(f"{name} takes a duration, as in 1s, 500ms or 1m, not {text!r}")
    return ms


def _registry(path: str) -> Registry:
    if not path:
        return Registry()
    try:
        registry = load_registry(Path(path))
    except BadRegistry as error:
        raise Refused(f"--functions: {error}") from error
    try:
        check_registry(registry)
    except BadRegistry as error:
        raise Refused(f"--functions: {path}: {error}") from error
    return registry


def _tables(path: str, region: str, settings: Settings) -> Declarations | None:
    if not path:
        return None
    try:
        return asyncio.run(declarations.read(Path(path), region, settings))
    except OSError as error:
        raise Refused(f"--tables: {error}") from error
    except BadTemplate as error:
        raise Refused(f"--tables: {path}: {error}") from error


def _tls(cert: str, key: str) -> ssl.SSLContext | None:
    if key and not cert:
        raise Refused("--tls-key needs --tls-cert, the certificate of the key")
    if not cert:
        return None
    files = [("--tls-cert", cert), ("--tls-key", key)] if key else [("--tls-cert", cert)]
    for name, path in files:
        try:
            Path(path).read_bytes()  # this error names the unreadable file; those below do not
        except OSError as error:
            raise Refused(f"{name}: {error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key or None)
    except ssl.SSLError as error:
        raise Refused(f"{', '.join(f'{name} {path}' for name, path in files)}: {error}") from error
    return context
