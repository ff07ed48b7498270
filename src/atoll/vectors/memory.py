"""The entries of one index in a process's memory: their codes, and hashes of the attributes that searches compare.

Each entry has a slot, which another entry may reuse later. The memory only finds candidates; a search then reads their
entries from the store (see `searching`). So results are right even if a slot is outdated or two values have the same
hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import orjson

from atoll.database.vectors import rows
from atoll.database.vectors.definition import VectorIndex
from atoll.model.values import AttributeValue
from atoll.vectors import scan
from atoll.vectors.candidates import Candidates
from atoll.vectors.codes import Encoded, Encoder
from atoll.vectors.distances import Matrix, Scores
from atoll.vectors.scan import Conditions, Entry

CHUNK = 1 << 14
OUTGROWN, GROWTH = 1_024, 16
"""A memory is loaded again when it has at least OUTGROWN entries, and GROWTH times as many as when it was loaded."""
_ABSENT = 0


class _Chunk:
    """Slots with consecutive numbers. Pages of the arrays that were never written take no memory."""

    def __init__(self, dimensions: int, columns: int) -> None:
        self.codes = np.empty((CHUNK, dimensions), dtype=np.int8)
        self.scale = np.empty(CHUNK)
        self.base = np.empty(CHUNK)
        self.sizes = np.empty(CHUNK, dtype=np.uint32)
        self.used = np.zeros(CHUNK, dtype=np.bool_)
        self.columns = np.empty((columns, CHUNK), dtype=np.uint64)


class Memory:
    def __init__(self, index: VectorIndex) -> None:
        self.index = index
        self._encoder: Encoder | None = None
        self._chunks: list[_Chunk] = []
        self._keys: list[bytes] = []
        """The key of each slot; free slots keep their last key."""
        self._slots: dict[bytes, int] = {}
        self._free: list[int] = []
        self._loaded = 0

    def prepare(self, sample: Sequence[Entry]) -> None:
        """Choose the encoder's origin from these entries. Call it before `put`."""
        if sample:
            self._encoder = Encoder(self.index.distance, scan.vectors(self.index, sample))

    def put(self, entries: Sequence[Entry]) -> None:
        """Add or replace entries. Their keys must be distinct."""
        if not entries:
            return
        index = self.index
        if self._encoder is None:
            self.prepare(entries)
            assert self._encoder is not None
        encoded = self._encoder.encode(scan.vectors(self.index, entries))
        slots = [self._slot(key) for key, _ in entries]
        hashes = [self._hashes(row) for _, row in entries] if index.searched else []
        sizes = np.array([len(row) for _, row in entries], dtype=np.uint32)
        # Assign all entries of a chunk at once.
        numbers = np.array(slots)
        for number in np.unique(numbers // CHUNK):
            chosen = np.flatnonzero(numbers // CHUNK == number)
            at, chunk = numbers[chosen] % CHUNK, self._chunk(int(number))
            chunk.codes[at] = encoded.codes[chosen]
            chunk.scale[at], chunk.base[at] = encoded.scale[chosen], encoded.base[chosen]
            chunk.sizes[at] = sizes[chosen]
            if hashes:
                chunk.columns[:, at] = np.array([hashes[i] for i in chosen], dtype=np.uint64).T
            chunk.used[at] = True

    def remove(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            slot = self._slots.pop(key, None)
            if slot is not None:
                self._chunks[slot // CHUNK].used[slot % CHUNK] = False
                self._free.append(slot)

    def __contains__(self, key: bytes) -> bool:
        return key in self._slots

    def __len__(self) -> int:
        return len(self._slots)

    def _slot(self, key: bytes) -> int:
        slot = self._slots.get(key)
        if slot is None:
            if self._free:
                slot = self._free.pop()
                self._keys[slot] = key
            else:
                slot = len(self._keys)
                self._keys.append(key)
            self._slots[key] = slot
        return slot

    def _chunk(self, number: int) -> _Chunk:
        while len(self._chunks) <= number:
            self._chunks.append(_Chunk(self.index.dimensions, len(self.index.searched)))
        return self._chunks[number]

    def _hashes(self, row: bytes) -> list[int]:
        item = orjson.loads(rows.parse_entry(row, self.index.dimensions)[1])
        return [_hash(item.get(element.name)) for element in self.index.searched]

    # Searches

    def candidates(self, query: Matrix, wanted: Conditions, most: int) -> Iterator[Candidates | None]:
        """Find the nearest entries by their codes. Yields None after each chunk, so that the caller can let other
        requests run, and finally the candidates."""
        if self._encoder is None:
            yield Candidates([], np.empty(0), [], True)
            return
        encoded = self._encoder.encode(query.reshape(1, -1))
        slots, ranks, seen = np.empty(0, dtype=np.int64), np.empty(0), 0
        for number in range(len(self._chunks)):
            at, found = self._ranked(number, encoded, wanted)
            seen += len(at)
            slots, ranks = np.concatenate([slots, at + number * CHUNK]), np.concatenate([ranks, found])
            if len(ranks) > most:
                best = np.argpartition(ranks, most - 1)[:most]
                slots, ranks = slots[best], ranks[best]
            yield None
        # An entry that was removed and put again meanwhile may have been seen in two slots.
        nearest: dict[bytes, tuple[float, int]] = {}
        for at in np.argsort(ranks):
            slot = int(slots[at])
            size = int(self._chunks[slot // CHUNK].sizes[slot % CHUNK])
            nearest.setdefault(self._keys[slot], (float(ranks[at]), size))
        ordered = np.array([rank for rank, _ in nearest.values()])
        yield Candidates(list(nearest), ordered, [size for _, size in nearest.values()], seen <= most)

    def _ranked(self, number: int, query: Encoded, wanted: Conditions) -> tuple[npt.NDArray[np.int64], Scores]:
        """The slots of a chunk whose entries fit, counted from its first slot, and their ranks."""
        assert self._encoder is not None
        chunk = self._chunks[number]
        rows_ = min(CHUNK, len(self._keys) - number * CHUNK)
        fits = chunk.used[:rows_]
        for column, element in enumerate(self.index.searched):
            if element.name in wanted:
                fits = fits & (chunk.columns[column, :rows_] == _hash(wanted[element.name]))
        at = np.flatnonzero(fits)
        if len(at) == 0:
            return at, np.empty(0)
        if len(at) > rows_ // 2:  # ranking the whole chunk is faster than copying these slots
            return at, self._encoder.ranks(query, chunk.codes[:rows_], chunk.scale[:rows_], chunk.base[:rows_])[at]
        return at, self._encoder.ranks(query, chunk.codes[at], chunk.scale[at], chunk.base[at])

    def loaded(self) -> None:
        """Note that all entries have been put."""
        self._loaded = len(self._slots)

    @property
    def is_outgrown(self) -> bool:
        """Whether the index has grown so much that the encoder's origin may no longer suit its vectors."""
        count = len(self._slots)
        return count >= OUTGROWN and count >= GROWTH * self._loaded

    @property
    def size(self) -> int:
        """The approximate size of this memory in bytes."""
        return bytes_of(self.index, len(self._keys))


_KEY_BYTES = 250
"""The approximate bytes of a key, and of its references in a list and a dictionary."""


def bytes_of(index: VectorIndex, entries: int) -> int:
    """The approximate size in bytes of the memory of this many entries."""
    return entries * (index.dimensions + 21 + 8 * len(index.searched) + _KEY_BYTES)


def _hash(value: AttributeValue | None) -> int:
    if value is None:
        return _ABSENT
    return int.from_bytes(blake2b(orjson.dumps(value), digest_size=8).digest(), "big") or 1
