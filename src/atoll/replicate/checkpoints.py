"""The checkpoint table at the target: it stores the progress of the replication, and which process may write.

Threads `note` state after the writes that it covers. `flush` stores the noted state, in transactions that require the
lease. One thread flushes every second; a killed process repeats at most the work of that second.

The lease: its holder increments the number `beat` at each flush. A process whose last flush began too long ago writes
nothing (`wait`) until it has flushed again. Another process takes the lease if its owner gave it up, or ran on this
machine and has ended, or if `beat` stayed the same for even longer. No clocks are compared.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from typing import Any

from atoll.client.failures import TRANSACTION_CANCELED
from atoll.clock import monotonic_ns
from atoll.replicate import keys, tables
from atoll.replicate import state as rows
from atoll.replicate.ends import End
from atoll.replicate.failures import CallFailed, Failed
from atoll.replicate.state import Item, Run, Segment, ShardProgress

PREFIX = "atoll-replicate-"
KEY = (("table", "HASH", "S"), ("row", "RANGE", "S"))

BEAT_S = 5.0
"""Store the lease at least this often."""
HELD_S = 20.0
"""Write nothing when the lease was stored longer ago than this."""
EXPIRES_S = 40.0
"""Take a lease that did not change for this long. The difference covers requests under way."""
WATCH_S = 1.0

ACTIONS = 100
"""The most rows of a transaction."""

_LEASE = (("owner", "S"), ("host", "S"), ("pid", "N"), ("beat", "N"))
_CONDITION_FAILED = "ConditionalCheckFailed"


def definition(name: str) -> dict[str, Any]:
    return {
        "TableName": name,
        "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind, _ in KEY],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": type_} for name, _, type_ in KEY],
        "BillingMode": "PAY_PER_REQUEST",
    }


class Checkpoints:
    def __init__(self, target: End, name: str, table: str) -> None:
        self._target = target
        self._name = name
        self._table = table
        self._owner = ""
        self._lost = False
        self._held_until_ns = 0
        self._noted: dict[str, Item | None] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Create the table unless it exists, and take the lease."""
        description = tables.describe(self._target, self._name)
        if description is None:
            tables.create(self._target, definition(self._name))
        elif tables.key_of(description) != KEY:
            raise Failed(f"the table {self._name} is not a checkpoint table: name another one with --checkpoint-table")
        self._take_lease()

    # State

    def run(self) -> Run | None:
        row = self._get(rows.RUN)
        return None if row is None else rows.load(Run, row)

    def segments(self, run: Run) -> list[Segment]:
        """The segments of the run's phase, also those without stored state."""
        stored = [rows.load(Segment, row) for row in self._rows(f"{run.epoch}/{run.phase}/")]
        known = {segment.number: segment for segment in stored}
        return [known.get(number, Segment(number)) for number in range(run.segments)]

    def places(self, run: Run) -> list[ShardProgress]:
        return [rows.load(ShardProgress, row) for row in self._rows(f"{run.epoch}/{rows.SHARD}/")]

    def begin(self, run: Run, places: list[ShardProgress]) -> None:
        """Store the beginning of a new copy. Its row `run` is stored last, since it makes the others valid."""
        for place in places:
            self.note_place(run, place)
        self.flush()
        self.note_run(run)
        self.flush()
        self._forget_other_epochs(run)

    def note_run(self, run: Run) -> None:
        self._note(rows.RUN, rows.dump(run))

    def note_segment(self, run: Run, segment: Segment) -> None:
        self._note(rows.segment_row(run.epoch, run.phase, segment.number), rows.dump(segment))

    def note_place(self, run: Run, place: ShardProgress) -> None:
        self._note(rows.shard_row(run.epoch, place.shard), rows.dump(place))

    def forget_place(self, run: Run, shard: str) -> None:
        self._note(rows.shard_row(run.epoch, shard), None)

    def _note(self, row: str, attributes: Item | None) -> None:
        with self._lock:
            self._noted[row] = attributes

    # Storing

    def flush(self) -> None:
        """Store the noted state and the lease."""
        with self._lock:
            noted, self._noted = self._noted, {}
        actions = [self._action(name, attributes) for name, attributes in noted.items()]
        for first in range(0, max(len(actions), 1), ACTIONS - 1):
            self._store(actions[first : first + ACTIONS - 1])

    def flush_if_due(self) -> None:
        """Store the noted state, or at least the lease from time to time."""
        beaten_ns = self._held_until_ns - int(HELD_S * 1e9)
        if self._noted or monotonic_ns() - beaten_ns > BEAT_S * 1e9:
            self.flush()

    def _action(self, row: str, attributes: Item | None) -> dict[str, Any]:
        if attributes is None:
            return {"Delete": {"TableName": self._name, "Key": self._key(row)}}
        return {"Put": {"TableName": self._name, "Item": self._key(row) | attributes}}

    def _store(self, actions: list[dict[str, Any]]) -> None:
        begun_ns = monotonic_ns()
        try:
            self._target.call("TransactWriteItems", TransactItems=[*actions, {"Update": self._beat()}])
        except CallFailed as error:
            if error.code == TRANSACTION_CANCELED and _CONDITION_FAILED in error.reasons:
                self._lost = True
                raise Failed("another process has taken over this replication") from error
            raise
        self._held_until_ns = begun_ns + int(HELD_S * 1e9)

    def _beat(self) -> dict[str, Any]:
        return {
            "TableName": self._name,
            "Key": self._key(rows.LEASE),
            "UpdateExpression": "SET beat = beat + :one",
            "ConditionExpression": "#owner = :me",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":me": {"S": self._owner}},
        }

    # The lease

    def wait(self) -> None:
        """Return when this process may write to the target."""
        while monotonic_ns() > self._held_until_ns:
            if self._lost:
                raise Failed("another process has taken over this replication")
            self._target.pause(WATCH_S)

    def close(self) -> None:
        """Store the noted state, and release the lease."""
        if self._owner and not self._lost:
            self.flush()
            self._put_lease("", self._owner)
            self._owner = ""

    def is_seen_by(self, end: End) -> bool:
        """Whether the other end shows this process's lease, and so is the same store."""
        try:
            seen = self._get(rows.LEASE, end)
        except CallFailed:  # no such table
            return False
        return seen is not None and seen["owner"]["S"] == self._owner

    def _take_lease(self) -> None:
        owner = secrets.token_hex(8)
        seen = self._get(rows.LEASE)
        unchanged_since_ns = monotonic_ns()
        while seen is not None and seen["owner"]["S"] and not _has_ended(seen):
            if monotonic_ns() - unchanged_since_ns > EXPIRES_S * 1e9:
                break
            self._target.pause(WATCH_S)
            before, seen = seen, self._get(rows.LEASE)
            if seen is not None and seen["beat"] != before["beat"]:
                raise Failed(
                    f"another process replicates {self._table} into this target: "
                    f"process {seen['pid']['N']} on {seen['host']['S']}"
                )
        if not self._put_lease(owner, None if seen is None else seen["owner"]["S"]):
            raise Failed(f"another process has just begun to replicate {self._table} into this target")
        self._owner = owner

    def _put_lease(self, owner: str, before: str | None) -> bool:
        """Change the lease's owner, if it is still `before`."""
        lease: Item = {
            "owner": {"S": owner},
            "host": {"S": socket.gethostname()},
            "pid": {"N": str(os.getpid())},
            "beat": {"N": str(secrets.randbits(40))},
        }
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(#owner)"}
        if before is not None:
            condition = {
                "ConditionExpression": "#owner = :before",
                "ExpressionAttributeValues": {":before": {"S": before}},
            }
        begun_ns = monotonic_ns()
        try:
            self._target.call(
                "PutItem",
                TableName=self._name,
                Item=self._key(rows.LEASE) | lease,
                ExpressionAttributeNames={"#owner": "owner"},
                **condition,
            )
        except CallFailed as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            now = self._get(rows.LEASE)  # an earlier attempt may have succeeded although its answer was lost
            if now is None or now["owner"]["S"] != owner:
                return False
        self._held_until_ns = begun_ns + int(HELD_S * 1e9)
        return True

    # Rows

    def _key(self, row: str) -> Item:
        return {"table": {"S": self._table}, "row": {"S": row}}

    def _get(self, row: str, end: End | None = None) -> Item | None:
        answer = (end or self._target).call("GetItem", TableName=self._name, Key=self._key(row), ConsistentRead=True)
        found: Item | None = answer.get("Item")
        if found is not None and row == rows.LEASE and any(kind not in found.get(name, ()) for name, kind in _LEASE):
            raise Failed(f"the lease in the table {self._name} is damaged: {str(found)[:200]}")
        return found

    def _rows(self, prefix: str = "") -> Iterator[Item]:
        condition, names, values = "#table = :table", {"#table": "table"}, {":table": {"S": self._table}}
        if prefix:
            condition += " AND begins_with(#row, :prefix)"
            names["#row"], values[":prefix"] = "row", {"S": prefix}
        start: dict[str, Any] = {}
        while True:
            answer = self._target.call(
                "Query",
                TableName=self._name,
                ConsistentRead=True,
                KeyConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                **start,
            )
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _forget_other_epochs(self, run: Run) -> None:
        names = [keys.key(row, ("row",))["row"].get("S", "") for row in self._rows()]
        old = [name for name in names if "/" in name and not name.startswith(f"{run.epoch}/")]
        for name in old:
            self._note(name, None)
        if old:
            self.flush()


def _has_ended(lease: Item) -> bool:
    """Whether the lease's owner ran on this machine and has ended. If it has our own process id, it was an earlier
    process."""
    told = lease["pid"]["N"]
    pid = int(told) if re.fullmatch("[0-9]{1,9}", told) else 0
    if not pid or lease["host"]["S"] != socket.gethostname():
        return False
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
