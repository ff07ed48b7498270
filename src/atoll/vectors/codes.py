"""Vectors as 8-bit codes: a quarter of the memory, and fast to compare with a query.

A code is a vector divided by its scale, the greatest of its elements over 127, and rounded. The product of two vectors
is about that of their codes times both scales. numkong computes it for many codes at once with the processor's
instructions for 8-bit integers.

From the product follows an approximate *rank* (smaller is nearer): the score of COSINE, the square of that of
EUCLIDEAN, and the negative one of DOT_PRODUCT. For EUCLIDEAN all vectors are moved by an origin near their middle. That
changes no distance, but makes their elements, and so the errors, smaller.
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
Factors = npt.NDArray[np.float64]

_MOST = 127


@dataclass(frozen=True)
class Encoded:
    """Vectors as codes. An approximate rank is `base` + `factor` * product of codes, of both sides."""

    codes: Codes
    factor: Factors
    base: Factors


class Encoder:
    """Makes codes of the vectors of one index, and of its queries."""

    def __init__(self, distance: str, sample: Matrix) -> None:
        self._distance = distance
        rows = sample.astype(np.float64)
        self._origin = rows.mean(axis=0) if distance == EUCLIDEAN and len(rows) else np.zeros(sample.shape[1])

    def encode(self, vectors: Matrix) -> Encoded:
        rows = vectors.astype(np.float64) - self._origin
        scale = np.abs(rows).max(axis=1) / _MOST
        codes = np.rint(np.divide(rows, scale[:, None], out=np.zeros_like(rows), where=scale[:, None] > 0))
        factor, base = scale, np.zeros(len(rows))
        if self._distance == COSINE:
            lengths = np.linalg.norm(rows, axis=1)
            factor = np.divide(scale, lengths, out=np.zeros(len(rows)), where=lengths > 0)
        elif self._distance == EUCLIDEAN:
            base = np.square(rows).sum(axis=1)
        return Encoded(codes.astype(np.int8), factor, base)

    def ranks(self, query: Encoded, codes: Codes, factor: Factors, base: Factors) -> Scores:
        """The approximate ranks of codes for a query, which is the only row of its own."""
        products: Any = numkong.cdist(codes, query.codes, "dot")
        scaled: Scores = np.asarray(products).reshape(len(codes)) * factor * query.factor[0]
        if self._distance == EUCLIDEAN:
            squares: Scores = base + query.base[0] - 2 * scaled
            return squares
        return -scaled if self._distance == DOT_PRODUCT else 1 - scaled


def exact_ranks(distance: str, scores: Scores) -> Scores:
    """Scores as ranks."""
    if distance == EUCLIDEAN:
        return np.square(scores)
    return -scores if distance == DOT_PRODUCT else scores
