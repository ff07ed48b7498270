"""Build the gateway of a node: the routes of all protocols, and the objects that answer them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from atoll.api import services, sts
from atoll.api.authorization.auditing import Auditor, Observed, auditing
from atoll.api.authorization.authorizer import Authorizer
from atoll.api.call import Call, Desk, logging_slow
from atoll.api.prometheus import exposition
from atoll.capacity.meter import Meter
from atoll.clock import Clock, SystemClock
from atoll.config import Config
from atoll.data_directory import REGION_NAME, DataDirectory
from atoll.database.health import Health, StoreHealth
from atoll.database.region import Region, Settings
from atoll.errors import replication as replication_errors
from atoll.errors import requests
from atoll.evaluation import LAG_MS
from atoll.faults.injection import Faults
from atoll.replication.peer import PREFIX as PEERS_PREFIX
from atoll.security import web_identity
from atoll.security.audit import AuditLog
from atoll.security.credentials import Credentials, CredentialsSource
from atoll.security.directory import ACCOUNT
from atoll.security.identities import COMMANDS_FILE_NAME, Declaration, Declared, DeclaringFile, Identities
from atoll.security.identities import FILE_NAME as POLICIES_FILE
from atoll.security.sessions import KEY_FILE, Tokens, load_key
from atoll.telemetry.units import UnitsMeter
from atoll.wire.admin import Admin
from atoll.wire.calls import CBOR_PREFIX, Calls
from atoll.wire.codec import Encoder
from atoll.wire.gateway import Gateway, Route
from atoll.wire.prometheus import PATH as PROMETHEUS_PATH
from atoll.wire.prometheus import Prometheus
from atoll.wire.rest import Rest

if TYPE_CHECKING:
    from atoll.shared_store import SharedStore


def account_region(config: Config, callers: Identities, account: str, region: str) -> str:
    """The node's key of an account's region (`Region.key`). Raises for an undeclared account."""
    if account == config.settings.account:
        return region
    if account not in callers.directory.accounts or ACCOUNT.fullmatch(account) is None:
        raise requests.foreign_table(f"arn:aws:dynamodb:{region}:{account}:table/*")
    return f"{account}/{region}"


def meter(config: Config) -> Meter:
    """The meter of a region."""
    return Meter() if config.telemetry is None else UnitsMeter()


def region_settings(config: Config, callers: Identities, name: str) -> tuple[str, Settings]:
    """The name and settings of the region with this key. Raises for a region that the node does not serve."""
    account, slash, plain = name.rpartition("/")
    if (slash and account not in callers.directory.accounts) or REGION_NAME.fullmatch(plain) is None:
        raise requests.invalid_region(name)
    if plain in config.peers:
        raise replication_errors.served_by_peer(plain, config.peers[plain])
    if not config.serves(plain):
        raise replication_errors.not_served(plain)
    account = account or config.settings.account
    return plain, replace(config.settings, account=account, evaluates_policies=config.evaluates)


def environment(config: Config, region: Region) -> dict[str, str]:
    """The environment variables by which functions find this server."""
    scheme = "http" if config.tls is None else "https"
    found = {"AWS_ENDPOINT_URL": f"{scheme}://{region.endpoint}"}
    if config.auth == "none":
        found |= {"AWS_ACCESS_KEY_ID": "atoll", "AWS_SECRET_ACCESS_KEY": "atoll"}
    return found


class Shared(Protocol):
    """The objects that front ends of one store share."""

    @property
    def credentials(self) -> CredentialsSource: ...

    @property
    def principals(self) -> Declaration: ...

    def session_key(self) -> bytes: ...


def shared_store(config: Config) -> SharedStore | None:
    """The shared store of a node; None if it has none."""
    if not config.store:
        return None
    from atoll.shared_store import SharedStore  # its driver is an extra

    account, clock, replicas = config.settings.account, config.clock, config.read_store
    return SharedStore(config.store, replicas=replicas, account=account, clock=clock,
                       durability=config.durability, vault=config.vault)  # fmt: skip


def watch(health: Health, region: str, data: DataDirectory | None, shared: SharedStore | None) -> None:
    """Connect the health of a region to the environment of its store: the disk, or servers that replicate the store."""
    if data is not None:
        health.look = data.look(region).look
    if shared is not None:
        health.look, health.lag = shared.lag.found, shared.lag.seconds


def identities(config: Config, shared: Shared | None = None) -> Identities:
    """The identities that may sign requests, from the node's files or from the `shared` store. Raises `BadCredentials`
    and `BadDirectory`."""
    account = config.settings.account
    path = config.credentials_file if config.auth != "none" else None
    credentials: CredentialsSource | None = None if path is None else Credentials(path, config.vault)
    if shared is not None and path is None and config.auth != "none":
        credentials = shared.credentials
    found: list[Declaration] = []
    if config.policies is not None or config.data is not None:
        found.append(DeclaringFile(config.policies or config.data / POLICIES_FILE))  # type: ignore[operator]
    if config.data is not None:
        found.append(DeclaringFile(config.data / COMMANDS_FILE_NAME))
    if shared is not None:
        found.append(shared.principals)
    if config.session_key is not None:
        load_key(config.session_key, config.vault)  # to report a faulty file now
    key = config.session_key or (None if config.data is None else config.data / KEY_FILE)
    declared = Declared(found, account, config.declared)
    if any(one.providers for one in declared.directory.accounts.values()):
        web_identity.load_library()
    load = partial(load_key, key, config.vault) if key is not None or shared is None else shared.session_key
    return Identities(credentials, declared, Tokens(load), account)


def gateway(
    config: Config,
    callers: Identities,
    observed: Observed,
    audit_log: AuditLog | None,
    subjects: Mapping[str, Callable[[str], Any]],
    region_of: Callable[[str, str], Region],
    *,
    clock: Clock,
    peers: Route,
    examine: Callable[[], Awaitable[Mapping[str, StoreHealth]]],
    faults: Faults,
) -> Gateway:
    """The gateway. `clock` is for checking signatures; `subjects` are those of the desk; `region_of` returns a region
    of an account; `peers` answers peers' questions."""
    signs = config.auth != "none"
    encoder = Encoder()
    auditor = Auditor(
        audit_log, observed if config.auth == "iam-log" else None, encoder.next_id, enforces=config.auth == "iam"
    )
    service = sts.Service(callers, config.settings.account, config.evaluates, is_open=not signs)
    subjects = {**subjects, services.IDENTITIES: lambda region: service}
    call = _call(config, callers, auditor, subjects, region_of, encoder, faults)
    admin = Admin(call, signed=signs, guarded=not config.loopback, token=config.admin_token)
    calls = Calls(call, services.OPERATIONS, encoder.next_id)
    scraped = _scraped(config, subjects)
    return Gateway(
        call,
        services.TARGETS,
        clock=clock,
        region=config.region,
        account=config.settings.account,
        identities=callers if signs else None,
        routes={
            services.ADMIN.prefix: admin.answer,
            PEERS_PREFIX: peers,
            services.LAMBDA.prefix: Rest(call, services.of(services.LAMBDA)).answer,
            "/": calls.answer,
            CBOR_PREFIX: calls.answer,
            PROMETHEUS_PATH: scraped.answer,
        },
        route_clock=SystemClock(),
        examine=examine,
        encoder=encoder,
        signed_for={
            services.LAMBDA.prefix: services.LAMBDA.signing_name,
            "/": calls.signed_for,
            CBOR_PREFIX: calls.signed_for,
        },
        bearer_routes=[services.ADMIN.prefix, PROMETHEUS_PATH],
        unverified_routes=[PEERS_PREFIX],
        browsers=config.browsers,
        memory_limit=config.memory_limit,
        refuse=calls.refusal,
        sees_origin=config.evaluates or audit_log is not None or config.telemetry is not None,
        unverified=None if audit_log is None else auditor.unverified,
    )


def _call(
    config: Config,
    callers: Identities,
    auditor: Auditor,
    subjects: Mapping[str, Callable[[str], Any]],
    region_of: Callable[[str, str], Region],
    encoder: Encoder,
    faults: Faults,
) -> Call:
    """The function that runs operations: with authorization, the log of slow ones, and the audit log."""
    authorizer = None
    if config.evaluates:
        authorizer = Authorizer(
            region_of,
            directory=lambda: callers.directory,
            enforces=config.auth == "iam",
            record=auditor.decided if auditor.needs_all else None,
        )
    call: Call = Desk(subjects, authorizer, next_id=encoder.next_id, faults=faults).call
    if config.telemetry is not None:
        from atoll.telemetry.spans import traced  # an extra

        call = traced(call, config.telemetry.tracer, encoder.next_id)
    if config.slow_ms is not None:
        call = logging_slow(call, config.slow_ms, encoder.next_id)
    return auditing(call, auditor, evaluates=config.evaluates) if auditor.writes else call


def _scraped(config: Config, subjects: Mapping[str, Callable[[str], Any]]) -> Prometheus:
    lag_ms = 0 if config.workers == 1 else LAG_MS

    def show() -> Awaitable[bytes]:
        return exposition(list(subjects[services.SERVER]("").regions.values()), lag_ms)

    return Prometheus(show, signed=config.auth != "none", token=config.admin_token)
