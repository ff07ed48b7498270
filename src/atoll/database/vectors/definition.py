"""The definition of a vector index, stored with its table's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from atoll.database.key_schema import KeyAttribute, KeySchema, Projection

COSINE, DOT_PRODUCT, EUCLIDEAN = "COSINE", "DOT_PRODUCT", "EUCLIDEAN"


@dataclass(frozen=True)
class VectorIndex:
    name: str
    attribute: str
    """The attribute that holds the vector."""
    dimensions: int
    distance: str
    """One of "COSINE", "DOT_PRODUCT" or "EUCLIDEAN"."""
    projection: Projection
    space: int
    log_space: int
    """The space of the log of changed entries; see `rows`."""
    partition: KeyAttribute | None = None
    """The HASH element of the search schema: a search reads entries with one value of it."""
    filters: tuple[KeyAttribute, ...] = ()
    """The INLINE_FILTER elements of the search schema."""
    status: str = "ACTIVE"
    backfilling: bool = False
    due_ms: int = 0
    """As in `schema.Index`."""

    @cached_property
    def searched(self) -> tuple[KeyAttribute, ...]:
        """The elements of the search schema."""
        return self.filters if self.partition is None else (self.partition, *self.filters)

    @cached_property
    def types(self) -> dict[str, str]:
        return {element.name: element.type for element in self.searched}

    @cached_property
    def keys(self) -> KeySchema | None:
        return None if self.partition is None else KeySchema((self.partition,))

    @property
    def spaces(self) -> tuple[int, int]:
        return self.space, self.log_space

    def projected(self, table_keys: KeySchema) -> frozenset[str] | None:
        """The attributes of an entry besides the vector; None means all."""
        if self.projection.type == "ALL":
            return None
        return frozenset((*table_keys.names, *self.types, *self.projection.attributes)) - {self.attribute}

    def status_at(self, now_ms: int) -> str:
        return self.status

    def filling_at(self, now_ms: int) -> bool:
        """Whether the index is in its backfill phase, in which its table is ACTIVE again."""
        return self.backfilling and now_ms >= self.due_ms
