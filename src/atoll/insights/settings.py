"""The stored settings of contributor insights: documents of the kind `insights`, by the spaces of the table and of the
part (the table or a global index). Spaces are never reused, so a recreated table or index has no settings.

    {"table": space, "part": space, "mode": ..., "enabled": bool, "changed_ms": ..., "due_ms": ..., "failed": bool}

A change is under way until `due_ms`. It fails if the account would have too many rules; then nothing is observed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from atoll import limits
from atoll.database import documents
from atoll.database.schema import Index, KeySchema, Table
from atoll.storage.engine import Snapshot, Transaction

KIND = "insights"

ALL_KEYS = "ACCESSED_AND_THROTTLED_KEYS"
THROTTLED_KEYS = "THROTTLED_KEYS"


@dataclass(frozen=True, slots=True)
class Setting:
    table: int
    part: int
    mode: str
    enabled: bool
    changed_ms: int
    due_ms: int
    failed: bool = False

    def status(self, now_ms: int) -> str:
        if now_ms < self.due_ms:
            return "ENABLING" if self.enabled else "DISABLING"
        if self.failed:
            return "FAILED"
        return "ENABLED" if self.enabled else "DISABLED"

    @property
    def observes(self) -> bool:
        return self.enabled and not self.failed


def name(space: int) -> str:
    return f"{space:010}"


def space_of(table: Table, index: Index | None) -> int:
    return table.space if index is None else index.space


def find(snapshot: Snapshot, table: Table, index: Index | None) -> Setting | None:
    found = documents.get(snapshot, KIND, name(table.space), name(space_of(table, index)))
    return None if found is None else Setting(**found)


def all_of(snapshot: Snapshot) -> list[Setting]:
    return [Setting(**found) for found in documents.listed(snapshot, KIND)]


def save(tx: Transaction, setting: Setting) -> None:
    documents.put(tx, asdict(setting), KIND, name(setting.table), name(setting.part))


def delete(tx: Transaction, setting: Setting) -> None:
    documents.delete(tx, KIND, name(setting.table), name(setting.part))


def rule_kinds(keys: KeySchema, mode: str) -> list[str]:
    """The rules of a part: PKC and SKC are about accessed partition and sort keys, PKT and SKT about throttled ones."""
    of = "CT" if mode == ALL_KEYS else "T"
    return [f"{key}K{letter}" for letter in of for key in ("PS" if keys.sort else "P")]


def rule_name(kind: str, table: str, index: str | None, changed_ms: int) -> str:
    part = table if index is None else f"{table}-{index}"
    return f"DynamoDBContributorInsights-{kind}-{part}-{changed_ms}"


def parts(tables: Iterable[Table]) -> Iterator[tuple[Table, Index | None]]:
    """Each table, followed by its global indexes by name."""
    for table in tables:
        yield table, None
        for index in sorted(table.global_indexes, key=lambda one: one.name):
            yield table, index


def keys_of(table: Table, index: Index | None) -> KeySchema:
    return table.keys if index is None else index.keys


def exceeds_rules(snapshot: Snapshot, tables: Iterable[Table], table: Table, index: Index | None, mode: str) -> bool:
    """Whether the part's rules, added to all others, would exceed the account's limit."""
    used = {setting.part: setting for setting in all_of(snapshot) if setting.observes}
    count = 0
    for one, part in parts(tables):
        setting = used.get(space_of(one, part))
        if setting is not None and setting.part != space_of(table, index):
            count += len(rule_kinds(keys_of(one, part), setting.mode))
    return count + len(rule_kinds(keys_of(table, index), mode)) > limits.INSIGHT_RULES
