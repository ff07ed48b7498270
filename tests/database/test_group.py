"""Copies of a group: they become equal in whatever order replicas exchange them, and a member never goes back."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.database.group import ACTIVE, CREATING, DELETING, MULTI_MASTER, REMOVED, STATES, Group, Member
from atoll.versions import Version

A, B, C = "ap-south-1", "eu-west-1", "us-east-1"
REGIONS = (A, B, C)

members = st.builds(
    Member,
    region=st.sampled_from(REGIONS),
    state=st.sampled_from(STATES),
    time=st.integers(0, 3),
    by=st.sampled_from(REGIONS),
    own=st.sampled_from([(), (("class", '"x"'),)]),
    number=st.integers(1, 3),
    lost=st.integers(0, 2),
    own_time=st.integers(0, 2),
)
copies = st.lists(members, max_size=4).map(lambda listed: group().merge(listed))


def group(*listed: Member) -> Group:
    return Group("g", MULTI_MASTER, A, listed)


@given(copies, copies)
def test_the_order_of_two_copies_does_not_matter(one: Group, other: Group) -> None:
    assert one.merge(other.members) == other.merge(one.members)


@given(copies, copies, copies)
def test_the_grouping_of_three_copies_does_not_matter(one: Group, two: Group, three: Group) -> None:
    assert one.merge(two.members).merge(three.members) == one.merge(two.merge(three.members).members)


@given(copies, copies)
def test_a_copy_that_was_united_before_changes_nothing(one: Group, other: Group) -> None:
    united = one.merge(other.members)
    assert united.merge(other.members) == united
    assert united.merge(one.members) == united


@pytest.mark.parametrize(("earlier", "later"), list(pairwise(STATES)))
def test_a_member_never_goes_back_whatever_the_clocks_say(earlier: str, later: str) -> None:
    slow, fast = Member(B, later, 10, C), Member(B, earlier, 1_000, B)
    for one, other in ((slow, fast), (fast, slow)):
        assert group(one).merge([other]).state_of(B) == later


def test_a_region_that_is_added_again_is_a_new_member() -> None:
    was = group(Member(B, ACTIVE, 50, B))
    removed = was.with_state(B, DELETING, Version(60, A)).with_state(B, REMOVED, Version(70, A))
    again = removed.with_state(B, CREATING, Version(5, A))
    assert again.by_region[B].number == removed.by_region[B].number + 1 == 2
    assert again.merge(was.members).merge(removed.members) == again


def test_settings_of_a_member_outlast_a_later_state() -> None:
    """The member changed its settings while another replica removed it."""
    changed = Member(B, ACTIVE, 10, B, own=(("class", '"x"'),), own_time=20)
    told = Member(B, DELETING, 15, A)
    assert group(told).merge([changed]).by_region[B] == replace(told, own=changed.own, own_time=20)


def test_a_loss_is_known_whichever_replica_removed_the_member_first() -> None:
    lost, drained = Member(B, REMOVED, 10, A, lost=1), Member(B, REMOVED, 20, C)
    assert group(lost).merge([drained]).by_region[B] == replace(drained, lost=1)
