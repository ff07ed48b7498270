"""The common interface of `rows.Row` and `writes.Image`: an item that is stored or about to be stored."""

from __future__ import annotations

from typing import Protocol

from atoll.model.values import Item


class Stored(Protocol):
    @property
    def item(self) -> Item: ...
    @property
    def size(self) -> int:
        """Bytes by the published formula."""

    @property
    def json(self) -> bytes: ...
