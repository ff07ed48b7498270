"""Random bytes in random pieces: the answers are well-formed HTTP, and nothing is raised."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.api.call import Caller
from atoll.api.services import DYNAMODB, Operation
from atoll.clock import ManualClock
from atoll.wire.gateway import Gateway
from tests.wire.conftest import Wire, post, read_answers

VALID = (
    post(b'{"TableName": "t"}'),
    b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: T.Op\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"OPTIONS / HTTP/1.1\r\nHost: x\r\nOrigin: y\r\nAccess-Control-Request-Method: \xff\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, Signature=f\r\n\r\n",
)


async def served(operation: Operation, region: str, caller: Caller, body: dict[str, Any], now_ms: int) -> Any:
    return {"operation": operation.name}


TARGETS = {b"T.Op": Operation(DYNAMODB, "Op", cast(Any, served))}


def answers(data: bytes, cuts: list[int]) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    gateway = Gateway(served, TARGETS, clock=ManualClock(0), region="us-east-1")
    wire = Wire(gateway.answer)
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    wire.send(*(data[start:end] for start, end in pairwise(places)))
    wire.tick(wire.server.idle_ticks + wire.server.request_ticks + 1)
    assert wire.transport.closed or wire.transport.eof
    return read_answers(wire.transport.data)


cuts = st.lists(st.integers(0, 10_000), max_size=6)


@settings(max_examples=150)
@given(data=st.binary(max_size=300), cuts=cuts)
def test_random_bytes(data: bytes, cuts: list[int]) -> None:
    answers(data, cuts)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=4))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 8))
        data[start:end] = draw(st.binary(max_size=8) | st.sampled_from([b"\r\n", b"\r\n\r\n", b":", b" ", b"\0"]))
    return bytes(data)


@settings(max_examples=400)
@given(data=mutated(), cuts=cuts)
def test_mutated_requests(data: bytes, cuts: list[int]) -> None:
    answers(data, cuts)


@settings(max_examples=150)
@given(requests=st.lists(st.sampled_from(VALID), min_size=1, max_size=6), cuts=cuts)
def test_however_valid_requests_are_cut_each_is_answered(requests: list[bytes], cuts: list[int]) -> None:
    final = [status for status, _, _ in answers(b"".join(requests), cuts) if status not in (100, 408)]
    assert len(final) == len(requests)
