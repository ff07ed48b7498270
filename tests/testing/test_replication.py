"""Global tables of a server in this process, with a clock that the test moves: faults of links are repeatable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atoll import testing
from atoll.config import Config
from atoll.replication import follower
from atoll.testing.local import LocalServer

US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
TABLE = {
    "TableName": "Things",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


class Table:
    """The global table in one region."""

    def __init__(self, server: LocalServer, region: str) -> None:
        self.client = server.client(region_name=region)

    def put(self, pk: str, **attributes: Any) -> None:
        self.client.put_item(TableName="Things", Item={"pk": {"S": pk}, **attributes})

    def present(self) -> set[str]:
        return {item["pk"]["S"] for item in self.client.scan(TableName="Things")["Items"]}

    def states(self) -> dict[str, str]:
        table = self.client.describe_table(TableName="Things")["Table"]
        return {one["RegionName"]: one["ReplicaStatus"] for one in table.get("Replicas", [])}


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with testing.serve(regions=[US, EU, AP]) as running:
        running.client().create_table(**TABLE)
        for region in (EU, AP):
            running.client().update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": region}}])
            running.settle()
        yield running


@pytest.fixture
def us(server: LocalServer) -> Table:
    return Table(server, US)


@pytest.fixture
def eu(server: LocalServer) -> Table:
    return Table(server, EU)


def test_all_regions_have_everything_after_settle(server: LocalServer, us: Table, eu: Table) -> None:
    ap = Table(server, AP)
    assert us.states() == {EU: "ACTIVE", AP: "ACTIVE"}
    for n, table in enumerate([us, eu, ap]):
        table.put(str(n))
    server.settle()
    assert us.present() == eu.present() == ap.present() == {"0", "1", "2"}


def test_settle_waits_for_delays_of_the_real_time() -> None:
    with testing.serve(regions=[US, EU], clock="system") as server:
        us, eu = Table(server, US), Table(server, EU)
        us.client.create_table(**TABLE)
        us.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        server.settle()
        server.link(US, EU).delay("50ms")
        us.put("late")
        server.settle()
        assert eu.present() == {"late"}


@pytest.mark.parametrize("attempt", range(5))
def test_a_delayed_change_arrives_to_the_millisecond(server: LocalServer, us: Table, eu: Table, attempt: int) -> None:
    server.link(US, EU).delay("200ms")
    us.put("first")
    server.clock.advance("199ms")
    assert eu.present() == set()
    server.clock.advance("1ms")
    assert eu.present() == {"first"}


def test_the_latency_of_replication_is_measured(server: LocalServer, us: Table, eu: Table) -> None:
    server.link(US, EU).delay("200ms")
    for pk in ("first", "second"):
        us.put(pk)
        server.clock.advance("50ms")
    server.clock.advance("2s")
    eu.put("third")
    server.settle()
    meters = {name: region.meter for name, region in server._node.regions.items()}
    found = {(one.receiver, by): one for by, meter in meters.items() for one in meter.replication() if one.changes}
    arrived = found[EU, US]
    assert (arrived.table, arrived.changes, arrived.pending) == ("Things", 2, None)
    assert (arrived.latency_ms, arrived.longest_ms) == (200 + 350, 350)
    assert (found[AP, US].changes, found[AP, US].longest_ms) == (2, 0)
    assert found[AP, EU].latency_ms == 0
    (shown,) = server.link(US, EU).state["tables"]
    assert (shown["backlog"], shown["lag_ms"]) == (0, 0)


def test_a_change_that_follows_another_waits_until_that_has_arrived(server: LocalServer, us: Table, eu: Table) -> None:
    """A region asks again when it has an answer: a link has one answer under way."""
    server.link(US, EU).delay("200ms")
    us.put("first")
    server.clock.advance("100ms")
    us.put("second")
    server.clock.advance("100ms")
    assert eu.present() == {"first"}
    server.clock.advance("199ms")
    assert eu.present() == {"first"}
    server.clock.advance("1ms")
    assert eu.present() == {"first", "second"}


def test_a_delay_of_one_direction_does_not_delay_the_other(server: LocalServer, us: Table, eu: Table) -> None:
    server.link(US, EU).delay("1h", one_way=True)
    us.put("from us")
    eu.put("from eu")
    server.settle()
    assert (us.present(), eu.present()) == ({"from us", "from eu"}, {"from eu"})
    server.clock.advance("1h")
    assert eu.present() == {"from us", "from eu"}


def test_a_slow_link_without_news_does_not_stop_the_clock(server: LocalServer, us: Table, eu: Table) -> None:
    """Nothing is held, so two days pass as fast as over a healthy link."""
    server.link(US, EU).delay("1ms")
    server.clock.advance("48h")
    us.put("first")
    server.clock.advance("1ms")
    assert eu.present() == {"first"}


def test_a_table_is_replicated_over_a_slow_link(server: LocalServer) -> None:
    """Each page of the copy takes the delay. Asking to join does not: the request that adds a replica is answered."""
    us, eu = Table(server, US), Table(server, EU)
    us.put("there")
    us.client.update_table(TableName="Things", ReplicaUpdates=[{"Delete": {"RegionName": EU}}])
    server.settle()
    server.link(US, EU).delay("200ms")
    us.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
    server.settle()
    assert us.states()[EU] == "CREATING"
    server.clock.advance("10s")
    assert us.states()[EU] == "ACTIVE"
    assert eu.present() == {"there"}


@pytest.mark.parametrize("fault", ["partition", "pause"])
def test_a_healed_link_converges_at_once(server: LocalServer, us: Table, eu: Table, fault: str) -> None:
    link = server.link(US, EU)
    getattr(link, fault)()
    us.put("us")
    eu.put("eu")
    server.clock.advance("1h")
    assert (us.present(), eu.present()) == ({"us"}, {"eu"})
    assert "cut" in _error(link) or "paused" in _error(link)
    link.heal()
    server.settle()
    assert us.present() == eu.present() == {"us", "eu"}
    assert _error(link) is None


def test_a_healed_link_ends_the_pause_before_the_next_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing settles here: only the loops in the background read, and they would pause for an hour."""
    monkeypatch.setattr(follower, "RETRY_S", 3600)
    monkeypatch.setattr(follower, "LONGEST_RETRY_S", 3600)
    with testing.serve(regions=[US, EU], clock="system") as server:
        us, eu = Table(server, US), Table(server, EU)
        us.client.create_table(**TABLE)
        us.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        server.settle()
        link = server.link(US, EU).partition()
        while "cut" not in str(_error(link)):
            pass
        us.put("first")
        link.heal()
        while eu.present() != {"first"}:
            pass
        while _error(link) is not None:
            pass


def _error(link: Any) -> Any:
    (table,) = link.state["tables"]
    return table["last_error"]


def test_the_end_of_a_partition_loses_pending_answers(server: LocalServer, us: Table, eu: Table) -> None:
    """It is asked for again, and takes the delay again."""
    link = server.link(US, EU).delay("200ms")
    us.put("first")
    server.clock.advance("100ms")
    link.partition()
    server.clock.advance("100ms")
    assert eu.present() == set()
    link._change(False, partition=False)
    server.clock.advance("199ms")
    assert eu.present() == set()
    server.clock.advance("1ms")
    assert eu.present() == {"first"}


def test_healing_delivers_answers_held_by_a_delay(server: LocalServer, us: Table, eu: Table) -> None:
    link = server.link(US, EU).delay("1h")
    us.put("first")
    server.clock.advance("1m")
    link.heal()
    server.settle()
    assert eu.present() == {"first"}


def test_lost_and_doubled_answers_change_nothing_in_the_end(server: LocalServer, us: Table, eu: Table) -> None:
    server.link(US, EU).lose(0.7).duplicate(0.7)
    for n in range(50):
        us.put(str(n))
        eu.put(str(n + 50))
        server.settle()
    assert us.present() == eu.present() == {str(n) for n in range(100)}
    assert eu.client.describe_table(TableName="Things")["Table"]["ItemCount"] == 100


def test_a_lost_answer_of_a_slow_link_is_late_by_another_delay(server: LocalServer, us: Table, eu: Table) -> None:
    server.link(US, EU).delay("100ms").lose(0.5)
    arrived = set()
    for n in range(20):
        us.put(str(n))
        for turn in range(30):
            server.clock.advance("100ms")
            if str(n) in eu.present():
                arrived.add(turn)
                break
        else:
            raise AssertionError("it never arrives")
    assert 0 in arrived
    assert len(arrived) > 1


def test_nothing_arrives_over_a_link_that_loses_everything(server: LocalServer, us: Table, eu: Table) -> None:
    link = server.link(US, EU).delay("1ms").lose(1)
    us.put("first")
    server.clock.advance("24h")
    assert eu.present() == set()
    assert "lost" in _error(link)
    link.heal()
    server.settle()
    assert eu.present() == {"first"}


def test_a_restored_state_gets_nothing_that_was_under_way(server: LocalServer, us: Table, eu: Table) -> None:
    server.link(US, EU).delay("200ms")
    before = server.snapshot()
    us.put("first")
    server.clock.advance("100ms")
    server.restore(before)
    server.clock.advance("1h")
    assert us.present() == eu.present() == set()


def test_a_move_over_thousands_of_years_stops_for_no_hourly_work(server: LocalServer, us: Table, eu: Table) -> None:
    """Each replica kept the server busy for minutes with each year: it looks for old tombstones once an hour."""
    us.put("gone")
    us.put("kept")
    server.settle()
    us.client.delete_item(TableName="Things", Key={"pk": {"S": "gone"}})
    server.clock.set("6399-12-31T23:00:00Z")
    eu.put("new")
    server.settle()
    assert us.present() == eu.present() == Table(server, AP).present() == {"kept", "new"}


def test_a_region_removed_while_cut_off_for_days_keeps_its_table(server: LocalServer, us: Table, eu: Table) -> None:
    us.put("shared")
    server.settle()
    links = [server.link(other, EU) for other in (US, AP)]
    for link in links:
        link.partition()
    eu.put("unread")
    us.client.update_table(TableName="Things", ReplicaUpdates=[{"Delete": {"RegionName": EU}}])
    server.clock.advance("49h")
    assert us.states() == {AP: "ACTIVE"}
    for link in links:
        link.heal()
    server.settle()
    assert (us.present(), eu.present(), eu.states()) == ({"shared"}, {"shared", "unread"}, {})
    eu.put("ordinary")
    server.settle()
    assert us.present() == {"shared"}


def test_a_region_removed_while_cut_off_keeps_its_table_if_it_is_the_last() -> None:
    with testing.serve(regions=[US, EU]) as server:
        us, eu = Table(server, US), Table(server, EU)
        us.client.create_table(**TABLE)
        us.client.update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        us.put("shared")
        server.settle()
        server.link(US, EU).partition()
        us.client.update_table(TableName="Things", ReplicaUpdates=[{"Delete": {"RegionName": EU}}])
        us.client.delete_table(TableName="Things")
        server.link(US, EU).heal()
        server.settle()
        assert us.client.list_tables()["TableNames"] == []
        assert (eu.present(), eu.states()) == ({"shared"}, {})


def test_a_region_that_is_not_named_for_a_while_catches_up(tmp_path: Path) -> None:
    def start(*others: str) -> LocalServer:
        return LocalServer(Config(port=0, data=tmp_path, region=US, more_regions=others, clock="manual"))

    with start(EU) as server:
        server.client().create_table(**TABLE)
        server.client().update_table(TableName="Things", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        server.settle()
    with start() as server:
        us, eu = Table(server, US), Table(server, EU)
        us.put("of us")
        eu.put("of eu")
        server.settle()
        assert (us.present(), eu.present()) == ({"of us"}, {"of eu"})
    with start(EU) as server:
        server.settle()
        assert Table(server, US).present() == Table(server, EU).present() == {"of us", "of eu"}
