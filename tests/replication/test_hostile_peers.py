"""An authenticated peer with invalid answers: it changes nothing, its fault is shown, and reading continues later.

us-east-1 is hostile, ap-northeast-1 reads from it over HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvloop

from atoll.database import rows as item_rows
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.node import Node
from atoll.replication import answers
from atoll.replication.exchange import Handler
from atoll.replication.messages import Message
from atoll.storage.engine import Full
from atoll.versions import COUNTER_BITS, Version
from tests import desk
from tests.engines import findings
from tests.replication.conftest import JP, START_MS, US, pair, peering, running

Change = Callable[[dict[str, Any], list[bytes]], object]
"""Makes nonsense of the head and the parts of an answer."""

YEAR_6399 = 139_797_273_599_999 << COUNTER_BITS
IN_25_HOURS = (START_MS + 25 * 3_600_000) << COUNTER_BITS


class World:
    def __init__(self, keys: Path) -> None:
        self.us, self.jp = pair(keys)
        self._forgeries: dict[str, Change] = {}
        self.us.peering.handlers.update({name: self._forging(name) for name in ("changes", "rows")})

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with running(self.us, self.jp):
                await self.call(
                    self.us, "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST",
                    KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                )  # fmt: skip
                await self.put("first")
                await story()

        uvloop.run(asyncio.wait_for(main(), 100))

    async def call(self, node: Node, operation: str, **body: Any) -> Any:
        answer = await desk.call(node.region(), operation, orjson.loads(orjson.dumps(body)))
        return orjson.loads(orjson.dumps(answer))

    async def put(self, pk: str) -> None:
        await self.call(self.us, "PutItem", TableName="Things", Item={"pk": {"S": pk}, "n": {"N": "1"}})

    async def add_replica(self) -> None:
        await self.call(self.us, "UpdateTable", TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": JP}}])
        await self.settle()

    async def settle(self) -> None:
        for _ in range(4):
            await self.us.settle()
            await self.jp.settle()

    async def items(self) -> list[str]:
        found = await self.call(self.jp, "Scan", TableName="Things")
        return sorted(item["pk"]["S"] for item in found["Items"])

    def error(self) -> str | None:
        (shown,) = self.jp.peering.replication[JP].progress(US)
        error: str | None = shown["last_error"]
        return error

    def forge(self, name: str, change: Change) -> None:
        """Answer questions of this name with nonsense from now on, if the answer has parts."""
        self._forgeries[name] = change

    def mend(self) -> None:
        self._forgeries.clear()

    def _forging(self, name: str) -> Handler:
        async def answer(region: Region, asking: str, message: Message) -> Message:
            given = await answers.HANDLERS[name](region, asking, message)
            change = self._forgeries.get(name)
            if change is None or not given.parts:
                return given
            head, parts = orjson.loads(orjson.dumps(given.head)), list(given.parts)
            other = change(head, parts)
            return other if isinstance(other, Message) else Message(given.name, head, parts)

        return answer


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(peering(tmp_path))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def setting(path: str, value: Any) -> Change:
    """Sets a member of the head, as "group.members.0.time"."""

    def change(head: dict[str, Any], parts: list[bytes]) -> None:
        *way, last = path.split(".")
        found: Any = head
        for step in way:
            found = found[int(step)] if isinstance(found, list) else found[step]
        found[int(last) if isinstance(found, list) else last] = value

    return change


def without(name: str) -> Change:
    return lambda head, parts: head.pop(name)


def part(number: int, value: bytes) -> Change:
    return lambda head, parts: parts.__setitem__(number, value)


def item(value: bytes, size: int = 8) -> Change:
    def change(head: dict[str, Any], parts: list[bytes]) -> None:
        parts[1] = value
        head["rows"][0][2] = size

    return change


NONSENSE_CHANGES: dict[str, tuple[Change, str]] = {
    "another message": (lambda head, parts: Message("rows", head, parts), "its name is rows"),
    "no rows": (without("rows"), "it lacks rows"),
    "no group": (without("group"), "it lacks group"),
    "rows that are no list": (setting("rows", 5), "rows: 5 is not a list"),
    "a row of other length": (setting("rows.0", [1, 2]), "is not a list of 6"),
    "a time that is not a number": (setting("rows.0.0", "now"), "'now' is not a time"),
    "a time that is a fraction": (setting("rows.0.0", 1.5), "1.5 is not a time"),
    "a negative time": (setting("rows.0.0", -1), "-1 is not a time"),
    "a time of more than 64 bits": (setting("rows.0.0", 1 << 63), "is not a time"),
    "a time of the year 6399": (setting("rows.0.0", YEAR_6399), "seconds ahead: the clock of one of the two is wrong"),
    "a time in 25 hours": (setting("rows.0.0", IN_25_HOURS), "90000 seconds ahead"),
    "a previous version ahead": (setting("rows.0.3", YEAR_6399), "seconds ahead"),
    "a member ahead": (setting("group.members.0.time", YEAR_6399), "seconds ahead"),
    "settings ahead": (setting("group.settings", [YEAR_6399, US]), "seconds ahead"),
    "an unknown state": (setting("group.members.0.state", "DEAD"), "'DEAD' is none of CREATING, ACTIVE"),
    "a member without a state": (setting("group.members.0", {"region": US}), "it lacks state"),
    "an unknown kind": (setting("group.kind", "anarchy"), "'anarchy' is none of"),
    "positions that are no pairs": (setting("positions", [[1]]), "positions: [1] is not a list of 2"),
    "positions that are no numbers": (setting("positions", {"1": 2}), "is not a list"),
    "another question": (setting("asked.positions", [[99, 99]]), "the answer to another question"),
    "no parts": (lambda head, parts: parts.clear(), "0 parts for 1 changes"),
    "a key that is not JSON": (part(0, b"{"), "is not JSON"),
    "a key that is not an object": (part(0, b"[]"), "is not a key of Things"),
    "a key of another table": (part(0, b'{"id":{"S":"x"}}'), "is not a key of Things"),
    "a key of another type": (part(0, b'{"pk":{"N":"1"}}'), "is not a key of Things"),
    "an empty key": (part(0, b'{"pk":{"S":""}}'), "is not a key of Things"),
    "a key that is too long": (part(0, b'{"pk":{"S":"%s"}}' % (b"x" * 3_000)), "is not a key of Things"),
    "a key with more attributes": (part(0, b'{"pk":{"S":"x"},"n":{"N":"1"}}'), "is not a key of Things"),
    "an item that is not JSON": (part(1, b"}"), "is not JSON"),
    "an item that is a list": (part(1, b"[]"), "is not an item"),
    "an item without types": (part(1, b'{"pk":"x"}'), "is not an item"),
    "an item of unknown types": (part(1, b'{"pk":{"S":"second"},"n":{"X":"1"}}'), "is not an item"),
    "an item of another key": (item(b'{"pk":{"S":"x"},"n":{"N":"1"}}', 6), "has another key than its change"),
    "an item without its key": (item(b'{"n":{"N":"1"}}', 3), "is not an item of Things"),
    "a number that is not canonical": (item(b'{"pk":{"S":"second"},"n":{"N":"01.0"}}', 11), "is not an item of Things"),
    "a size that is wrong": (setting("rows.0.2", 5), "an item of 11 bytes claims to have 5"),
    "an item that is too large": (
        item(b'{"pk":{"S":"second"},"n":{"S":"%s"}}' % (b"x" * 420_000), 420_009),
        "bytes; at most 410624 are stored",
    ),
    "values nested too deeply": (item(b'{"pk":{"S":"second"},"n":' + b'{"L":[' * 40 + b"]}" * 40 + b"}"), "is not an"),
    "JSON nested too deeply": (part(1, b'{"L":[' * 2_000), "is not JSON"),
    "a frame of 16 MB": (lambda head, parts: parts.append(bytes(16 * 1024 * 1024 - 10_000)), "3 parts for 1 changes"),
    "many changes": (
        lambda head, parts: head.update(rows=head["rows"] * 1_200) or parts.extend(parts * 1_199),
        "1200 changes; at most 1000",
    ),
    "many positions": (setting("positions", [[1, 1]] * 10_001), "a list of 10001; at most 10000"),
    "many large parts": (lambda head, parts: parts.extend([bytes(3 * 1024**2)] * 3), "besides its largest part"),
    "a large item": (part(1, b'{"pk":{"S":"' + b"s" * 7_000_000 + b'"}}'), "the JSON of an item has 7000015 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NONSENSE_CHANGES)
def test_a_nonsensical_change_is_not_applied(world: World, kind: str) -> None:
    change, reason = NONSENSE_CHANGES[kind]

    async def story() -> None:
        await world.add_replica()
        assert await world.items() == ["first"]
        world.forge("changes", change)
        await world.put("second")
        await world.settle()
        error = world.error()
        assert error is not None and "the answer of us-east-1 is invalid" in error
        assert reason in error
        assert await world.items() == ["first"]
        world.mend()
        await world.settle()
        assert await world.items() == ["first", "second"]
        assert world.error() is None
        assert not findings(world.jp.region())

    world.run(story)


def item_row(json: bytes, size: int = 11, time: int = START_MS << COUNTER_BITS) -> bytes:
    return item_rows.item_row(Version(time, US), size, json)


ITEM = b'{"pk":{"S":"first"},"n":{"N":"1"}}'

NONSENSE_ROWS: dict[str, tuple[Change, str]] = {
    "another message": (lambda head, parts: Message("changes", head, parts), "its name is changes"),
    "no links": (without("links"), "lacks the positions of the copy"),
    "links that are no objects": (setting("links", {"eu-west-1": 5}), "5 is not a Link"),
    "another part": (setting("part", "everything"), "'everything' is none of items, tombstones"),
    "tombstones for items": (setting("part", "tombstones"), "the answer to another question"),
    "another question": (setting("after", "00"), "the answer to another question"),
    "no end": (setting("last", ""), "does not name its last row"),
    "an end that is not a number": (setting("last", "xyz"), "'xyz' is not a hexadecimal number"),
    "nothing, but more to come": (lambda head, parts: parts.clear() or head.update(all=False), "its last row"),
    "a key alone": (lambda head, parts: parts.pop(), "a key lacks its row"),
    "rows twice": (lambda head, parts: parts.extend(parts), "not in the order of their keys"),
    "a row of no bytes": (part(1, b""), "cannot be read"),
    "a row of some bytes": (part(1, b"\0" * 7), "cannot be read"),
    "a row of many bytes": (part(1, b"\xff" * 99), "cannot be read"),
    "an item at another key": (part(1, item_row(b'{"pk":{"S":"other"},"n":{"N":"1"}}', 10)), "is not at its key"),
    "a size that is wrong": (part(1, item_row(ITEM, 1)), "an item of 10 bytes claims to have 1"),
    "a time of the year 6399": (part(1, item_row(ITEM, 10, YEAR_6399)), "seconds ahead"),
    "an item that is none": (part(1, item_row(b'{"pk":5}')), "is not an item"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NONSENSE_ROWS)
def test_a_nonsensical_copy_is_not_stored(world: World, kind: str) -> None:
    change, reason = NONSENSE_ROWS[kind]

    async def story() -> None:
        world.forge("rows", change)
        await world.add_replica()
        error = world.error()
        assert error is not None and "the answer of us-east-1 is invalid" in error
        assert reason in error
        world.mend()
        await world.settle()
        assert await world.items() == ["first"]
        assert world.error() is None
        assert not findings(world.jp.region())

    world.run(story)


@pytest.mark.parametrize(
    "message",
    [
        Message("changes", {}),
        Message("changes", {"table": "Things"}),
        Message("rows", {"table": 5}),
        Message("items", {}),
        Message("join", {}),
        Message("join", {}, [b"{"]),
        Message("join", {}, [b'{"name": "Things"}']),
        Message("join", {}, [b"{}", b"{}"]),
        Message("override", {"table": "Things", "group": "g"}),
        Message("table", {}),
        Message("table", {"table": None}),
    ],
    ids=lambda message: f"{message.name} {message.head} {b''.join(message.parts).decode()}",
)
def test_a_nonsensical_question_is_refused(world: World, message: Message) -> None:
    async def story() -> None:
        await world.add_replica()
        with pytest.raises(ApiError, match="The body is not a message of a peer"):
            await world.us.peering.exchange.ask(US, JP, message)

    world.run(story)


def test_the_loop_in_the_background_survives_nonsense(world: World) -> None:
    async def story() -> None:
        await world.add_replica()
        state = world.jp.peering.replication[JP].states["Things", US]
        task, before = state.task, state.applied
        world.forge("changes", without("rows"))
        await world.put("second")
        await until(lambda: state.last_error is not None)
        world.mend()
        await until(lambda: state.last_error is None and state.applied == before + 1)
        assert await world.items() == ["first", "second"]
        assert task is not None and state.task is task

    world.run(story)


@pytest.mark.parametrize("error", [Full("the disk is full"), ApiError("InternalServerError", "no"), KeyError("bug")])
def test_a_reader_that_cannot_write_shows_it_and_continues_later(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        await world.add_replica()
        state, region = world.jp.peering.replication[JP].states["Things", US], world.jp.region()
        task, before = state.task, state.applied

        async def fail(run: Any) -> Any:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(region, "write", fail)
            await world.put("second")
            await until(lambda: state.last_error is not None)
            assert str(error) in str(state.last_error)
        await until(lambda: state.last_error is None and state.applied == before + 1)
        assert await world.items() == ["first", "second"]
        assert task is not None and state.task is task

    world.run(story)
