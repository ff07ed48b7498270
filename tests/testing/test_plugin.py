"""The pytest plugin in projects that use it. pytest finds it by its entry point."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

TESTS = """
import pytest

def make_table(client, name):
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )

@pytest.fixture(scope="session")
def things(atoll_process):
    make_table(atoll_process.client(), "Things")

@pytest.mark.parametrize("turn", range(3))
def test_changes_made_by_a_test_are_undone(turn, things, atoll_server, dynamodb, dynamodb_resource):
    assert dynamodb.list_tables()["TableNames"] == ["Things"]
    table = dynamodb_resource.Table("Things")
    assert table.scan()["Count"] == 0
    table.put_item(Item={"pk": "a"})
    make_table(dynamodb, "More")
    before = atoll_server.clock.now
    atoll_server.clock.advance("25h")
    assert (atoll_server.clock.now - before).days == 1

def test_the_environment_leads_to_the_server(monkeypatch, atoll_environment, atoll_server):
    import boto3, os
    make_table(boto3.Session().client("dynamodb"), "Own")
    assert "Own" in atoll_server.client().list_tables()["TableNames"]
    assert boto3.Session().client("dynamodbstreams").list_streams()["Streams"] == []
    assert "AWS_ENDPOINT_URL_DYNAMODB" not in os.environ

def test_without_tables(dynamodb, atoll_process):
    assert atoll_process.client().list_tables()["TableNames"] in ([], ["Things"])
"""


def pytest_in(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return pytest_with(directory, TESTS, *arguments)


def pytest_with(directory: Path, tests: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_things.py").write_text(textwrap.dedent(tests))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True)


def test_each_test_starts_where_the_fixtures_of_wider_scope_left_it(tmp_path: Path) -> None:
    done = pytest_in(tmp_path)
    assert "5 passed" in done.stdout, done.stdout


def test_parallel_processes_do_not_disturb_each_other(tmp_path: Path) -> None:
    done = pytest_in(tmp_path, "-n", "2", "--dist", "each")
    assert "10 passed" in done.stdout, done.stdout
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"test_things.py"}


def test_projects_that_do_not_use_it_do_not_load_it(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import sys\n\n"
        "def test_nothing():\n"
        "    loaded = {name for name in sys.modules if name.partition('.')[0] in ('atoll', 'boto3', 'botocore')}\n"
        "    assert loaded == {'atoll', 'atoll.testing', 'atoll.testing.plugin'}\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "test_nothing.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "1 passed" in done.stdout, done.stdout


def test_pytest_lists_the_fixtures(tmp_path: Path) -> None:
    listed = pytest_in(tmp_path, "--fixtures").stdout
    for fixture in ("atoll_process", "atoll_server", "dynamodb", "dynamodb_resource"):
        assert f"\n{fixture} " in listed
