"""kill -9 under load, repeatedly: items, stream and the function's records agree."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.triggers.server import Server

KILLS = 20 if os.environ.get("ATOLL_SOAK") else 3

MODULE = """
import json, os

def handler(event, context):
    lines = "".join(json.dumps([r["dynamodb"]["Keys"]["pk"]["S"], int(r["dynamodb"]["NewImage"]["n"]["N"])]) + "\\n"
                    for r in event["Records"])
    with open("given.jsonl", "a") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
"""


class Writer(threading.Thread):
    """Counts up its own items, one change after the other. `acknowledged` has the acknowledged writes."""

    def __init__(self, server: Server, name: str) -> None:
        super().__init__()
        self._server, self._key = server, name
        self.acknowledged = 0
        self.stop = threading.Event()

    def run(self) -> None:
        client = self._server.client("dynamodb")
        while not self.stop.is_set():
            item = {"pk": {"S": self._key}, "n": {"N": str(self.acknowledged + 1)}}
            try:
                client.put_item(TableName="users", Item=item)
                self.acknowledged += 1
            except (ClientError, BotoCoreError):
                self.stop.wait(0.02)


def until(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Looks at other processes, so it has to wait for them."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return True
        pause.wait(0.05)
    return condition()


def given(directory: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    path = directory / "given.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        name, n = json.loads(line)
        found.setdefault(name, []).append(n)
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_no_acknowledged_change_is_missed(tmp_path: Path, workers: int) -> None:
    (tmp_path / "counting.py").write_text(MODULE)
    file = tmp_path / "functions.toml"
    file.write_text(
        '[functions.note]\npython = "counting:handler"\n'
        '[[triggers]]\ntable = "users"\nfunction = "note"\nbatch_size = 10\nparallelization_factor = 2\n'
    )
    server = Server(tmp_path, file, "--workers", str(workers))
    server.start()
    writers: list[Writer] = []
    try:
        server.client("dynamodb").create_table(
            TableName="users",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        writers = [Writer(server, f"user{n}") for n in range(4)]
        for writer in writers:
            writer.start()
        for _ in range(KILLS):
            before = [writer.acknowledged for writer in writers]
            assert until(lambda before=before: all(  # type: ignore[misc]
                w.acknowledged > b + 20 for w, b in zip(writers, before, strict=True)))  # fmt: skip
            kill(server, workers)
            server.start()
        assert until(lambda: all(w.acknowledged > 20 * KILLS for w in writers))
        for writer in writers:
            writer.stop.set()
            writer.join()
        items = server.client("dynamodb").scan(TableName="users", ConsistentRead=True)["Items"]
        last = {item["pk"]["S"]: int(item["n"]["N"]) for item in items}
        assert all(last["user" + str(n)] >= writer.acknowledged for n, writer in enumerate(writers))
        until(lambda: {name: max(seen) for name, seen in given(tmp_path).items()} == last)
    finally:
        for writer in writers:
            writer.stop.set()
        server.end()
    for name, seen in given(tmp_path).items():
        assert list(dict.fromkeys(seen)) == list(range(1, last[name] + 1)), name
    assert given(tmp_path).keys() == last.keys()


def kill(server: Server, workers: int) -> None:
    """The parent first, or it would start another worker in the place of one that died."""
    process: Any = server._process
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split() if workers > 1 else []
    server.end(signal.SIGKILL)
    for child in children:
        os.kill(int(child), signal.SIGKILL)
