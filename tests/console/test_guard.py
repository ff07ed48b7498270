"""The requests that the console serves: from its own pages, at its own names, of signed-in visitors."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlencode

import pytest

from atoll import testing
from atoll.console import endpoint as endpoints
from atoll.console import guard as guards
from atoll.console.endpoint import UNSIGNED, Address, CallFailed, Connection, Endpoint, Key, ReadOnly
from atoll.console.guard import Guard
from atoll.security.browsers import Browsers

POLICIES = {
    "users": {
        "ann": {"access_keys": {"AKIAANN": "ann's secret"}, "policies": ["AdministratorAccess"], "admin": True},
        "bob": {"access_keys": {"AKIABOB": "bob's secret"}, "policies": []},
    }
}
PASSWORD = "correct horse"
HTML = "text/html,*/*"


class Answer:
    def __init__(self, messages):
        self.kind = messages[0]["type"]
        self.status = messages[0].get("status", messages[0].get("code"))
        self.headers = {name.decode(): value.decode() for name, value in messages[0].get("headers", ())}
        self.body = b"".join(message.get("body", b"") for message in messages[1:]).decode()


class Visitor:
    """Requests of a browser to a guard around an application that only says whom it served."""

    def __init__(self, endpoint, *, host="127.0.0.1:8001", hosts=(), **options):
        self.host, self.cookie = host, ""
        self.served = []
        self.guard = Guard(self._app, endpoint, Browsers(hosts=hosts), **options)

    async def _app(self, scope, receive, send):
        self.served.append(scope["visit"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"served"})

    def ask(self, path="/", method="GET", form=None, kind="http", accept=HTML, **headers):
        named = {"host": self.host, "accept": accept, "cookie": self.cookie, **headers}
        scope = {
            "type": kind, "path": path, "method": method, "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in named.items() if value],
        }  # fmt: skip
        return asyncio.run(self._ask(scope, urlencode(form or {}).encode()))

    async def _ask(self, scope, body):
        messages = []

        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            messages.append(message)

        await self.guard(scope, receive, send)
        answer = Answer(messages)
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer


@pytest.fixture(scope="module")
def open_server():
    with testing.serve() as server:
        yield server


@pytest.fixture(scope="module")
def guarded_server():
    with testing.serve(policies=POLICIES) as server:
        yield server


@pytest.fixture
def no_keys(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(guards, "WRONG_S", 0.0)


@pytest.fixture
def visitor(open_server, no_keys):
    return Visitor(Endpoint(Address(open_server.endpoint_url)))


class TestOtherPages:
    def test_its_own_page_is_served(self, visitor):
        assert visitor.ask(origin="http://127.0.0.1:8001").body == "served"
        assert visitor.ask(kind="websocket", origin="http://127.0.0.1:8001").kind == "websocket.accept"

    @pytest.mark.parametrize(
        "origin",
        ["https://evil.example", "http://127.0.0.1:9999", "null", "http://localhost:8001", "http://[", "\u00e4"],
    )
    def test_a_page_of_another_origin_is_refused(self, visitor, origin):
        assert visitor.ask(origin=origin).status == 403
        answer = visitor.ask(kind="websocket", origin=origin)
        assert (answer.kind, answer.status) == ("websocket.close", 1008)
        assert not visitor.served

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_another_page_may_link_here_but_not_use_an_image_a_frame_or_a_download(self, visitor, site):
        def ask(destination: str, path: str = "/table/A/items") -> int:
            headers = {"sec-fetch-site": site, "sec-fetch-dest": destination}
            return visitor.ask(path, **headers).status

        assert ask("document") == 200
        assert {ask("image"), ask("iframe"), ask("empty"), ask("document", "/table/A/items.csv")} == {403}
        own = {"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}
        assert visitor.ask("/table/A/items.csv", **own).status == 200

    @pytest.mark.parametrize("host", ["evil.example:8001", "console.example", "127.0.0.1.evil.example"])
    def test_a_name_that_a_page_points_at_the_console_is_refused(self, visitor, host):
        visitor.host = host
        assert visitor.ask().status == 403
        assert visitor.ask(kind="websocket", origin=f"http://{host}").kind == "websocket.close"
        assert not visitor.served

    def test_local_names_and_named_hosts_are_served(self, open_server, no_keys):
        for host in ("localhost:8001", "[::1]:8001", "workstation:8001", "tables.example"):
            visitor = Visitor(Endpoint(Address(open_server.endpoint_url)), host=host, hosts=["tables.example"])
            assert visitor.ask().body == "served", host

    def test_no_page_may_show_it_in_a_frame_or_send_its_content_away(self, visitor):
        headers = visitor.ask().headers
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "form-action 'self'" in headers["content-security-policy"]


class TestPassword:
    @pytest.fixture
    def visitor(self, open_server, no_keys):
        return Visitor(Endpoint(Address(open_server.endpoint_url)), password=PASSWORD)

    def test_a_stranger_gets_only_the_sign_in_page_and_its_files(self, visitor):
        assert visitor.ask().headers["location"] == "/sign-in"
        assert visitor.ask("/table/A/items.csv", accept="*/*").status == 401
        assert visitor.ask("/_nicegui_ws/socket.io", kind="websocket").kind == "websocket.close"
        assert visitor.ask("/console-static/console.css").body == "served"
        page = visitor.ask("/sign-in")
        assert page.status == 200 and 'name="password"' in page.body and 'name="secret"' not in page.body

    def test_a_wrong_password_opens_nothing(self, visitor):
        for wrong in ("", "correct hors", PASSWORD + "x", "é"):
            answer = visitor.ask("/sign-in", "POST", {"password": wrong})
            assert answer.status == 403 and "password is wrong" in answer.body
        assert visitor.ask().headers["location"] == "/sign-in"

    def test_many_guesses_at_a_time_are_one(self, visitor, monkeypatch):
        """The pause was of one request: a guesser sent many together."""
        pauses = []
        monkeypatch.setattr(asyncio, "sleep", lambda seconds: guesses(seconds))

        async def guesses(seconds):
            pauses.append(seconds)
            answers.append(await post(PASSWORD))
            answers.append(await post(PASSWORD, "10.0.0.2"))

        async def post(password, address="10.0.0.1"):
            scope = {"type": "http", "path": "/sign-in", "method": "POST", "headers": [(b"host", b"127.0.0.1:8001")],
                     "client": (address, 1)}  # fmt: skip
            return await visitor._ask(scope, urlencode({"password": password}).encode())

        answers: list[Answer] = []
        assert asyncio.run(post("wrong")).status == 403
        assert [answer.status for answer in answers] == [403, 303] and len(pauses) == 1
        assert "Try again" in answers[0].body
        assert asyncio.run(post(PASSWORD)).status == 303

    def test_the_password_opens_until_sign_out(self, visitor):
        answer = visitor.ask("/sign-in", "POST", {"password": PASSWORD})
        assert answer.status == 303
        assert "HttpOnly" in answer.headers["set-cookie"] and "SameSite=Strict" in answer.headers["set-cookie"]
        assert visitor.ask().body == "served"
        assert visitor.ask(kind="websocket").kind == "websocket.accept"
        before = visitor.cookie
        visitor.ask("/sign-out", "POST")
        visitor.cookie = before
        assert visitor.ask().headers["location"] == "/sign-in"

    def test_another_page_cannot_sign_in_or_out(self, visitor):
        assert visitor.ask("/sign-in", "POST", {"password": PASSWORD}, origin="https://evil.example").status == 403
        visitor.ask("/sign-in", "POST", {"password": PASSWORD})
        assert visitor.ask("/sign-out", "POST", origin="https://evil.example").status == 403
        assert visitor.ask().body == "served"

    def test_a_guessed_or_broken_cookie_opens_nothing(self, visitor):
        for cookie in ("atoll_console=", "atoll_console=x", "\x01;;=", "a=b"):
            visitor.cookie = cookie
            assert visitor.ask().headers["location"] == "/sign-in"


class TestCredential:
    @pytest.fixture
    def visitor(self, guarded_server, no_keys):
        return Visitor(Endpoint(Address(guarded_server.endpoint_url)))

    def test_a_server_that_requires_signatures_makes_the_console_ask(self, visitor):
        assert visitor.ask().headers["location"] == "/sign-in"
        assert 'name="secret"' in visitor.ask("/sign-in").body

    @pytest.mark.parametrize("key, secret", [("AKIAANN", "wrong"), ("AKIANOBODY", "x"), ("", ""), ("AKIAANN", "")])
    def test_a_credential_that_the_server_refuses_is_refused(self, visitor, key, secret):
        assert visitor.ask("/sign-in", "POST", {"access_key": key, "secret": secret}).status == 403
        assert not visitor.served

    def test_each_visitor_acts_with_their_own_credential(self, guarded_server, visitor):
        visitor.ask("/sign-in", "POST", {"access_key": "AKIAANN", "secret": "ann's secret"})
        visitor.ask()
        ann, visitor.cookie = visitor.cookie, ""
        visitor.ask("/sign-in", "POST", {"access_key": "AKIABOB", "secret": "bob's secret"})
        visitor.ask()
        visitor.cookie = ann
        visitor.ask()
        assert [visit.key.access_key for visit in visitor.served] == ["AKIAANN", "AKIABOB", "AKIAANN"]
        assert asyncio.run(visitor.served[0].connection().table_names()) == []
        with pytest.raises(CallFailed, match="AccessDenied"):
            asyncio.run(visitor.served[1].connection().table_names())
        assert "secret" not in repr(visitor.served)

    def test_the_environment_s_credential_is_used_if_the_server_accepts_it(self, guarded_server, no_keys, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAANN")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "ann's secret")
        visitor = Visitor(Endpoint(Address(guarded_server.endpoint_url)))
        assert visitor.ask().body == "served"
        asking = Visitor(Endpoint(Address(guarded_server.endpoint_url)), asks=True)
        assert asking.ask().headers["location"] == "/sign-in"

    def test_a_credential_that_cannot_be_renewed_is_asked_for(self, guarded_server, no_keys, tmp_path):
        """A program or a login that had ended made every page an error."""
        (tmp_path / "config").write_text("[default]\ncredential_process = false\n")
        visitor = Visitor(Endpoint(Address(guarded_server.endpoint_url)))
        assert visitor.ask().headers["location"] == "/sign-in"
        assert visitor.ask("/sign-in", "POST", {"access_key": "AKIAANN", "secret": "ann's secret"}).status == 303
        assert visitor.ask().body == "served"

    def test_clients_of_regions_and_renewed_keys_are_bounded(self, guarded_server, no_keys, monkeypatch):
        monkeypatch.setattr(endpoints, "CLIENTS", 3)
        endpoint = Endpoint(Address(guarded_server.endpoint_url))
        monkeypatch.setattr(endpoint, "_client", lambda *which: which)
        for region in ("a", "b", "a", "c", "d"):
            endpoint.client(UNSIGNED, region, "dynamodb")
        assert [region for _, region, _ in endpoint._clients] == ["a", "c", "d"]


class TestReadOnly:
    def connection(self, server, *, allow_writes=False, is_atoll=False):
        endpoint = Endpoint(Address(server.endpoint_url), allow_writes=allow_writes)
        endpoint.is_atoll = is_atoll
        return Connection(endpoint, UNSIGNED)

    WRITES: tuple[tuple[str, dict[str, Any]], ...] = (
        ("put_item", {"TableName": "T", "Item": {}}),
        ("delete_table", {"TableName": "T"}),
        ("execute_statement", {"Statement": "DELETE FROM T WHERE id = '1'"}),
        ("execute_statement", {"Statement": "-- select\nUPDATE T SET a = 1"}),
        ("execute_statement", {"Statement": "EXISTS(SELECT * FROM T)"}),
        ("restore_table_from_backup", {}),
        ("batch_write_item", {}),
        ("transact_write_items", {}),
    )

    @pytest.mark.parametrize("operation, parameters", WRITES)
    def test_nothing_that_writes_is_sent_to_another_endpoint(self, open_server, operation, parameters):
        with pytest.raises(ReadOnly):
            asyncio.run(self.connection(open_server).call(operation, **parameters))
        with pytest.raises(ReadOnly):
            asyncio.run(self.connection(open_server).tell("clock", advance="1h"))

    def test_reads_are_sent(self, open_server):
        connection = self.connection(open_server)
        assert asyncio.run(connection.table_names()) == []
        with pytest.raises(CallFailed, match="ResourceNotFound"):
            asyncio.run(connection.call("execute_statement", Statement=' Select * from "None"'))

    def test_writes_are_sent_if_they_are_allowed_or_the_endpoint_is_atoll(self, open_server):
        for connection in (
            self.connection(open_server, allow_writes=True),
            self.connection(open_server, is_atoll=True),
        ):
            with pytest.raises(CallFailed, match="ResourceNotFound"):
                asyncio.run(connection.call("delete_table", TableName="None"))

    def test_atoll_is_recognized(self, open_server, guarded_server):
        for server in (open_server, guarded_server):
            endpoint = Endpoint(Address(server.endpoint_url))
            asyncio.run(endpoint.recognize())
            assert endpoint.is_atoll and not endpoint.read_only

    def test_an_endpoint_that_cannot_be_reached_is_read_only_and_asked_again(self):
        endpoint = Endpoint(Address("http://127.0.0.1:9"))
        asyncio.run(endpoint.recognize())
        assert endpoint.read_only and not endpoint._recognized

    def test_an_endpoint_that_never_answers_delays_the_start_for_seconds_only(self, monkeypatch):
        """The console waited ten minutes to find out whether it is Atoll."""
        monkeypatch.setattr(endpoints, "CONNECT_SECONDS", 0.1)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            endpoint = Endpoint(Address(f"http://127.0.0.1:{silent.getsockname()[1]}"))
            asyncio.run(asyncio.wait_for(endpoint.recognize(), 20))
        assert endpoint.read_only and not endpoint._recognized

    def test_the_administration_gets_the_credential_or_the_token(self, guarded_server):
        url = guarded_server.endpoint_url
        ann = Connection(Endpoint(Address(url)), Key("AKIAANN", "ann's secret"))
        assert asyncio.run(ann.ask("clock"))["clock"] == "manual"
        with pytest.raises(CallFailed, match="AccessDenied"):
            asyncio.run(Connection(Endpoint(Address(url)), Key("AKIABOB", "bob's secret")).ask("clock"))
        with pytest.raises(CallFailed):
            asyncio.run(Connection(Endpoint(Address(url, admin_token="wrong")), UNSIGNED).ask("clock"))
