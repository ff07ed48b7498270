"""`atoll replicate` as users run it: a process that is stopped, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cli import main
from tests.replicate.world import World


class Process:
    """A replication from a world's source to its target."""

    def __init__(self, world: World, *options: str) -> None:
        command = [sys.executable, "-m", "atoll", "replicate", "--table", "Things", *options]
        ends = ["--from", world.source.endpoint_url, "--to", world.target.endpoint_url]
        self.process = subprocess.Popen(
            [*command, *ends], env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        for _ in range(6_000):
            if condition():
                return
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)
        raise AssertionError("in vain")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """The exit code and what was printed."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def start(world: World) -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def begin(*options: str) -> Process:
        started.append(Process(world, *options))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def rows(world: World, kind: str) -> list[dict[str, Any]]:
    if "atoll-replicate-Things" not in world.there.list_tables()["TableNames"]:
        return []
    found = world.there.scan(TableName="atoll-replicate-Things", ConsistentRead=True)["Items"]
    return [row for row in found if kind in row["row"]["S"]]


def value(world: World, key: str) -> str | None:
    if "Things" not in world.there.list_tables()["TableNames"]:
        return None
    item = world.there.get_item(TableName="Things", Key={"pk": {"S": key}}).get("Item")
    return None if item is None else item["n"]["N"]


def test_a_process_killed_in_the_middle_of_the_scan_continues(world: World, start: Callable[..., Process]) -> None:
    world.create()
    world.fill(range(200), size=20_000)
    slow = start("--once", "--segments", "2", "--write-rate", "400")  # of 4,000 units
    slow.wait_until(lambda: len(rows(world, "/copy/")) == 2)
    assert slow.end(signal.SIGKILL)[0] == -signal.SIGKILL
    done = sum(int(row["items"]["N"]) for row in rows(world, "/copy/"))
    assert 0 < done < 200
    assert rows(world, "run")[0]["phase"] == {"S": "copy"}
    world.put("item-3", -3)
    world.delete("item-4")
    code, out, err = start("--once", "--verify").end()
    assert (code, out) == (0, ""), err
    assert f"copy: continuing after {done} items" in err
    assert "differences: 0" in err
    assert world.is_equal


def test_a_process_killed_while_following_continues(world: World, start: Callable[..., Process]) -> None:
    world.create()
    world.put("a", 0)
    first = start()
    first.wait_until(lambda: value(world, "a") == "0")
    world.put("a", 1)
    first.wait_until(lambda: value(world, "a") == "1")
    assert first.end(signal.SIGKILL)[0] == -signal.SIGKILL
    world.put("a", 2)
    world.source.split("Things")
    world.put("a", 3)
    second = start()
    second.wait_until(lambda: value(world, "a") == "3")
    world.put("a", 4)
    second.wait_until(lambda: value(world, "a") == "4")
    assert second.end(signal.SIGKILL)[0] == -signal.SIGKILL
    code, _, err = start("--once").end()
    assert code == 0 and "caught up" in err
    assert world.is_equal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals, world: World, start: Callable[..., Process]) -> None:
    world.create()
    world.put("a", 0)
    running = start("--json")
    running.wait_until(lambda: value(world, "a") == "0")
    code, out, err = running.end(number)
    assert (code, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert events[-1]["event"] == "stopped; another run continues from here"
    assert rows(world, "lease")[0]["owner"] == {"S": ""}


def test_an_interrupted_copy_does_not_succeed(world: World, start: Callable[..., Process]) -> None:
    """A script that switches over afterwards must stop."""
    world.create()
    world.fill(range(100))
    slow = start("--once", "--write-rate", "1")
    slow.wait_until(lambda: rows(world, "run") != [])
    code, _, err = slow.end(signal.SIGTERM)
    assert code == 1 and err.endswith("stopped; another run continues from here\n")


def test_differences_are_printed(world: World, start: Callable[..., Process]) -> None:
    world.create()
    world.put("a", 0)
    assert start("--once").end()[0] == 0
    world.put("b", 0)
    code, out, err = start("--verify").end()
    assert (code, out) == (1, 'missing at the target: {"pk": {"S": "b"}}\n')
    assert "differences: 1" in err
    code, out, err = start("--verify", "--json").end()
    assert (code, err) == (1, "")
    difference = {"event": "difference", "kind": "missing at the target", "key": {"pk": {"S": "b"}}, "attributes": []}
    assert json.loads(out.splitlines()[-1]) == difference


def test_a_failure_has_exit_code_1(world: World, start: Callable[..., Process]) -> None:
    code, out, err = start("--once").end()
    assert (code, out, err) == (1, "", "atoll: source: the table Things does not exist\n")


def test_the_service_needs_credentials(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    assert main(["replicate", "--table", "Things", *ENDS]) == 2
    assert "atoll: there are no credentials: set AWS_ACCESS_KEY_ID" in capsys.readouterr().err


ENDS = ["--from", "http://localhost:1", "--to", "eu-west-1"]
NAME = "must be the name of a table, not"
RATE = "must be a number of capacity units per second, greater than 0, not"
ENDPOINT = "is not an endpoint: give a URL such as http://127.0.0.1:8000, a region of the service, or aws"
SAME = "source and target are the same table, at http://localhost:1: name the other end with --from or --to"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--table", "x"], f"--table {NAME} 'x'"),
        (["--to-table", "a b c"], f"--to-table {NAME} 'a b c'"),
        (["--checkpoint-table", "a/b"], f"--checkpoint-table {NAME} 'a/b'"),
        (["--table", "T" * 250], f"--checkpoint-table {NAME} 'atoll-replicate-{'T' * 250}'"),
        (["--checkpoint-table", "Things"], "--checkpoint-table must not be the table itself"),
        (["--segments", "0"], "--segments must be a number from 1 to 1000, not '0'"),
        (["--segments", "²"], "--segments must be a number from 1 to 1000, not '²'"),
        (["--read-rate", "-1"], f"--read-rate {RATE} '-1'"),
        (["--write-rate", "0.0"], f"--write-rate {RATE} '0.0'"),
        (["--from", "localhost:8000"], f"--from: 'localhost:8000' {ENDPOINT}"),
        (["--to", "Frankfurt"], f"--to: 'Frankfurt' {ENDPOINT}"),
        (["--from-streams", "x"], f"--from-streams: 'x' {ENDPOINT}"),
        (["--to", "http://localhost:1/"], SAME),
        (["--from-profile", "nobody"], "--from: The config profile (nobody) could not be found"),
    ],
)
def test_invalid_options_end_it_with_exit_code_2(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replicate", "--table", "Things", *ENDS, *options]) == 2
    assert capsys.readouterr().err == f"atoll: {message}\n"


def test_an_end_that_is_not_named_is_that_of_the_environment(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.create()
    monkeypatch.setenv("AWS_ENDPOINT_URL", world.source.endpoint_url)
    assert main(["replicate", "--once", "--table", "Things", "--to", world.target.endpoint_url]) == 0
    assert world.target.client("dynamodb").list_tables()["TableNames"] == ["Things", "atoll-replicate-Things"]
    assert main(["replicate", "--table", "Things", "--from", world.source.endpoint_url]) == 2
    assert "source and target are the same table" in capsys.readouterr().err


def test_it_needs_no_botocore(world: World, start: Callable[..., Process]) -> None:
    """Its import takes longer than the start of the server."""
    program = "import sys; sys.modules['botocore'] = None; from atoll.cli import main; sys.exit(main())"
    world.create()
    command = [sys.executable, "-c", program, "replicate", "--once", "--table", "Things"]
    ends = ["--from", world.source.endpoint_url, "--to", world.target.endpoint_url]
    done = subprocess.run([*command, *ends], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
