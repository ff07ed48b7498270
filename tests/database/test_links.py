"""The stable time: the time up to which every replica has applied the changes of every other one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atoll.database import links
from atoll.database.group import ACTIVE, CREATING, MULTI_MASTER, REMOVED, Group, Member
from atoll.database.links import Copy, Link
from atoll.database.schema import KeyAttribute, KeySchema, Table
from atoll.storage.memory import MemoryEngine
from tests.engines import finish

A, B, C = "ap-south-1", "eu-west-1", "us-east-1"
KEYS = KeySchema((KeyAttribute("pk", "S"),))


def table(*members: Member) -> Table:
    return Table("Things", "id-a", 1, 2, KEYS, 0, group=Group("g", MULTI_MASTER, A, members, floor=100))


def stable(of: Table, **found: Link) -> int:
    regions = {"b": B, "c": C}
    engine = MemoryEngine()
    for letter, link in found.items():
        finish(engine.transact(lambda tx, r=regions[letter], one=link: links.save(tx, of, r, one)))  # type: ignore[misc]
    time: int = finish(engine.read(lambda snapshot: links.stable_time(snapshot, of)))
    return time


THREE = table(Member(A, ACTIVE, 1, A), Member(B, ACTIVE, 1, B), Member(C, ACTIVE, 1, C))
FROM_B = Link("id-b", seen=70, others=((A, "id-a", 80), (C, "id-c", 60)))
FROM_C = Link("id-c", seen=50, others=((A, "id-a", 90), (B, "id-b", 65)))


def test_the_slowest_reader_of_the_slowest_writer_decides() -> None:
    assert stable(THREE, b=FROM_B, c=FROM_C) == 50


@pytest.mark.parametrize("missing", ["b", "c"])
def test_nothing_is_stable_before_every_replica_has_answered(missing: str) -> None:
    told = {"b": FROM_B, "c": FROM_C}
    del told[missing]
    assert stable(THREE, **told) == 0


def test_a_reader_that_has_read_nothing_keeps_all_tombstones() -> None:
    assert stable(THREE, b=FROM_B, c=Link("id-c", seen=50, others=((A, "id-a", 90),))) == 0


def test_a_new_member_counts_while_it_copies() -> None:
    growing = table(Member(A, ACTIVE, 1, A), Member(B, ACTIVE, 1, B), Member(C, CREATING, 1, A))
    assert stable(growing, b=Link("id-b", seen=70, others=((A, "id-a", 80),))) == 0


def test_a_removed_member_does_not_count() -> None:
    left = table(Member(A, ACTIVE, 1, A), Member(B, ACTIVE, 1, B), Member(C, REMOVED, 1, C))
    assert stable(left, b=FROM_B) == 70


def test_knowledge_of_a_log_that_is_gone_does_not_count() -> None:
    """C left and joined again. What B has read of its former log says nothing of the new one."""
    assert stable(THREE, b=FROM_B, c=Link("id-new", seen=95, others=((A, "id-a", 90), (B, "id-b", 65)))) == 0


def test_a_replica_without_others_keeps_nothing_up_to_its_floor() -> None:
    assert stable(table(Member(A, ACTIVE, 1, A))) == 100


def test_while_a_replica_has_to_copy_another_one_nothing_is_stable() -> None:
    """C was lost. B may have read less of its changes, so tombstones of those must stay until B has copied this one."""
    lost = table(Member(A, ACTIVE, 1, A), Member(B, ACTIVE, 1, B), Member(C, REMOVED, 1, C, lost=1))
    assert stable(lost, b=FROM_B) == 0
    assert stable(lost, b=replace(FROM_B, copy=Copy(), evened=((C, 1),))) == 0
    assert stable(lost, b=replace(FROM_B, evened=((C, 1),))) == 70
