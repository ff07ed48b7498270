"""A parsed PartiQL statement with its parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeVar

from atoll.api.table_names import resolve_table
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.errors import ApiError
from atoll.expressions.partiql.prepared import prepare, values_of
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Statement, Updating, Values
from atoll.model import pieces
from atoll.model import values as model
from atoll.storage.engine import Snapshot

Body = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bound:
    statement: Statement
    values: Values
    """The literals, and the parameters that the statement uses."""
    parameters: int
    body: Body
    _made: dict[Hashable, tuple[Any, ApiError | None]] = field(default_factory=dict, compare=False)

    @property
    def table_name(self) -> str:
        match self.statement:
            case Checking(select):
                return select.table
            case Selecting(table=table) | Inserting(table=table) | Updating(table=table) | Deleting(table=table):
                return table

    @property
    def is_read(self) -> bool:
        return isinstance(self.statement, Selecting)

    @property
    def size(self) -> int:
        """The bytes of all values, also of parameters that the statement does not use."""
        unused = islice(self.body.get("Parameters") or (), self.parameters, None)
        return sum(map(model.value_size, chain(self.values.values(), unused)))

    @property
    def shows_item(self) -> bool:
        return self.body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def fingerprint(self, is_large: bool) -> str:
        """A hash that identifies the statement with its parameters. `is_large`: whether the request has many values."""
        identity = [self.body["Statement"], self.body.get("Parameters") or []]
        return hashlib.sha256(pieces.dump(identity, is_large=is_large)).hexdigest()[:32]

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """The outcome of `make`, which only the first call with this name runs. For long statements, that call is made
        in a thread, before the transaction."""
        if name not in self._made:
            try:
                self._made[name] = make(), None
            except ApiError as refusal:
                self._made[name] = None, refusal
        value, error = self._made[name]
        if error is not None:
            raise error.with_traceback(None)
        found: T = value
        return found

    def table(self, region: Region, snapshot: Snapshot, now_ms: int) -> Table:
        return region.catalog.usable(snapshot, resolve_table(region, self.table_name), now_ms)


def bind(body: Body) -> Bound:
    prepared = prepare(body["Statement"])
    return Bound(prepared.statement, values_of(prepared, body.get("Parameters") or ()), prepared.parameters, body)
