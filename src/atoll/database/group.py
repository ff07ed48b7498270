"""The group of a table's replicas, as each replica knows it: frozen dataclasses, stored in the table's definition.

All replicas of a table form a `Group`. Each replica has its own copy of it and changes only that, so copies differ for
a while. `merge` unites two copies: it is commutative, associative and idempotent, so replicas that exchange their
copies in any order end with the same one. A member goes through four states, in this order only:

    CREATING    the member copies the items of another; it accepts no requests of clients yet
    ACTIVE      it accepts writes and reads the changes of all others
    DELETING    it accepts no writes; the others read the rest of its changes
    REMOVED     it has no table any more, or its table is no replica

A region that is added again is a new member, with the next number. Of two states of a member, the one later in this
order is valid, whatever the clocks say: once a replica is told to leave, it cannot become ACTIVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from atoll.database.records import plain
from atoll.versions import COUNTER_BITS, Version

MULTI_MASTER = "2019.11.21"
LEGACY_MULTI_MASTER = "2017.11.29"
SINGLE_MASTER = "single-master"

CREATING, ACTIVE, DELETING, REMOVED = STATES = ("CREATING", "ACTIVE", "DELETING", "REMOVED")
"""The states, in their order."""

FLOOR_INTERVAL_MS = 3600 * 1000
"""A replica raises its floor, and drops tombstones, once an hour."""


@dataclass(frozen=True)
class Member:
    region: str
    state: str
    time: int
    """The version of the state: a hybrid logical clock time, and the region that set the state."""
    by: str
    own: tuple[tuple[str, str], ...] = ()
    """Settings that only this replica has, but that the others also describe, as (name, JSON)."""
    number: int = 1
    """The number of times the region was added."""
    lost: int = 0
    """The number of the last member of this region that was removed before every replica had read all of its changes; 0
    if there is none. The other replicas then copy each other, since some have read more of its changes."""
    own_time: int = 0
    """The version of `own`. The member itself changes `own`; the replica that invites it sets the first value."""

    @property
    def version(self) -> Version:
        return Version(self.time, self.by)

    @property
    def is_gone(self) -> bool:
        return self.state == REMOVED

    def merge(self, other: Member) -> Member:
        """A member with the later state and the later settings of the two."""
        later = max(self, other, key=lambda member: (member.number, STATES.index(member.state), *member.version))
        owner = max(self, other, key=lambda member: (member.own_time, member.own))
        return replace(later, own=owner.own, own_time=owner.own_time, lost=max(self.lost, other.lost))


@dataclass(frozen=True)
class Setting:
    """A setting that all replicas share. Of two values, the one with the greater version is valid."""

    name: str
    value: str
    """The value as JSON."""
    time: int
    by: str


@dataclass(frozen=True)
class Group:
    id: str
    kind: str
    """MULTI_MASTER, LEGACY_MULTI_MASTER or SINGLE_MASTER"""
    own: str
    """The region of the replica that stores this copy."""
    members: tuple[Member, ...]
    """Sorted by region; this replica is one of them."""
    settings: tuple[int, str] = (0, "")
    """The version of `shared` as a whole. Copies with equal versions have equal settings."""
    shared: tuple[Setting, ...] = ()
    """The settings that all replicas share, by name; this replica may override some, see `replication.shared`."""
    floor: int = 0
    """All versions that this replica assigns from now on are greater than this time."""
    dropped: int = 0
    """Tombstones with versions up to this time may have been dropped here."""
    master: str | None = None
    """The only region that accepts writes, if the kind is SINGLE_MASTER."""
    term: int = 0
    """Incremented by each promotion of a master. Of two masters, the one with the greater term is valid."""
    created_ms: int = 0
    invited_ms: int = 0
    """When this replica last invited another one."""
    since: int = 0
    """When it was promoted, the master had applied all changes of the previous master with versions up to this time."""

    @property
    def raises_floor_ms(self) -> int:
        """The time at which the floor is raised again."""
        return (self.floor >> COUNTER_BITS) + FLOOR_INTERVAL_MS

    @cached_property
    def by_region(self) -> Mapping[str, Member]:
        return {member.region: member for member in self.members}

    @cached_property
    def listed(self) -> list[dict[str, Any]]:
        """The members in the form of messages between replicas."""
        return [plain(member) for member in self.members]

    @cached_property
    def lost(self) -> frozenset[tuple[str, int]]:
        """The lost members, as (region, number)."""
        return frozenset((member.region, member.lost) for member in self.members if member.lost)

    @cached_property
    def present(self) -> tuple[Member, ...]:
        """The members that are not removed."""
        return tuple(member for member in self.members if not member.is_gone)

    @cached_property
    def others(self) -> tuple[Member, ...]:
        """The other members that are not removed."""
        return tuple(member for member in self.present if member.region != self.own)

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """The regions whose changes this replica reads."""
        if self.kind != SINGLE_MASTER:
            return tuple(member.region for member in self.others)
        return tuple(member.region for member in self.others if member.region == self.master)

    @property
    def is_legacy(self) -> bool:
        return self.kind == LEGACY_MULTI_MASTER

    @property
    def is_changing(self) -> bool:
        """Whether a replica is being added or removed."""
        return any(member.state != ACTIVE for member in self.present)

    @property
    def accepts_writes(self) -> bool:
        return self.kind != SINGLE_MASTER or self.master == self.own

    def state_of(self, region: str) -> str | None:
        member = self.by_region.get(region)
        return None if member is None else member.state

    def with_member(self, member: Member) -> Group:
        """The group with this member added or replaced."""
        members = {**self.by_region, member.region: member}
        return replace(self, members=tuple(members[region] for region in sorted(members)))

    def with_state(self, region: str, state: str, version: Version) -> Group:
        """The group with a later state of this member. CREATING adds the region again."""
        member = self.by_region.get(region) or Member(region, REMOVED, 0, "", number=0)
        number = member.number + 1 if state == CREATING else member.number
        return self.with_member(replace(member, state=state, time=version.time, by=version.region, number=number))

    def merge(
        self, members: Iterable[Member], term: int = 0, master: str | None = None, since: int = 0, kind: str = ""
    ) -> Group:
        """This copy, merged with another replica's."""
        group = self
        for member in members:
            known = group.by_region.get(member.region)
            merged = member if known is None else known.merge(member)
            if merged != known:
                group = group.with_member(merged)
        if (term, master or "") > (group.term, group.master or ""):
            group = replace(group, term=term, master=master, since=since)
        if group.is_legacy and kind == MULTI_MASTER:  # upgraded, which is final
            group = replace(group, kind=kind)
        return group
