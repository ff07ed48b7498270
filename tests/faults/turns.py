"""An event loop and its threads, of which only one runs at a time. Seeded chance says which, so a run can be repeated.

The threads of an engine change places with the loop at their calls of the disk, and whenever the loop has nothing to
do. The loop's time moves only while it waits.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

CHANGES = 0.2
"""How often two threads change places where they may."""

_here = threading.local()


class Turns:
    def __init__(self, random_: random.Random) -> None:
        self.random = random_
        self._threads: list[_Thread] = []

    def pause(self, always: bool = False) -> None:
        """Perhaps let others run: from the loop a thread for a while, from a thread the loop."""
        if not always and self.random.random() >= CHANGES:
            return
        thread: _Thread | None = getattr(_here, "thread", None)
        if thread is not None:
            thread.rest()
        elif self._threads:
            self.step()
        else:
            assert not always, "waits for something that nobody does"

    def step(self) -> None:
        self.random.choice(self._threads).go_on()

    def start(self, run: Callable[[], None]) -> None:
        self._threads.append(_Thread(run, self._threads))

    @property
    def idle(self) -> bool:
        return not self._threads


class _Thread:
    def __init__(self, run: Callable[[], None], all_: list[_Thread]) -> None:
        self._run, self._all = run, all_
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._main, daemon=True).start()

    def _main(self) -> None:
        self._go.acquire()
        _here.thread = self
        self._run()
        self._all.remove(self)
        self._back.release()

    def go_on(self) -> None:
        self._go.release()
        self._back.acquire()

    def rest(self) -> None:
        self._back.release()
        self._go.acquire()


class Executor:
    """In place of a ThreadPoolExecutor with one thread."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._jobs: deque[tuple[_Future, Callable[[], Any]]] = deque()
        self._running = False

    def submit(self, run: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future = _Future(self._turns)
        self._jobs.append((future, lambda: run(*arguments)))
        if not self._running:
            self._running = True
            self._turns.start(self._work)
        return future

    def _work(self) -> None:
        while self._jobs:
            future, run = self._jobs.popleft()
            try:
                result = run()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        self._running = False

    def shutdown(self) -> None:
        while self._running:
            self._turns.pause(always=True)


class _Future(Future[Any]):
    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self._turns = turns

    def result(self, timeout: float | None = None) -> Any:
        while not self.done():
            self._turns.pause(always=True)
        return super().result()


class Loop(asyncio.SelectorEventLoop):
    def __init__(self, turns: Turns) -> None:
        self.now = 0.0
        super().__init__(_Selector(turns, self))

    def time(self) -> float:
        return self.now


class _Selector(selectors.DefaultSelector):
    def __init__(self, turns: Turns, loop: Loop) -> None:
        super().__init__()
        self._turns, self._loop = turns, loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        waits = timeout is None or timeout > 0
        if not self._turns.idle:
            self._turns.pause(always=waits)
        elif waits:
            ready = super().select(0)
            if not ready:
                assert timeout is not None, "the loop waits for something that nobody does"
                self._loop.now += timeout
            return ready
        return super().select(0)
