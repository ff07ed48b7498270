"""The events of a simulated world: writes of users, faults, work of the regions, changes of the group.

Each action takes the world and returns nothing; it does nothing where it is impossible. `ACTIONS` has their weights.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from atoll.api import items, multi, tables, ttl
from atoll.database import background, tombstones
from atoll.database.group import ACTIVE, CREATING, REMOVED, Group
from atoll.database.log import maintenance
from atoll.database.schema import Table
from atoll.replication import membership, steps
from atoll.storage.engine import Transaction
from atoll.versions import Stamp
from tests.simulation.place import TABLE, SimulatedRegion
from tests.simulation.world import Work, World

HOUR_MS = 3_600_000
PARTITIONS, SORTS = ("a", "b", "c", "d"), (0, 1, 2)
GROUPS, NUMBERS = ("x", "y"), (1, 2)

Action = Callable[[World], None]


def nothing(result: Any) -> None:
    """Nobody waits for the result."""


def create(world: World, place: SimulatedRegion) -> None:
    """A table with an index of each kind, and time to live."""
    attributes = (("pk", "S"), ("sk", "N"), ("g", "S"), ("l", "N"))
    by_group: dict[str, Any] = {
        "IndexName": "by-group",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["v"]},
    }
    by_number: dict[str, Any] = {
        "IndexName": "by-number",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    body: dict[str, Any] = {
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes],
        "GlobalSecondaryIndexes": [by_group],
        "LocalSecondaryIndexes": [by_number],
    }
    world.now(place, tables.create_table(place.region, body))
    specification = {"Enabled": True, "AttributeName": "expires"}
    body = {"TableName": TABLE, "TimeToLiveSpecification": specification}
    world.now(place, ttl.update_time_to_live(place.region, body))


# Users


def _key(world: World) -> dict[str, Any]:
    choose = world.random
    return {"pk": {"S": choose.choice(PARTITIONS)}, "sk": {"N": str(choose.choice(SORTS))}}


def _item(world: World, place: SimulatedRegion) -> dict[str, Any]:
    choose = world.random
    world.counts["value"] += 1
    item = {**_key(world), "v": {"N": str(world.counts["value"] if choose.random() < 0.9 else 0)}}
    if choose.random() < 0.5:
        item["g"] = {"S": choose.choice(GROUPS)}
    if choose.random() < 0.5:
        item["l"] = {"N": str(choose.choice(NUMBERS))}
    if choose.random() < 0.3:
        item["expires"] = {"N": str(place.clock.now_ms() // 1000 + choose.choice((0, 1, 60, 7200)))}
    return item


def _change(world: World, place: SimulatedRegion) -> tuple[str, dict[str, Any]]:
    """A change of one item, as its member in TransactWriteItems."""
    choose = world.random
    kind = choose.choice(("Put", "Put", "Put", "Update", "Delete", "Delete"))
    body: dict[str, Any] = {"TableName": TABLE}
    if kind == "Put":
        body["Item"] = _item(world, place)
    else:
        body["Key"] = _key(world)
    if kind == "Update":
        world.counts["value"] += 1
        expression = choose.choice(("SET v = :v", "SET v = :v REMOVE g, expires", "ADD n :v"))
        body["UpdateExpression"] = expression
        body["ExpressionAttributeValues"] = {":v": {"N": str(world.counts["value"])}}
    if choose.random() < 0.3:
        body["ConditionExpression"] = choose.choice(("attribute_exists(pk)", "attribute_not_exists(pk)"))
    return kind, body


_OPERATIONS = {"Put": items.put_item, "Update": items.update_item, "Delete": items.delete_item}


def write(world: World) -> None:
    place = world.some(lambda place: place.accepts_writes)
    if place is not None:
        _write(world, place)


def _write(world: World, place: SimulatedRegion) -> None:
    kind, body = _change(world, place)
    world.note(f"{place.name}: {kind} {body.get('Item') or body['Key']}")
    world.run(place, _OPERATIONS[kind](place.region, body), nothing)


def transact(world: World) -> None:
    place = world.some(lambda place: place.accepts_writes)
    if place is None:
        return
    changes = [_change(world, place) for _ in range(world.random.choice((2, 3)))]
    world.note(f"{place.name}: transaction {changes}")
    body = {"TransactItems": [{kind: change} for kind, change in changes]}
    world.run(place, multi.transact_write_items(place.region, body), nothing)


# Messages


def ask(world: World) -> None:
    place = world.some(lambda place: _group(place) is not None)
    if place is None or not _others(place):
        return
    other = world.random.choice(_others(place))
    world.note(f"{place.name} asks {other}")
    world.ask(place, other)


def invite_again(world: World) -> None:
    place = world.some(lambda place: _group(place) is not None)
    for letter in world.invitations(place) if place is not None else ():
        world.note(f"{letter.sender} asks {letter.receiver} to join")
        world.network.send(letter)


def deliver(world: World) -> None:
    if not len(world.network):
        return
    letter = world.network.take()
    if letter is not None:
        world.note(f"{letter.kind} from {letter.sender} reaches {letter.receiver}: {letter.frame[4:90]!r}")
        world.deliver(letter, world.network.send)


def go_on(world: World) -> None:
    world.go_on()


def cut(world: World) -> None:
    one, other = world.random.sample(sorted(world.places), 2)
    world.note(f"cut {one} to {other}")
    world.network.cut.add((one, other))
    if world.random.random() < 0.5:
        world.network.cut.add((other, one))


def heal(world: World) -> None:
    world.network.heal()


def give_up(world: World) -> None:
    """A replica cannot reach another one."""
    place = world.some(lambda place: _group(place) is not None)
    if place is not None and _others(place):
        other = world.random.choice(_others(place))
        if (place.name, other) in world.network.cut:
            _give_up(world, place, other)


def _give_up(world: World, place: SimulatedRegion, other: str) -> None:
    world.refresh(place)
    world.now(place, steps.unreachable(place.region, TABLE, other))
    group = _group(place)
    if group is not None and group.state_of(other) == REMOVED:
        world.note(f"{place.name} gives {other} up")
        world.places[other].give_up()


def abandon(world: World) -> None:
    """A replica is removed, but cannot be reached for a day. Some have read its last change, others have not."""
    place = world.some(_is_one_of_many)
    if place is None:
        return
    target = world.places[world.random.choice(_others(place))]
    if target.accepts_writes:
        _write(world, target)
    _read_once(world, world.random.choice(list(world.places.values())), target.name)
    world.note(f"{place.name} expels {target.name}, which is cut off")
    for name in world.places:
        if world.random.random() < 0.8:
            world.network.cut |= {(name, target.name), (target.name, name)}
    change_group(world, place, lambda tx, stamp, table: membership.expel(tx, stamp, table, target.name))
    world.pass_time(25 * HOUR_MS)
    for other in world.places.values():
        if other is not target and target.name in _others(other):
            _read_once(world, other, place.name)
            if (other.name, target.name) in world.network.cut:
                _give_up(world, other, target.name)


def _read_once(world: World, place: SimulatedRegion, other: str) -> None:
    letter = world.question(place, other)
    if letter is not None and place.name != other:
        world.exchange(letter)


# Processes and clocks


def crash(world: World) -> None:
    place = world.random.choice(list(world.places.values()))
    world.note(f"{place.name} crashes")
    world.crash(place)


def pass_time(world: World) -> None:
    world.pass_time(world.random.choice((1, 10, 1_000, 1_000, 60_000, 600_000)))


def pass_hours(world: World) -> None:
    world.pass_time(HOUR_MS * world.random.choice((1, 2, 7, 25)))
    world.note(f"it is {world.now_ms}")


def skew(world: World) -> None:
    set_wrong(world, world.random.choice(list(world.places.values())))


def set_wrong(world: World, place: SimulatedRegion) -> None:
    skew_ms = world.random.choice((0, -1_000, 1_000, -60_000, 60_000, -2 * HOUR_MS, 2 * HOUR_MS, 240 * HOUR_MS))
    world.note(f"the clock of {place.name} differs by {skew_ms} ms")
    world.set_skew(place, skew_ms)


def work(world: World) -> None:
    """The jobs of a region that are due."""
    place = world.random.choice(list(world.places.values()))
    world.note(f"{place.name}: jobs")
    world.run(place, background.run(place.region), nothing)


def drop_tombstones(world: World) -> None:
    place = world.some(lambda place: _group(place) is not None)
    if place is not None:
        world.note(f"{place.name}: tombstones")
        world.run(place, drop(place), nothing)


def drop(place: SimulatedRegion) -> Work:
    region = place.region
    return region.write(lambda tx, stamp: tombstones.drop(tx, region, stamp, TABLE.encode()))


# The log


def _maintain(world: World, force: Callable[..., Any]) -> None:
    place = world.some(lambda place: _group(place) is not None and place.accepts_writes)
    if place is not None:
        world.note(f"{place.name}: {force.__name__}")
        region = place.region
        world.run(place, region.transact(lambda tx: force(tx, region, TABLE, place.clock.now_ms())), nothing)


def rotate(world: World) -> None:
    _maintain(world, maintenance.force_rotate)


def split(world: World) -> None:
    if any(place.table is not None and len(place.table.shards) > 8 for place in world.places.values()):
        return
    _maintain(world, maintenance.force_split)


def trim(world: World) -> None:
    _maintain(world, maintenance.force_trim)


# The group


def _group(place: SimulatedRegion) -> Group | None:
    return None if place.table is None else place.table.group


def _others(place: SimulatedRegion) -> list[str]:
    group = _group(place)
    return [] if group is None else [member.region for member in group.others]


def _is_active(place: SimulatedRegion) -> bool:
    group = _group(place)
    return group is not None and place.accepts_writes and group.state_of(place.name) == ACTIVE


def change_group(world: World, place: SimulatedRegion, function: Callable[[Transaction, Stamp, Table], Any]) -> None:
    def run(tx: Transaction, stamp: Stamp) -> None:
        table = place.region.catalog.find(tx, TABLE)
        if table is not None and table.group is not None and table.status == "ACTIVE":
            function(tx, stamp, table)

    world.run(place, place.region.write(run), nothing)


def found(world: World) -> None:
    """Make an ordinary table the first replica of a group, or create one."""
    place = world.random.choice(list(world.places.values()))
    if place.table is None:
        if all(other.table is None for other in world.places.values()):
            world.note(f"{place.name}: a table")
            create(world, place)
    elif place.table.group is None and place.accepts_writes and not any(map(_group, world.places.values())):
        world.note(f"{place.name}: a group")
        begin(world, place)


def begin(world: World, place: SimulatedRegion) -> None:
    region, group = place.region, str(uuid.UUID(int=world.random.getrandbits(128)))

    def run(tx: Transaction, stamp: Stamp) -> None:
        table = region.catalog.find(tx, TABLE)
        assert table is not None
        membership.create_group(tx, region, stamp, table, group)

    world.now(place, region.write(run))


def invite(world: World) -> None:
    place = world.some(_is_active)
    if place is None:
        return
    group = _group(place)
    assert group is not None
    targets = [name for name in world.places if group.state_of(name) in (None, REMOVED)]
    if targets:
        add(world, place, world.random.choice(targets))


def add(world: World, place: SimulatedRegion, target: str) -> None:
    if world.random.random() < 0.3:
        world.set_skew(world.places[target], -2 * HOUR_MS)
    world.note(f"{place.name} invites {target}")
    change_group(world, place, lambda tx, stamp, table: membership.invite(tx, stamp, table, target))


def _is_one_of_many(place: SimulatedRegion) -> bool:
    group = _group(place)
    return _is_active(place) and group is not None and sum(member.state == ACTIVE for member in group.members) > 1


def expel(world: World) -> None:
    place = world.some(_is_one_of_many)
    if place is None:
        return
    group = _group(place)
    assert group is not None
    target = world.random.choice([member.region for member in group.others if member.state in (ACTIVE, CREATING)])
    world.note(f"{place.name} expels {target}")
    change_group(world, place, lambda tx, stamp, table: membership.expel(tx, stamp, table, target))


def leave(world: World) -> None:
    place = world.some(_is_one_of_many)
    if place is not None:
        world.note(f"{place.name} leaves")
        change_group(world, place, membership.leave)


def delete(world: World) -> None:
    """Delete an ordinary table, so that a replica may come in its place."""
    place = world.some(lambda place: place.accepts_writes and _group(place) is None)
    if place is not None and any(map(_group, world.places.values())):
        world.note(f"{place.name}: delete the table")
        world.run(place, tables.delete_table(place.region, {"TableName": TABLE}), nothing)


ALWAYS: dict[Action, int] = {
    write: 60, transact: 6, ask: 60, deliver: 120, go_on: 30, pass_time: 10, work: 5, invite_again: 5,
    drop_tombstones: 4, found: 2, delete: 1,
}  # fmt: skip
SOMETIMES: dict[Action, int] = {
    cut: 4, heal: 3, give_up: 2, crash: 4, pass_hours: 3, skew: 3, rotate: 3, split: 2, trim: 3, invite: 4, expel: 2,
    leave: 1, abandon: 1,
}  # fmt: skip
"""Each world has some of them."""
