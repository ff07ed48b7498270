"""The links of a node, and of its peer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from atoll.clock import ManualClock
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.replication.exchange import LocalExchange, RoutedExchange, Unreachable
from atoll.replication.faults import Faults, LinkFaults
from atoll.replication.links import Links, changed
from atoll.replication.messages import Message
from atoll.storage.memory import MemoryEngine

T = TypeVar("T")
US, EU, JP = "us-east-1", "eu-west-1", "ap-northeast-1"
NEW = {"partition": False, "paused": False, "delay_ms": 0, "jitter_ms": 0, "loss": 0, "duplicate": 0}


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class Down:
    async def ask(self, source: str, target: str, message: Message) -> Message:
        raise Unreachable("no cable")


class Nonsense:
    async def ask(self, source: str, target: str, message: Message) -> Message:
        return Message("links", {"links": [{"to": 5}]})


class Node:
    def __init__(self, regions: list[str], peers: list[str], fixed: bool = False) -> None:
        self.faults = Faults()
        self.handlers: dict[str, Any] = {}
        self.local = LocalExchange(self.handlers, lambda name: Region(name, MemoryEngine(), ManualClock(0)), regions)
        self.peers: dict[str, Any] = {}
        exchange = RoutedExchange(self.local, regions, self.peers)
        self.links = Links(self.faults, exchange, regions, peers, lambda from_, to: [{"table": f"{from_}>{to}"}],
                           fixed=fixed)  # fmt: skip
        self.handlers |= self.links.handlers


def pair() -> tuple[Node, Node]:
    """A node with two regions, and its peer with another."""
    one, other = Node([US, EU], [JP]), Node([JP], [US, EU])
    one.peers[JP] = other.local
    other.peers |= {US: one.local, EU: one.local}
    return one, other


def shown(node: Node) -> dict[tuple[str, str], dict[str, Any]]:
    rows = run(node.links.show())
    return {(row.pop("from"), row.pop("to")): row for row in rows}


def test_all_links_between_all_regions_are_shown_with_their_progress() -> None:
    one, other = pair()
    expected = {
        (a, b): {**NEW, "tables": [{"table": f"{a}>{b}"}]} for a in (US, EU, JP) for b in (US, EU, JP) if a != b
    }
    assert shown(one) == expected
    assert list(shown(one)) == [(US, EU), (US, JP), (EU, US), (EU, JP), (JP, US), (JP, EU)]
    assert shown(other) == expected
    assert shown(Node([US], [])) == {}


def test_a_change_has_only_the_members_that_it_names() -> None:
    node = Node([US, EU], [])
    run(node.links.change({"from": US, "to": EU, "delay": "200ms", "loss": 0.5}))
    run(node.links.change({"from": US, "to": EU, "paused": True, "loss": 0}))
    assert node.faults.of(US, EU) == LinkFaults(paused=True, delay_ms=200)
    assert node.faults.of(EU, US) == LinkFaults()
    run(node.links.change({"from": US, "to": EU, "paused": False, "delay": 0}))
    assert node.faults.all() == {}


@pytest.mark.parametrize("asked", [0, 1])
@pytest.mark.parametrize(("from_", "to", "owner"), [(US, JP, 1), (JP, EU, 0), (EU, US, 0)])
def test_the_node_that_serves_the_receiving_region_has_the_faults(asked: int, from_: str, to: str, owner: int) -> None:
    nodes = pair()
    change = {"from": from_, "to": to, "partition": True, "jitter": "1s"}
    run(nodes[asked].links.change(change))
    assert nodes[owner].faults.all() == {(from_, to): LinkFaults(partition=True, jitter_ms=1_000)}
    assert nodes[1 - owner].faults.all() == {}
    assert shown(nodes[0])[from_, to]["partition"]
    assert shown(nodes[1])[from_, to]["partition"]


def test_an_unreachable_peer_is_named_and_its_links_are_not_shown() -> None:
    node, _ = pair()
    node.peers[JP] = Down()
    with pytest.raises(ApiError, match=f"{JP} cannot be asked: no cable") as caught:
        run(node.links.change({"from": US, "to": JP, "partition": True}))
    assert caught.value.status == 503
    assert list(shown(node)) == [(US, EU), (EU, US), (JP, US), (JP, EU)]


def test_a_peer_that_answers_nonsense_hides_only_its_own_links() -> None:
    node, _ = pair()
    node.peers[JP] = Nonsense()
    assert list(shown(node)) == [(US, EU), (EU, US), (JP, US), (JP, EU)]


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "names of two regions"),
    ({"from": US}, "names of two regions"),
    ({"from": US, "to": 5}, "names of two regions"),
    ({"from": US, "to": US}, "not from us-east-1 to itself"),
    (
        {"from": US, "to": "mars-north-1"},
        "'mars-north-1' is neither a region of this server nor of its peers: us-east-1, ",
    ),
    ({"from": "", "to": US}, "'' is neither a region"),
    ({"from": US, "to": EU, "partition": 1}, "partition of a link has to be true or false, not 1"),
    ({"from": US, "to": EU, "paused": "yes"}, "paused of a link has to be true or false"),
    ({"from": US, "to": EU, "paused": None}, "paused of a link has to be true or false"),
    ({"from": US, "to": EU, "delay": "soon"}, "'soon' is not a duration"),
    ({"from": US, "to": EU, "delay": True}, "True is not a duration"),
    ({"from": US, "to": EU, "jitter": "-1s"}, "jitter of a link cannot be negative: '-1s'"),
    ({"from": US, "to": EU, "loss": 1.5}, "loss of a link has to be a number from 0 to 1, not 1.5"),
    ({"from": US, "to": EU, "loss": -0.1}, "loss of a link has to be a number from 0 to 1"),
    ({"from": US, "to": EU, "loss": True}, "loss of a link has to be a number from 0 to 1"),
    ({"from": US, "to": EU, "duplicate": "0.5"}, "duplicate of a link has to be a number from 0 to 1"),
    ({"from": US, "to": EU, "duplicate": float("nan")}, "duplicate of a link has to be a number from 0 to 1"),
    (
        {"from": US, "to": EU, "partition": True, "delay_ms": 5},
        "'delay_ms' is not a member of this request; it has from, to, partition, ",
    ),
]


@pytest.mark.parametrize(("body", "text"), BAD)
def test_an_invalid_change_is_explained_and_changes_nothing(body: dict[str, Any], text: str) -> None:
    one, other = pair()
    with pytest.raises(ApiError) as caught:
        run(one.links.change(body))
    assert caught.value.code == "ValidationException"
    assert text in str(caught.value.message)
    assert one.faults.all() == other.faults.all() == {}


@pytest.mark.parametrize("body", [body for body, _ in BAD])
def test_a_peer_checks_the_messages_that_it_gets(body: dict[str, Any]) -> None:
    one, other = pair()
    with pytest.raises(ApiError):
        run(other.local.ask(US, JP, Message("link", body)))
    assert one.faults.all() == other.faults.all() == {}


def test_a_peer_changes_only_the_links_to_the_region_that_was_asked() -> None:
    one, _ = pair()
    with pytest.raises(ApiError, match="is not a region of this server"):
        run(one.local.ask(JP, EU, Message("link", {"from": JP, "to": US, "partition": True})))
    assert one.faults.all() == {}


def test_processes_that_share_no_faults_refuse_them() -> None:
    node = Node([US, EU], [], fixed=True)
    with pytest.raises(ApiError, match="--workers 1"):
        run(node.links.change({"from": US, "to": EU, "partition": True}))
    assert list(shown(node)) == [(US, EU), (EU, US)]


def test_durations_are_as_everywhere() -> None:
    assert changed(LinkFaults(), {"delay": 0.5, "jitter": "1m"}) == LinkFaults(delay_ms=500, jitter_ms=60_000)
