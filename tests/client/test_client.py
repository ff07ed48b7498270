"""Calls: retries, failures, and the use of connections."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from atoll import botocore_models, testing
from atoll.client import Client, connections, resolve
from atoll.client.client import with_token
from atoll.client.connections import Connections
from atoll.client.failures import CallError, Misconfigured, Refusal, Unreachable
from tests.client.stub import Stub

TABLE = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
THROTTLED = (400, {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"})
DONE: tuple[int, object] = (200, {"TableNames": []})


def client_of(url: str, **options: object) -> tuple[Client, list[float]]:
    pauses: list[float] = []
    return Client(resolve(url), pause=pauses.append, **options), pauses  # type: ignore[arg-type]


class TestCalls:
    def test_items_and_streams_of_a_server(self, server: testing.LocalServer) -> None:
        client = Client(resolve(server.endpoint_url))
        client.call("CreateTable", TableName="Tab", StreamSpecification={"StreamEnabled": True,
                    "StreamViewType": "NEW_IMAGE"}, **TABLE)  # fmt: skip
        client.call("PutItem", TableName="Tab", Item={"pk": {"S": "a"}, "b": {"B": "AQI="}})
        assert client.call("GetItem", TableName="Tab", Key={"pk": {"S": "a"}})["Item"]["b"] == {"B": "AQI="}
        arn = client.call("DescribeTable", TableName="Tab")["Table"]["LatestStreamArn"]
        records = []
        for shard in client.call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = client.call("GetShardIterator", StreamArn=arn, ShardId=shard["ShardId"],
                                   ShardIteratorType="TRIM_HORIZON")["ShardIterator"]  # fmt: skip
            records += client.call("GetRecords", ShardIterator=iterator)["Records"]
        assert len(records) == 1

    def test_a_refusal_has_code_message_and_request_id(self, server: testing.LocalServer) -> None:
        with pytest.raises(Refusal) as caught:
            Client(resolve(server.endpoint_url)).call("DescribeTable", TableName="None")
        assert (caught.value.code, caught.value.status) == ("ResourceNotFoundException", 400)
        assert "None" in str(caught.value) and caught.value.request_id and not caught.value.passes

    def test_requests_are_signed_for_a_server_that_verifies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        users = {"ada": {"access_keys": {"AKIAADA": "secret"}, "policies": ["AdministratorAccess"]}}
        with testing.serve(auth="iam", clock="system", policies={"users": users}) as server:
            with pytest.raises(Refusal, match="UnrecognizedClientException"):
                Client(resolve(server.endpoint_url)).call("ListTables")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAADA")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            assert Client(resolve(server.endpoint_url)).call("ListTables") == {"TableNames": []}

    def test_a_transaction_has_one_token_for_all_its_attempts(self) -> None:
        with Stub(THROTTLED, (200, {})) as stub:
            client_of(stub.url)[0].call("TransactWriteItems", TransactItems=[])
        first, second = [json.loads(body)["ClientRequestToken"] for _, body in stub.requests]
        assert first == second

    def test_each_operation_that_takes_a_token_gets_one(self) -> None:
        model = botocore_models.read("dynamodb")
        for name, operation in model["operations"].items():
            members = model["shapes"][operation["input"]["shape"]]["members"] if "input" in operation else {}
            tokens = {member for member, shape in members.items() if shape.get("idempotencyToken")}
            assert with_token(name, {}).keys() == tokens, name


class TestRepeating:
    @pytest.mark.parametrize(
        "fault",
        [
            THROTTLED,
            (500, {"__type": "InternalServerError"}),
            (502, b"<html>Bad gateway</html>"),
            (200, b"not JSON"),
            (200, {"TableNames": []}, {"x-amz-crc32": "1"}),
            "hang up",
        ],
        ids=["throttled", "failed", "gateway", "no JSON", "damaged", "hung up"],
    )
    def test_a_fault_that_passes_is_repeated_with_growing_pauses(self, fault: object) -> None:
        with Stub(fault, fault, fault, DONE) as stub:
            client, pauses = client_of(stub.url)
            assert client.call("ListTables") == {"TableNames": []}
        assert len(pauses) == 3 and pauses[0] < pauses[1] < pauses[2]

    @pytest.mark.parametrize("fault", [(400, {"__type": "ValidationException"}), (403, b"")], ids=str)
    def test_other_refusals_are_not_repeated(self, fault: object) -> None:
        with Stub(fault) as stub, pytest.raises(Refusal):
            client_of(stub.url)[0].call("ListTables")
        assert len(stub.requests) == 1

    def test_a_quota_of_tables_is_not_repeated_but_that_of_a_shard_is(self) -> None:
        limit = (400, {"__type": "LimitExceededException", "message": "no"})
        with Stub(limit) as stub:
            client, pauses = client_of(stub.url)
            with pytest.raises(Refusal):
                client.call("CreateTable")
            assert not pauses
            with pytest.raises(Refusal):
                client.call("GetRecords")
            assert len(pauses) == 9

    def test_a_cancelled_transaction_is_repeated_only_for_passing_reasons(self) -> None:
        def cancelled(code: str) -> tuple[int, object]:
            return 400, {"__type": "TransactionCanceledException", "CancellationReasons": [{"Code": code}]}

        conflict, failed = cancelled("TransactionConflict"), cancelled("ConditionalCheckFailed")
        with Stub(conflict, failed) as stub, pytest.raises(Refusal) as caught:
            client_of(stub.url)[0].call("TransactWriteItems")
        assert caught.value.reasons == ["ConditionalCheckFailed"] and len(stub.requests) == 2

    def test_no_server_listens(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            client, pauses = client_of(f"http://127.0.0.1:{free.getsockname()[1]}", attempts=3)
            with pytest.raises(Unreachable, match="nothing listens there"):
                client.call("ListTables")
        assert len(pauses) == 2

    def test_text_that_is_not_unicode_is_refused(self) -> None:
        """Words of a command line that are no UTF-8 have such characters."""
        with Stub(DONE) as stub, pytest.raises(CallError, match="the request cannot be sent"):
            client_of(stub.url)[0].call("GetItem", Key={"pk": {"S": "\udcff"}})
        assert not stub.requests

    def test_tls_to_a_port_without_it(self) -> None:
        with Stub(DONE) as stub, pytest.raises(Unreachable, match="it does not speak TLS"):
            client_of(stub.url.replace("http:", "https:"), attempts=1)[0].call("ListTables")

    def test_a_program_that_is_not_dynamodb(self) -> None:
        with (
            Stub((404, b"<html>")) as stub,
            pytest.raises(Refusal, match="HTTP status 404: an answer that is not Dyna"),
        ):
            client_of(stub.url)[0].call("ListTables")

    def test_a_server_that_does_not_answer(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client, _ = client_of(f"http://127.0.0.1:{silent.getsockname()[1]}", attempts=1, answer_s=0.05)
            with pytest.raises(Unreachable, match="no answer in time"):
                client.call("ListTables")


class TestConnections:
    def test_calls_of_a_thread_share_one_connection(self) -> None:
        with Stub(DONE) as stub:
            client, _ = client_of(stub.url)
            for _ in range(5):
                client.call("ListTables")
        assert stub.connections == 1

    def test_threads_have_one_connection_each_at_most(self, server: testing.LocalServer) -> None:
        client = Client(resolve(server.endpoint_url))
        client.call("CreateTable", TableName="Tab", **TABLE)

        def write(number: int) -> None:
            client.call("PutItem", TableName="Tab", Item={"pk": {"S": str(number)}})
            found = client.call("GetItem", TableName="Tab", Key={"pk": {"S": str(number)}})
            assert found["Item"]["pk"]["S"] == str(number)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(200)))
        assert client.call("Scan", TableName="Tab", Select="COUNT")["Count"] == 200

    def test_a_connection_that_the_server_closed_while_idle_costs_no_attempt(self) -> None:
        with Stub((*DONE, {"Connection": "keep-alive"})) as stub:
            client, pauses = client_of(stub.url)
            client.call("ListTables")
            (connection,) = client._tables._idle
            connection.sock.shutdown(socket.SHUT_WR)  # the stub hangs up in turn
            connection.sock.recv(1)
            client.call("ListTables")
        assert stub.connections == 2 and not pauses

    def test_an_interrupted_call_leaves_no_answer_for_the_next(self) -> None:
        """Ctrl-C while an answer was read left the connection for the next request."""
        with Stub(DONE) as stub:
            client, _ = client_of(stub.url)
            client.call("ListTables")
            (connection,) = client._tables._idle

            def interrupt() -> None:
                raise KeyboardInterrupt

            connection.getresponse = interrupt  # type: ignore[method-assign, assignment]
            with pytest.raises(KeyboardInterrupt):
                client.call("ListTables")
            assert client.call("ListTables") == {"TableNames": []}
        assert stub.connections == 2


class TestTls:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        path = tmp_path / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                   "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]  # fmt: skip
        subprocess.run([*command, "-keyout", str(path), "-out", str(path) + ".crt"], check=True, capture_output=True)
        path.write_text(path.read_text() + Path(str(path) + ".crt").read_text())
        return path

    def test_a_ca_bundle_is_trusted_and_nothing_else(self, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        with Stub(DONE) as stub:
            stub._server.socket = context.wrap_socket(stub._server.socket, server_side=True)
            url = stub.url.replace("http:", "https:")
            with pytest.raises(Unreachable, match="certificate is not trusted"):
                client_of(url, attempts=1)[0].call("ListTables")
            trusting = resolve(url, ca_bundle=str(certificate))
            assert Client(trusting, attempts=1).call("ListTables") == {"TableNames": []}
            monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
            assert Client(resolve(url), attempts=1).call("ListTables") == {"TableNames": []}

    def test_a_bundle_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="CA bundle"):
            resolve("https://localhost", ca_bundle=str(tmp_path / "none"))


class TestProxies:
    def test_a_proxy_carries_requests_but_not_those_to_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with Stub(DONE) as proxy, Stub(DONE) as local:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.setenv("no_proxy", "")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
            client_of(local.url)[0].call("ListTables")
            assert not proxy.requests
            client_of("http://db.example")[0].call("ListTables")
        (headers, _), = proxy.requests  # fmt: skip
        assert headers["host"] == "db.example"


def test_a_client_may_be_closed_while_others_use_it(server: testing.LocalServer) -> None:
    client = Client(resolve(server.endpoint_url))
    done = threading.Event()

    def close() -> None:
        while not done.is_set():
            client.close()

    thread = threading.Thread(target=close)
    thread.start()
    try:
        for _ in range(50):
            client.call("ListTables")
    finally:
        done.set()
        thread.join()


class TestHostileServers:
    """Whatever a server sends, the call ends, and no text of it controls the terminal."""

    @pytest.mark.parametrize(
        "start, piece",
        [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n", b" " * 100_000),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n", b" " * 100_000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000),
        ],
    )
    def test_without_end(self, start: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connections, "ANSWER_BYTES", 1_000_000)
        with sending(start, piece) as url, pytest.raises(CallError, match="too large") as caught:
            client_of(url)[0].call("ListTables")
        assert not caught.value.passes

    def test_a_byte_now_and_then(self) -> None:
        with sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" ", 0.01) as url:
            post = Connections(url, whole_s=0.1, answer_s=0.1).post
            with pytest.raises(Unreachable, match="no answer in time"):
                post("/", {}, b"")

    @pytest.mark.parametrize("operation", ["DescribeTable", "ListTables", "Query", "GetRecords"])
    @pytest.mark.parametrize("body", [{}, {"Table": None, "TableNames": 5, "Count": "1", "Records": {}}])
    def test_json_of_another_service(self, operation: str, body: object) -> None:
        with Stub((200, body)) as stub, pytest.raises(Unreachable, match="not DynamoDB's"):
            client_of(stub.url)[0].call(operation)

    def test_a_message_is_one_line_without_control_characters(self) -> None:
        evil = {"__type": "a#\x1b[31mEvil", "message": "x\x1b]0;title\x07\u202e\nline"}
        with Stub((400, evil)) as stub, pytest.raises(Refusal) as caught:
            client_of(stub.url)[0].call("ListTables")
        assert str(caught.value).isprintable()

    def test_reasons_that_are_none(self) -> None:
        for reasons in (5, [1, "a", None], {"a": 1}):
            refusal = Refusal("a", 400, {"__type": "TransactionCanceledException", "CancellationReasons": reasons})
            assert not any(refusal.reasons)


@contextmanager
def sending(start: bytes, piece: bytes, pause_s: float = 0) -> Iterator[str]:
    """A server that begins each answer this way, and then sends the piece until the client hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def send() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(start)
                while True:
                    connection.sendall(piece)
                    ended.wait(pause_s)

    ended = threading.Event()
    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        ended.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
