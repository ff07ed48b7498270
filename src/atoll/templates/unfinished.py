"""Declared tables that exist but lack some settings: the requests that remain, stored until they are sent.

    declared    by the name of the table: the requests, each with its operation

They are stored before the table is made, so a server that is killed completes the table at its next start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atoll.api import services
from atoll.database import documents
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction
from atoll.templates.resources import Request

KIND = "declared"


@dataclass(frozen=True)
class Unfinished:
    table: str
    rest: Sequence[Request]
    is_resumed: bool = False
    """Whether another run of the server sent the first requests, perhaps the first one of `rest`, too."""


async def store(region: Region, table: str, rest: Sequence[Request]) -> None:
    """Store what is left; nothing, once nothing is left."""
    document = [[f"{one.operation.service.target}.{one.operation.name}", one.body] for one in rest]

    def put(tx: Transaction) -> None:
        if document:
            documents.put(tx, document, KIND, table)
        else:
            documents.delete(tx, KIND, table)

    await region.transact(put)


async def find(region: Region, table: str) -> Unfinished | None:
    def read(snapshot: Snapshot) -> list[tuple[str, dict[str, object]]] | None:
        return documents.get(snapshot, KIND, table)

    document = await region.read(read)
    if document is None:
        return None
    rest = [Request(services.TARGETS[target.encode()], body) for target, body in document]
    return Unfinished(table, rest, is_resumed=True)
