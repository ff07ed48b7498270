"""Vectors and hashes in the form that the tables store.

For COSINE, vectors are stored with length 1 and compared by their product, because pgvector's cosine distance leaves
zero vectors out; by the product they are at distance 1 from all others. pgvector computes with 32-bit floats, so
elements that would overflow are clipped. A search scores the entries exactly, and so it sees these errors of ranks.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import orjson

from atoll.database.vectors import rows
from atoll.database.vectors.definition import COSINE, EUCLIDEAN, VectorIndex
from atoll.model.values import AttributeValue
from atoll.vectors import scan
from atoll.vectors.distances import Matrix, Scores
from atoll.vectors.scan import Conditions, Entry

VECTOR, HALFVEC = "vector", "halfvec"
VECTOR_DIMENSIONS, HALFVEC_DIMENSIONS = 2_000, 4_000
"""The greatest number of dimensions that a graph supports, for each type."""

_MOST = {VECTOR: 1e16, HALFVEC: 65_504.0}
_ELEMENT = {VECTOR: ">f4", HALFVEC: ">f2"}
_HEADER = struct.Struct(">HH")

Arguments = tuple[list[bytes], list[bytes], list[int], list[str], list[bytes]]


def type_of(index: VectorIndex) -> str | None:
    """The type of the column; None if no graph of pgvector supports so many dimensions."""
    if index.dimensions <= VECTOR_DIMENSIONS:
        return VECTOR
    return HALFVEC if index.dimensions <= HALFVEC_DIMENSIONS else None


def operator(index: VectorIndex) -> tuple[str, str]:
    """The distance operator, and the name of its operator class for a graph, without the type."""
    return ("<->", "l2_ops") if index.distance == EUCLIDEAN else ("<#>", "ip_ops")


def shape(index: VectorIndex) -> str:
    """A hash of the part of the definition that decides the table's contents."""
    names = [element.name for element in index.searched]
    text = orjson.dumps([index.dimensions, index.distance, index.log_space, names])
    return blake2b(text, digest_size=16).hexdigest()


def encoded(index: VectorIndex, vectors: Matrix) -> list[bytes]:
    """Vectors in pgvector's binary format."""
    type_ = type_of(index)
    assert type_ is not None
    numbers: npt.NDArray[np.float64] = vectors.astype(np.float64)
    if index.distance == COSINE:
        lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
        np.divide(numbers, lengths, out=numbers, where=lengths > 0)
    elements = np.clip(numbers, -_MOST[type_], _MOST[type_]).astype(_ELEMENT[type_])
    header = _HEADER.pack(index.dimensions, 0)
    return [header + row.tobytes() for row in elements]


def ranks(index: VectorIndex, found: Sequence[float]) -> Scores:
    """The ranks (see `codes`) that belong to pgvector's distances."""
    array = np.array(found, dtype=np.float64)
    if index.distance == EUCLIDEAN:
        return np.square(array)
    return 1 + array if index.distance == COSINE else array


def arguments(index: VectorIndex, entries: Sequence[Entry]) -> Arguments:
    """The arguments of `statements.put`."""
    keys = [key for key, _ in entries]
    hashes = [_hashes_of(index, row) for _, row in entries] if index.searched else ["{}"] * len(entries)
    return ids(keys), keys, [len(row) for _, row in entries], hashes, encoded(index, scan.vectors(index, entries))


def ids(keys: Sequence[bytes]) -> list[bytes]:
    """Hashes of keys, because a key may be longer than PostgreSQL's indexes allow."""
    return [blake2b(key, digest_size=16).digest() for key in keys]


def hashes(wanted: Conditions) -> list[int]:
    return [_hash(name, value) for name, value in wanted.items()]


def _hashes_of(index: VectorIndex, row: bytes) -> str:
    item = orjson.loads(rows.parse_entry(row, index.dimensions)[1])
    found = [_hash(one.name, item[one.name]) for one in index.searched if one.name in item]
    return f"{{{','.join(map(str, found))}}}"


def _hash(name: str, value: AttributeValue) -> int:
    return int.from_bytes(blake2b(orjson.dumps([name, value]), digest_size=8).digest(), "big", signed=True)
