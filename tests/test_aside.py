"""The thread of long work: callers take turns, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from functools import partial
from threading import Event

import pytest

from atoll.aside import Thread
from atoll.errors import ApiError


class Work:
    """Pieces that note their names. None begins before `run`."""

    def __init__(self) -> None:
        self.thread = Thread()
        self.done: list[str] = []
        self.futures: list[Future[object]] = []
        self._may_begin = Event()
        self.submit("", self._may_begin.wait)

    def submit(self, caller: str, fn: Callable[[], object] | None = None) -> None:
        self.thread.caller = caller
        self.futures.append(self.thread.submit(partial(self.done.append, caller) if fn is None else fn))

    def run(self) -> list[str]:
        self._may_begin.set()
        wait(self.futures, 10)
        return self.done

    def long(self, name: str) -> None:
        for part in range(3):
            self.done.append(f"{name}{part}")
            self.thread.pause()


@pytest.fixture
def work() -> Iterator[Work]:
    yield Work()


def test_callers_take_turns(work: Work) -> None:
    for caller in "aaaabbc":
        work.submit(caller)
    assert "".join(work.run()) == "abcabaa"


def test_a_long_piece_lets_those_of_others_run(work: Work) -> None:
    work.submit("a", partial(work.long, "A"))
    for caller in "aabbc":
        work.submit(caller)
    assert work.run() == ["A0", "b", "A1", "c", "A2", "b", "a", "a"]


def test_a_nested_long_piece_lets_other_callers_run_but_not_its_waiters(work: Work) -> None:
    work.submit("a", partial(work.long, "A"))
    work.submit("b", partial(work.long, "B"))
    work.submit("a")
    work.submit("c")
    assert work.run() == ["A0", "B0", "c", "B1", "B2", "A1", "A2", "a"]


def test_pieces_are_nested_no_deeper_than_a_few(work: Work) -> None:
    depths = []

    def nest() -> None:
        depths.append(len(work.thread._running))
        work.thread.pause()

    for number in range(50):
        work.submit(f"caller {number}", nest)
    work.run()
    assert len(depths) == 50
    assert max(depths) == 8


def test_a_pause_elsewhere_runs_nothing(work: Work) -> None:
    work.submit("a")
    work.thread.pause()
    assert work.done == []
    assert work.run() == ["a"]


def test_a_failure_and_a_cancelation_are_those_of_one_piece(work: Work) -> None:
    def fail() -> None:
        raise ApiError("Code", "message")

    work.submit("a", fail)
    work.submit("b")
    work.futures[-1].cancel()
    work.submit("c")
    assert work.run() == ["c"]
    with pytest.raises(ApiError):
        work.futures[1].result()
