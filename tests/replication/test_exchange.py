from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from atoll import errors
from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.replication.exchange import MOST_WAITING, LocalExchange, Neighbourhood, RoutedExchange, Unreachable
from atoll.replication.messages import Message
from atoll.storage.memory import MemoryEngine

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def region(name: str) -> Region:
    return Region(name, MemoryEngine(), ManualClock(0))


async def _greet(asked: Region, source: str, message: Message) -> Message:
    return Message("greeted", {"asked": asked.name, "source": source, **message.head}, message.parts)


async def _refuse(asked: Region, source: str, message: Message) -> Message:
    raise errors.resource_not_found()


SERVED = ["us-east-1", "eu-west-1"]
LOCAL = LocalExchange({"greet": _greet, "refuse": _refuse}, region, SERVED)


def test_a_region_of_this_node_answers() -> None:
    parts = [b"a part"]
    found = run(LOCAL.ask("us-east-1", "eu-west-1", Message("greet", {"n": 1}, parts)))
    assert found == Message("greeted", {"asked": "eu-west-1", "source": "us-east-1", "n": 1}, parts)
    assert found.parts is parts, "within a process nothing is encoded or copied"


def test_a_refusal_reaches_the_region_that_asks() -> None:
    with pytest.raises(errors.ApiError, match="ResourceNotFoundException"):
        run(LOCAL.ask("us-east-1", "eu-west-1", Message("refuse", {})))


@pytest.mark.parametrize(
    ("target", "name", "reason"), [("sa-east-1", "greet", "sa-east-1"), ("eu-west-1", "sing", "sing")]
)
def test_an_unknown_region_or_message_is_unreachable(target: str, name: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason):
        run(LOCAL.ask("us-east-1", target, Message(name, {})))


def test_each_region_is_asked_where_it_is_served() -> None:
    remote = LocalExchange({"greet": _greet}, region, ["ap-northeast-1"])
    routed = RoutedExchange(LOCAL, SERVED, {"ap-northeast-1": remote})
    for target in [*SERVED, "ap-northeast-1"]:
        assert run(routed.ask("us-east-1", target, Message("greet", {}))).head["asked"] == target
    with pytest.raises(Unreachable, match="sa-east-1"):
        run(routed.ask("us-east-1", "sa-east-1", Message("greet", {})))


def test_few_questions_of_operations_wait_for_a_silent_region() -> None:
    """Each took a connection, also after its client had left."""
    go_on = asyncio.Event()

    class Silent:
        async def ask(self, source: str, target: str, message: Message) -> Message:
            if target == "silent":
                await go_on.wait()
            return message

    async def main() -> None:
        region = Neighbourhood(Silent(), lambda name: True)
        asked = [asyncio.ensure_future(region.ask("here", "silent", Message("table", {}))) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Unreachable, match="questions wait"):
            await region.ask("here", "silent", Message("table", {}))
        await region.ask("here", "there", Message("table", {}))
        go_on.set()
        await asyncio.gather(*asked)
        await region.ask("here", "silent", Message("table", {}))

    asyncio.run(main())
