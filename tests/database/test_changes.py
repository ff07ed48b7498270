"""The record that the change log keeps of a change."""

from __future__ import annotations

from typing import Any

import pytest

from atoll.database.log import changes, shards
from atoll.database.log.rows import ChangeRow
from atoll.storage.engine import Snapshot


def logged(world: Any) -> list[ChangeRow]:
    """The records of one item that is created, changed and deleted."""
    first = len(rows(world))
    for value in ("1", "2"):
        world.put("a", value={"S": value})
    world.delete("a")
    return rows(world)[first:]


def rows(world: Any) -> list[ChangeRow]:
    log_space = world.table().log_space

    def read(snapshot: Snapshot) -> list[ChangeRow]:
        present = list(shards.listed(snapshot, log_space, 0, 1 << 31))
        return [row for shard in present for _, row in changes.read(snapshot, log_space, shard, 0)]

    found: list[ChangeRow] = world.read(read)
    return found


@pytest.mark.parametrize(
    ("view", "old", "new"),
    [
        (None, False, False),
        ("KEYS_ONLY", False, False),
        ("OLD_IMAGE", True, False),
        ("NEW_IMAGE", False, True),
        ("NEW_AND_OLD_IMAGES", True, True),
    ],
)
def test_images_are_kept_where_a_stream_shows_them_and_sizes_always(
    world: Any, view: str | None, old: bool, new: bool
) -> None:
    world.create(view=view)
    made, changed, deleted = logged(world)
    assert [row.old is not None for row in (made, changed, deleted)] == [False, old, old]
    assert [row.new is not None for row in (made, changed, deleted)] == [new, new, False]
    size = len("pkaskvalue1") + 1
    assert [(row.old_size, row.new_size) for row in (made, changed, deleted)] == [(0, size), (size, size), (size, 0)]
    assert made.keys == b'{"pk":{"S":"a"},"sk":{"N":"0"}}'


def test_a_stream_that_ends_ends_the_keeping_of_images(world: Any) -> None:
    world.create(view=None)
    for begin, kept in ((True, True), (False, False)):
        if begin:
            world.enable_stream()
        else:
            world.disable_stream()
        made, *_ = logged(world)
        assert (made.new is not None) is kept
