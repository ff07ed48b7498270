"""A function that waits for its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

SLICE_NS = 5_000_000


class Slice:
    """The time for which functions may keep the event loop. It begins again when it is found to be over."""

    __slots__ = ("_until_ns",)

    def __init__(self) -> None:
        self._until_ns = monotonic_ns() + SLICE_NS

    def is_over(self) -> bool:
        now_ns = monotonic_ns()
        if now_ns < self._until_ns:
            return False
        self._until_ns = now_ns + SLICE_NS
        return True


class Pending:
    __slots__ = ("error", "fn", "future", "result", "until")

    def __init__(self, fn: Callable[[Any], Any], future: asyncio.Future[None], until: float) -> None:
        self.fn = fn
        self.future = future
        self.until = until
        """When its caller has waited long enough for a primary, in the loop's time."""
        self.result: Any = None
        self.error: BaseException | None = None

    def answer(self) -> None:
        if not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Each caller gets an exception of its own: raising one adds to its traceback."""
        try:
            self.error = type(error)(*error.args)
        except TypeError:
            self.error = error
        self.answer()

    async def outcome(self) -> Any:
        await self.future
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback refers to this frame: break the cycle
        return self.result
