"""Other processes for the tests: each is this file run on a store, speaking one line at a time."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from atoll.storage.engine import Transaction
from atoll.storage.sqlite import SQLiteEngine


def start(role: str, directory: Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, __file__, role, str(directory), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def say(line: object) -> None:
    print(line, flush=True)


async def increment(directory: Path, times: str, clients: str) -> None:
    """`clients` tasks that together increment a row and a counter; prints how many each could do."""
    engine = SQLiteEngine.open(directory, workers=2)

    def fn(tx):
        tx.put(b"row", b"%d" % (int(tx.get(b"row") or 0) + 1))
        assert tx.add_number(b"n", 1) == int(tx.get(b"row"))

    async def client():
        for _ in range(int(times)):
            await engine.transact(fn)

    say("ready")
    sys.stdin.readline()
    await asyncio.gather(*(client() for _ in range(int(clients))))
    await engine.close()


def put_line(line: bytes, tx: Transaction) -> None:
    tx.put(b"a", line)
    tx.put(b"b", line)
    tx.add_number(b"n", 1)


async def commit_on_request(directory: Path) -> None:
    """For each line of input one transaction that writes the line to the rows a and b and counts it."""
    engine = SQLiteEngine.open(directory, workers=2)
    say(await engine.lease())
    for line in sys.stdin:
        value = line.strip().encode()
        await engine.transact(partial(put_line, value))
        say("done")
    await engine.close()


def put_pair(key: bytes, tx: Transaction) -> None:
    tx.put(b"x" + key, key * 50)
    tx.put(b"y" + key, key)


async def write_until_killed(directory: Path, workers: str, name: str) -> None:
    """Ten tasks that write pairs of rows; prints the number of each acknowledged pair."""
    engine = SQLiteEngine.open(directory, workers=int(workers))
    numbers = itertools.count()

    async def client():
        for number in numbers:
            key = f"{name}{number:08d}".encode()
            await engine.transact(partial(put_pair, key))
            say(key.decode())

    await asyncio.gather(*(client() for _ in range(10)))


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:]))
