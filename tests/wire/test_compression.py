"""Compressed requests and answers, as clients of the service meet them."""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
import zlib
from collections.abc import Callable
from time import thread_time
from typing import Any

import orjson
import pytest

from atoll import errors, limits
from atoll.wire import compression
from atoll.wire.codec import Request
from tests.wire.conftest import Wire, read_answers
from tests.wire.test_gateway import Answer, Front, call, get

BODY = b'{"TableName": "t", "Item": {"pk": {"S": "a"}}}'
PUT = b"DynamoDB_20120810.PutItem"
GZIP, DEFLATE = gzip.compress(BODY), zlib.compress(BODY)
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(BODY) + RAW.flush()
LARGE = orjson.dumps({"TableName": "t", "Item": {"pk": {"S": "a" * 600_000}}})


def ask(front: Front, request: Request) -> Answer:
    """As `front.ask`, for requests that may wait for a thread."""
    (answer,) = read_answers(asyncio.run(front.gateway.answer(request)))
    return answer


def sent(body: bytes, coding: bytes, **headers: bytes) -> Request:
    return call(body, target=PUT, content_encoding=coding, **headers)


class TestRequests:
    @pytest.mark.parametrize(
        ("body", "coding"),
        [
            pytest.param(GZIP, b"gzip", id="gzip"),
            pytest.param(GZIP, b" GZip ", id="a name in other case"),
            pytest.param(DEFLATE, b"deflate", id="deflate is the zlib format"),
            pytest.param(gzip.compress(BODY[:20]) + gzip.compress(BODY[20:]), b"gzip", id="two gzip members"),
            pytest.param(GZIP + b"rubbish", b"gzip", id="rubbish after a gzip member"),
            pytest.param(GZIP + b"\x1f\x8b", b"gzip", id="the beginning of a member after a member"),
            pytest.param(BODY, b"identity", id="identity"),
            pytest.param(BODY, b"", id="no name"),
        ],
    )
    def test_a_compressed_request_is_done(self, body: bytes, coding: bytes) -> None:
        front = Front()
        assert front.ask(sent(body, coding))[0] == 200
        [asked] = front.calls
        assert asked.operation.name == "PutItem"

    @pytest.mark.parametrize(
        ("body", "coding"),
        [
            pytest.param(BODY, b"gzip", id="plain JSON labelled gzip"),
            pytest.param(BODY, b"deflate", id="plain JSON labelled deflate"),
            pytest.param(b"", b"gzip", id="no body labelled gzip"),
            pytest.param(b"", b"deflate", id="no body labelled deflate"),
            pytest.param(GZIP[:-1], b"gzip", id="gzip without its last byte"),
            pytest.param(DEFLATE[:-1], b"deflate", id="deflate without its last byte"),
            pytest.param(GZIP[:-5] + b"\0" + GZIP[-4:], b"gzip", id="gzip with a wrong checksum"),
            pytest.param(zlib.compress(BODY[:20]) + zlib.compress(BODY[20:]), b"deflate", id="two zlib streams"),
            pytest.param(RAW_DEFLATE, b"deflate", id="deflate without the zlib format"),
            pytest.param(GZIP, b"deflate", id="gzip labelled deflate"),
            pytest.param(DEFLATE, b"gzip", id="deflate labelled gzip"),
            pytest.param(BODY, b"br", id="plain JSON with an unknown encoding"),
            pytest.param(GZIP, b"x-gzip", id="another name of gzip"),
            pytest.param(gzip.compress(DEFLATE), b"deflate, gzip", id="a chain"),
            pytest.param(gzip.compress(b" " * 20_000_000), b"gzip", id="20 MB of blanks"),
            pytest.param(zlib.compress(b" " * 20_000_000), b"deflate", id="20 MB of blanks, deflated"),
        ],
    )
    def test_a_body_with_a_wrong_content_encoding_is_an_internal_error(
        self, body: bytes, coding: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        front = Front()
        status, _, answer = ask(front, sent(body, coding))
        assert (status, orjson.loads(answer)["__type"].partition("#")[2]) == (500, "InternalServerError")
        assert front.calls == []
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert "internal error" in record.getMessage()

    @pytest.mark.parametrize(("coding", "pack"), [(b"gzip", gzip.compress), (b"deflate", zlib.compress)])
    def test_so_is_one_to_the_streams(self, coding: bytes, pack: Callable[[bytes], bytes]) -> None:
        front = Front()
        streams = call(pack(b"{}"), target=b"DynamoDBStreams_20120810.ListStreams", content_encoding=coding)
        assert front.ask(streams)[0] == 200
        [asked] = front.calls
        assert (asked.operation.name, asked.body) == ("ListStreams", {})

    def test_an_unknown_target_is_refused_before_the_body_is_read(self) -> None:
        request = call(BODY, target=b"DynamoDB_20120810.Nothing", content_encoding=b"gzip")
        assert Front().ask(request)[0] == 400

    def test_a_large_body_is_decompressed_to_the_limit(self) -> None:
        front = Front()
        blanks = b" " * (limits.REQUEST_BYTES - len(BODY))
        assert ask(front, sent(gzip.compress(BODY + blanks), b"gzip"))[0] == 200
        assert ask(front, sent(gzip.compress(BODY + blanks + b" "), b"gzip"))[0] == 500
        assert len(front.calls) == 1

    def test_many_gzip_members_take_time_for_each_of_them(self) -> None:
        """The decompressor copied the rest of the body after each member: 800,000 of them took an hour."""
        begin = thread_time()
        assert compression.inflate(gzip.compress(b"") * 200_000 + GZIP, "gzip") == BODY
        assert thread_time() - begin < 5

    def test_a_few_large_bodies_run_at_a_time(self) -> None:
        running: list[int] = []
        most = 0

        class Waiting(Front):
            async def _call(self, *asked: Any) -> Any:
                nonlocal most
                running.append(1)
                most = max(most, len(running))
                for _ in range(20):
                    await asyncio.sleep(0)
                running.pop()
                return {}

        async def together() -> list[bytes]:
            gateway = Waiting().gateway
            requests = [sent(gzip.compress(LARGE), b"gzip") for _ in range(12)]
            requests += [sent(gzip.compress(LARGE)[:-1], b"gzip") for _ in range(12)]
            return await asyncio.gather(*map(gateway.answer, requests))

        statuses = [read_answers(answer)[0][0] for answer in asyncio.run(together())]
        assert statuses == [200] * 12 + [500] * 12
        assert 1 <= most <= 4


ITEM = {"Item": {"pk": {"S": "abcd" * 1_500}}}
PLAIN = orjson.dumps(ITEM)
UNPACKED: dict[bytes, Callable[[bytes], bytes]] = {b"gzip": gzip.decompress, b"deflate": zlib.decompress}

# What an Accept-Encoding asks for; None is a plain answer.
CHOICES = {
    b"gzip": "gzip",
    b"deflate": "deflate",
    b"GZIP": "gzip",
    b"gzip, deflate": "gzip",
    b"deflate, gzip": "deflate",
    b"gzip, deflate, br, zstd": "gzip",
    b"br;q=1, deflate;q=0.5": "deflate",
    b"gzip;q=0.5, deflate;q=0.8": "deflate",
    b",, gzip": "gzip",
    b"identity, gzip;q=0.1": "gzip",
    b"identity;q=0, gzip": "gzip",
    b"*": "gzip",
    b"*, deflate": "deflate",
    b"*, gzip;q=0.5": "deflate",
    b"*;q=0.5,identity": "gzip",
    b"*;q=0.5, gzip;q=0": "deflate",
    b"*;q=0": None,
    b"gzip;q=0": None,
    b"gzip;q=0.0": None,
    b"gzip;q=0., deflate": "deflate",
    b"gzip;q=0, deflate;q=0": None,
    b"gzip;q=0, gzip": "gzip",
    b"gzip;q=0.2, deflate;q=0.5, gzip;q=0.9": "gzip",
    b"gzip;q=2, deflate": "gzip",
    b"deflate;q=1, gzip;q=7": "deflate",
    b"gzip;nq=0;q=1": None,
    b"gzip;a=b;q=0": None,
    b"gzip; q=0": None,
    b"gzip;q= 0": None,
    b"gzip;q =0;q=1": "gzip",
    b"gzip;q=0.x": "gzip",
    b"gzip;q=0. x": "gzip",
    b"gzip;q=": "gzip",
    b"gzip;q=-1": None,
    b"gzip;q=-1, deflate;q=0.1": "deflate",
    b"gzip;q=0.0001": "gzip",
    b"br": None,
    b"zstd": None,
    b"compress": None,
    b"x-gzip": None,
    b"identity": None,
    b"": None,
    b'"gzip"': None,
    b"gzip br": None,
    b"gzip:q=1": None,
}


class TestAnswers:
    @pytest.mark.parametrize("header", CHOICES)
    def test_the_clients_header_chooses_the_coding(self, header: bytes) -> None:
        status, headers, body = Front(ITEM).ask(call(accept_encoding=header))
        coding = CHOICES[header]
        assert status == 200
        assert headers.get(b"Content-Encoding") == (None if coding is None else coding.encode())
        assert headers[b"x-amz-crc32"] == b"%d" % zlib.crc32(body)
        assert (body if coding is None else UNPACKED[coding.encode()](body)) == PLAIN

    @pytest.mark.parametrize("size", [2_000, 4_000])
    def test_a_small_answer_is_plain(self, size: int) -> None:
        result = {"Item": {"pk": {"S": "a" * size}}}
        _, headers, body = Front(result).ask(call(accept_encoding=b"gzip"))
        assert b"Content-Encoding" not in headers
        assert orjson.loads(body) == result

    def test_without_the_header_an_answer_is_plain(self) -> None:
        _, headers, body = Front(ITEM).ask(call())
        assert b"Content-Encoding" not in headers
        assert body == PLAIN

    def test_a_long_error_is_compressed(self) -> None:
        failed = Front(errors.validation("x" * 5_000)).ask(call(accept_encoding=b"gzip"))
        assert failed[0] == 400
        assert failed[1][b"Content-Encoding"] == b"gzip"
        assert orjson.loads(gzip.decompress(failed[2]))["message"] == "x" * 5_000

    def test_a_large_answer_is_compressed_in_a_thread(self) -> None:
        text = random.Random(1).randbytes(400_000).hex()
        front = Front({"Item": {"pk": {"S": text}}})
        with pytest.raises(RuntimeError, match="no running event loop"):
            front.ask(call(accept_encoding=b"gzip"))
        _, headers, body = ask(front, call(accept_encoding=b"deflate"))
        assert headers[b"Content-Encoding"] == b"deflate"
        assert orjson.loads(zlib.decompress(body)) == front.result

    def test_only_the_first_header_line_counts(self) -> None:
        wire = Wire(Front(ITEM).gateway.answer)
        assert codings(wire, b"deflate", b"gzip") == [b"deflate"]
        assert codings(wire, b"br", b"gzip", b"deflate") == [None]
        assert codings(wire, b"identity, gzip", b"deflate") == [b"gzip"]
        assert [r.headers[b"accept-encoding"] for r in wire.requests] == [
            b"deflate,gzip", b"br,gzip,deflate", b"identity, gzip,deflate",
        ]  # fmt: skip

    @pytest.mark.parametrize("operation", ["TagResource", "UntagResource"])
    def test_an_operation_without_output_answers_no_body(self, operation: str) -> None:
        status, headers, body = Front().ask(call(target=b"DynamoDB_20120810." + operation.encode()))
        assert (status, body) == (200, b"")
        assert headers[b"x-amz-crc32"] == b"0"


def codings(wire: Wire, *lines: bytes) -> list[bytes | None]:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n"
    head += b"Content-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n"
    head += b"".join(b"Accept-Encoding: %s\r\n" % line for line in lines)
    answers = read_answers(wire.send(head + b"\r\n{}"))
    return [headers.get(b"Content-Encoding") for _, headers, _ in answers]


class TestOrigins:
    """Every answer to a page of an allowed origin says which headers it may read; only a preflight may be kept."""

    ORIGIN = b"http://localhost:3000"

    @pytest.mark.parametrize(
        "request_",
        [
            pytest.param(call(origin=ORIGIN), id="a call"),
            pytest.param(call(b"{", origin=ORIGIN), id="an error"),
            pytest.param(call(target=b"x", origin=ORIGIN), id="an unknown target"),
            pytest.param(call(b"x", content_encoding=b"gzip", origin=ORIGIN), id="an internal error"),
            pytest.param(get(b"/", origin=ORIGIN), id="the health"),
            pytest.param(get(b"/nothing", origin=ORIGIN), id="a path of nothing"),
        ],
    )
    def test_every_answer_exposes_its_headers(self, request_: Request) -> None:
        _, headers, _ = Front().ask(request_)
        assert headers[b"Access-Control-Allow-Origin"] == self.ORIGIN
        assert b"x-amz-crc32" in headers[b"Access-Control-Expose-Headers"]
        assert b"Content-Encoding" in headers[b"Access-Control-Expose-Headers"]
        assert b"Access-Control-Max-Age" not in headers

    def test_a_preflight_may_be_kept(self) -> None:
        _, headers, body = Front().ask(get(b"/", b"OPTIONS", origin=self.ORIGIN))
        assert body == b""
        assert headers[b"Access-Control-Max-Age"] == b"172800"
        assert b"Access-Control-Expose-Headers" in headers

    def test_without_an_origin_there_are_no_such_headers(self) -> None:
        _, headers, _ = Front().ask(call())
        assert not [name for name in headers if name.startswith(b"Access-Control")]
