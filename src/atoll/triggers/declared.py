"""Declared mappings: the triggers of the functions file, turned into event source mappings.

A mapping is created once its stream exists, changed when the file has changed, and deleted when the file no longer has
its trigger."""

from __future__ import annotations

import uuid
from dataclasses import replace

from atoll.database import streams
from atoll.database.region import Region
from atoll.storage.engine import Snapshot, Transaction
from atoll.triggers import mapping
from atoll.triggers.functions import Functions
from atoll.triggers.mapping import Mapping
from atoll.triggers.registry import Trigger

# The id of a declared mapping is derived from its stream and function, so that a restart finds its progress.
DECLARED = uuid.UUID("5b5f1d0e-2f0b-4a3c-9d1c-6a3d1f6c7e11")


def declare(tx: Transaction, region: Region, functions: Functions, since_ms: int, now_ms: int) -> None:
    """Create, change and delete declared mappings until they agree with the file and the existing streams. The file has
    declared them since `since_ms`: a stream created later is followed from its beginning."""
    wanted = {}
    for trigger in functions.registry.triggers:
        # Include streams that have ended: their remaining records are still processed.
        for stream in streams.listed(tx, trigger.table, None, now_ms):
            one = _wanted(functions, trigger, streams.arn_of(region, stream))
            wanted[one.uuid] = one
    for one in list(mapping.listed(tx)):
        if one.uuid in wanted:
            new = wanted.pop(one.uuid)
            if replace(new, modified_ms=one.modified_ms) != one:
                mapping.save(tx, replace(new, modified_ms=now_ms))
        elif one.declared:
            mapping.delete(tx, one.uuid)
    made_by_request = {(one.stream_arn, one.function) for one in mapping.listed(tx) if not one.declared}
    for one in wanted.values():
        if (one.stream_arn, one.function) not in made_by_request:
            mapping.create(tx, region, replace(one, modified_ms=now_ms), now_ms, since_ms)


def idle_triggers(snapshot: Snapshot, region: Region, functions: Functions) -> set[str]:
    """A log message for each trigger that has no stream to follow yet."""
    found = set()
    for trigger in functions.registry.triggers:
        table = region.catalog.find(snapshot, trigger.table)
        if table is None or table.stream is None or not table.stream.enabled:
            lacking = "there is no such table" if table is None else "the table has no stream"
            found.add(f"the trigger of {trigger.table} for {trigger.function} waits: {lacking} in {region.name}")
    return found


def _wanted(functions: Functions, trigger: Trigger, stream_arn: str) -> Mapping:
    name = str(uuid.uuid5(DECLARED, f"{stream_arn} {trigger.function}"))
    on_failure = None if trigger.on_failure is None else functions.destination_arn(trigger.on_failure)
    one = Mapping(name, trigger.function, stream_arn, on_failure=on_failure, declared=True)
    return mapping.changed(one, dict(trigger.request))
