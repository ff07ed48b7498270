"""Two nodes ask each other over HTTP, and refuse all others."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
import uvloop

from atoll.clock import SkewedClock, SystemClock
from atoll.config import Config
from atoll.database.region import Region
from atoll.errors import ApiError
from atoll.node import Node
from atoll.replication.exchange import Unreachable
from atoll.replication.http import LARGE_BODIES, LARGE_BYTES, BadAnswer, HttpClient
from atoll.replication.messages import MESSAGE_BYTES, Message, dump, load
from atoll.replication.peer import PREFIX, SERVICE, PeerExchange
from atoll.security.credentials import BadCredentials, Credential, Credentials
from atoll.security.signing import sign
from tests.replication.conftest import JP, US, certificate, only_peer, pair, peering, running

T = TypeVar("T")
DEEP = b'{"a":' + b"[" * 500 + b"]" * 500 + b"}"
HELLO = Message("greet", {"n": 1}, [b"", b"\0\xff", b"x" * 100_000])


def run(work: Coroutine[Any, Any, T]) -> T:
    return uvloop.run(asyncio.wait_for(work, 60))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return peering(tmp_path)


async def post(node: Node, target: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    client = HttpClient("http://{}:{}".format(*node.address), None, most_bytes=1_000_000)
    answer = await asyncio.ensure_future(client.post(target, {"host": client.host, **headers}, body, 30))
    client.close()
    return answer


def silent() -> tuple[asyncio.Event, Callable[[Region, str, Message], Coroutine[Any, Any, Message]]]:
    """A handler that never answers, and the event of its first question."""
    began = asyncio.Event()

    async def wait(asked: Region, source: str, message: Message) -> Message:
        began.set()
        await asyncio.Event().wait()
        return message

    return began, wait


class TestExchange:
    @pytest.mark.parametrize("auth", ["none", "sigv4"])
    def test_each_asks_the_other(self, keys: Path, auth: str) -> None:
        one, other = pair(keys, auth=auth, credentials=keys)

        async def main() -> None:
            async with running(one, other):
                for node, source, target in ((one, US, JP), (other, JP, US)) * 2:
                    answer = await node.peering.exchange.ask(source, target, HELLO)
                    assert answer == Message("greeted", {"asked": target, "source": source, "n": 1}, HELLO.parts)

        run(main())

    def test_many_questions_at_a_time(self, keys: Path) -> None:
        one, other = pair(keys)

        async def main() -> None:
            async with running(one, other):
                asked = [one.peering.exchange.ask(US, JP, Message("greet", {"n": n})) for n in range(50)]
                assert [answer.head["n"] for answer in await asyncio.gather(*asked)] == list(range(50))

        run(main())

    def test_a_refusal_is_the_same_as_within_a_node(self, keys: Path) -> None:
        one, other = pair(keys)

        async def main() -> None:
            async with running(one, other):
                for source, target in ((US, US), (US, JP)):
                    with pytest.raises(ApiError) as caught:
                        await one.peering.exchange.ask(source, target, Message("refuse", {}))
                    found = caught.value
                    assert (found.code, found.message, found.status) == (
                        "ResourceNotFoundException", "no such table", 400,
                    )  # fmt: skip

        run(main())

    def test_an_unknown_message_is_unreachable(self, keys: Path) -> None:
        one, other = pair(keys)

        async def main() -> None:
            async with running(one, other):
                with pytest.raises(Unreachable, match=r"^http://localhost:\d+: .* does not know the message sing"):
                    await one.peering.exchange.ask(US, JP, Message("sing", {}))

        run(main())

    def test_a_node_that_does_not_run_is_unreachable(self, keys: Path) -> None:
        one, other = pair(keys)

        async def main() -> None:
            async with running(one):
                with pytest.raises(Unreachable, match="http://localhost"):
                    await one.peering.exchange.ask(US, JP, HELLO)
                async with running(other):
                    await one.peering.exchange.ask(US, JP, HELLO)
                with pytest.raises(Unreachable):
                    await one.peering.exchange.ask(US, JP, HELLO)

        run(main())

    def test_a_connection_that_the_peer_has_closed_is_replaced(self, keys: Path) -> None:
        """A server closes idle connections. The client may notice it only when it sends the next request."""
        one, other = pair(keys)

        async def main() -> None:
            async with running(one, other):
                await one.peering.exchange.ask(US, JP, HELLO)
                assert other.server is not None
                for connection in list(other.server.connections):
                    connection.abort()
                await one.peering.exchange.ask(US, JP, HELLO)

        run(main())

    def test_a_stop_ends_the_requests_that_wait_for_changes(self, keys: Path) -> None:
        one, other = pair(keys)
        began, wait = silent()

        async def main() -> None:
            async with running(one):
                other.peering.handlers["wait"] = wait
                async with running(other):
                    asking = asyncio.create_task(one.peering.exchange.ask(US, JP, Message("wait", {})))
                    await began.wait()
                with pytest.raises(Unreachable, match="the server stops"):
                    await asking

        run(main())

    def test_a_stop_ends_the_questions_that_wait_for_answers(self, keys: Path) -> None:
        """A request that waited for a silent peer held up the end of the server for half a minute."""
        one, other = pair(keys)
        began, wait = silent()

        async def main() -> None:
            async with running(other):
                other.peering.handlers["wait"] = wait
                async with running(one):
                    asking = asyncio.create_task(one.peering.exchange.ask(US, JP, Message("wait", {})))
                    await began.wait()
                for question in (asking, one.peering.exchange.ask(US, JP, HELLO)):
                    with pytest.raises(Unreachable, match="this server stops"):
                        await question

        run(main())

    def test_a_stop_does_not_hide_that_a_question_is_cancelled(self) -> None:
        """The task that asked would go on."""

        async def main() -> None:
            began = asyncio.Event()

            async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readline()
                began.set()
                await reader.read()
                writer.close()

            silent = await asyncio.start_server(never, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
            peer = PeerExchange(url, lambda: [Credential("key", "secret")], SystemClock())
            asking = asyncio.create_task(peer.ask(US, JP, HELLO))
            await began.wait()
            peer.close()
            asking.cancel()
            await asyncio.wait([asking])
            assert asking.cancelled()
            silent.close()

        run(main())


class TestRefusals:
    def signed(self, node: Node, credential: Credential, **changes: Any) -> tuple[str, dict[str, str], bytes]:
        given: dict[str, Any] = {
            "path": PREFIX + "greet", "query": f"source={US}", "body": dump(HELLO), "region": JP, "service": SERVICE,
            "now_ms": SystemClock().now_ms(), **changes,
        }  # fmt: skip
        headers = sign(credential, headers={"host": "{}:{}".format(*node.address)}, **given)
        return f"{given['path']}?{given['query']}", headers, given["body"]

    @pytest.mark.parametrize("auth", ["none", "sigv4"])
    def test_all_but_peers_are_refused(self, keys: Path, auth: str) -> None:
        credentials = Credentials(keys)
        user, admin = credentials.create(1), credentials.create(2, admin=True)
        peer = only_peer(keys)
        _, node = pair(keys, auth=auth, credentials=keys)
        long_ago = SystemClock().now_ms() - 16 * 60_000

        async def main() -> None:
            async with running(node):
                path, headers, body = self.signed(node, peer)
                status, answer = await post(node, path, headers, body)
                assert (status, load(answer).name) == (200, "greeted")
                attempts = {
                    "unsigned": (path, {}, body),
                    "of a client": self.signed(node, user),
                    "of an admin": self.signed(node, admin),
                    "with a wrong secret": self.signed(node, replace(peer, secret="x" * 40)),
                    "of a stranger": self.signed(node, replace(peer, access_key="AKIANOBODY")),
                    "another body": (path, headers, dump(Message("greet", {"n": 2}))),
                    "another source": (path.replace(US, "eu-west-1"), headers, body),
                    "another service": self.signed(node, peer, service="dynamodb"),
                    "too old": self.signed(node, peer, now_ms=long_ago),
                    "too early": self.signed(node, peer, now_ms=2 * SystemClock().now_ms() - long_ago),
                    "a bearer token": (path, {"authorization": "Bearer x"}, body),
                }
                for name, attempt in attempts.items():
                    status, answer = await post(node, *attempt)
                    assert status == 403, (name, answer)

        run(main())

    def test_a_peering_credential_may_do_nothing_else(self, keys: Path) -> None:
        peer = only_peer(keys)
        _, node = pair(keys, auth="sigv4", credentials=keys)

        async def main() -> None:
            async with running(node):
                for path in ("/_atoll/clock", "/2015-03-31/functions"):
                    headers = self.signed(node, peer, path=path, query="", service=SERVICE, body=b"{}")[1]
                    status, answer = await post(node, path, headers, b"{}")
                    assert status in (400, 403), path
                call = {"host": "{}:{}".format(*node.address), "x-amz-target": "DynamoDB_20120810.ListTables",
                        "content-type": "application/x-amz-json-1.0"}  # fmt: skip
                headers = sign(peer, path="/", query="", headers=call, body=b"{}", region=JP, service="dynamodb",
                               now_ms=SystemClock().now_ms())  # fmt: skip
                status, answer = await post(node, "/", headers, b"{}")
                assert status == 400
                assert b"UnrecognizedClientException" in answer

        run(main())

    def test_a_server_without_peers_refuses_all(self, keys: Path) -> None:
        node = Node(Config(data=None, port=0, region=JP))

        async def main() -> None:
            async with running(node):
                status, answer = await post(node, *self.signed(node, only_peer(keys)))
                assert status == 403
                assert b"has no peers" in answer

        run(main())

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"body": b""}, b"is not a message of a peer"),
            ({"body": b"\0\0\0\2{}"}, b"is not a message of a peer"),
            ({"body": dump(Message("refuse", {}))}, b"is not a message of a peer"),
            ({"query": ""}, b"is not a message of a peer"),
            ({"query": f"source={US}&source={JP}"}, b"is not a message of a peer"),
            ({"query": f"source={JP}"}, b"no two servers may serve the same region"),
        ],
    )
    def test_invalid_answers_are_reported(self, keys: Path, changes: dict[str, Any], text: bytes) -> None:
        _, node = pair(keys)

        async def main() -> None:
            async with running(node):
                status, answer = await post(node, *self.signed(node, only_peer(keys), **changes))
                assert status == 400
                assert text in answer

        run(main())

    def test_a_region_that_the_peer_does_not_serve(self, keys: Path) -> None:
        _, node = pair(keys)

        async def main() -> None:
            async with running(node):
                status, answer = await post(node, *self.signed(node, only_peer(keys), region="eu-west-1"))
                assert (status, load(answer).name) == (200, "unreachable")
                assert "eu-west-1" in load(answer).head["reason"]

        run(main())

    def test_a_new_key_is_added_to_one_node_after_the_other(self, tmp_path: Path) -> None:
        """A node tries all its keys, so that a newer one may be unknown to its peer for a while."""
        keys = [peering(tmp_path, "a.json"), tmp_path / "b.json"]
        keys[1].write_bytes(keys[0].read_bytes())
        one, other = pair(keys[0])
        one, other = (
            Node(replace(node.config, peer_credentials=path)) for node, path in zip((one, other), keys, strict=True)
        )

        async def main() -> None:
            async with running(one, other):
                a, b = Credentials(keys[0]), Credentials(keys[1])
                for step in (
                    lambda: a.create(1, peer=True),
                    lambda: b.add(a.list()[1]),
                    lambda: a.delete(a.list()[0].access_key),
                    lambda: b.delete(b.list()[0].access_key),
                ):
                    step()
                    for node in (one, other):
                        node.peering.reload()
                    await one.peering.exchange.ask(US, JP, HELLO)
                    await other.peering.exchange.ask(JP, US, HELLO)

        run(main())

    def test_peers_without_a_credential_do_not_start(self, tmp_path: Path) -> None:
        one, _ = pair(tmp_path / "missing.json")

        async def main() -> None:
            with pytest.raises(BadCredentials, match="atoll credentials create --peer"):
                await one.start()

        run(main())

    def test_the_clocks_of_peers_may_differ_by_15_minutes(self, keys: Path) -> None:
        _, node = pair(keys)
        clock = SkewedClock(SystemClock())

        async def main() -> None:
            async with running(node):
                url = "http://{}:{}".format(*node.address)
                exchange = PeerExchange(url, lambda: [only_peer(keys)], clock)
                for minutes, reached in ((0, True), (14, True), (-14, True), (16, False), (-16, False)):
                    clock.skew_ms = minutes * 60_000
                    if reached:
                        await exchange.ask(US, JP, HELLO)
                    else:
                        with pytest.raises(Unreachable, match="403: Signature"):
                            await exchange.ask(US, JP, HELLO)
                exchange.close()

        run(main())


class TestTls:
    def trusting(self, path: Path) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=path)

    def test_peers_ask_each_other_over_tls(self, tmp_path: Path, keys: Path) -> None:
        context, trusted = certificate(tmp_path, "localhost", "localhost")
        one, other = pair(keys, tls=context, peer_tls=self.trusting(trusted))

        async def main() -> None:
            async with running(one, other):
                for _ in range(3):
                    assert (await one.peering.exchange.ask(US, JP, HELLO)).parts == HELLO.parts
                    assert (await other.peering.exchange.ask(JP, US, HELLO)).parts == HELLO.parts

        run(main())

    @pytest.mark.parametrize("wrong", ["authority", "host", "none"])
    def test_a_certificate_that_does_not_prove_the_peer(self, tmp_path: Path, keys: Path, wrong: str) -> None:
        served, own = certificate(tmp_path, "localhost" if wrong != "host" else "other.example", "server")
        _, foreign = certificate(tmp_path, "localhost", "foreign")
        trust = {"authority": self.trusting(foreign), "host": self.trusting(own), "none": None}[wrong]
        one, other = pair(keys, tls=served, peer_tls=trust)

        async def main() -> None:
            async with running(one, other):
                with pytest.raises(Unreachable, match="certificate verify failed"):
                    await one.peering.exchange.ask(US, JP, HELLO)

        run(main())


class TestNonsense:
    """A peer that is something else."""

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "is invalid: the frame ends"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "is invalid"),
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>", "answers 404"),
            (b'HTTP/1.1 403 Forbidden\r\nContent-Length: 17\r\n\r\n{"message":"no."}', "answers 403: no."),
            (b'HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\n{"message":1}', "answers 403"),
            (b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", "answers 301"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "http://127.0.0.1"),
            (b"", "closed before its answer"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi", "closed before its answer"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffff8\r\n", "closed before its answer"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 40000000\r\n\r\n" + bytes(17_000_000), "more than 16777216 bytes"),
        ],
        ids=range(11),
    )
    def test_it_is_unreachable(self, answer: bytes, reason: str) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async def main() -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            exchange = PeerExchange(
                f"http://127.0.0.1:{port}", lambda: [Credential("AKIA", "s", peer=True)], SystemClock()
            )
            with pytest.raises(Unreachable, match=reason):
                await exchange.ask(US, JP, HELLO)
            exchange.close()
            server.close()

        run(main())

    @pytest.mark.parametrize(
        ("start", "more"),
        [
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a"),
        ],
        ids=["interim answers", "headers", "chunks", "extension of a chunk"],
    )
    def test_an_answer_that_never_ends_is_cut(self, start: bytes, more: bytes) -> None:
        """A peer sent heads or chunk framing without an end. The reader took them for a minute, at half of its CPU, and
        asked again; its own clients waited 300 ms for a GetItem. Only the bytes of bodies were limited."""
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(start)
            with suppress(ConnectionError):
                while True:
                    writer.write(more * 10_000)
                    await writer.drain()
            ended.set()

        async def main() -> None:
            async with asyncio.timeout(20):
                server = await asyncio.start_server(serve, "127.0.0.1", 0)
                port = server.sockets[0].getsockname()[1]
                client = HttpClient(f"http://127.0.0.1:{port}", None, most_bytes=MESSAGE_BYTES)
                with pytest.raises(BadAnswer, match="bytes for a body of"):
                    await client.post("/", {"host": "localhost"}, b"", 60)
                await ended.wait()
                server.close()

        run(main())

    def test_two_answers_to_one_question(self) -> None:
        """The second answer, or its first half, would be taken for that to the next question."""
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright"
        for more in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"HTTP/1.1 200 OK\r\n", b"\0"):
            asked = asyncio.run(_asked_twice(answer, more))
            assert asked == [b"right", b"right"]

    def test_a_large_body_waits_for_others(self) -> None:
        """Each connection took up to 16 MB of an answer that did not end, and each replicated table has one."""
        go_on, sent = asyncio.Event(), asyncio.Semaphore(0)
        body = bytes(2 * LARGE_BYTES)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.transport.set_write_buffer_limits(0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            is_slow = head.startswith(b"POST /slow")
            writer.write(body[1:] if is_slow else body)
            await writer.drain()
            sent.release()
            if is_slow:
                await go_on.wait()
                writer.write(body[:1])

        async def main() -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            client = HttpClient(f"http://127.0.0.1:{port}", None, most_bytes=MESSAGE_BYTES)
            slow = [asyncio.ensure_future(client.post("/slow", {}, b"", 30)) for _ in range(LARGE_BODIES)]
            for _ in slow:
                await sent.acquire()
            quick = asyncio.ensure_future(client.post("/quick", {}, b"", 30))
            assert not (await asyncio.wait([quick], timeout=0.2))[0]
            go_on.set()
            assert {len(answer.body) for answer in await asyncio.gather(*slow, quick)} == {len(body)}
            client.close()
            server.close()

        run(main())

    @pytest.mark.parametrize(
        "head",
        [
            {},
            {"reason": 5},
            {"code": "X"},
            {"code": "X", "message": 1, "status": "400", "prefix": "", "fields": 0},
            *(
                {"code": "X", "message": "", "status": status, "prefix": "", "fields": {}}
                for status in (-1, 200, 99_999)
            ),
            {"code": "X", "message": "", "status": 400, "prefix": "", "fields": {"a": ["b"] * 20_000}},
            {"code": "X", "message": "", "status": 400, "prefix": "", "fields": orjson.Fragment(DEEP)},
        ],
        ids=range(9),
    )
    @pytest.mark.parametrize("name", ["refused", "unreachable"])
    def test_a_refusal_that_is_none(self, name: str, head: dict[str, Any]) -> None:
        body = dump(Message(name, head))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            writer.close()

        async def main() -> None:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            exchange = PeerExchange(
                f"http://127.0.0.1:{port}", lambda: [Credential("AKIA", "s", peer=True)], SystemClock()
            )
            with pytest.raises(Unreachable, match="is invalid"):
                await exchange.ask(US, JP, HELLO)
            server.close()

        run(main())


async def _asked_twice(answer: bytes, more: bytes) -> list[bytes]:
    """The answers to two questions, if the server sends `more` after each."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answer + more)
        writer.close()

    async with asyncio.timeout(20):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(f"http://127.0.0.1:{port}", None, most_bytes=MESSAGE_BYTES)
        found = [(await client.post("/", {"host": "localhost"}, b"", 60)).body for _ in range(2)]
        client.close()
        server.close()
    return found
