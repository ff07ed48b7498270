"""Vectors as 8-bit codes, which take a quarter of the memory and are fast to compare with a query.

A code is a vector divided by its scale (its greatest element / 127) and rounded. The product of two vectors is
approximately the product of their codes times both scales. numkong computes it for many codes at once with the
processor's instructions for 8-bit integers.

The encoder subtracts an origin near the mean of all vectors first: the differences are shorter, so their codes have
smaller errors. For a = a' + o and b = b' + o, a·b = a'·b' + a'·o + b'·o + o·o; the terms with o are computed exactly.

The product gives an approximate *rank* (smaller is nearer): for COSINE the score (its vectors are normalized here), for
EUCLIDEAN the square of the score, for DOT_PRODUCT the negative score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numkong
import numpy as np
import numpy.typing as npt

from atoll.database.vectors.definition import COSINE, DOT_PRODUCT, EUCLIDEAN
from atoll.vectors.distances import Matrix, Scores

Codes = npt.NDArray[np.int8]
Reals = npt.NDArray[np.float64]

_MOST = 127


@dataclass(frozen=True)
class Encoded:
    codes: Codes
    scale: Reals
    base: Reals
    """EUCLIDEAN: the square of a vector's distance from the origin. Otherwise the vector's product with the origin."""


class Encoder:
    """Makes codes from the vectors of one index, and from its queries."""

    def __init__(self, distance: str, sample: Matrix) -> None:
        self._distance = distance
        self._origin: Reals = np.median(self._normal(sample), axis=0)  # a few long vectors do not move it
        self._of_origin = float(self._origin @ self._origin)

    def encode(self, vectors: Matrix) -> Encoded:
        rows = self._normal(vectors) - self._origin
        scale: Reals = np.abs(rows).max(axis=1) / _MOST
        codes = np.rint(np.divide(rows, scale[:, None], out=np.zeros_like(rows), where=scale[:, None] > 0))
        base = np.square(rows).sum(axis=1) if self._distance == EUCLIDEAN else rows @ self._origin
        return Encoded(codes.astype(np.int8), scale, base)

    def _normal(self, vectors: Matrix) -> Reals:
        rows: Reals = vectors.astype(np.float64)
        if self._distance == COSINE:
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            np.divide(rows, lengths, out=rows, where=lengths > 0)
        return rows

    def ranks(self, query: Encoded, codes: Codes, scale: Reals, base: Reals) -> Scores:
        """The approximate ranks of codes for the one query in `query`."""
        found: Any = numkong.cdist(codes, query.codes, "dot")
        products: Scores = np.asarray(found).reshape(len(codes)) * scale * query.scale[0]
        if self._distance == EUCLIDEAN:
            squares: Scores = base + query.base[0] - 2 * products
            return squares
        products += base + (query.base[0] + self._of_origin)
        return -products if self._distance == DOT_PRODUCT else 1 - products


def exact_ranks(distance: str, scores: Scores) -> Scores:
    """The ranks that belong to these scores."""
    if distance == EUCLIDEAN:
        return np.square(scores)
    return -scores if distance == DOT_PRODUCT else scores
