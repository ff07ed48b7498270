"""The state of a replication, and the rows of the checkpoint table that hold it.

A row's key is `table`, the name of the target table, and `row`:

    lease                   the process that replicates: `owner` (empty: none), `host`, `pid`, and `beat`, which grows
    run                     `epoch` and the members of `Run`; absent before the first copy
    EPOCH/copy/000003       a segment of the scan of the source: `last_key` (absent at first), `done`, `items`
    EPOCH/prune/000003      a segment of the scan of the target that looks for items to delete
    EPOCH/shard/ID          a shard: the members of `ShardProgress`

A new copy has a new epoch, so replacing the row `run` replaces all state at once. Rows of older epochs are deleted
later.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from typing import Any

from atoll.attribute_values import attribute_value
from atoll.replicate.failures import Failed

Item = dict[str, dict[str, Any]]
"""An item in the form of the API: each attribute's value with its type."""

COPY, PRUNE, FOLLOW = "copy", "prune", "follow"
SHARD = "shard"

RUN, LEASE = "run", "lease"

_TYPES = {"str": str, "int": int, "bool": bool, "str | None": str, "Item | None": dict}


@dataclass(frozen=True, slots=True)
class Run:
    epoch: str
    phase: str
    source: str
    """The ARN of the source table."""
    source_id: str
    target_id: str
    stream: str
    """The ARN of the source's stream."""
    segments: int
    prunes: bool
    """Whether the target may have items that the source lacks, because it was not empty at the beginning."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a parallel scan."""

    number: int
    last_key: Item | None = None
    done: bool = False
    items: int = 0


@dataclass(frozen=True, slots=True)
class ShardProgress:
    """The progress of applying a shard of the source's stream to the target."""

    shard: str
    parent: str | None = None
    after: str | None = None
    """The sequence number of the last record applied, or covered by the scan; None at the shard's beginning."""
    start: str | None = None
    """The sequence number at which the shard begins, while `after` is None: reading from it shows whether the shard was
    trimmed. None if the endpoint has none, or if the shard had been trimmed when its copy began."""
    read_ms: int = 0
    """If clocks are right, no record written before this time is missing."""
    done: bool = False
    """The shard is closed, and all of its records are applied."""


def segment_row(epoch: str, phase: str, number: int) -> str:
    return f"{epoch}/{phase}/{number:06d}"


def shard_row(epoch: str, shard: str) -> str:
    return f"{epoch}/{SHARD}/{shard}"


def dump(state: Run | Segment | ShardProgress) -> Item:
    """The attributes of a row, without its key."""
    values = {one.name: getattr(state, one.name) for one in fields(state)}
    return {name: _value(value) for name, value in values.items() if value is not None}


def load(kind: type[Any], row: Item) -> Any:
    """A `Run`, `Segment` or `ShardProgress`. Raises Failed if the row holds none."""
    known = {one.name for one in fields(kind)}
    found = {name: _parsed(value) for name, value in row.items() if name in known}
    missing = {one.name for one in fields(kind) if one.default is MISSING} - found.keys()
    types = {one.name: _TYPES[str(one.type)] for one in fields(kind)}
    if missing or any(type(value) is not types[name] for name, value in found.items()):
        raise Failed(f"a row of the checkpoint table is not a {kind.__name__.lower()}: {str(row)[:200]}")
    return kind(**found)


def _value(value: Any) -> dict[str, Any]:
    return {"M": value} if isinstance(value, dict) else attribute_value(value)


def _parsed(value: dict[str, Any]) -> Any:
    ((type_, content),) = value.items()
    return int(content) if type_ == "N" and re.fullmatch("[0-9]{1,18}", content) else content
