"""A rule of faults: the requests that it matches, how often it applies, and its effect. Pure, except for random numbers
from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from atoll.durations import duration_ms
from atoll.errors import faults as fault_errors
from atoll.errors.capacity import ACCOUNT, KEY_RANGE, MAXIMUM, PROVISIONED
from atoll.model.values import Item, check_item

Body = dict[str, Any]

THROTTLING = "throttling"
CONFLICT = "transaction_conflict"
IN_PROGRESS = "transaction_in_progress"
UNPROCESSED = "unprocessed"
INTERNAL = "internal_server_error"
LATENCY = "latency"
DROPPED = "dropped_connection"
STALE = "stale_reads"

READS = frozenset({"GetItem", "Query", "Scan", "SearchVectors", "BatchGetItem", "TransactGetItems"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
STATEMENTS = frozenset({"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"})
DATA = READS | WRITES | STATEMENTS
TRANSACTIONS = frozenset({"TransactWriteItems", "TransactGetItems", "ExecuteTransaction"})

STRIKES: dict[str, frozenset[str] | None] = {
    THROTTLING: None,
    CONFLICT: TRANSACTIONS | {"PutItem", "UpdateItem", "DeleteItem"},
    IN_PROGRESS: frozenset({"TransactWriteItems", "ExecuteTransaction"}),
    UNPROCESSED: frozenset({"BatchGetItem", "BatchWriteItem"}),
    INTERNAL: None,
    LATENCY: None,
    DROPPED: None,
    STALE: frozenset({"GetItem", "Query", "Scan", "BatchGetItem", "ExecuteStatement"}),
}
"""The operations that each fault can strike. None: any operations that a rule names; without names, those on items."""

LIMITS = (PROVISIONED, KEY_RANGE, MAXIMUM, ACCOUNT)
REASONS = [f"{of}{kind}{limit}" for of in ("Table", "Index") for kind in ("Read", "Write") for limit in LIMITS]

_MEMBERS = [
    "fault", "region", "table", "index", "operation", "key", "probability", "seed", "count", "reason", "delay",
    "jitter", "lag", "applied",
]  # fmt: skip


@dataclass(slots=True)
class Rule:
    id: str
    fault: str
    region: str | None = None
    table: str | None = None
    index: str | None = None
    operations: frozenset[str] = frozenset()
    key: Item | None = None
    """The key attributes of the items that it strikes."""
    probability: float = 1.0
    seed: int = 0
    count: int | None = None
    """How many more times it strikes; None means always."""
    reason: str | None = None
    delay_ms: int = 0
    """The duration of the delay, or the age of the state of stale reads."""
    jitter_ms: int = 0
    """The most random time that is added to it."""
    applied: bool = False
    """Whether the operation runs before the client gets the error."""
    injected: int = 0
    """The number of times it has struck."""
    random: Random = field(default_factory=Random)

    def concerns(self, region: str, operation: str) -> bool:
        """Whether the rule strikes this operation in this region at all."""
        if self.region not in (None, region) or self.count == 0:
            return False
        if self.operations:
            return operation in self.operations
        return operation in (STRIKES[self.fault] or DATA)

    def strikes(self) -> bool:
        """Decide at random whether it strikes, and count."""
        if self.count == 0 or (self.probability < 1 and self.random.random() >= self.probability):
            return False
        if self.count is not None:
            self.count -= 1
        self.injected += 1
        return True

    def duration_ms(self) -> int:
        """The delay or age for one request."""
        return self.delay_ms + (self.random.randint(0, self.jitter_ms) if self.jitter_ms else 0)

    def holds_for(self, item: Item) -> bool:
        """Whether the item has the rule's key."""
        return self.key is None or all(item.get(name) == value for name, value in self.key.items())

    def shown(self) -> Body:
        """The rule as JSON: its members, and how often it has struck."""
        given = {
            "id": self.id, "fault": self.fault, "region": self.region, "table": self.table, "index": self.index,
            "operation": sorted(self.operations) or None, "key": self.key, "reason": self.reason,
            "delay": _seconds(self.delay_ms if self.fault == LATENCY else 0),
            "lag": _seconds(self.delay_ms if self.fault == STALE else 0), "jitter": _seconds(self.jitter_ms),
            "count": self.count, "applied": self.applied or None,
        }  # fmt: skip
        shown = {name: value for name, value in given.items() if value is not None}
        if self.probability < 1:
            shown |= {"probability": self.probability, "seed": self.seed}
        return {**shown, "injected": self.injected}


def _seconds(ms: int) -> float | None:
    return ms / 1000 if ms else None


def parse(body: Body, id_: str, operations: Sequence[str]) -> Rule:
    """The rule in a request; `operations` are the names of all operations."""
    unknown = [name for name in body if name not in _MEMBERS]
    if unknown:
        raise fault_errors.unknown_member(unknown, _MEMBERS)
    fault = body.get("fault")
    if not isinstance(fault, str) or fault not in STRIKES:
        raise fault_errors.bad_rule("fault", f"one of: {', '.join(STRIKES)}")
    seed = _whole(body, "seed", 0)
    rule = Rule(
        id_, fault, _text(body, "region"), _text(body, "table"), _text(body, "index"), _operations(body, operations),
        _key(body), _part(body), 0 if seed is None else seed, _whole(body, "count", 1), _reason(body),
        _ms(body, "lag" if fault == STALE else "delay"), _ms(body, "jitter"), _applied(body),
        random=Random(0 if seed is None else seed),
    )  # fmt: skip
    _check_members(rule, body)
    return rule


def _check_members(rule: Rule, body: Body) -> None:
    """Refuse members without effect."""
    possible = STRIKES[rule.fault]
    useless = [] if possible is None else sorted(rule.operations - possible)
    if useless:
        raise fault_errors.useless(rule.fault, useless)
    of = {"reason": (THROTTLING,), "delay": (LATENCY,), "lag": (STALE,), "jitter": (LATENCY, STALE),
          "applied": (INTERNAL, DROPPED)}  # fmt: skip
    for member, faults in of.items():
        if body.get(member) is not None and rule.fault not in faults:
            raise fault_errors.bad_rule(member, f"left out, unless it is {' or '.join(faults)}")
    if rule.fault in (LATENCY, STALE) and not rule.delay_ms and not rule.jitter_ms:
        raise fault_errors.bad_rule("lag" if rule.fault == STALE else "delay", "a duration, as in 500ms")
    if rule.fault == STALE and rule.key is not None:
        raise fault_errors.bad_rule("key", "left out, if reads are stale: all items of a table are")


def _text(body: Body, member: str) -> str | None:
    value = body.get(member)
    if value is not None and not isinstance(value, str):
        raise fault_errors.bad_rule(member, "a name")
    return value or None


def _operations(body: Body, known: Sequence[str]) -> frozenset[str]:
    given = body.get("operation")
    names = [given] if isinstance(given, str) else given or []
    if not isinstance(names, list) or not all(isinstance(name, str) and name in known for name in names):
        raise fault_errors.bad_rule("operation", "the name of an operation of DynamoDB, or a list of them")
    return frozenset(names)


def _key(body: Body) -> Item | None:
    key = body.get("key")
    if key is None:
        return None
    if not isinstance(key, dict) or not key or not all(isinstance(value, dict) for value in key.values()):
        raise fault_errors.bad_rule("key", 'attributes with their types, as in {"pk": {"S": "a"}}')
    check_item(key)
    return key


def _part(body: Body) -> float:
    value = body.get("probability", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise fault_errors.bad_rule("probability", "a number above 0, up to 1")
    return float(value)


def _whole(body: Body, member: str, least: int) -> int | None:
    value = body.get(member)
    if value is not None and (type(value) is not int or value < least):
        raise fault_errors.bad_rule(member, f"a whole number from {least}")
    return value


def _reason(body: Body) -> str | None:
    reason = _text(body, "reason")
    if reason is not None and reason not in REASONS:
        raise fault_errors.bad_rule("reason", f"one of: {', '.join(REASONS)}")
    return reason


def _ms(body: Body, member: str) -> int:
    if body.get(member) is None:
        return 0
    ms = duration_ms(body[member])
    if ms < 0:
        raise fault_errors.bad_rule(member, "a duration, as in 500ms")
    return ms


def _applied(body: Body) -> bool:
    value = body.get("applied", False)
    if not isinstance(value, bool):
        raise fault_errors.bad_rule("applied", "true or false")
    return value
