"""The stored observations of a part (a table or global index) in a minute: documents of the kind `insight-minutes`, by
the spaces of the table and of the part, and by the minute. They are kept for three hours.

    {"minute_ms": ..., "PKC": {"total": ..., "samples": ..., "unique": ..., "top": [[keys, weight], ...]}, "SKC": ...}

Keys are JSON: the values of the key attributes, as text. Several processes add to one document. At most `TOP` keys of a
kind are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from atoll.database import documents
from atoll.database import format as fmt
from atoll.database.schema import Index, KeySchema, Table
from atoll.insights import settings
from atoll.insights.settings import Setting
from atoll.insights.sketch import Sketch, merged
from atoll.storage.engine import Snapshot, Transaction

KIND = "insight-minutes"
KINDS = ("PKC", "SKC", "PKT", "SKT", "CONDITIONAL", "FAILED")
"""The kinds of rules, and for tables the conditional writes by item, and the failed ones among them."""

TOP = 100
KEPT_MS = 3 * 3600 * 1000
_DROPPED_AT_ONCE = 200

Seen = dict[str, Any]


def seen(
    sketches: Mapping[str, Sketch], examples: Mapping[bytes, bytes], table: Table, index: Index | None
) -> dict[str, Seen]:
    """The content of a document, from these sketches."""
    keys, found = settings.keys_of(table, index), {}
    for kind, sketch in sketches.items():
        if not sketch.samples:
            continue
        top = []
        for key, weight in sketch.heaviest(TOP):
            row_key = examples.get(key) if kind in ("PKC", "PKT") else key
            label = None if row_key is None else _label(keys, row_key, whole=kind not in ("PKC", "PKT"))
            if label is not None:
                top.append((label, weight))
        found[kind] = {
            "total": sketch.total, "samples": sketch.samples, "unique": sketch.unique, "top": merged([top], TOP),
        }  # fmt: skip
    return found


def _label(keys: KeySchema, row_key: bytes, *, whole: bool) -> str | None:
    """The values of the key attributes at the beginning of a row's key; None if it is too short."""
    attributes = keys.attributes if whole else keys.partition
    try:
        contents = fmt.key_contents(row_key, "".join(attribute.type for attribute in attributes))
    except (IndexError, ValueError):
        return None
    return orjson.dumps(contents).decode()


def add(tx: Transaction, setting: Setting, minute_ms: int, minute: Mapping[str, Seen]) -> None:
    """Add to the document of a minute, and drop those that are too old."""
    names = _names(setting, minute_ms)
    stored = documents.get(tx, KIND, *names) or {"minute_ms": minute_ms}
    for kind, new in minute.items():
        old = stored.get(kind)
        stored[kind] = new if old is None else _sum(old, new)
    documents.put(tx, stored, KIND, *names)
    drop(tx, setting, minute_ms - KEPT_MS)


def _sum(one: Seen, other: Seen) -> Seen:
    return {
        "total": one["total"] + other["total"],
        "samples": one["samples"] + other["samples"],
        "unique": max(one["unique"], other["unique"]),
        "top": merged([one["top"], other["top"]], TOP),
    }


def drop(tx: Transaction, setting: Setting, before_ms: float) -> bool:
    """Drop some of the minutes before this time; returns whether there are more."""
    old: list[int] = []
    for document in documents.listed(tx, KIND, settings.name(setting.table), settings.name(setting.part)):
        if document["minute_ms"] >= before_ms:
            break
        if len(old) == _DROPPED_AT_ONCE:
            return _delete(tx, setting, old, more=True)
        old.append(document["minute_ms"])
    return _delete(tx, setting, old, more=False)


def _delete(tx: Transaction, setting: Setting, old: list[int], *, more: bool) -> bool:
    for minute_ms in old:
        documents.delete(tx, KIND, *_names(setting, minute_ms))
    return more


def between(snapshot: Snapshot, setting: Setting, start_ms: int, end_ms: int) -> Iterator[dict[str, Any]]:
    """The documents of the minutes that begin between these times."""
    names = settings.name(setting.table), settings.name(setting.part)
    after = (*names, _minute_name(start_ms - 1))
    for document in documents.listed(snapshot, KIND, *names, after=after):
        if document["minute_ms"] >= end_ms:
            return
        yield document


def _names(setting: Setting, minute_ms: int) -> tuple[str, str, str]:
    return settings.name(setting.table), settings.name(setting.part), _minute_name(minute_ms)


def _minute_name(minute_ms: int) -> str:
    return f"{max(0, minute_ms):015}"
