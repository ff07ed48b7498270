"""A request's way through codec, signature and call, as the client sees it."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import weakref
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import botocore.auth
import botocore.credentials
import orjson
import pytest
from botocore.awsrequest import AWSRequest

from atoll import errors
from atoll.api import services
from atoll.api.call import Caller
from atoll.api.large import LargeBody
from atoll.api.services import Operation
from atoll.clock import ManualClock
from atoll.config import Config
from atoll.security.browsers import Browsers
from atoll.security.credentials import Credentials
from atoll.security.identities import Identities
from atoll.wire.codec import Request, Response
from atoll.wire.gateway import Gateway, Route
from tests.wire.conftest import read_answers

NOW_MS = 1_767_323_045_678
GET_ITEM = services.TARGETS[b"DynamoDB_20120810.GetItem"]
CREDENTIAL = b"AWS4-HMAC-SHA256 Credential=local/20260102/eu-west-1/dynamodb/aws4_request, SignedHeaders=a, Signature=b"

Answer = tuple[int, dict[bytes, bytes], bytes]


class Asked(NamedTuple):
    operation: Operation
    region: str
    caller: Caller
    body: dict[str, Any]
    now_ms: int


class Front:
    """A gateway whose calls are kept, and that answers with `result` or raises it."""

    def __init__(self, result: Any = None, **options: Any) -> None:
        self.calls: list[Asked] = []
        self.result = {} if result is None else result
        self.clock = ManualClock(NOW_MS)
        credentials = options.pop("credentials", None)
        if credentials is not None:
            options["identities"] = Identities(credentials)
        self.gateway = Gateway(self._call, services.TARGETS, clock=self.clock, region="us-east-1", **options)

    async def _call(self, *asked: Any) -> Any:
        self.calls.append(Asked(*asked))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def ask(self, request: Request) -> Answer:
        try:
            self.gateway.answer(request).send(None)
        except StopIteration as end:
            (answer,) = read_answers(end.value)
            return answer
        raise AssertionError("the gateway waits for something")


FORM = b"application/x-www-form-urlencoded"


def call(
    body: bytes = b"{}",
    *,
    target: bytes = b"DynamoDB_20120810.GetItem",
    json_type: bytes = b"application/x-amz-json-1.0",
    **headers: bytes,
) -> Request:
    given = {b"host": b"localhost", b"x-amz-target": target, b"content-type": json_type}
    given |= {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(b"POST", b"/", b"", given, body)


def form() -> Request:
    return Request(b"POST", b"/", b"", {b"host": b"localhost", b"content-type": FORM}, b"Action=ListMetrics")


def get(path: bytes, method: bytes = b"GET", **headers: bytes) -> Request:
    given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(method, path, b"", {b"host": b"localhost"} | given)


class TestCalls:
    def test_a_call_gets_the_members_of_the_request(self) -> None:
        front = Front({"Item": {"pk": {"S": "ü"}}})
        status, headers, body = front.ask(call(b'{"TableName": "t"}', authorization=CREDENTIAL))
        caller = Caller("local", "000000000000", admin=True, share="local")
        assert front.calls == [Asked(GET_ITEM, "eu-west-1", caller, {"TableName": "t"}, NOW_MS)]
        assert status == 200
        assert orjson.loads(body) == front.result
        assert headers[b"Content-Type"] == b"application/x-amz-json-1.0"
        assert headers[b"x-amz-crc32"] == b"%d" % crc32(body)
        assert headers[b"Date"].decode() == formatdate(NOW_MS // 1000, usegmt=True)
        assert re.fullmatch(rb"[A-Z0-9]{52}", headers[b"x-amzn-RequestId"])

    def test_each_answer_has_its_own_id_and_the_date_follows_the_clock(self) -> None:
        front = Front()
        _, first, _ = front.ask(call())
        front.clock.advance(61_000)
        _, second, _ = front.ask(call())
        assert first[b"x-amzn-RequestId"] != second[b"x-amzn-RequestId"]
        assert second[b"Date"].decode() == formatdate(NOW_MS // 1000 + 61, usegmt=True)

    def test_stored_bytes_are_spliced_into_the_answer(self) -> None:
        front = Front({"Item": orjson.Fragment(b'{"pk":{"N":"1.0"}}')})
        assert front.ask(call())[2] == b'{"Item":{"pk":{"N":"1.0"}}}'

    @pytest.mark.parametrize(
        ("given", "answered"),
        [
            (b"application/x-amz-json-1.0", b"application/x-amz-json-1.0"),
            (b"application/x-amz-json-1.1", b"application/x-amz-json-1.1"),
            (b"application/json", b"application/json"),
            (b"Application/JSON; charset=utf-8", b"application/json"),
        ],
    )
    def test_the_content_type_is_echoed(self, given: bytes, answered: bytes) -> None:
        assert Front().ask(call(json_type=given))[1][b"Content-Type"] == answered

    @pytest.mark.parametrize("target", [b"", b"GetItem", b".", b"a.b c", b"DynamoDB_20120810." + b"x" * 100, b"\xff.x"])
    def test_invalid_targets_are_refused(self, target: bytes) -> None:
        status, _, body = Front().ask(call(target=target))
        assert (status, body) == (400, b'{"__type":"com.amazon.coral.service#UnknownOperationException"}')

    @pytest.mark.parametrize(
        ("target", "named"),
        [
            (b"DynamoDB_20120810.DescribeNothing", "DescribeNothing"),
            (b"DynamoDBStreams_20120810.Nonsense", "Nonsense"),
            (b"DynamoDB_20111205.GetItem", "DynamoDB_20111205.GetItem"),
            (b"com.example.Service.Op", "com.example.Service.Op"),
        ],
    )
    def test_an_operation_that_is_not_served_is_named(self, target: bytes, named: str) -> None:
        status, _, body = Front().ask(call(target=target))
        error = orjson.loads(body)
        assert (status, error["__type"]) == (400, "com.amazon.coral.service#UnknownOperationException")
        text, _, advice = error["message"].partition(". ")
        assert text == f"Atoll does not serve {named}"
        assert ("AWS_ENDPOINT_URL_DYNAMODB" in advice) == ("." in named)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", None),
            (b"{", None),
            (b'{"a": NaN}', None),
            (b'{"a": "\xff"}', None),
            (b'{"a":' * 100_000, None),
            (b"[]", "Start of list found where not expected"),
            (b'"x"', "Unexpected value type in payload"),
            (b"null", "Unexpected value type in payload"),
        ],
    )
    def test_a_body_that_is_not_an_object_is_refused(self, body: bytes, message: str | None) -> None:
        front = Front()
        status, _, answer = front.ask(call(body))
        expected = {"__type": "com.amazon.coral.service#SerializationException"}
        assert orjson.loads(answer) == expected | ({} if message is None else {"Message": message})
        assert status == 400
        assert front.calls == []


class TestErrors:
    def test_an_error_keeps_its_status_text_and_fields(self) -> None:
        status, headers, body = Front(errors.ConditionFailed({"pk": {"S": "x"}})).ask(call())
        assert status == 400
        assert orjson.loads(body) == {
            "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
            "message": "The conditional request failed",
            "Item": {"pk": {"S": "x"}},
        }
        assert headers[b"x-amz-crc32"] == b"%d" % crc32(body)

    def test_validation_has_its_own_prefix(self) -> None:
        body = orjson.loads(Front(errors.validation("no")).ask(call())[2])
        assert body == {"__type": "com.amazon.coral.validate#ValidationException", "message": "no"}

    @pytest.mark.parametrize(
        "error",
        [
            errors.serialization("text"),
            errors.access_denied("text"),
            errors.ApiError("TransactionCanceledException", "text"),
            errors.ApiError("ObjectNotFoundException", "text", prefix=""),
        ],
    )
    def test_some_errors_write_message_with_a_capital(self, error: errors.ApiError) -> None:
        body = orjson.loads(Front(error).ask(call())[2])
        assert body["Message"] == "text"
        assert "message" not in body

    @pytest.mark.parametrize("result", [ZeroDivisionError(), {"not": object()}])
    def test_a_defect_is_logged_and_reveals_nothing(self, result: Any, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            status, _, body = Front(result).ask(call())
        assert status == 500
        assert orjson.loads(body) == {
            "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
            "message": "Internal server error",
        }
        assert "Traceback" in caplog.text


class TestWithoutCredentials:
    def test_an_unsigned_request_is_served_in_the_default_region(self) -> None:
        front = Front()
        assert front.ask(call())[0] == 200
        assert (front.calls[0].region, front.calls[0].caller.access_key) == ("us-east-1", None)

    @pytest.mark.parametrize("authorization", [b"Basic x", b"AWS4-HMAC-SHA256 Credential=a/b/../../etc/c/d", b""])
    def test_a_claim_that_cannot_be_read_counts_as_none(self, authorization: bytes) -> None:
        front = Front()
        assert front.ask(call(authorization=authorization))[0] == 200
        assert (front.calls[0].region, front.calls[0].caller.access_key) == ("us-east-1", None)

    def test_the_claim_is_found_at_any_position(self) -> None:
        front = Front()
        for key in (b"one", b"other"):
            text = b"AWS4-HMAC-SHA256 SignedHeaders=host, Credential=%s/20260102/eu-west-1/dynamodb/aws4_request" % key
            front.ask(call(authorization=text))
        assert [call.caller.access_key for call in front.calls] == ["one", "other"]


class TestWithCredentials:
    @pytest.fixture
    def credentials(self, tmp_path: Path) -> Credentials:
        return Credentials(tmp_path / "credentials.json")

    def signed(self, credentials: Credentials, monkeypatch: pytest.MonkeyPatch, service: str = "dynamodb") -> Request:
        created = credentials.create(NOW_MS)
        moment = botocore.auth.datetime.datetime(2026, 1, 2, 3, 4, 5)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)
        headers = {"X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest("POST", "http://localhost/", data=b"{}", headers=headers)
        keys = botocore.credentials.Credentials(created.access_key, created.secret)
        botocore.auth.SigV4Auth(keys, service, "eu-west-1").add_auth(request)
        return call(**{name.replace("-", "_").lower(): value.encode() for name, value in request.headers.items()})

    def test_a_signed_call_is_served(self, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
        front = Front(credentials=credentials)
        request = self.signed(credentials, monkeypatch)
        assert front.ask(request)[0] == 200
        assert front.calls[0].caller.access_key == credentials.list()[0].access_key
        assert front.calls[0].region == "eu-west-1"
        assert not front.calls[0].caller.admin

    def test_a_signature_for_another_service_is_not_enough(
        self, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front = Front(credentials=credentials)
        _, _, body = front.ask(self.signed(credentials, monkeypatch, "lambda"))
        assert b"Credential should be scoped to correct service: 'dynamodb'." in body

    def test_a_credential_made_by_another_process_is_known_soon(
        self, credentials: Credentials, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front = Front(credentials=Credentials(credentials._path))
        request = self.signed(credentials, monkeypatch)
        front.ask(request)
        front.clock.advance(1000)
        assert front.ask(request)[0] == 200

    def test_strangers_are_refused_before_their_body_is_read(self, credentials: Credentials) -> None:
        front = Front(credentials=credentials)
        status, _, body = front.ask(call(b"no json"))
        assert status == 400
        assert orjson.loads(body) == {
            "__type": "com.amazon.coral.service#MissingAuthenticationTokenException",
            "message": "Request is missing Authentication Token",
        }
        assert front.calls == []

    def test_an_unknown_target_is_reported_before_the_signature(self, credentials: Credentials) -> None:
        assert b"UnknownOperationException" in Front(credentials=credentials).ask(call(target=b"x"))[2]

    def test_routes_want_a_signature_too(self, credentials: Credentials) -> None:
        async def route(request: Request, caller: Caller, region: str, now_ms: int) -> Response:
            raise AssertionError

        status, headers, _ = Front(credentials=credentials, routes={"/_atoll/": route}).ask(get(b"/_atoll/x"))
        assert status == 400
        assert headers[b"x-amzn-ErrorType"] == b"MissingAuthenticationTokenException"

    @pytest.mark.parametrize(("service", "status"), [("lambda", 202), ("dynamodb", 400)])
    def test_the_route_of_another_service_wants_a_signature_for_it(
        self, credentials: Credentials, monkeypatch: pytest.MonkeyPatch, service: str, status: int
    ) -> None:
        created = credentials.create(NOW_MS)
        moment = botocore.auth.datetime.datetime(2026, 1, 2, 3, 4, 5)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: moment)
        signed = AWSRequest("GET", "http://localhost/2015-03-31/functions", data=b"")
        keys = botocore.credentials.Credentials(created.access_key, created.secret)
        botocore.auth.SigV4Auth(keys, service, "eu-west-1").add_auth(signed)
        headers = {name.replace("-", "_").lower(): value.encode() for name, value in signed.headers.items()}
        front = Front(
            credentials=credentials, routes={"/2015-03-31/": named("f")}, signed_for={"/2015-03-31/": "lambda"}
        )
        assert front.ask(get(b"/2015-03-31/functions", **headers))[0] == status

    def test_health_needs_no_signature(self, credentials: Credentials) -> None:
        assert Front(credentials=credentials).ask(get(b"/"))[0] == 200


def named(name: str) -> Route:
    async def route(request: Request, caller: Caller, region: str, now_ms: int) -> Response:
        return Response(202, name.encode(), "text/plain", {"X-Name": name})

    return route


class TestOtherPaths:
    def test_the_root_says_that_it_is_healthy(self) -> None:
        status, headers, body = Front().ask(get(b"/"))
        assert (status, body) == (200, b"healthy: localhost ")
        assert headers[b"x-amz-crc32"] == b"%d" % crc32(body)

    @pytest.mark.parametrize("host", [b"dynamodb.eu-west-1.amazonaws.com", b"127.0.0.1:8000", b"[::1]:8000"])
    def test_the_root_names_the_host_it_was_asked_by(self, host: bytes) -> None:
        assert Front().ask(get(b"/", host=host))[2] == b"healthy: %s " % host

    def test_the_root_names_the_service_to_a_client_that_names_no_host(self) -> None:
        request = Request(b"GET", b"/", b"", {})
        assert Front().ask(request)[2] == b"healthy: dynamodb.us-east-1.amazonaws.com "

    def test_head_has_the_head_only(self) -> None:
        encoded = []

        async def main() -> None:
            encoded.append(await Front().gateway.answer(get(b"/", b"HEAD")))

        with pytest.raises(StopIteration):
            main().send(None)
        assert b"Content-Length: 19\r\n" in encoded[0]
        assert encoded[0].endswith(b"\r\n\r\n")

    @pytest.mark.parametrize(
        "request_",
        [get(b"/unknown"), get(b"/", b"PUT"), call(json_type=b"text/plain"), call(json_type=b"")],
    )
    def test_anything_else_is_not_found(self, request_: Request) -> None:
        status, headers, body = Front().ask(request_)
        assert (status, body) == (404, b"<UnknownOperationException/>\n")
        assert headers[b"x-amz-crc32"] == b"3552371480"

    def test_a_body_that_curl_calls_a_form_is_no_form_beside_a_target(self) -> None:
        """curl calls a body a form unless it is told its type, and the answer asked for an Action and a Version."""
        front = Front(routes={"/": named("form")})
        assert front.ask(call(json_type=FORM))[0] == 404

    def test_the_longest_route_wins(self) -> None:
        front = Front(routes={"/_atoll/": named("admin"), "/_atoll/peers/": named("peers"), "/": named("form")})
        assert front.ask(get(b"/_atoll/clock"))[2] == b"admin"
        status, headers, body = front.ask(get(b"/_atoll/peers/x"))
        assert (status, body) == (202, b"peers")
        assert headers[b"X-Name"] == b"peers"
        assert front.ask(form())[2] == b"form"
        assert front.ask(get(b"/elsewhere"))[0] == 404
        assert front.ask(call())[0] == 200

    @pytest.mark.parametrize("path", [b"/x/../_atoll/a", b"/_atoll//a", b"/_atoll/./a", b"/_atoll/../a"])
    def test_a_path_that_differs_from_the_signed_one_is_not_found(self, path: bytes) -> None:
        assert Front(routes={"/_atoll/": named("admin")}).ask(get(path))[0] == 404

    @pytest.mark.parametrize(("error", "status"), [(errors.validation("no"), 400), (ZeroDivisionError(), 500)])
    def test_a_route_may_fail(self, error: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
        async def route(request: Request, caller: Caller, region: str, now_ms: int) -> Response:
            raise error

        assert Front(routes={"/_atoll/": route}).ask(get(b"/_atoll/"))[0] == status

    @pytest.mark.parametrize(
        ("origin", "options"),
        [
            (b"http://localhost", ()),
            (b"https://localhost:3000", ()),
            (b"http://127.0.0.1:5173", ()),
            (b"http://[::1]:8080", ()),
            (b"https://app.example", ("https://app.example",)),
            (b"https://any.example", ("*",)),
            (b"null", ("null",)),
        ],
    )
    def test_pages_of_allowed_origins_may_ask(self, origin: bytes, options: tuple[str, ...]) -> None:
        front = Front(browsers=Browsers(options))
        status, headers, body = front.ask(
            get(
                b"/",
                b"OPTIONS",
                origin=origin,
                access_control_request_headers=b"x-amz-target",
                access_control_request_method=b"POST",
            )
        )
        assert (status, body) == (200, b"")
        assert headers[b"Access-Control-Allow-Origin"] == origin
        assert headers[b"Access-Control-Allow-Headers"] == b"x-amz-target"
        assert headers[b"Access-Control-Allow-Methods"] == b"POST"
        assert front.ask(call(origin=origin))[1][b"Access-Control-Allow-Origin"] == origin
        assert b"Access-Control-Allow-Origin" not in front.ask(call())[1]

    @pytest.mark.parametrize(
        "origin",
        [
            b"http://page.example", b"http://localhost.page.example", b"http://page.example:8000", b"null", b"",
            b"https://app.example.page.example", b"http://localhost:1@page.example", b"file://localhost",
            b"http://localhost,http://page.example", b"http://127.0.0.10", b"http://localhost\n", b"*",
        ],
    )  # fmt: skip
    def test_pages_of_other_origins_may_not(self, origin: bytes) -> None:
        """With and without a preflight: a page may send text/plain to a function without one."""

        async def route(request: Request, caller: Caller, region: str, now_ms: int) -> Response:
            raise AssertionError

        front = Front(routes={"/2015-03-31/": route}, browsers=Browsers(["https://app.example"]))
        invocation = get(b"/2015-03-31/functions/f/invocations", b"POST", origin=origin)
        preflight = get(b"/", b"OPTIONS", origin=origin, access_control_request_method=b"POST")
        for request in (preflight, call(origin=origin), get(b"/", origin=origin), invocation):
            status, headers, body = front.ask(request)
            assert status == 403
            assert b"Access-Control-Allow-Origin" not in headers
            assert b"--cors-origin" in body
        assert front.calls == []


HOSTS = [
    "localhost:8000", "LocalHost", "localhost.", "127.0.0.1:8000", "10.1.2.3", "[::1]", "[::1]:8000", "x.localhost:80",
    "dynamodb:8000", "host.docker.internal:8000", "db.corp.example", "DB.corp.example:8000", "",
]  # fmt: skip
OTHER_HOSTS = [
    "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost.example",
    "1.2.3", "db.corp.example.evil.example", "evil.example:80:80", "[evil.example]", "[::1].evil.example",
]  # fmt: skip


class TestHosts:
    """A page may make a name of its own domain resolve to this server: its requests then have no other origin."""

    @pytest.mark.parametrize("host", HOSTS)
    def test_names_that_no_page_can_point_here_are_served(self, host: str) -> None:
        front = Front(browsers=Browsers(hosts=["db.corp.example"]))
        for _ in range(2):
            assert front.ask(call(host=host.encode()))[0] == 200

    @pytest.mark.parametrize("host", OTHER_HOSTS)
    def test_other_names_are_refused(self, host: str) -> None:
        front = Front(browsers=Browsers(hosts=["db.corp.example"]))
        for request in (call(host=host.encode()), get(b"/", host=host.encode())):
            status, _, body = front.ask(request)
            assert status == 403
            assert b"--allowed-host" in body
        assert front.calls == []

    def test_a_request_without_a_host_is_not_from_a_browser(self) -> None:
        request = call()
        del request.headers[b"host"]
        assert Front(browsers=Browsers(hosts=[])).ask(request)[0] == 200

    @pytest.mark.parametrize("host", OTHER_HOSTS)
    def test_names_are_not_checked_where_others_may_reach_the_server(self, host: str) -> None:
        assert Front(browsers=Browsers()).ask(call(host=host.encode()))[0] == 200

    @pytest.mark.parametrize(
        ("config", "checked"),
        [
            (Config(), True),
            (Config(host="::1"), True),
            (Config(host="0.0.0.0"), False),
            (Config(auth="sigv4"), False),
        ],
    )
    def test_a_node_checks_them_on_loopback_without_signatures(self, config: Config, checked: bool) -> None:
        assert config.browsers.checks_hosts is checked


@pytest.mark.parametrize("request_", [call(), get(b"/_atoll/")], ids=["call", "route"])
def test_objects_of_a_refused_request_are_freed_at_once(request_: Request) -> None:
    """And not when the collector of cycles comes, to which the frames are left that an error came through."""

    class Thing:
        pass

    async def refuse(*asked: object) -> Any:
        thing = Thing()
        things.append(weakref.ref(thing))
        try:
            held = [errors.resource_not_found()]
            raise held[0]
        except errors.ApiError:
            raise errors.ConditionFailed(thing.__dict__) from None

    class Refusing(Front):
        async def _call(self, *asked: Any) -> Any:
            return await refuse(*asked)

    things: list[weakref.ref[Thing]] = []
    gc.disable()
    try:
        status, _, _ = Refusing(routes={"/_atoll/": refuse}).ask(request_)
        assert status == 400
        assert [thing() for thing in things] == [None]
    finally:
        gc.enable()


def test_a_large_body_is_read_as_another() -> None:
    front = Front()
    body = {"TableName": "T", "Key": {"pk": {"L": [{"N": str(n)} for n in range(30_000)]}}}
    seen: list[Any] = []

    async def keep(*asked: Any) -> Any:
        seen.append((type(asked[3]), orjson.dumps(dict(asked[3]))))
        return {}

    front.gateway._call = keep

    def answered(text: bytes) -> bytes:
        return asyncio.run(front.gateway.answer(call(text)))

    assert b" 200 OK" in answered(orjson.dumps(body))
    assert seen == [(LargeBody, orjson.dumps(body))]
    assert b"SerializationException" in answered(orjson.dumps(body)[:-1])
    assert b"SerializationException" in answered(b"[" + b"1," * 30_000 + b"1]")
    assert len(seen) == 1
