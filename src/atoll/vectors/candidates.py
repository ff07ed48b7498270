"""Where a search gets its candidates from: the codes in memory (`memory`), or a table of pgvector (`pgvector`).

Candidates are approximate: a source may not know the last changes, and its ranks have errors. So a search reads the
entries of the candidates and scores them exactly (see `searching`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from atoll.vectors.distances import Matrix, Scores
from atoll.vectors.scan import Conditions


class Candidates(NamedTuple):
    """Keys of entries, in the order of their approximate ranks."""

    keys: list[bytes]
    ranks: Scores
    sizes: list[int]
    """Bytes of their rows, when they were last put."""
    is_all: bool
    """Whether no other entry fits."""


class Source(Protocol):
    async def candidates(self, query: Matrix, wanted: Conditions, most: int) -> Candidates | None:
        """The nearest entries that fit, about so many, after all changes that the search must see. None if the source
        cannot tell."""
