"""A function that waits for its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


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
