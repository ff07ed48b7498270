"""One life of a world: actions in a random order, quiet points with all checks, and its end.

All choices come from the seed. A `Violation` tells how to repeat it, and the actions before it.
"""

from __future__ import annotations

from collections import Counter
from functools import cache

from atoll.database import background
from atoll.storage.memory import MemoryState
from tests.simulation import actions, checks
from tests.simulation.model import Violation
from tests.simulation.place import SimulatedRegion
from tests.simulation.world import TRACED, World

ROUNDS = 40
QUESTIONS = 400
"""More of them at a quiet point mean that the replicas never come to rest."""


def simulate(seed: int) -> Counter[str]:
    """Raises a `Violation`; returns how often what happened."""
    world = World(seed)
    try:
        with world.small_pages():
            Simulation(world).run()
    except BaseException as error:
        error.add_note("\n".join(["the last actions:", *world.trace[-TRACED:]]))
        error.add_note(f"repeat it: make simulate SEEDS=1 FIRST={seed}")
        raise
    world.counts["conflicts"] += sum(place.conflicts for place in world.places.values())
    return world.counts


@cache
def _new_table() -> MemoryState:
    """A store with a new table in the first region."""
    world = World(0)
    first = next(iter(world.places.values()))
    actions.create(world, first)
    return first.engine.snapshot()


class Simulation:
    def __init__(self, world: World) -> None:
        self.world = world
        self._quiet: dict[tuple[str, str], tuple[int, int]] = {}
        """For each reader and source: the states of their stores in which the one had nothing to learn."""

    def run(self) -> None:
        world, choose = self.world, self.world.random
        self._begin()
        weights = dict(actions.ALWAYS)
        for action, weight in actions.SOMETIMES.items():
            if choose.random() < 0.6:
                weights[action] = weight
        kinds, shares = list(weights), list(weights.values())
        for _ in range(choose.choice((1, 1, 2, 3))):
            for action in choose.choices(kinds, shares, k=choose.choice((50, 100, 200))):
                action(world)
                world.counts[action.__name__] += 1
            self._rest()
            checks.check(world)
            if choose.random() < 0.3:
                self._forget_deletions()
                actions.invite(world)
        self._end()

    def _begin(self) -> None:
        world, choose = self.world, self.world.random
        first, *others = world.places.values()
        first.load(_new_table())
        for _ in range(choose.choice((0, 3, 10))):
            actions.write(world)
        world.finish_all()
        actions.begin(world, first)
        for place in others:
            if choose.random() < 0.7:
                actions.add(world, first, place.name)
        if choose.random() < 0.7:
            self._rest()
        for place in world.places.values():
            if choose.random() < 0.2:
                actions.set_wrong(world, place)

    # Quiet points

    def _rest(self) -> None:
        """Heal all links, deliver all messages, and let all regions work until none has work left."""
        world = self.world
        world.note("rest")
        world.network.heal()
        world.finish_all()
        for letter in world.network.all():
            world.exchange(letter)
        for _ in range(ROUNDS):
            before = world.changes
            for place in world.places.values():
                world.now(place, background.run(place.region))
                for letter in world.invitations(place):
                    world.exchange(letter)
                for other in world.places:
                    self._catch_up(place, other)
            if world.changes == before:
                return
        raise Violation("the regions never come to rest")

    def _forget_deletions(self) -> None:
        """Let replicas drop their tombstones, as they do after some hours. One of them may be late."""
        places = list(self.world.places.values())
        late = self.world.random.choice((None, *places))
        for number in range(3):
            for place in places:
                if place is not late or number == 0:
                    self.world.now(place, actions.drop(place))
            self._rest()

    def _catch_up(self, place: SimulatedRegion, other: str) -> None:
        world, source, pair = self.world, self.world.places[other], (place.name, other)
        for _ in range(QUESTIONS):
            before = place.changes, source.changes
            if self._quiet.get(pair) == before:
                return
            letter = world.question(place, other)
            if letter is not None:
                world.exchange(letter)
            if (place.changes, source.changes) == before:
                self._quiet[pair] = before
        raise Violation(f"{place.name} never has asked {other} enough")

    def _end(self) -> None:
        """When the clocks agree again, all has expired and hours have passed, no tombstone is left."""
        world = self.world
        latest_ms = checks.latest_ms(world)
        for place in world.places.values():
            world.set_skew(place, 0)
        world.pass_time(latest_ms - world.now_ms)
        for hours in (3, 1, 1):
            # A region that joined now may have a floor ahead of its clock, from a clock that was fast.
            world.pass_time(max(0, checks.latest_ms(world) - world.now_ms) + hours * actions.HOUR_MS)
            self._rest()
        checks.check(world)
        checks.check_end(world)
