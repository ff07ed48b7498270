"""The front of a node: its gateway, with the routes of the protocols beside DynamoDB's, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from atoll.api import services
from atoll.api.call import Call, Desk, logging_slow
from atoll.clock import Clock, SystemClock
from atoll.config import Config
from atoll.database.health import StoreHealth
from atoll.faults.injection import Faults
from atoll.replication.peer import PREFIX as PEERS_PREFIX
from atoll.security.credentials import Credentials
from atoll.wire.admin import Admin
from atoll.wire.codec import Encoder
from atoll.wire.gateway import Gateway, Route
from atoll.wire.rest import Rest


def gateway(
    config: Config,
    subjects: Mapping[str, Callable[[str], Any]],
    *,
    clock: Clock,
    peers: Route,
    examine: Callable[[], Awaitable[Mapping[str, StoreHealth]]],
    faults: Faults,
) -> Gateway:
    """Signatures are checked by `clock`; `subjects` are those of the desk; `peers` answers peers' questions."""
    credentials = None
    if config.auth == "sigv4":
        assert config.credentials_file is not None
        credentials = Credentials(config.credentials_file)
    encoder = Encoder()
    desk = Desk(subjects, next_id=encoder.next_id)
    faults.watchers.append(lambda any_: setattr(desk, "faults", faults if any_ else None))
    call: Call = desk.call
    if config.slow_ms is not None:
        call = logging_slow(call, config.slow_ms, encoder.next_id)
    admin = Admin(call, signed=credentials is not None, guarded=not config.loopback, token=config.admin_token)
    return Gateway(
        call,
        services.TARGETS,
        clock=clock,
        region=config.region,
        account=config.settings.account,
        credentials=credentials,
        routes={
            services.ADMIN.prefix: admin.answer,
            PEERS_PREFIX: peers,
            services.LAMBDA.prefix: Rest(call, services.of(services.LAMBDA)).answer,
        },
        route_clock=SystemClock(),
        examine=examine,
        encoder=encoder,
        signed_for={services.LAMBDA.prefix: services.LAMBDA.signing_name},
        bearer_routes=[services.ADMIN.prefix],
        unverified_routes=[PEERS_PREFIX],
        browsers=config.browsers,
        memory_limit=config.memory_limit,
    )
