"""Several regions of a server in this process, and faults of the links between them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from atoll import testing
from atoll.config import Config
from atoll.replication.messages import Message
from atoll.testing.local import LocalServer
from tests.testing.test_admin import ask, make_table
from tests.testing.test_plugin import pytest_with

US, EU, JP = "us-east-1", "eu-west-1", "ap-northeast-1"
LINKS = "/_atoll/replication/links"
NEW = {
    "partition": False, "paused": False, "delay_ms": 0, "jitter_ms": 0, "loss": 0, "duplicate": 0, "tables": [],
}  # fmt: skip


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with testing.serve(regions=[US, EU, JP]) as running:
        yield running


class TestRegions:
    def test_each_has_its_own_tables(self, server: LocalServer) -> None:
        assert server.regions == (US, EU, JP)
        clients = {name: server.client(region_name=name) for name in server.regions}
        make_table(clients[EU])
        assert {name: client.list_tables()["TableNames"] for name, client in clients.items()} == {
            US: [], EU: ["Things"], JP: [],
        }  # fmt: skip

    def test_the_first_is_the_default(self) -> None:
        with testing.serve(regions=[EU, US]) as server:
            make_table(server.client())
            assert server.client(region_name=EU).list_tables()["TableNames"] == ["Things"]
            assert server.client(region_name=US).list_tables()["TableNames"] == []

    def test_other_regions_are_served_too(self, server: LocalServer) -> None:
        make_table(server.client(region_name="sa-east-1"))

    @pytest.mark.parametrize(
        ("options", "text"),
        [({"regions": [US, EU, US]}, "twice"), ({"region": EU, "regions": [US, EU]}, "is the first of regions")],
    )
    def test_regions_that_contradict_each_other(self, options: dict[str, Any], text: str) -> None:
        with pytest.raises(ValueError, match=text):
            testing.serve(**options)

    def test_a_peers_region_is_refused_with_its_address(self, tmp_path: Path) -> None:
        """Also through the Lambda API and the administration."""
        (tmp_path / "keys.json").write_text('{"credentials": [{"access_key": "A", "secret": "s", "peer": true}]}')
        peer = "https://db.example:8000"
        config = Config(port=0, data=None, peers={EU: peer}, peer_credentials=tmp_path / "keys.json")
        with LocalServer(config) as server:
            for call in (
                server.client(region_name=EU).list_tables,
                server.client("dynamodbstreams", region_name=EU).list_streams,
                server.client("lambda", region_name=EU).list_functions,
            ):
                with pytest.raises(ClientError) as caught:
                    call()
                error = caught.value.response["Error"]
                assert error["Code"] == "InvalidSignatureException"
                assert error["Message"] == (
                    f"Credential should be scoped to a valid region, not '{EU}'. The region is served at {peer}"
                )
            status, answer = ask(server, "POST", "/_atoll/streams/trim", {"stream": "Things", "region": EU})
            assert (status, peer in answer["message"]) == (400, True)

    def test_only_the_named_regions(self) -> None:
        with LocalServer(Config(port=0, data=None, region=US, more_regions=[EU], only_regions=True)) as server:
            for name in (US, EU):
                make_table(server.client(region_name=name))
            with pytest.raises(ClientError, match=r"not 'sa-east-1'\.$") as caught:
                server.client(region_name="sa-east-1").list_tables()
            assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"

    def test_the_fixtures_serve_the_regions_of_the_settings(self, tmp_path: Path) -> None:
        (tmp_path / "pytest.ini").write_text("[pytest]\natoll_regions = eu-west-1 us-east-1\n")
        done = pytest_with(
            tmp_path,
            """
            import pytest

            @pytest.mark.parametrize("turn", range(2))
            def test_faults_are_undone_when_a_test_ends(atoll_server, dynamodb, turn):
                assert atoll_server.regions == ("eu-west-1", "us-east-1")
                assert dynamodb.meta.region_name == "eu-west-1"
                link = atoll_server.link("eu-west-1", "us-east-1")
                assert not link.state["partition"]
                link.partition()
            """,
        )
        assert "2 passed" in done.stdout, done.stdout


class TestLinks:
    def shown(self, server: LocalServer) -> dict[tuple[str, str], dict[str, Any]]:
        status, answer = ask(server, "GET", LINKS)
        assert status == 200
        assert answer.keys() == {"links"}
        return {(row.pop("from"), row.pop("to")): row for row in answer["links"]}

    def test_all_links_are_shown(self, server: LocalServer) -> None:
        names = server.regions
        assert self.shown(server) == {(a, b): NEW for a in names for b in names if a != b}

    def test_a_request_changes_only_its_members_and_is_answered_like_get(self, server: LocalServer) -> None:
        link = {"from": US, "to": EU}
        for change in ({"partition": True}, {"delay": "200ms", "jitter": "1s"}, {"loss": 0.25, "paused": True}):
            status, answer = ask(server, "POST", LINKS, {**link, **change})
            assert (status, answer) == ask(server, "GET", LINKS)
        assert self.shown(server)[US, EU] == {
            **NEW, "partition": True, "paused": True, "delay_ms": 200, "jitter_ms": 1_000, "loss": 0.25,
        }  # fmt: skip
        assert self.shown(server)[EU, US] == NEW

    @pytest.mark.parametrize(
        "change",
        [{}, {"to": US}, {"to": "sa-east-1", "partition": True}, {"to": EU, "loss": 2}, {"to": EU, "delay": "x"},
         {"to": EU, "cut": True}],
    )  # fmt: skip
    def test_an_invalid_request_changes_nothing(self, server: LocalServer, change: dict[str, Any]) -> None:
        status, answer = ask(server, "POST", LINKS, {"from": US, **change})
        assert status == 400
        assert "ValidationException" in answer["__type"]
        assert all(row == NEW for row in self.shown(server).values())

    def test_a_partition_cuts_both_directions_or_one(self, server: LocalServer) -> None:
        def cut() -> set[tuple[str, str]]:
            return {ends for ends, row in self.shown(server).items() if row["partition"]}

        link = server.link(US, EU)
        link.partition()
        assert cut() == {(US, EU), (EU, US)}
        link.heal()
        assert cut() == set()
        link.partition(one_way=True)
        assert cut() == {(US, EU)}
        server.link(EU, US).heal(one_way=True)
        assert cut() == {(US, EU)}
        link.heal()
        assert cut() == set()

    def test_every_fault_can_be_given_and_taken(self, server: LocalServer) -> None:
        link = server.link(US, EU)
        link.pause().delay("200ms", timedelta(seconds=1)).lose(0.5).duplicate(1, one_way=True)
        expected = {**NEW, "paused": True, "delay_ms": 200, "jitter_ms": 1_000, "loss": 0.5}
        assert server.link(EU, US).state == {"from": EU, "to": US, **expected}
        assert link.state == {"from": US, "to": EU, **expected, "duplicate": 1}
        link.resume()
        assert not link.state["paused"]
        link.heal()
        assert link.state == {"from": US, "to": EU, **NEW}

    def test_mistakes_are_reported(self, server: LocalServer) -> None:
        with pytest.raises(ValueError, match="'mars-north-1' is neither"):
            server.link(US, "mars-north-1").partition()
        with pytest.raises(ValueError, match="there is no link from us-east-1 to mars-north-1"):
            _ = server.link(US, "mars-north-1").state
        with pytest.raises(ValueError, match="number from 0 to 1"):
            server.link(US, EU).lose(5)

    def test_a_snapshot_has_the_faults(self, server: LocalServer) -> None:
        server.link(US, EU).delay("1s")
        before = server.snapshot()
        server.link(US, EU).heal()
        server.link(EU, JP).partition()
        server.restore(before)
        assert server.link(US, EU).state["delay_ms"] == 1_000
        assert not server.link(EU, JP).state["partition"]

    def test_the_clock_of_the_server_governs_delays(self, server: LocalServer) -> None:
        """A move of the clock stops when an answer arrives."""
        node = server._node

        async def answer(asked: object, source: str, message: Message) -> Message:
            return message

        async def start() -> asyncio.Task[int]:
            node.peering.handlers["echo"] = answer

            async def pull() -> int:
                await node.peering.exchange.ask(EU, US, Message("echo", {}))
                return node.clock.now_ms()

            return asyncio.create_task(pull())

        async def result(pull: asyncio.Task[int]) -> int:
            return await pull

        start_ms = node.clock.now_ms()
        server.link(US, EU).delay("1h")
        pull = server._do(start())
        server.clock.advance("59m")
        assert not pull.done()
        server.clock.advance("10h")
        assert server._do(result(pull)) == start_ms + 3_600_000

    def test_several_processes_refuse_faults(self, tmp_path: Path) -> None:
        config = Config(port=0, data=tmp_path, region=US, more_regions=[EU], workers=2)
        with LocalServer(config) as server:
            status, answer = ask(server, "POST", LINKS, {"from": US, "to": EU, "partition": True})
            assert (status, "--workers 1" in answer["message"]) == (400, True)
