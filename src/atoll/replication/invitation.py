"""The message by which a replica invites another region to have one, too."""

from __future__ import annotations

from dataclasses import dataclass

from atoll.database.schema import Table


@dataclass(frozen=True)
class Invitation:
    """What a new replica needs of the one that invites it."""

    table: Table
    time: int
    """A hybrid logical clock time of the inviting region: all of its changes that were dropped are older."""
