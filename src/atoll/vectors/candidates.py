"""The interface of a source of candidates: the codes in memory (`memory`), or a table of pgvector (`pgvector`).

Candidates are approximate: their ranks have errors, and their entries may have changed. So a search reads the entries
of the candidates and scores them exactly (see `searching`).
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
    """The size in bytes of each entry's row, as the source last saw it."""
    is_all: bool
    """Whether these are all entries that fit."""


class CandidateSource(Protocol):
    async def candidates(self, query: Matrix, wanted: Conditions, most: int) -> Candidates | None:
        """About `most` of the nearest entries that fit, with all changes that the search must see. None if the source
        lacks some of these changes."""
