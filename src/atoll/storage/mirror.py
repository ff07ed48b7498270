"""Run every function on two engines; any difference in its reads or its result is an error.

For tests, with the reference engine and the engine under test. Functions run one at a time, because two correct engines
may order concurrent transactions differently.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from atoll.storage.engine import Engine, Size, Snapshot, T, Transaction

S = TypeVar("S", bound=Snapshot)


class Different(AssertionError):
    """The two engines gave different reads or results."""


class MirrorEngine:
    def __init__(self, one: Engine, other: Engine) -> None:
        self._one, self._other = one, other
        self._alone = asyncio.Lock()

    async def read(self, fn: Callable[[Snapshot], T]) -> T:
        one, other = _Witness(fn), _Witness(fn)
        return await self._compare(self._one.read(one.read), one, self._other.read(other.read), other)

    async def transact(self, fn: Callable[[Transaction], T]) -> T:
        one, other = _Witness(fn), _Witness(fn)
        return await self._compare(self._one.transact(one.write), one, self._other.transact(other.write), other)

    async def _compare(self, run_one: Awaitable[T], one: _Witness[T], run_other: Awaitable[T], other: _Witness[T]) -> T:
        async with self._alone:
            outcomes = [await _outcome(run_one), await _outcome(run_other)]
        for number, (seen, seen_too) in enumerate(zip(one.log, other.log, strict=False)):
            if seen != seen_too:
                raise Different(f"read {number}: {seen} on one engine, {seen_too} on the other")
        if len(one.log) != len(other.log):
            raise Different(f"{len(one.log)} reads on one engine, {len(other.log)} on the other")
        (result, error), (result_too, error_too) = outcomes
        if result != result_too or type(error) is not type(error_too) or str(error) != str(error_too):
            raise Different(f"{outcomes[0]} on one engine, {outcomes[1]} on the other")
        if error is not None:
            raise error
        return result  # type: ignore[return-value]

    async def lease(self) -> bool:
        return await self._one.lease() and await self._other.lease()

    async def size(self) -> Size | None:
        return await self._one.size()

    async def give_back(self) -> bool:
        gave = [await engine.give_back() for engine in (self._one, self._other)]
        return any(gave)

    async def close(self) -> None:
        async with self._alone:
            await self._one.close()
            await self._other.close()


async def _outcome(run: Awaitable[T]) -> tuple[T | None, Exception | None]:
    try:
        return await run, None
    except Exception as error:
        return None, error


class _Witness(Generic[T]):
    """Wraps a function and records every read of its last run."""

    def __init__(self, fn: Callable[[Any], T]) -> None:
        self._fn = fn
        self.log: list[Any] = []

    def read(self, snapshot: Snapshot) -> T:
        self.log = []
        return self._fn(_Watched(snapshot, self.log))

    def write(self, transaction: Transaction) -> T:
        self.log = []
        return self._fn(_WatchedTransaction(transaction, self.log))


class _Watched(Generic[S]):
    def __init__(self, inner: S, log: list[Any]) -> None:
        self._inner = inner
        self.is_remote = inner.is_remote
        self._log = log

    def get(self, key: bytes) -> bytes | None:
        return self._seen(("get", key), self._inner.get(key))

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self._seen(("get_many", *keys), self._inner.get_many(keys))

    def scan(
        self, start: bytes, end: bytes, *, reverse: bool = False, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        rows = self._inner.scan(start, end, reverse=reverse, limit=limit)
        return (self._seen(("scan", start, end), row) for row in rows)

    def first(self, ranges: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes] | None]:
        return self._seen(("first", *ranges), self._inner.first(ranges))

    def number(self, key: bytes) -> int:
        return self._seen(("number", key), self._inner.number(key))

    def tally(self, key: bytes) -> int:
        return self._seen(("tally", key), self._inner.tally(key))

    def prefetch(
        self, rows: Sequence[bytes] = (), numbers: Sequence[bytes] = (), tallies: Sequence[bytes] = ()
    ) -> None:
        self._inner.prefetch(rows, numbers, tallies)

    def _seen(self, read: tuple[Any, ...], result: T) -> T:
        self._log.append((read, result))
        return result


class _WatchedTransaction(_Watched[Transaction]):
    def put(self, key: bytes, value: bytes) -> None:
        self._inner.put(key, value)

    def delete(self, key: bytes) -> None:
        self._inner.delete(key)

    def delete_range(self, start: bytes, end: bytes) -> None:
        self._inner.delete_range(start, end)

    def add_number(self, key: bytes, amount: int) -> int:
        return self._seen(("add_number", key), self._inner.add_number(key, amount))

    def add_tally(self, key: bytes, amount: int) -> None:
        self._inner.add_tally(key, amount)

    def announce_long(self) -> None:
        self._inner.announce_long()
