"""How far a replica is behind, by notes of the primary's positions."""

from __future__ import annotations

from atoll.lag import Notes


def test_a_replica_is_behind_by_the_age_of_what_it_lacks() -> None:
    notes = Notes()
    assert notes.behind(5, 0) == 0
    for now, position in ((10, 100), (11, 100), (12, 200), (13, 300)):
        notes.add(now, position)
    assert [notes.behind(20, position) for position in (99, 100, 199, 200, 300, 400)] == [10, 8, 8, 7, 0, 0]


def test_a_new_primary_s_positions_begin_anew() -> None:
    notes = Notes()
    notes.add(1, 500)
    notes.add(2, 400)
    assert (notes.behind(9, 400), notes.behind(9, 399)) == (0, 7)
