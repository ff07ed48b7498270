"""The stored resource policies of tables and streams.

    document 'resource-policy' TABLE [LABEL]
        policy       its text as the service shows it; null after a deletion
        versioned    whether the document had a Version
        revision     the RevisionId: the time of the change in milliseconds, or one more than the last one
        changed_ms   when it was changed; with a delay of the control plane, `before` is shown and in force until later
        before       the text before the change, null if there was none
        before_revision

A change of a policy counts as a change of the catalog, so cached decisions become invalid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from atoll.database import documents
from atoll.database import format as fmt
from atoll.storage.engine import Snapshot, Transaction

KIND = "resource-policy"


@dataclass(frozen=True, slots=True)
class ResourcePolicy:
    policy: str | None
    versioned: bool
    revision: int
    changed_ms: int
    before: str | None = None
    before_revision: int = 0

    def visible(self, now_ms: int, delay_ms: int) -> tuple[str | None, int]:
        """The policy that is shown and in force, with its revision."""
        if now_ms < self.changed_ms + delay_ms:
            return self.before, self.before_revision
        return self.policy, self.revision


def get(snapshot: Snapshot, table: str, stream: str | None) -> ResourcePolicy | None:
    found = documents.get(snapshot, KIND, *_names(table, stream))
    return None if found is None else ResourcePolicy(**found)


def put(tx: Transaction, table: str, stream: str | None, policy: ResourcePolicy) -> None:
    documents.put(tx, asdict(policy), KIND, *_names(table, stream))
    tx.add_number(fmt.GENERATION, 1)


def drop(tx: Transaction, table: str) -> None:
    """Delete the policies of a table and of its streams."""
    tx.delete_range(*fmt.documents_of(KIND, table))


def changed(
    old: ResourcePolicy | None, policy: str | None, versioned: bool, now_ms: int, delay_ms: int
) -> ResourcePolicy:
    before, before_revision = (None, 0) if old is None else old.visible(now_ms, delay_ms)
    revision = now_ms if old is None else max(now_ms, old.revision + 1)
    return ResourcePolicy(policy, versioned, revision, now_ms, before, before_revision)


def _names(table: str, stream: str | None) -> Iterator[str]:
    yield table
    if stream is not None:
        yield stream
