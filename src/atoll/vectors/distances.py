"""The distance functions, over many vectors at once. Rows of matrices are vectors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from atoll.database.vectors.definition import DOT_PRODUCT, EUCLIDEAN

Matrix = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]


def matrix(vectors: list[bytes], dimensions: int) -> Matrix:
    return np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), dimensions)


def scores(distance: str, vectors: Matrix, query: Matrix) -> Scores:
    """The scores that searches return, in double precision. The cosine distance from a zero vector is 1."""
    rows, one = vectors.astype(np.float64), query.astype(np.float64)
    if distance == EUCLIDEAN:
        lengths: Scores = np.linalg.norm(rows - one, axis=1)
        return lengths
    products: Scores = rows @ one
    if distance == DOT_PRODUCT:
        return products
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    cosines = np.divide(products, lengths, out=np.zeros(len(rows)), where=lengths > 0)
    clipped: Scores = np.clip(1 - cosines, 0, 2)
    return clipped
