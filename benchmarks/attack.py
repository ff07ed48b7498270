"""`python -m benchmarks.attack`: attack a server in several ways, and print figures.

Each attack starts its own server, and ends after a limited time. The program exits with 1 if an attack has succeeded.
The arguments are names of attacks, such as `many_regions`; without arguments all attacks run.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

from benchmarks import servers, stalls
from benchmarks.client import Client
from tests.faults.simulation import MODES, simulate
from tests.fuzz.fuzzing import fuzz

SEED = int(os.environ.get("SEED", "0"))
TURN_MS = 50
STOP_MS = 100
BUSY_MS = 1_000
MEGABYTE = 1024**2
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\n"

Found = tuple[bool, str]
"""Whether the server withstood the attack, and the figures."""


def main() -> int:
    logging.disable()
    withstood = True
    for attack in ATTACKS:
        if sys.argv[1:] and attack.__name__.strip("_") not in sys.argv[1:]:
            continue
        begin = time.monotonic()
        held, figures = attack()
        withstood &= held
        name = attack.__name__.strip("_").replace("_", " ")
        state = "held" if held else "FAILED"
        print(f"{state:6} {name:22} {figures} ({time.monotonic() - begin:.0f} s)", flush=True)
    return 0 if withstood else 1


def _worst_requests() -> Found:
    found = stalls.measure()
    worst = max(found, key=lambda stall: stall.turn_ms)
    errors = [stall.name for stall in found if stalls.is_fault(stall)]
    figures = f"{len(found)} requests, longest turn {worst.turn_ms:.0f} ms of CPU ({worst.name}), {len(errors)} errors"
    return not errors and worst.turn_ms <= TURN_MS, figures


def _stop_under_load() -> Found:
    """Send SIGTERM while the worst requests run. Measures the CPU time until the server accepts no more connections."""
    key = {"TableName": "Probe", "Key": stalls.KEY}
    numbers = [str(number) for number in range(500_000)]
    worst: list[tuple[str, object]] = [
        ("PutItem", {"TableName": "Probe", "Item": {**stalls.KEY, "s": {"NS": numbers}}}),
        ("UpdateItem", {**key, "AttributeUpdates": {f"a{number}": {"Value": {"N": "1"}} for number in range(200_000)}}),
        ("BatchGetItem", {"RequestItems": {f"table{number}": {"Keys": [stalls.KEY]} for number in range(200_000)}}),
        ("BatchWriteItem", {"RequestItems": {"Probe": [{"PutRequest": {"Item": stalls.KEY}}] * 200_000}}),
    ]
    with tempfile.TemporaryDirectory() as scratch, servers.atoll(Path(scratch), name="Atoll stopped") as server:
        stalls.load_probe(Client(server.port))
        senders = [threading.Thread(target=_send, args=(server.port, *request), daemon=True) for request in worst]
        for sender in senders:
            sender.start()
        assert server.process is not None
        start_ms = _cpu_ms(server.process.pid)
        while _cpu_ms(server.process.pid) < start_ms + BUSY_MS:
            time.sleep(0.01)
        cpu_ms, begin = _cpu_ms(server.process.pid), time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        while _accepts(server.port):
            time.sleep(0.001)
        took_ms = (time.monotonic() - begin) * 1000
        cpu_ms = _cpu_ms(server.process.pid) - cpu_ms
        server.process.wait(60)
        end_s = time.monotonic() - begin
    figures = f"accepts nobody after {took_ms:.0f} ms ({cpu_ms:.0f} ms of CPU); all answered after {end_s:.1f} s"
    return min(took_ms, cpu_ms) <= STOP_MS, figures


def _slow_bodies() -> Found:
    """Send 60 bodies of 15 MB, none of them to its end."""
    limit = 128
    with servers.atoll(None, "--memory-limit", f"{limit}MB", name="Atoll slow") as server, ExitStack() as opened:
        stalls.load_probe(Client(server.port))
        connections = []
        for _ in range(60):
            connection = opened.enter_context(socket.create_connection((servers.HOST, server.port)))
            connection.setblocking(False)
            with suppress(OSError):
                connection.send(HEAD + b"Content-Length: 16000000\r\n\r\n")
            connections.append(connection)
        peak = _resident_mb(server)
        for _ in range(15):
            for connection in connections:
                with suppress(OSError):
                    connection.send(bytes(MEGABYTE))
            peak = max(peak, _resident_mb(server))
            answered = stalls.probe_once(Client(server.port))
    return answered and peak < 100 + 2 * limit, f"60 x 15 MB: at most {peak} MB resident, others are answered"


def _many_connections() -> Found:
    with servers.atoll(None, "--max-connections", "200", name="Atoll crowded") as server, ExitStack() as opened:
        stalls.load_probe(Client(server.port))
        for _ in range(600):
            opened.enter_context(socket.create_connection((servers.HOST, server.port)))
        answered = False
        for _ in range(100):
            with suppress(OSError, ConnectionError):
                answered = answered or stalls.probe_once(Client(server.port))
            time.sleep(0.1)
            if answered:
                break
        heads = Counter[int]()
        many = b"".join(b"X-%d: y\r\n" % number for number in range(200))
        for head in (b"Host: b\r\n", b"X: " + b"y" * 17_000 + b"\r\n", many):
            heads[_status(server.port, HEAD + head + b"\r\n")] += 1
    return answered and set(heads) == {400}, f"600 idle connections do not keep others out; odd heads: {dict(heads)}"


def _many_regions() -> Found:
    with tempfile.TemporaryDirectory() as scratch:
        with servers.atoll(Path(scratch), name="Atoll regions") as server:
            assert server.process is not None
            files = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
            for number in range(300):
                _ask(server.port, "ListTables", {}, region=f"xx-read-{number}")
            opened = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir())) - files
            made = Counter[int]()
            for number in range(70):
                status, _ = _ask(server.port, "CreateTable", _TABLE, region=f"xx-made-{number}")
                made[status] += 1
        with servers.atoll(Path(scratch), name="Atoll regions"):
            pass
    figures = f"300 are read and open {opened} files; tables in 70: {dict(made)}; the server starts again"
    return opened <= 2 and set(made) <= {200, 400}, figures


def _web_pages() -> Found:
    with servers.atoll(None, name="Atoll pages") as server:
        statuses = Counter[int]()
        for extra in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
            status, _ = _ask(server.port, "CreateTable", _TABLE, headers=extra)
            statuses[status] += 1
            path = "/2015-03-31/functions/f/invocations"
            statuses[_post(server.port, path, b"{}", {"Content-Type": "text/plain", **extra})[0]] += 1
        _, tables = _ask(server.port, "ListTables", {})
    return set(statuses) == {403} and tables == {"TableNames": []}, f"foreign origins and hosts: {dict(statuses)}"


def _flipped_bits() -> Found:
    """Flip bits in the store of a stopped server. After the next start each row must be right, refused or absent."""
    source, answers = Random(SEED), Counter[str]()
    for flip in range(10):
        with tempfile.TemporaryDirectory() as scratch:
            data = Path(scratch)
            with servers.atoll(data, name="Atoll flipped") as server:
                client = Client(server.port)
                _ask(server.port, "CreateTable", _TABLE)
                for number in range(100):
                    item = {"pk": {"S": f"k{number}"}, "v": {"S": f"value {number} " * 20}}
                    assert client.call("PutItem", {"TableName": "Attacked", "Item": item}).ok
            file = data / "us-east-1" / "atoll.db"
            content = bytearray(file.read_bytes())
            for _ in range(20 * flip):
                content[source.randrange(4096, len(content))] ^= 1 << source.randrange(8)
            file.write_bytes(content)
            with suppress(RuntimeError), servers.atoll(data, name="Atoll flipped") as server:
                client = Client(server.port)
                for number in range(100):
                    answer = client.call("GetItem", {"TableName": "Attacked", "Key": {"pk": {"S": f"k{number}"}}})
                    right = {"pk": {"S": f"k{number}"}, "v": {"S": f"value {number} " * 20}}
                    found = answer.body.get("Item") if answer.ok else None
                    kind = "refused" if not answer.ok else "absent" if found is None else "right"
                    answers[kind if found in (None, right) else "wrong"] += 1
    return answers["wrong"] == 0, ", ".join(f"{count} {kind}" for kind, count in sorted(answers.items()))


def _fuzz() -> Found:
    report = asyncio.run(fuzz(int(os.environ.get("REQUESTS", "20000")), SEED, seconds=120))
    return report.is_clean, str(report).replace("\n", "; ")


def _faults() -> Found:
    happened, failed, lives = Counter[str](), 0, 0
    end = time.monotonic() + 60
    for seed in range(SEED, SEED + 30):
        for mode in MODES:
            if time.monotonic() < end:
                lives += 1
                try:
                    happened += simulate(mode, seed)
                except Exception as error:
                    failed += 1
                    print(error, *getattr(error, "__notes__", ()), file=sys.stderr)
    return failed == 0, f"{lives} stores: {', '.join(f'{n} {what}' for what, n in sorted(happened.items()))}"


ATTACKS: list[Callable[[], Found]] = [
    _worst_requests, _stop_under_load, _slow_bodies, _many_connections, _many_regions, _web_pages, _flipped_bits, _fuzz,
    _faults,
]  # fmt: skip

_TABLE = {
    "TableName": "Attacked",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}


def _send(port: int, operation: str, body: object) -> None:
    with suppress(ConnectionError):
        Client(port, timeout=120).send(operation, body if isinstance(body, bytes) else json.dumps(body).encode())


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((servers.HOST, port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def _cpu_ms(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def _resident_mb(server: servers.Server) -> int:
    assert server.process is not None
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") // MEGABYTE


def _status(port: int, request: bytes) -> int:
    with socket.create_connection((servers.HOST, port), timeout=30) as connection:
        connection.sendall(request)
        return int(connection.recv(100).split()[1])


def _post(port: int, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(servers.HOST, port, timeout=60)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def _ask(
    port: int, operation: str, body: object, *, region: str = "us-east-1", headers: dict[str, str] | None = None
) -> tuple[int, object]:
    scope = f"A/20260101/{region}/dynamodb/aws4_request"
    sent = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        **(headers or {}),
    }
    status, content = _post(port, "/", json.dumps(body).encode(), sent)
    return status, json.loads(content)


if __name__ == "__main__":
    sys.exit(main())
