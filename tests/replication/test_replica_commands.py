"""`atoll replicas` and the admin API behind it, against a running server of two regions."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from atoll.cli import main
from atoll.testing import LocalServer, serve
from tests.replication.regions import KEYS

US, EU = "us-east-1", "eu-west-1"


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with serve(regions=[US, EU], clock="system") as one:
        one.client("dynamodb").create_table(TableName="Things", BillingMode="PAY_PER_REQUEST", **KEYS)
        yield one


def replicas(server: LocalServer, *arguments: str) -> int:
    return main(["replicas", *arguments, "--endpoint", server.endpoint_url])


def until_shown(server: LocalServer, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Ask again until the list shows the text; replication is asynchronous."""
    end_s = time.monotonic() + 20
    while True:
        assert replicas(server, "list") == 0
        shown = capsys.readouterr().out
        if text in shown:
            return shown
        assert time.monotonic() < end_s, shown


def put(client: object, value: str) -> None:
    client.put_item(TableName="Things", Item={"pk": {"S": value}})  # type: ignore[attr-defined]


def test_replica_is_added_promoted_and_removed(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    us, eu = server.client("dynamodb"), server.client("dynamodb", region_name=EU)
    put(us, "first")
    assert replicas(server, "list") == 0
    assert capsys.readouterr().out == "no table has replicas\n"

    assert replicas(server, "add", "Things", EU) == 0
    until_shown(server, f"Things in {EU}: ACTIVE, replica of {US}", capsys)
    assert [item["pk"]["S"] for item in eu.scan(TableName="Things")["Items"]] == ["first"]
    with pytest.raises(eu.exceptions.ClientError, match=f"Write to its master in {US}"):
        put(eu, "refused")

    assert replicas(server, "promote", "Things", EU) == 0
    until_shown(server, f"Things in {US}: ACTIVE, replica of {EU}", capsys)
    put(eu, "second")

    assert replicas(server, "remove", "Things", EU, "--region", EU) == 2
    assert "is the master of table Things" in capsys.readouterr().err
    assert replicas(server, "remove", "Things", US, "--region", EU) == 0
    until_shown(server, "no table has replicas", capsys)
    assert us.list_tables()["TableNames"] == []
    assert eu.describe_table(TableName="Things")["Table"]["TableStatus"] == "ACTIVE"
    assert eu.scan(TableName="Things")["Count"] == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "Things", US], "name another region as its replica"),
        (["add", "Things", "ap-south-1"], "ap-south-1"),
        (["add", "Unknown", EU], "Unknown"),
        (["promote", "Things", US], "not a single-master replica"),
        (["promote", "Things", "ap-south-1"], "ap-south-1"),
        (["remove", "Things", EU], "not a single-master replica"),
    ],
)
def test_impossible_changes_are_refused(
    server: LocalServer, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replicas(server, *arguments) == 2
    assert text in capsys.readouterr().err
    assert replicas(server, "list") == 0
    assert capsys.readouterr().out == "no table has replicas\n"


def test_region_that_has_such_a_table_gets_no_replica(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.client("dynamodb", region_name=EU).create_table(TableName="Things", BillingMode="PAY_PER_REQUEST", **KEYS)
    assert replicas(server, "add", "Things", EU) == 2
    assert f"There is a table Things in {EU} already" in capsys.readouterr().err


def test_the_server_is_that_of_the_environment(
    server: LocalServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint_url)
    assert main(["replicas", "list"]) == 0
    assert capsys.readouterr().out == "no table has replicas\n"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(["replicas", "list", "--endpoint-url", f"{server.endpoint_url}/"]) == 0
    assert main(["policies", "observed"]) == 2
    assert "http://127.0.0.1:9 cannot be asked" in capsys.readouterr().err


def test_the_service_cannot_be_administered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replicas", "list", "--endpoint-url", "eu-west-1"]) == 2
    assert "AWS has no administration of Atoll" in capsys.readouterr().err


def test_server_that_cannot_be_asked_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replicas", "list", "--endpoint", "http://127.0.0.1:9"]) == 2
    assert "http://127.0.0.1:9 cannot be asked: nothing listens there\n" in capsys.readouterr().err


def test_global_table_of_2017_is_upgraded(server: LocalServer, capsys: pytest.CaptureFixture[str]) -> None:
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    us, eu = server.client("dynamodb"), server.client("dynamodb", region_name=EU)
    for client in (us, eu):
        client.create_table(TableName="Old", BillingMode="PAY_PER_REQUEST", StreamSpecification=stream, **KEYS)
    us.create_global_table(GlobalTableName="Old", ReplicationGroup=[{"RegionName": US}, {"RegionName": EU}])
    until_shown(server, f"Old in {EU}: ACTIVE, global table 2017.11.29; replicas: {EU} ACTIVE, {US} ACTIVE", capsys)
    until_shown(server, f"Old in {US}: ACTIVE, global table 2017.11.29; replicas: {EU} ACTIVE, {US} ACTIVE", capsys)
    assert replicas(server, "upgrade", "Old") == 0
    assert capsys.readouterr().out == f"Old is a global table of version 2019.11.21: {EU}, {US}\n"
    until_shown(server, f"Old in {EU}: ACTIVE, global table 2019.11.21", capsys)
    assert replicas(server, "upgrade", "Old") == 2
    assert "Old is not a replica of a global table of version 2017.11.29" in capsys.readouterr().err
