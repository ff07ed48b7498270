"""Real sockets: listening, draining, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import uvloop

from atoll.wire import handshakes
from atoll.wire.codec import Request
from atoll.wire.connection import Connection
from atoll.wire.server import TURN_ACCEPTS, Server
from tests.wire.conftest import Transport, bodies, echo, post, read_answers, statuses


async def ask(port: int, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def contexts(directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server with a new certificate, and of its clients."""
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem "
        "-subj /CN=localhost -days 1".split(),
        cwd=directory,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(directory / "cert.pem")
    return context, client


LAST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"


class TestSockets:
    def test_it_listens_answers_and_drains(self) -> None:
        async def main() -> None:
            started, release = asyncio.Event(), asyncio.Event()

            async def answer(request: Request) -> bytes:
                if request.path == b"/slow":
                    started.set()
                    await release.wait()
                return await echo(request)

            server = Server(answer)
            ((host, port),) = await server.listen("127.0.0.1", 0)
            assert host == "127.0.0.1"
            assert bodies(await ask(port, LAST)) == [b"hello"]
            idle_reader, idle = await asyncio.open_connection("127.0.0.1", port)
            slow = asyncio.create_task(ask(port, post(b"in flight", b"/slow")))
            await started.wait()
            draining = asyncio.create_task(server.drain())
            assert await asyncio.wait_for(idle_reader.read(), 5) == b""
            idle.close()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", port)
            assert not draining.done()
            release.set()
            ((_, headers, body),) = read_answers(await slow)
            assert body == b"in flight"
            assert headers[b"Connection"] == b"close"
            await asyncio.wait_for(draining, 5)

        uvloop.run(main())

    def test_unfinished_requests_are_aborted_at_the_end_of_the_drain(self) -> None:
        async def main() -> None:
            started = asyncio.Event()

            async def never(request: Request) -> bytes:
                started.set()
                await asyncio.get_running_loop().create_future()
                return b""

            server = Server(never)
            ((_, port),) = await server.listen("127.0.0.1", 0)
            asked = asyncio.create_task(ask(port, post(b"x")))
            await started.wait()
            await server.drain(timeout_ms=10)
            (outcome,) = await asyncio.gather(asked, return_exceptions=True)
            assert outcome == b"" or isinstance(outcome, ConnectionResetError)

        uvloop.run(main())

    def test_several_listeners_may_share_a_port(self) -> None:
        async def main() -> None:
            one, other = Server(echo), Server(echo)
            ((_, port),) = await one.listen("127.0.0.1", 0, reuse_port=True)
            assert await other.listen("127.0.0.1", port, reuse_port=True) == [("127.0.0.1", port)]
            await one.drain()
            assert bodies(await ask(port, LAST)) == [b"hello"]
            await other.drain()

        uvloop.run(main())

    def test_a_tls_client_that_does_not_confirm_its_end_does_not_delay_the_stop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each idle client of an SDK is such a one: a stop took half a minute."""
        monkeypatch.setattr(handshakes, "SHUTDOWN_S", 0.1)
        context, client = contexts(tmp_path)

        def connect(port: int) -> ssl.SSLSocket:
            wrapped = client.wrap_socket(socket.create_connection(("127.0.0.1", port)))
            wrapped.sendall(post(b"hello"))
            wrapped.recv(1)
            return wrapped

        async def main() -> None:
            server = Server(echo)
            ((_, port),) = await server.listen("127.0.0.1", 0, ssl=context)
            with await asyncio.get_running_loop().run_in_executor(None, connect, port):
                await asyncio.wait_for(server.drain(), 10)

        uvloop.run(main())

    def test_it_speaks_tls(self, tmp_path: Path) -> None:
        context, client = contexts(tmp_path)

        async def main() -> None:
            server = Server(echo)
            ((_, port),) = await server.listen("127.0.0.1", 0, ssl=context)
            assert bodies(await ask(port, LAST, client)) == [b"hello"]
            assert statuses(await ask(port, b"nonsense\r\n\r\n", client)) == [400]
            await server.drain()

        uvloop.run(main())

    @pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
    def test_clients_without_a_handshake_leave_room_for_others(self, tmp_path: Path, run: Any) -> None:
        """They were not counted: any number of them held a descriptor until the timeout."""
        context, client = contexts(tmp_path)

        async def main() -> None:
            server = Server(echo, max_connections=3)
            ((_, port),) = await server.listen("127.0.0.1", 0, ssl=context)
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
            assert bodies(await ask(port, LAST, client)) == [b"hello"]
            ended = [asyncio.create_task(reader.read()) for reader, _ in silent]
            await asyncio.wait_for(asyncio.wait(ended[:2]), 10)
            assert not any(one.done() for one in ended[3:])
            await server.drain()
            await asyncio.wait_for(asyncio.wait(ended), 10)

        run(main())

    @pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
    def test_a_failed_handshake_ends_only_its_connection(self, tmp_path: Path, run: Any) -> None:
        context, client = contexts(tmp_path)

        async def main() -> None:
            server = Server(echo)
            ((_, port),) = await server.listen("127.0.0.1", 0, ssl=context)
            await ask(port, b"no TLS at all, but a client that speaks first")
            assert bodies(await ask(port, LAST, client)) == [b"hello"]
            await server.drain()

        run(main())

    def test_a_refused_client_that_is_still_sending_reads_why(self) -> None:
        async def main() -> None:
            server = Server(echo)
            ((_, port),) = await server.listen("127.0.0.1", 0)
            head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
            assert statuses(await ask(port, head + bytes(4_000_000))) == [413]
            await server.drain()

        uvloop.run(main())

    def test_connections_after_a_drain_has_begun_are_closed(self) -> None:
        server, transport = Server(echo), Transport()
        server.draining = True
        Connection(server).connection_made(transport)
        assert transport.closed


@pytest.mark.parametrize("accepts", [True, False])
def test_a_turn_accepts_few_of_many_connections(accepts: bool) -> None:
    """A client that opened a thousand connections together held the event loop until all were accepted."""

    async def run() -> list[int]:
        server = Server(echo)
        ((_, port),) = await server.listen("127.0.0.1", 0, accepts=accepts)
        if not accepts:
            await server.accept()
        clients = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(300)]
        counts = [0]
        while counts[-1] < len(clients):
            await asyncio.sleep(0)
            counts.append(len(server.connections))
        for client in clients:
            client.close()
        await server.drain()
        return counts

    counts = asyncio.run(asyncio.wait_for(run(), 30))
    assert max(after - before for before, after in pairwise(counts)) <= TURN_ACCEPTS
