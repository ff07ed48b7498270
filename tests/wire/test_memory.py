"""Many connections of one server: the bytes that they hold, their number, and their turns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from atoll import limits
from atoll.wire import memory
from atoll.wire import server as server_module
from atoll.wire.codec import Request
from atoll.wire.connection import QUEUED_REQUESTS, WRITE_BYTES, Connection
from atoll.wire.memory import LEAST_BYTES, LIMIT_BYTES, SMALL_BYTES, Memory
from atoll.wire.server import LATER_NS, TURN_PIECES, TURN_REQUESTS, Server
from tests.wire.conftest import Transport, bodies, echo, plain, post, read_answers, statuses

MEGABYTE = bytes(1024**2)
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Peer:
    """A client with its own connection. It sends only as much as the server reads."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.transport = Transport()
        self.connection = Connection(server)
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> bool:
        """Whether the server reads; data sent to one that does not is lost here."""
        if self.transport.reading and not self.transport.closed:
            self.connection.data_received(data)
            return True
        return False

    def leave(self) -> None:
        self.connection.connection_lost(None)

    @property
    def is_refused(self) -> bool:
        return self.transport.eof


class Hall:
    """A server with many peers, whose deferred calls run in `settle`."""

    def __init__(self, answer: Any = echo, **options: Any) -> None:
        self.due: list[Callable[[], None]] = []
        self.server = Server(answer, **options)
        self.server.call_soon = self.due.append

    @property
    def memory(self) -> Memory:
        return self.server.memory

    def peers(self, count: int) -> list[Peer]:
        return [Peer(self.server) for _ in range(count)]

    def turn(self) -> None:
        due, self.due[:] = list(self.due), []
        for call in due:
            call()

    def settle(self) -> None:
        while self.due:
            self.turn()

    def tick(self, count: int) -> None:
        for _ in range(count):
            self.server.advance()
            self.settle()


class TestBodies:
    def test_dripping_bodies_stay_below_the_limit(self) -> None:
        """60 connections once held 16 MB each for as long as they liked."""
        hall = Hall()
        peers = hall.peers(60)
        for peer in peers:
            peer.send(HEAD % limits.REQUEST_BYTES)
        for _ in range(15):
            for peer in peers:
                peer.send(MEGABYTE)
                hall.settle()
                assert hall.memory.used <= LIMIT_BYTES
        assert hall.memory.used > LIMIT_BYTES // 2
        for peer in peers:
            peer.leave()
        assert hall.memory.used == 0

    def test_waiting_requests_continue_when_there_is_room(self) -> None:
        hall = Hall(memory=Memory(LEAST_BYTES))
        peers = hall.peers(6)
        rest = dict.fromkeys(peers, 16)
        for peer in peers:
            peer.send(HEAD % (16 * len(MEGABYTE)))
        waited = 0
        while any(rest.values()):
            progress = False
            for peer in peers:
                if rest[peer] and peer.send(MEGABYTE):
                    rest[peer] -= 1
                    progress = True
                waited += bool(rest[peer]) and not peer.transport.reading
                hall.settle()
            assert progress, "all wait for each other"
        assert waited
        assert [statuses(peer.transport.data) for peer in peers] == [[200]] * 6
        assert hall.memory.used == 0

    def test_small_requests_are_served_while_large_ones_wait(self) -> None:
        hall = Hall(memory=Memory(LEAST_BYTES))
        for peer in hall.peers(10):
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(8):
                peer.send(MEGABYTE)
        assert hall.memory.used > LEAST_BYTES // 2
        (small,) = hall.peers(1)
        small.send(post(b"hello"))
        hall.settle()
        assert bodies(small.transport.data) == [b"hello"]

    @pytest.mark.parametrize("size", [5, 100_000])
    @pytest.mark.parametrize("cut", [0, 1, 3])
    def test_a_body_in_separate_packets_does_not_slow_later_requests(self, size: int, cut: int) -> None:
        """SDKs send head and body apart. The connection once counted as receiving ever after."""
        hall = Hall(memory=Memory(LEAST_BYTES))
        small, *others = hall.peers(10)
        for _ in range(2):
            small.send(HEAD % size + bytes(cut))
            small.send(bytes(size - cut))
        hall.settle()
        assert statuses(small.transport.data) == [200, 200]
        for peer in others:
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(8):
                peer.send(MEGABYTE)
        assert hall.memory.is_full
        assert any(peer.transport.reading for peer in others)
        small.send(HEAD % size)
        small.send(bytes(size))
        hall.settle()
        assert statuses(small.transport.data) == [200, 200, 200]

    def test_a_body_beyond_the_limit_is_throttled_and_its_bytes_are_free(self) -> None:
        """First packets come before a connection can be held back."""
        hall = Hall(memory=Memory(LEAST_BYTES))
        piece = bytes(256 * 1024)
        peers = hall.peers(400)
        for peer in peers:
            peer.send(HEAD % limits.REQUEST_BYTES + piece)
            assert hall.memory.used <= LEAST_BYTES
        hall.settle()
        refused = [peer for peer in peers if peer.is_refused]
        assert len(refused) == 400 - LEAST_BYTES // len(piece)
        ((status, headers, body),) = read_answers(refused[0].transport.data)
        error = orjson.loads(body)
        assert (status, headers[b"Connection"]) == (400, b"close")
        assert error["__type"] == "com.amazon.coral.availability#ThrottlingException"
        assert "--memory-limit" in error["message"]

    def test_a_body_is_counted_until_its_request_is_answered(self) -> None:
        async def main() -> None:
            release = asyncio.get_running_loop().create_future()

            async def answer(request: Request) -> bytes:
                await release
                return plain(b"")

            hall = Hall(answer)
            one, gone = hall.peers(2)
            for peer in (one, gone):
                peer.send(post(MEGABYTE))
                peer.send(post(MEGABYTE))
            assert hall.memory.used == 4 * len(MEGABYTE)
            gone.leave()
            assert hall.memory.used == 3 * len(MEGABYTE)
            release.set_result(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            hall.settle()
            assert statuses(one.transport.data) == [200, 200]
            assert hall.memory.used == 0

        asyncio.run(main())

    def test_waiting_for_memory_is_not_slowness(self) -> None:
        hall = Hall(memory=Memory(LEAST_BYTES))
        first, *others = hall.peers(10)
        for peer in (first, *others):
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(7):
                peer.send(MEGABYTE)
        waiting = [peer for peer in others if not peer.transport.reading]
        assert waiting
        for _ in range(hall.server.rate_ticks + 2):
            first.send(bytes(1 + hall.server.least_bytes))
            hall.tick(1)
        assert hall.memory.is_full
        assert all(not peer.is_refused for peer in waiting)

    @pytest.mark.parametrize("piece", [b"", bytes(100_000)])
    def test_no_client_waits_long_for_slow_ones(self, piece: bytes) -> None:
        """Not for each of them in turn, either."""
        hall = Hall()
        hoarders = hall.peers(60)
        for peer in hoarders:
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(8):
                peer.send(MEGABYTE)
        assert hall.memory.is_full
        hall.tick(1)
        (late,) = hall.peers(1)
        late.send(HEAD % (2 * len(MEGABYTE)) + MEGABYTE)
        assert not late.transport.reading
        for _ in range(hall.server.request_ticks):
            assert hall.memory.is_full
            for peer in hoarders:
                peer.send(piece)
            hall.tick(1)
        assert not hall.memory.is_full
        throttled = [peer for peer in hoarders if b"ThrottlingException" in peer.transport.data]
        assert len(throttled) > 10
        late.send(MEGABYTE)
        hall.settle()
        assert statuses(late.transport.data) == [200]

    def test_a_chunked_body_that_is_refused_is_not_counted(self) -> None:
        hall = Hall()
        (peer,) = hall.peers(1)
        peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(b"100000\r\n" + MEGABYTE + b"\r\n")
        hall.settle()
        assert hall.memory.used == len(MEGABYTE)
        peer.send(b"nonsense\r\n")
        hall.settle()
        assert statuses(peer.transport.data) == [400]
        assert hall.memory.used == 0


def slow_reader(peer: Peer) -> Peer:
    """A client that reads nothing: all that is written stays with the server."""

    def write(data: Any) -> None:
        transport.written.append(bytes(data))
        transport.unread += len(data)
        if transport.unread > 65_536 and peer.connection._writable:
            peer.connection.pause_writing()

    transport = peer.transport
    transport.write = write  # type: ignore[method-assign]
    return peer


class TestAnswers:
    @staticmethod
    def hall(size: int) -> Hall:
        async def large(request: Request) -> bytes:
            return plain(bytes(size) if request.body else b"")

        return Hall(large, memory=Memory(LEAST_BYTES))

    def test_unread_answers_stay_below_the_limit(self) -> None:
        hall = self.hall(len(MEGABYTE))
        peers = [slow_reader(peer) for peer in hall.peers(200)]
        for peer in peers:
            peer.send(post(b"x"))
            hall.settle()
            assert hall.memory.used <= LEAST_BYTES
        cut = [peer for peer in peers if peer.transport.aborted]
        assert 0 < len(cut) < 150
        for peer in peers:
            peer.leave()
        assert hall.memory.used == 0

    def test_the_client_with_the_most_unread_bytes_is_disconnected(self) -> None:
        async def answer(request: Request) -> bytes:
            return plain(bytes(int(request.body) * len(MEGABYTE)))

        hall = Hall(answer, memory=Memory(LEAST_BYTES))
        sizes = (1, 15, 20, 15, 14)
        peers = [slow_reader(peer) for peer in hall.peers(len(sizes))]
        for peer, size in zip(peers, sizes, strict=True):
            peer.send(post(b"%d" % size))
            hall.settle()
        assert [peer.transport.aborted for peer in peers] == [False, False, True, False, False]

    def test_no_more_answers_are_made_in_a_turn_that_has_filled_the_memory(self) -> None:
        """A thousand requests may arrive in one turn, and the bytes of a connection that is cut are free after it."""
        ran = []

        async def large(request: Request) -> bytes:
            ran.append(request)
            return plain(MEGABYTE)

        hall = Hall(large, memory=Memory(LEAST_BYTES))
        peers = [slow_reader(peer) for peer in hall.peers(200)]
        for peer in peers:
            peer.send(post(b"x"))
        assert len(ran) == LEAST_BYTES // len(MEGABYTE)
        hall.turn()
        assert len(ran) < 3 + LEAST_BYTES // len(MEGABYTE)
        hall.settle()
        assert len(ran) == 200

    def test_answers_that_were_read_are_free(self) -> None:
        hall = self.hall(len(MEGABYTE))
        (peer,) = hall.peers(1)
        slow_reader(peer).send(post(b"x"))
        hall.settle()
        assert hall.memory.used >= len(MEGABYTE)
        peer.transport.unread = 0
        peer.connection.resume_writing()
        assert hall.memory.used == 0

    @pytest.mark.parametrize("read", [0, 1000])
    def test_an_answer_read_below_the_minimum_rate_is_cut(self, read: int) -> None:
        hall = self.hall(len(MEGABYTE))
        (peer,) = hall.peers(1)
        slow_reader(peer).send(post(b"x"))
        hall.settle()
        for _ in range(hall.server.rate_ticks + 1):
            assert not peer.transport.aborted
            peer.transport.unread -= read
            hall.tick(1)
        assert peer.transport.aborted

    def test_an_answer_read_at_the_minimum_rate_is_not_cut(self) -> None:
        hall = self.hall(len(MEGABYTE))
        (peer,) = hall.peers(1)
        slow_reader(peer).send(post(b"x"))
        hall.settle()
        step = 1 + hall.server.least_bytes // hall.server.rate_ticks
        for _ in range(15):
            peer.transport.unread -= step
            hall.tick(1)
        assert not peer.transport.aborted

    def test_over_tls_a_long_answer_is_written_in_pieces(self) -> None:
        """uvloop's TLS transport counts only what it has not handed to the socket's transport, and it hands it all of
        one write."""
        hall = self.hall(len(MEGABYTE))
        (peer,) = hall.peers(1)
        peer.transport._extra = {"sslcontext": object()}  # type: ignore[attr-defined]
        peer.send(post(b"x"))
        hall.settle()
        assert max(map(len, peer.transport.written)) <= WRITE_BYTES
        assert bodies(peer.transport.data) == [MEGABYTE]


def test_memory_is_given_back_to_the_system_when_clients_disconnect() -> None:
    hall = Hall()
    peers = hall.peers(60)
    with pytest.MonkeyPatch.context() as monkeypatch:
        trims: list[int] = []
        monkeypatch.setattr(memory, "give_back", lambda: trims.append(hall.memory.used))
        for peer in peers:
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(8):
                peer.send(MEGABYTE)
        hall.tick(1)
        assert trims == []
        for peer in peers:
            peer.leave()
        hall.tick(3)
        assert trims == [0]
    memory.give_back()


class TestConnections:
    def test_request_beyond_the_limit_is_throttled(self) -> None:
        hall = Hall(max_connections=3)
        peers = hall.peers(4)
        hall.settle()
        assert [peer.is_refused for peer in peers] == [False, False, False, True]
        ((status, _, body),) = read_answers(peers[3].transport.data)
        error = orjson.loads(body)
        assert (status, error["__type"]) == (400, "com.amazon.coral.availability#ThrottlingException")
        assert "--max-connections" in error["message"]
        assert not peers[3].send(post(b"x")) or len(read_answers(peers[3].transport.data)) == 1

    def test_there_is_room_again_when_one_has_gone(self) -> None:
        hall = Hall(max_connections=3)
        first, *_ = hall.peers(3)
        first.leave()
        assert not hall.peers(1)[0].is_refused

    def test_the_connection_idle_for_longest_makes_room(self) -> None:
        hall = Hall(max_connections=3)
        peers = hall.peers(3)
        for peer in peers:
            peer.send(post(b"x"))
            hall.tick(2)
        peers[0].send(post(b"x"))
        hall.settle()
        (new,) = hall.peers(1)
        assert [peer.transport.closed for peer in peers] == [False, True, False]
        new.send(post(b"x"))
        hall.settle()
        assert statuses(new.transport.data) == [200]

    def test_many_connections_in_a_turn_count_the_others_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each new connection at the limit counted all others: a thousand of them held the event loop for a second."""
        asked = [0]
        client = Connection.client

        def counting(connection: Connection) -> str:
            asked[0] += 1
            return client.fget(connection)  # type: ignore[attr-defined]

        hall = Hall(max_connections=300)
        hall.peers(300)
        hall.tick(3)
        monkeypatch.setattr(Connection, "client", property(counting))
        peers = hall.peers(600)
        assert asked[0] < 5_000
        assert [peer.is_refused for peer in peers] == [False] * 300 + [True] * 300

    def test_refused_clients_do_not_pile_up(self) -> None:
        hall = Hall(max_connections=3)
        peers = hall.peers(100)
        assert sum(not peer.transport.aborted for peer in peers) == 6
        hall.tick(hall.server.request_ticks + 1)
        assert sum(not peer.transport.aborted for peer in peers) == 3


class TestTurns:
    def test_a_part_of_a_body_of_many_chunks_ends_a_turn(self) -> None:
        """A transport reads on many times in one turn, as long as it may: 15 MB of tiny chunks took it 0.3 seconds."""
        hall = Hall()
        (peer,) = hall.peers(1)
        peer.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            assert peer.send(b"1\r\na\r\n" * 50_000)
            assert not peer.transport.reading
            hall.turn()
            assert peer.transport.reading
        peer.send(b"0\r\n\r\n")
        hall.settle()
        assert statuses(peer.transport.data) == [200]

    def test_pipelined_requests_of_many_connections_are_parsed_a_few_in_a_turn(self) -> None:
        """300 connections of one client sent 256 KB of requests each. All were parsed in the turn in which they had
        arrived: no other client was answered for 15 seconds."""
        hall = Hall()
        *greedy, other = hall.peers(31)
        sent = b"".join(post(b"%d" % n) for n in range(2_000))
        for peer in greedy:
            peer.send(sent)
        parsed = len(greedy) * len(sent) - hall.memory.used
        assert parsed <= (TURN_PIECES + 2) * SMALL_BYTES
        assert not any(peer.transport.reading for peer in greedy)
        other.send(post(b"other"))
        hall.turn()
        assert bodies(other.transport.data) == [b"other"]
        hall.settle()
        for peer in greedy:
            assert bodies(peer.transport.data) == [b"%d" % n for n in range(2_000)]
            assert peer.transport.reading
        assert hall.memory.used == 0

    def test_single_requests_of_many_connections_are_parsed_in_the_turn_in_which_they_arrive(self) -> None:
        hall = Hall()
        peers = hall.peers(4 * TURN_PIECES)
        body = bytes(2 * SMALL_BYTES)
        for peer in peers:
            peer.send(post(body))
        hall.turn()
        assert all(bodies(peer.transport.data) == [body] for peer in peers)

    def test_pipelined_requests_are_answered_a_few_in_a_turn(self) -> None:
        hall = Hall()
        greedy, other = hall.peers(2)
        greedy.send(b"".join(post(b"%d" % n) for n in range(1000)))
        other.send(post(b"other"))
        hall.turn()
        assert bodies(other.transport.data) == [b"other"]
        assert len(bodies(greedy.transport.data)) <= 2 * TURN_REQUESTS
        assert not greedy.transport.reading
        for _ in range(1000 // TURN_REQUESTS):
            before = len(bodies(greedy.transport.data))
            hall.turn()
            assert len(bodies(greedy.transport.data)) - before <= 2 * TURN_REQUESTS
        hall.settle()
        assert bodies(greedy.transport.data) == [b"%d" % n for n in range(1000)]
        assert greedy.transport.reading

    def test_large_answers_end_a_turn(self) -> None:
        ran = []

        async def large(request: Request) -> bytes:
            ran.append(request)
            return plain(MEGABYTE)

        hall = Hall(large)
        (greedy,) = hall.peers(1)
        greedy.send(post(b"x") * 10)
        assert len(ran) <= 2
        hall.settle()
        assert len(ran) == 10

    def test_a_queue_is_served_to_its_end_after_the_client_half_closes(self) -> None:
        hall = Hall()
        (peer,) = hall.peers(1)
        peer.send(b"".join(post(b"%d" % n) for n in range(100)))
        assert peer.connection.eof_received() is True
        hall.settle()
        assert len(bodies(peer.transport.data)) == 100
        assert peer.transport.closed

    def test_a_drain_waits_for_all_turns(self) -> None:
        hall = Hall()
        (peer,) = hall.peers(1)
        peer.send(post(b"x") * 3 * QUEUED_REQUESTS)
        peer.connection.close_when_answered()
        hall.settle()
        assert len(bodies(peer.transport.data)) == 3 * QUEUED_REQUESTS
        assert peer.transport.closed

    def test_a_client_that_leaves_ends_its_turns(self) -> None:
        ran = []

        async def noted(request: Request) -> bytes:
            ran.append(request)
            return plain(b"")

        hall = Hall(noted)
        (peer,) = hall.peers(1)
        peer.send(post(b"x") * 100)
        peer.leave()
        hall.settle()
        assert len(ran) == TURN_REQUESTS


class TestValues:
    """The values of large bodies have room of their own."""

    def test_a_body_of_many_values_takes_more_than_its_bytes(self) -> None:
        values = memory.Values(10**9)
        assert values.room(b"1," * 30_000) == memory.VALUE_FACTOR * 60_000
        assert values.room(b"a" * 60_000) == memory.TEXT_FACTOR * 60_000
        assert memory.Values(1_000).room(b"1," * 30_000) == 1_000

    def test_the_first_that_waits_is_the_first_that_is_admitted(self) -> None:
        admitted: list[int] = []

        async def take(values: memory.Values, room: int) -> None:
            await values.take(room)
            admitted.append(room)

        async def scenario() -> None:
            values = memory.Values(10)
            tasks = [asyncio.ensure_future(take(values, room)) for room in (6, 7, 1)]
            await asyncio.sleep(0)
            assert admitted == [6]
            values.give(6)
            await asyncio.gather(*tasks)
            assert admitted == [6, 7, 1]

        asyncio.run(scenario())

    @pytest.mark.parametrize("is_admitted", [False, True])
    def test_cancelled_request_leaves_its_room_to_others(self, is_admitted: bool) -> None:
        async def scenario() -> None:
            values = memory.Values(10)
            await values.take(10)
            gone, other = asyncio.ensure_future(values.take(10)), asyncio.ensure_future(values.take(10))
            await asyncio.sleep(0)
            if is_admitted:
                values.give(10)
            gone.cancel()
            await asyncio.wait([gone])
            if not is_admitted:
                values.give(10)
            await other

        asyncio.run(scenario())


class TestClients:
    """One client cannot keep the memory and the connections from others."""

    def _of(self, hall: Hall, client: str, count: int) -> list[Peer]:
        peers = hall.peers(count)
        for peer in peers:
            peer.connection._peer = client
        return peers

    def test_bodies_of_one_client_do_not_hold_back_those_of_another(self) -> None:
        hall = Hall(memory=Memory(LEAST_BYTES))
        for peer in self._of(hall, "greedy", 10):
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(10):
                peer.send(MEGABYTE)
        assert hall.memory.is_full
        (modest,) = self._of(hall, "modest", 1)
        assert modest.send(HEAD % (16 * len(MEGABYTE)))
        for _ in range(16):
            assert modest.send(MEGABYTE)
            hall.settle()
        assert statuses(modest.transport.data) == [200]
        assert hall.memory.used <= LEAST_BYTES

    def test_bodies_of_the_greedy_client_make_room(self) -> None:
        """Its newest body is refused, not that of the client that has less."""
        hall = Hall(memory=Memory(LEAST_BYTES))
        greedy = self._of(hall, "greedy", 3)
        for peer in greedy:
            peer.send(HEAD % limits.REQUEST_BYTES)
            for _ in range(15):
                peer.send(MEGABYTE)
        modest = self._of(hall, "modest", 2)
        for peer in modest:
            assert peer.send(HEAD % (12 * len(MEGABYTE)))
            for _ in range(12):
                peer.send(MEGABYTE)
                hall.settle()
                assert hall.memory.used <= LEAST_BYTES
        assert [statuses(peer.transport.data) for peer in modest] == [[200], [200]]
        assert not modest[0].is_refused and not modest[1].is_refused

    def test_a_connection_whose_client_changes_takes_its_bytes_along(self) -> None:
        """A connection is its address's until its first request is authenticated."""
        hall = Hall(memory=Memory(LEAST_BYTES))
        peers = self._of(hall, "one", 2)
        for peer in peers:
            peer.send(HEAD % (4 * len(MEGABYTE)))
            peer.send(MEGABYTE)
        peers[0].connection._peer = "other"
        peers[0].send(MEGABYTE)
        held = {"one": peers[1].connection.held, "other": peers[0].connection.held}
        assert hall.memory._clients == held and all(held.values())
        for peer in peers:
            peer.leave()
        assert hall.memory._clients == {} and hall.memory.used == 0

    def test_a_busy_connection_of_the_client_with_most_makes_room(self) -> None:
        running: list[asyncio.Future[bytes]] = []

        async def waiting(request: Request) -> bytes:
            running.append(asyncio.get_running_loop().create_future())
            return await running[-1]

        async def run() -> None:
            hall = Hall(waiting, max_connections=5)
            greedy = self._of(hall, "greedy", 5)
            for peer in greedy:
                peer.send(post(b"x"))
            newcomer = Connection(hall.server)
            transport = Transport()
            newcomer.connection_made(transport)
            assert not transport.eof and not transport.closed
            assert sum(peer.connection.is_ending for peer in greedy) == 1
            for future in running:
                future.set_result(plain(b"answer"))
            await asyncio.sleep(0)
            hall.settle()
            assert all(statuses(peer.transport.data) == [200] for peer in greedy)
            assert len([peer for peer in greedy if peer.transport.closed]) == 1

        asyncio.run(run())

    def test_a_client_with_most_gets_no_more(self) -> None:
        hall = Hall(max_connections=4)
        self._of(hall, "modest", 1)
        hall.tick(3)
        for peer in self._of(hall, "", 3):
            peer.send(post(b"x")[:-1])
        (refused,) = hall.peers(1)
        hall.settle()
        assert refused.is_refused


def test_slices_of_many_requests_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty scans once had a slice each in every turn, so that any other request waited for all of them."""
    work_ns = [0]
    order: list[bytes] = []

    async def scan(request: Request) -> bytes:
        for _ in range(3):
            work_ns[0] += LATER_NS
            order.append(request.body)
            await asyncio.sleep(0)
        return plain(b"done")

    monkeypatch.setattr(server_module, "monotonic_ns", lambda: work_ns[0])
    hall = Hall(scan)
    peers = hall.peers(50)
    for number, peer in enumerate(peers):
        peer.send(post(b"%d" % number))
    while hall.due:
        before = work_ns[0]
        hall.turn()
        assert work_ns[0] - before <= LATER_NS
    assert [statuses(peer.transport.data) for peer in peers] == [[200]] * 50
    assert order == [b"%d" % number for number in range(50)] * 3
