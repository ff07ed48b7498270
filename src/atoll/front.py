"""The front of a node: its gateway, with the routes of the protocols beside DynamoDB's, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from atoll.api import services, sts
from atoll.api.authorization.authorizer import Authorizer
from atoll.api.call import Call, Desk, logging_slow
from atoll.api.prometheus import exposition
from atoll.clock import Clock, SystemClock
from atoll.config import Config
from atoll.database.health import StoreHealth
from atoll.database.region import Region
from atoll.errors import requests
from atoll.evaluation import LAG_MS
from atoll.faults.injection import Faults
from atoll.replication.peer import PREFIX as PEERS_PREFIX
from atoll.security.credentials import Credentials, CredentialsSource
from atoll.security.directory import ACCOUNT
from atoll.security.identities import COMMANDS_FILE_NAME, Declared, Identities
from atoll.security.identities import FILE_NAME as POLICIES_FILE
from atoll.security.sessions import KEY_FILE, Tokens, load_key
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
    """The name by which the node knows a region of an account. Raises for an account that is not declared."""
    if account == config.settings.account:
        return region
    if account not in callers.directory.accounts or ACCOUNT.fullmatch(account) is None:
        raise requests.foreign_table(f"arn:aws:dynamodb:{region}:{account}:table/*")
    return f"{account}/{region}"


class Shared(Protocol):
    """What front ends share that use one store."""

    @property
    def credentials(self) -> CredentialsSource: ...

    def session_key(self) -> bytes: ...


def shared_store(config: Config) -> SharedStore | None:
    """The store of a node that shares one."""
    if not config.store:
        return None
    from atoll.shared_store import SharedStore  # its driver is an extra

    account, clock, replicas = config.settings.account, config.clock, config.read_store
    return SharedStore(config.store, replicas=replicas, account=account, clock=clock, durability=config.durability)


def identities(config: Config, shared: Shared | None = None) -> Identities:
    """Who may sign requests, by the files of the node, or by what is `shared`. Raises `BadCredentials` and
    `BadDirectory`."""
    account = config.settings.account
    path = config.credentials_file if config.auth != "none" else None
    credentials: CredentialsSource | None = None if path is None else Credentials(path)
    if shared is not None and path is None and config.auth != "none":
        credentials = shared.credentials
    found = []
    if config.policies is not None or config.data is not None:
        found.append(config.policies or config.data / POLICIES_FILE)  # type: ignore[operator]
    if config.data is not None:
        found.append(config.data / COMMANDS_FILE_NAME)
    if config.session_key is not None:
        load_key(config.session_key)  # report a faulty one now
    key = config.session_key or (None if config.data is None else config.data / KEY_FILE)
    load = partial(load_key, key) if key is not None or shared is None else shared.session_key
    return Identities(credentials, Declared(found, account, config.declared), Tokens(load), account)


def gateway(
    config: Config,
    callers: Identities,
    subjects: Mapping[str, Callable[[str], Any]],
    *,
    clock: Clock,
    peers: Route,
    examine: Callable[[], Awaitable[Mapping[str, StoreHealth]]],
    faults: Faults,
) -> Gateway:
    """Signatures are checked by `clock`; `subjects` are those of the desk; `peers` answers peers' questions."""
    signs = config.auth != "none"
    authorizer = None
    if config.evaluates:

        def region_of(account: str, region: str) -> Region:
            found: Region = subjects[services.REGION](account_region(config, callers, account, region))
            return found

        authorizer = Authorizer(region_of, directory=lambda: callers.directory, enforces=config.auth == "iam")
    service = sts.Service(callers, config.settings.account, config.evaluates, is_open=not signs)
    subjects = {**subjects, services.IDENTITIES: lambda region: service}
    encoder = Encoder()
    call: Call = Desk(subjects, authorizer, next_id=encoder.next_id, faults=faults).call
    if config.slow_ms is not None:
        call = logging_slow(call, config.slow_ms, encoder.next_id)
    calls = Calls(call, services.OPERATIONS, encoder.next_id)
    admin = Admin(call, signed=signs, guarded=not config.loopback, token=config.admin_token)
    scraped = _scraped(config, subjects)
    return Gateway(
        call,
        services.TARGETS,
        clock=clock,
        region=config.region,
        account=config.settings.account,
        identities=callers if signs else None,
        evaluates=config.evaluates,
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
    )


def _scraped(config: Config, subjects: Mapping[str, Callable[[str], Any]]) -> Prometheus:
    lag_ms = 0 if config.workers == 1 else LAG_MS

    def show() -> Awaitable[bytes]:
        return exposition(list(subjects[services.SERVER]("").regions.values()), lag_ms)

    return Prometheus(show, signed=config.auth != "none", token=config.admin_token)
