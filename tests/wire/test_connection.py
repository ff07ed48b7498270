"""Bytes in, bytes out: one connection as its two sides see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from atoll import limits
from atoll.wire.codec import Request
from atoll.wire.connection import QUEUED_REQUESTS, Connection
from atoll.wire.incoming import HEAD_BYTES
from tests.wire.conftest import Transport, Wire, bodies, echo, plain, post, read_answers, statuses


class TestRequests:
    def test_a_request_is_taken_apart(self, wire: Wire) -> None:
        wire.send(b"POST /a/b?c=d&e HTTP/1.1\r\nHoSt: x\r\nX-Amz-Target:  T.Op \r\nContent-Length: 2\r\n\r\nhi")
        (request,) = wire.requests
        assert (request.method, request.path, request.query, request.body) == (b"POST", b"/a/b", b"c=d&e", b"hi")
        assert request.headers[b"host"] == b"x"
        assert request.headers[b"x-amz-target"].strip() == b"T.Op"

    def test_one_connection_serves_many_requests(self, wire: Wire) -> None:
        assert [wire.send(post(b"%d" % n)) for n in range(3)] == [plain(b"%d" % n) for n in range(3)]
        assert not wire.transport.closed

    def test_a_request_may_arrive_byte_by_byte(self, wire: Wire) -> None:
        data = b"POST /path?query HTTP/1.1\r\nHost: x\r\nX-Long-Name: value\r\nContent-Length: 5\r\n\r\nhello"
        assert wire.send(*(data[n : n + 1] for n in range(len(data)))) == plain(b"hello")
        (request,) = wire.requests
        assert (request.path, request.query) == (b"/path", b"query")
        assert request.headers == {b"host": b"x", b"x-long-name": b"value", b"content-length": b"5"}

    def test_the_absolute_form_names_the_same_path(self, wire: Wire) -> None:
        wire.send(b"GET http://x:8000/a?b HTTP/1.1\r\nHost: x:8000\r\n\r\n")
        assert (wire.requests[0].path, wire.requests[0].query) == (b"/a", b"b")

    def test_a_repeated_header_is_joined(self, wire: Wire) -> None:
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\na: 2\r\n\r\n")
        assert wire.requests[0].headers[b"a"] == b"1,2"

    def test_a_chunked_body_is_put_together(self, wire: Wire) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert wire.send(head + b"3\r\nabc\r\n", b"2;extension\r\nd", b"e\r\n0\r\n\r\n") == plain(b"abcde")

    def test_trailers_are_not_headers(self, wire: Wire) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.send(head + b"3\r\nabc\r\n0\r\nX-Amz-Target: evil\r\nAuthorization: evil\r\n\r\n" + post(b"next"))
        assert len(wire.requests) == 2
        for request in wire.requests:
            assert b"x-amz-target" not in request.headers
            assert b"authorization" not in request.headers

    def test_an_offer_to_speak_another_protocol_is_ignored(self, wire: Wire) -> None:
        offer = (
            b"POST /p?q HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: AAMAAABkAAQ\r\nContent-Length: 5\r\n\r\nhello"
        )
        assert wire.send(offer + offer + post(b"next")) == plain(b"hello") + plain(b"hello") + plain(b"next")
        assert wire.requests[0].path == b"/p"
        assert wire.requests[0].query == b"q"

    def test_many_offers_are_ignored(self, wire: Wire) -> None:
        """Each one took a level of recursion and a copy of the rest."""
        offer = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        assert set(statuses(wire.send(offer * 1_200))) == {200}
        assert not wire.transport.closed

    def test_connect_is_refused(self, wire: Wire) -> None:
        assert statuses(wire.send(b"CONNECT host:443 HTTP/1.1\r\nHost: host:443\r\n\r\n")) == [400]


class TestKeepAlive:
    def test_the_connection_ends_when_the_client_says_so(self, wire: Wire) -> None:
        answer = wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + post(b"ignored"))
        ((_, headers, body),) = read_answers(answer)
        assert headers[b"Connection"] == b"close"
        assert body == b"/"
        assert wire.transport.closed

    def test_it_ends_then_also_where_another_protocol_is_offered(self, wire: Wire) -> None:
        offer = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n\r\n"
        ((_, headers, _),) = read_answers(wire.send(offer + post(b"ignored")))
        assert headers[b"Connection"] == b"close"
        assert wire.transport.closed

    def test_http_1_0_ends_unless_asked_to_stay(self, wire: Wire) -> None:
        ((_, headers, _),) = read_answers(wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"))
        assert headers[b"Connection"] == b"keep-alive"
        assert not wire.transport.closed
        ((_, headers, _),) = read_answers(wire.send(b"GET / HTTP/1.0\r\n\r\n"))
        assert headers[b"Connection"] == b"close"
        assert wire.transport.closed

    def test_an_idle_connection_is_closed_in_time(self, wire: Wire) -> None:
        wire.send(post(b"x"))
        wire.tick(wire.server.idle_ticks)
        assert not wire.transport.closed
        wire.tick(1)
        assert wire.transport.closed

    def test_a_closed_connection_that_is_never_read_is_aborted_in_time(self, wire: Wire) -> None:
        wire.send(b"GET / HTTP/1.0\r\n\r\n")
        assert wire.transport.closed
        wire.tick(wire.server.idle_ticks + 1)
        assert wire.transport.aborted

    def test_each_request_restarts_the_time(self, wire: Wire) -> None:
        for _ in range(3):
            wire.tick(wire.server.idle_ticks)
            wire.send(post(b"x"))
        assert not wire.transport.closed


class TestRefusals:
    @pytest.mark.parametrize(
        "nonsense",
        [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"HELLO\r\n\r\n",
            b"GET / HTTP/3.7\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded: c\r\n\r\n",
        ],
    )
    def test_nonsense_is_answered_once_and_the_connection_ends(self, wire: Wire, nonsense: bytes) -> None:
        ((status, headers, _),) = read_answers(wire.send(nonsense, post(b"ignored")))
        assert status == 400
        assert headers[b"Connection"] == b"close"
        assert wire.transport.eof
        assert wire.requests == []
        wire.tick(wire.server.request_ticks + 1)
        assert wire.transport.aborted

    def test_requests_before_malformed_bytes_are_answered_first(self, wire: Wire) -> None:
        assert statuses(wire.send(post(b"fine") + b"nonsense\r\n\r\n")) == [200, 400]

    def test_a_large_body_is_refused_before_it_is_sent(self, wire: Wire) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
        assert statuses(wire.send(head % (limits.REQUEST_BYTES + 1))) == [413]

    def test_a_chunked_body_is_refused_where_it_becomes_too_large(self, wire: Wire) -> None:
        part = b"100000\r\n" + bytes(0x100000) + b"\r\n"
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert wire.send(head, *[part] * 16) == b""
        assert statuses(wire.send(b"1\r\n")) == []
        assert statuses(wire.send(b"x\r\n")) == [413]

    def test_a_body_of_the_largest_size_is_taken(self, wire: Wire) -> None:
        assert statuses(wire.send(post(bytes(limits.REQUEST_BYTES)))) == [200]
        assert len(wire.requests[0].body) == limits.REQUEST_BYTES

    def test_endless_trailers_are_refused(self, wire: Wire) -> None:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        trailer = b"".join(b"T%d: %s\r\n" % (n, b"x" * 1000) for n in range(1000))
        answers = [wire.send(head), *(wire.send(trailer) for _ in range(40))]
        assert statuses(b"".join(answers)) == [413]

    @pytest.mark.parametrize(
        "head",
        [
            b"".join(b"H%d: x\r\n" % n for n in range(200)),
            b"".join(b"Same: %s\r\n" % (b"x" * 8192) for n in range(8)),
            b"A: " + b"x" * (4 * HEAD_BYTES) + b"\r\n",
            b"A: " + b"x" * HEAD_BYTES + b"\r\n",
        ],
    )
    @pytest.mark.parametrize("piece", [100, 4096, HEAD_BYTES, 10 * HEAD_BYTES])
    def test_a_large_head_is_refused_however_it_arrives(self, wire: Wire, head: bytes, piece: int) -> None:
        data = b"GET / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n"
        assert statuses(wire.send(*(data[n : n + piece] for n in range(0, len(data), piece)))) == [400]
        assert wire.requests == []

    @pytest.mark.parametrize("piece", [100, 4096, 10 * HEAD_BYTES])
    def test_a_head_of_nearly_the_largest_size_is_read(self, wire: Wire, piece: int) -> None:
        data = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * (HEAD_BYTES - 100) + b"\r\n\r\n"
        assert statuses(wire.send(*(data[n : n + piece] for n in range(0, len(data), piece)))) == [200]

    @pytest.mark.parametrize("cut", [5, 40, -2, -1])
    def test_a_large_body_may_come_with_the_end_of_a_head(self, wire: Wire, cut: int) -> None:
        """All of the second packet counted as head, so the server refused the request."""
        body = bytes(5 * HEAD_BYTES)
        head = post(body).removesuffix(body)
        assert statuses(wire.send(head[:cut], head[cut:] + body, post(b"next"))) == [200, 200]

    def test_pipelined_requests_may_be_cut_anywhere(self, wire: Wire) -> None:
        requests = post(b"") * 1_000
        parts = (requests[start : start + 20_001] for start in range(0, len(requests), 20_001))
        assert statuses(wire.send(*parts)) == [200] * 1_000

    def test_a_large_head_behind_another_request_is_refused(self, wire: Wire) -> None:
        head = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * HEAD_BYTES + b"\r\n\r\n"
        assert statuses(wire.send(post(bytes(20_000)) + head)) == [200, 400]

    @pytest.mark.parametrize("pieces", [1, 2])
    def test_the_first_packet_of_an_endless_head_does_not_escape_the_limit(self, wire: Wire, pieces: int) -> None:
        start = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: x\r\n" * HEAD_BYTES
        assert statuses(wire.send(*[start] * pieces)) == [400]

    def test_a_long_url_is_refused(self, wire: Wire) -> None:
        data = b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n"
        assert statuses(wire.send(data)) == [400]

    @pytest.mark.parametrize("hosts", [b"Host: x\r\nHost: y\r\n", b"Host: x\r\nA: b\r\nhOST: x\r\n"])
    def test_two_hosts_are_refused(self, wire: Wire, hosts: bytes) -> None:
        assert statuses(wire.send(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")) == [400]
        assert wire.requests == []

    def test_a_slow_head_runs_out_of_time(self, wire: Wire) -> None:
        wire.send(b"GET / HTTP/1.1\r\n")
        for _ in range(wire.server.request_ticks + 1):
            wire.send(b"A: b\r\n")
            wire.tick(1)
        assert statuses(wire.transport.data) == [408]

    def test_a_body_has_time_while_it_keeps_the_minimum_rate(self, wire: Wire) -> None:
        piece = bytes(1 + wire.server.least_bytes // wire.server.rate_ticks)
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (100 * len(piece)))
        for _ in range(99):
            wire.send(piece)
            wire.tick(1)
        assert statuses(wire.send(piece)) == [200]

    @pytest.mark.parametrize("piece", [b"", b"x", bytes(1000)])
    @pytest.mark.parametrize("before", [0, 1_000_000])
    def test_a_body_below_the_minimum_rate_is_cut(self, wire: Wire, piece: bytes, before: int) -> None:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + bytes(before))
        ticks = 0
        while not wire.transport.data:
            wire.send(piece)
            wire.tick(1)
            ticks += 1
        assert statuses(wire.transport.data) == [408]
        assert ticks <= 2 * (wire.server.rate_ticks + 1)
        assert wire.server.memory.used == 0


class TestContinue:
    HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n"

    def test_expect_100_continue_is_answered(self, wire: Wire) -> None:
        assert wire.send(self.HEAD) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert wire.send(b"hello") == plain(b"hello")

    def test_other_expectations_fail(self, wire: Wire) -> None:
        assert statuses(wire.send(self.HEAD.replace(b"100-Continue", b"miracles"))) == [417]

    def test_it_waits_for_the_answers_before_it(self) -> None:
        async def main() -> None:
            wire, release = held()
            assert wire.send(post(b"first") + self.HEAD) == b""
            await release()
            assert wire.transport.data == plain(b"first") + b"HTTP/1.1 100 Continue\r\n\r\n"
            wire.send(b"hello")
            await release()
            assert wire.transport.data.endswith(plain(b"hello"))

        asyncio.run(main())


def held() -> tuple[Wire, Callable[[], Awaitable[None]]]:
    """A connection whose answers wait, and a function that lets the next one go."""
    waiting: list[asyncio.Future[None]] = []

    async def answer(request: Request) -> bytes:
        future = asyncio.get_running_loop().create_future()
        waiting.append(future)
        await future
        return await echo(request)

    async def release() -> None:
        waiting.pop(0).set_result(None)
        await asyncio.sleep(0)
        wire.settle()

    wire = Wire(answer)
    return wire, release


class TestPipelining:
    def test_answers_that_are_ready_together_are_written_together(self, wire: Wire) -> None:
        wire.send(b"".join(post(b"%d" % n) for n in range(5)))
        assert wire.transport.written == [b"".join(plain(b"%d" % n) for n in range(5))]

    def test_answers_wait_until_all_connections_have_been_looked_at(self, wire: Wire) -> None:
        other = Transport()
        connection = Connection(wire.server)
        connection.connection_made(other)
        wire.connection.data_received(post(b"1"))
        connection.data_received(post(b"2"))
        assert len(wire.requests) == 2
        assert wire.transport.written == other.written == []
        wire.settle()
        assert (wire.transport.written, other.written) == ([plain(b"1")], [plain(b"2")])

    def test_pending_answers_are_written_after_the_client_half_closes(self, wire: Wire) -> None:
        wire.connection.data_received(post(b"1"))
        assert wire.connection.eof_received() is False
        assert wire.transport.written == [plain(b"1")]

    def test_a_failing_transport_does_not_delay_other_answers(self, wire: Wire) -> None:
        other = Transport()
        connection = Connection(wire.server)
        connection.connection_made(other)
        wire.transport.write = lambda data: 1 / 0  # type: ignore
        wire.connection.data_received(post(b"1"))
        connection.data_received(post(b"2"))
        wire.settle()
        assert wire.transport.aborted
        assert other.written == [plain(b"2")]

    def test_a_client_that_went_before_its_answer_is_not_written_to(self, wire: Wire) -> None:
        wire.connection.data_received(post(b"1"))
        wire.connection.connection_lost(ConnectionResetError())
        wire.settle()
        assert len(wire.requests) == 1
        assert wire.transport.written == []

    def test_requests_are_answered_one_after_the_other(self) -> None:
        async def main() -> None:
            wire, release = held()
            wire.send(post(b"1") + post(b"2"), post(b"3"))
            for n in (1, 2, 3):
                assert len(wire.requests) == n
                await release()
                assert bodies(wire.transport.data)[-1] == b"%d" % n

        asyncio.run(main())

    def test_many_waiting_requests_hold_back_reading(self) -> None:
        async def main() -> None:
            wire, release = held()
            for n in range(QUEUED_REQUESTS):
                wire.send(post(b"%d" % n))
            assert wire.transport.reading
            wire.send(post(b"last"))
            assert not wire.transport.reading
            await release()
            assert wire.transport.reading
            for _ in range(QUEUED_REQUESTS):
                await release()
            assert len(bodies(wire.transport.data)) == QUEUED_REQUESTS + 1

        asyncio.run(main())

    def test_a_client_that_does_not_read_is_not_served_further(self, wire: Wire) -> None:
        wire.connection.pause_writing()
        assert not wire.transport.reading
        assert wire.send(post(b"x")) == b""
        assert wire.requests == []
        wire.connection.resume_writing()
        assert bodies(wire.transport.data) == [b"x"]
        assert wire.transport.reading
        wire.connection.pause_writing()
        wire.tick(wire.server.idle_ticks + 1)
        assert wire.transport.aborted

    def test_large_answers_are_not_piled_up(self) -> None:
        async def large(request: Request) -> bytes:
            return plain(bytes(100_000))

        wire = Wire(large)
        pause = wire.connection.pause_writing
        wire.transport.write = lambda data: (Transport.write(wire.transport, data), pause())[0]  # type: ignore
        wire.send(post(b"") * 100)
        assert len(wire.requests) == 3

    def test_the_last_request_of_many_may_end_the_connection(self) -> None:
        async def main() -> None:
            wire, release = held()
            wire.send(post(b"1") + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await release()
            assert not wire.transport.closed
            await release()
            assert wire.transport.closed
            assert len(bodies(wire.transport.data)) == 2

        asyncio.run(main())


class TestEnds:
    def test_a_running_call_continues_after_the_client_disconnects(self) -> None:
        async def main() -> None:
            finished: list[bytes] = []
            future = asyncio.get_running_loop().create_future()

            async def answer(request: Request) -> bytes:
                await future
                finished.append(request.body)
                return plain(b"")

            wire = Wire(answer)
            wire.send(post(b"1") + post(b"2"))
            wire.connection.connection_lost(ConnectionResetError())
            assert wire.server.connections == set()
            future.set_result(None)
            await asyncio.sleep(0)
            assert finished == [b"1"]
            assert wire.transport.data == b""

        asyncio.run(main())

    def test_a_client_that_sends_no_more_still_gets_its_answer(self) -> None:
        async def main() -> None:
            wire, release = held()
            assert wire.connection.eof_received() is False
            wire, release = held()
            wire.send(post(b"1"))
            assert wire.connection.eof_received() is True
            await release()
            assert bodies(wire.transport.data) == [b"1"]
            assert wire.transport.closed

        asyncio.run(main())

    def test_a_defect_ends_its_connection_only(self, caplog: pytest.LogCaptureFixture) -> None:
        async def defect(request: Request) -> bytes:
            raise ZeroDivisionError

        wire = Wire(defect)
        with caplog.at_level(logging.ERROR):
            assert statuses(wire.send(post(b"1") + post(b"2"))) == [500]
        assert "ZeroDivisionError" in caplog.text
        assert wire.transport.closed
