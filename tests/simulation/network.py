"""The messages on their way between regions: lost, doubled, delayed and overtaken by others, as the seed decides."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.place import Sight

QUESTION, ANSWER = "question", "answer"


@dataclass(frozen=True)
class Letter:
    kind: str
    sender: str
    receiver: str
    frame: bytes
    sights: tuple[Sight, ...] = ()
    """Of an answer: what it tells of the source's items."""


class Network:
    def __init__(self, choose: random.Random, loss: float, doubling: float) -> None:
        self._random = choose
        self._loss, self._doubling = loss, doubling
        self._letters: list[Letter] = []
        self.cut: set[tuple[str, str]] = set()
        """Directions in which nothing gets through."""

    def __len__(self) -> int:
        return len(self._letters)

    def send(self, letter: Letter) -> None:
        self._letters.append(letter)

    def take(self) -> Letter | None:
        """The letter that arrives next; None if it is lost."""
        choose = self._random
        at = 0 if choose.random() < 0.5 else choose.randrange(len(self._letters))
        letter = self._letters[at]
        if choose.random() >= self._doubling:
            del self._letters[at]
        is_cut = (letter.sender, letter.receiver) in self.cut
        return None if is_cut or choose.random() < self._loss else letter

    def all(self) -> list[Letter]:
        """Every letter, in the order of sending: faults have ended."""
        letters, self._letters = self._letters, []
        return letters

    def heal(self) -> None:
        self.cut.clear()
