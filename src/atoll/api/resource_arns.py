"""The member ResourceArn, which names a table or a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from atoll import arns
from atoll.database import format as fmt
from atoll.database import streams
from atoll.database.region import Region
from atoll.database.streams import StreamDescription
from atoll.errors import ApiError
from atoll.errors import tags as tag_errors
from atoll.storage.engine import Snapshot


class TableOrStream(NamedTuple):
    table: str
    stream: str | None
    """The stream's label; None if the ARN names a table."""


def target(
    region: Region, text: str, foreign_account: Callable[[], ApiError], elsewhere: Callable[[], ApiError]
) -> TableOrStream:
    """The table or stream that an ARN names, checked in the service's order. `elsewhere` is the error for another
    region or partition."""
    if not text.startswith("arn:"):
        in_capitals = text.lower().startswith("arn:")
        raise tag_errors.resource_not_found_by_arn(text) if in_capitals else tag_errors.not_an_arn(text)
    arn = arns.parse(text)
    if arn is None or arn.service != "dynamodb" or arn.account != region.settings.account:
        raise foreign_account()
    kind, _, rest = arn.resource.partition("/")
    table, slash, part = rest.partition("/")
    within, _, label = part.partition("/")
    if kind == "table" and within == "index":
        raise tag_errors.resource_of_table_part(text)
    if kind != "table" or not table or within not in ("", "stream") or (slash and not part):
        raise tag_errors.not_a_resource(text)
    if (arn.partition, arn.region) != ("aws", region.name):
        raise elsewhere()
    return TableOrStream(table, label if within else None)


def find_stream(snapshot: Snapshot, table: str, label: str, now_ms: int) -> StreamDescription | None:
    stored = snapshot.get(fmt.stream_key(table, label))
    return None if stored is None or streams.parse(stored).gone_at(now_ms) else streams.parse(stored)
