"""A parallel scan, seen from inside: how its progress follows its work."""

from __future__ import annotations

from atoll.replicate.copying import Page, Table
from atoll.replicate.ends import Address, End
from atoll.replicate.pacing import Rate
from atoll.replicate.state import Segment
from tests.replicate.world import World


def table_of(world: World) -> Table:
    end = End("source", Address(world.source.endpoint_url).client(), world.pauses, world.counters)
    return Table(end, "Things", ["pk"], Rate(None, world.pauses), world.pauses, world.counters)


def test_progress_is_reported_after_all_items_of_its_page_are_handled(world: World) -> None:
    """Told earlier, it could be stored before a kill, and the restart would skip the page's other items."""
    world.create()
    world.fill(range(60), size=50_000)
    handled = 0
    told: list[tuple[int, int]] = []

    def handle(page: Page) -> None:
        nonlocal handled
        handled += len(page)

    table_of(world).scan([Segment(0)], handle, lambda segment: told.append((segment.items, handled)), lambda: None)
    assert len(told) > 2 and told[-1] == (60, 60)
    assert all(items == handled for items, handled in told)


def test_a_scan_continues_after_the_last_key_and_skips_finished_segments(world: World) -> None:
    world.create()
    world.fill(range(60), size=50_000)
    states: list[Segment] = []
    table_of(world).scan([Segment(0), Segment(1)], lambda _: None, states.append, lambda: None)
    begun = next(state for state in states if state.number == 0)
    seen: list[int] = []
    table_of(world).scan(
        [begun, Segment(1, done=True)], lambda page: seen.append(len(page)), lambda _: None, lambda: None
    )
    total = max(state.items for state in states if state.number == 0)
    assert sum(seen) == total - begun.items > 0
