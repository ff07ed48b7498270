"""A parsed PartiQL statement with its parameters."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from atoll.api.table_names import resolve_table
from atoll.database.region import Region
from atoll.database.schema import Table
from atoll.expressions.partiql.prepared import prepare, values_of
from atoll.expressions.partiql.statements import Checking, Deleting, Inserting, Selecting, Statement, Updating, Values
from atoll.storage.engine import Snapshot

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    statement: Statement
    values: Values
    body: Body

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
    def shows_item(self) -> bool:
        return self.body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"

    def fingerprint(self) -> str:
        """A hash that identifies the statement with its parameters."""
        identity = [self.body["Statement"], self.body.get("Parameters") or []]
        return hashlib.sha256(orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]

    def table(self, region: Region, snapshot: Snapshot, now_ms: int) -> Table:
        return region.catalog.usable(snapshot, resolve_table(region, self.table_name), now_ms)


def bind(body: Body) -> Bound:
    prepared = prepare(body["Statement"])
    return Bound(prepared.statement, values_of(prepared, body.get("Parameters") or ()), body)
