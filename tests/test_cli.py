"""The command line, as its user sees it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from atoll import __version__
from atoll.cli import main
from tests.ports import reserved_port

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ATOLL_")}


class Running:
    """`python -m atoll serve --port 0 ...`, once it serves."""

    def __init__(self, directory: Path, *arguments: str, processes: int = 1, **variables: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "atoll", "serve", "--port", "0", *arguments],
            cwd=directory, env=ENVIRONMENT | variables, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.log: list[str] = []
        self._processes = processes
        self._urls: list[str] = []
        self._serving = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._serving.wait(60), self.log
        assert len(self._urls) == processes, self.log
        self.url = self._urls[0]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r' serves (https?://[^\s"]+)', line)
            if found is not None:
                self._urls.append(found[1])
                if len(self._urls) == self._processes:
                    self._serving.set()
        self._serving.set()

    def client(
        self, service: str = "dynamodb", access_key: str = "x", secret: str = "y", region: str = "us-east-1"
    ) -> boto3.client:
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id=access_key,
            aws_secret_access_key=secret, config=Config(retries={"max_attempts": 0}, proxies={}),
        )  # fmt: skip

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self._reader.join(60)
        return code


@contextmanager
def serving(directory: Path, *arguments: str, processes: int = 1, **variables: str) -> Iterator[Running]:
    running = Running(directory, *arguments, processes=processes, **variables)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
        assert running.process.stderr is not None
        running.process.stderr.close()


def make_limited_table(client: boto3.client, units: int = 1) -> None:
    client.create_table(
        TableName="Limited",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        ProvisionedThroughput={"ReadCapacityUnits": units, "WriteCapacityUnits": units},
    )


def write_100_units(client: boto3.client) -> bool:
    """Whether the table was not throttled."""
    try:
        client.put_item(TableName="Limited", Item={"pk": {"S": "a"}, "x": {"S": "x" * 102_000}})
    except client.exceptions.ProvisionedThroughputExceededException:
        return False
    return True


def make_table(client: boto3.client) -> None:
    client.create_table(
        TableName="Things",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ATOLL_")]:
        monkeypatch.delenv(name)


class TestFirstMinutes:
    def test_without_a_command_there_is_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 0
        told = capsys.readouterr().out
        assert "serve DynamoDB's API" in told and "list tables" in told

    def test_a_command_that_is_none_has_a_suggestion(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["exprot"]) == 2
        assert (
            capsys.readouterr().err == "atoll: there is no command 'exprot': did you mean export? (see atoll --help)\n"
        )
        assert main(["xyzzy"]) == 2
        assert capsys.readouterr().err == "atoll: there is no command 'xyzzy' (see atoll --help)\n"

    @pytest.mark.parametrize(
        "words", [["serve", "--prot", "1"], ["query", "T", "pk = a", "b"], ["store", "check", "--prot", "1"]]
    )
    def test_an_option_that_is_none_names_the_help_of_its_command(
        self, words: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(words) == 2
        told = capsys.readouterr().err
        assert told.startswith("atoll: unrecognized arguments: ") and f"(see atoll {words[0]} --help)" in told

    @pytest.mark.parametrize(("workers", "auth"), [(1, "none"), (2, "sigv4")])
    def test_the_server_prints_what_to_export(self, workers: int, auth: str, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "atoll", "serve", "--port", "0", "--auth", auth, "--workers", str(workers)]
        with subprocess.Popen(
            command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            told = ""
            while "AWS_SECRET" not in told and "access key" not in told:
                told += process.stdout.readline()
            process.terminate()
            told += process.stdout.read()
        exported = dict(re.findall(r"export (\w+)=(\S+)", told))
        assert exported["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
        assert ("AWS_ACCESS_KEY_ID" in exported) == (auth == "none")
        assert told.count("export AWS_ENDPOINT_URL") == 1


class TestLog:
    def test_every_line_of_a_json_log_is_a_record(self, tmp_path: Path) -> None:
        arguments = ("--in-memory", "--log-format", "json", "--slow", "0s", "--log-level", "debug")
        with serving(tmp_path, *arguments) as running:
            answer = running.client().list_tables()
            running.stop()
        records = [json.loads(line) for line in running.log]
        assert all(record.keys() >= {"time", "level", "message", "source", "pid"} for record in records)
        (first,) = [record for record in records if record["message"].startswith("atoll ")]
        assert (first["region"], first["engine"], first["auth"]) == ("us-east-1", "memory", "none")
        (slow,) = [record for record in records if record["message"] == "a slow request"]
        assert (slow["operation"], slow["level"]) == ("DynamoDB.ListTables", "warning")
        assert slow["request_id"] == answer["ResponseMetadata"]["RequestId"]

    def test_the_access_log_has_a_line_for_each_request(self, tmp_path: Path) -> None:
        arguments = ("--in-memory", "--log-format", "json", "--access-log")
        with serving(tmp_path, *arguments) as running:
            client = running.client()
            made = client.create_table(
                TableName="Things",
                KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            with pytest.raises(ClientError):
                client.get_item(TableName="Nothing", Key={"pk": {"S": "a"}})
            client.batch_get_item(RequestItems={"Things": {"Keys": [{"pk": {"S": "a"}}]}})
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{running.url}/nothing")
            running.stop()
        lines = [json.loads(line) for line in running.log if '"request"' in line]
        shown = [
            tuple(line.get(name) for name in ("method", "operation", "path", "table", "status", "error"))
            for line in lines
        ]
        assert shown == [
            ("POST", "DynamoDB.CreateTable", None, "Things", 200, None),
            ("POST", "DynamoDB.GetItem", None, "Nothing", 400, "ResourceNotFoundException"),
            ("POST", "DynamoDB.BatchGetItem", None, "Things", 200, None),
            ("GET", None, "/nothing", None, 404, None),
        ]
        assert lines[0]["request_id"] == made["ResponseMetadata"]["RequestId"]
        assert all(line["latency_ms"] > 0 and line["client"] == "127.0.0.1" for line in lines)

    def test_a_start_that_fails_is_a_record_too(self, tmp_path: Path) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "atoll", "serve", "--port", "0", "--data", "/dev/null/x", "--log-format", "json"],
            cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
        (record,) = [json.loads(line) for line in ran.stderr.splitlines()]
        assert (ran.returncode, record["level"]) == (2, "critical")
        assert record["message"].startswith("--data /dev/null/x: ")

    @pytest.mark.parametrize("duration", ["soon", "-1s", "1", "1y"])
    def test_a_slow_request_takes_a_duration(self, duration: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["serve", f"--slow={duration}"]) == 2
        assert capsys.readouterr().err.startswith("atoll: --slow takes a duration, as in 1s, 500ms or 1m, not ")


class TestServing:
    def test_it_reports_its_address_and_keeps_data_until_the_next_start(self, tmp_path: Path) -> None:
        with serving(tmp_path) as first:
            assert f"atoll {__version__} serves http://127.0.0.1:" in first.log[0]
            make_table(first.client())
            first.client().put_item(TableName="Things", Item={"pk": {"S": "a"}})
            assert first.stop() == 0
        with serving(tmp_path) as second:
            assert second.client().scan(TableName="Things")["Count"] == 1
            assert second.stop(signal.SIGINT) == 0
        assert (tmp_path / "data" / "us-east-1").is_dir()

    def test_on_a_stop_signal_it_answers_requests_that_arrived(self, tmp_path: Path) -> None:
        with serving(tmp_path) as running:
            host, port = running.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), 30) as connection:
                body = b'{"TableName": "Nothing"}'
                head = (
                    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.0\r\n"
                    b"X-Amz-Target: DynamoDB_20120810.DescribeTable\r\nContent-Length: %d\r\n\r\n" % len(body)
                )
                connection.sendall((head + body) * 20)
                assert connection.recv(1) == b"H"
                running.process.send_signal(signal.SIGTERM)
                answers = b"H"
                while data := connection.recv(65536):
                    answers += data
            assert answers.count(b"ResourceNotFoundException") == 20
            assert running.process.wait(60) == 0

    def test_in_memory_leaves_nothing_behind(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--in-memory") as running:
            make_table(running.client())
            running.stop()
        assert list(tmp_path.iterdir()) == []

    def test_options_may_come_from_the_environment(self, tmp_path: Path) -> None:
        variables: dict[str, Any] = {
            "ATOLL_IN_MEMORY": "1",
            "ATOLL_DATA": "data",
            "ATOLL_CLOCK": "manual",
            "ATOLL_REGION": "eu-west-1",
        }
        with serving(tmp_path, **variables) as running:
            assert "region=eu-west-1" in running.log[0]
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(running.url + "/_atoll/clock") as answer:
                assert json.load(answer)["clock"] == "manual"

    def test_signatures_are_verified(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["credentials", "create"]) == 0
        access_key, secret = (line.partition("=")[2] for line in capsys.readouterr().out.splitlines())
        with serving(tmp_path, "--auth", "sigv4") as running:
            assert running.client("dynamodb", access_key, secret).list_tables()["TableNames"] == []
            with pytest.raises(Exception, match="UnrecognizedClientException"):
                running.client().list_tables()

    def test_two_workers_serve_one_store(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--workers", "2", processes=2) as running:
            make_table(running.client())
            for i in range(10):  # each client has a connection of its own
                running.client().put_item(TableName="Things", Item={"pk": {"S": str(i)}})
            assert running.client().scan(TableName="Things")["Count"] == 10
            assert running.stop() == 0
        assert "was not closed" not in "".join(running.log)

    def test_two_workers_throttle_a_table_together(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--workers", "2", processes=2) as running:
            began_s = time.monotonic()
            make_limited_table(running.client())
            written = [write_100_units(running.client()) for _ in range(30)]
            assert all(written[:3])
            # Before the last one was let in there was less gone than the burst of 300 units, and a unit each second.
            # Each worker alone would give as much again.
            assert 100 * (sum(written) - 1) < 300 + time.monotonic() - began_s

    def test_two_workers_throttle_a_hot_key_together(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--workers", "2", "--throttling", "full", processes=2) as running:
            make_limited_table(running.client(), 10_000)
            began_s = time.monotonic()
            written = [write_100_units(running.client()) for _ in range(40)]
            assert all(written[:10])
            # As above: a burst of 1,000 units, and 1,000 each second.
            assert 100 * (sum(written) - 1) < 1_000 + 1_000 * (time.monotonic() - began_s)

    def test_nothing_is_throttled_where_that_is_switched_off(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--throttling", "off") as running:
            make_limited_table(running.client())
            assert all(write_100_units(running.client()) for _ in range(8))

    @pytest.mark.parametrize("quotas", ["on", "off"])
    def test_quotas_are_enforced_unless_that_is_switched_off(self, tmp_path: Path, quotas: str) -> None:
        table = {
            "TableName": "Large",
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": 40_001, "WriteCapacityUnits": 1},
        }
        with serving(tmp_path, "--quotas", quotas) as running:
            if quotas == "off":
                running.client().create_table(**table)
                return
            with pytest.raises(ClientError, match="40001, is above the per table maximum"):
                running.client().create_table(**table)

    def test_workers_do_not_outlive_their_supervisor(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--workers", "2", processes=2) as running:
            assert running.stop(signal.SIGKILL) == -signal.SIGKILL
            assert not running._reader.is_alive(), "a worker still holds the pipe of its log"


class TestFunctions:
    def serving(
        self, directory: Path, name: str, *arguments: str, processes: int = 1
    ) -> AbstractContextManager[Running]:
        (directory / "slow.py").write_text("import time\ntime.sleep(60)")
        (directory / "functions.toml").write_text(f"[functions.f]\npython = '{name}'\nconcurrency = 1\n")
        return serving(directory, "--functions", "functions.toml", *arguments, processes=processes)

    def test_a_function_that_cannot_be_loaded_is_reported_at_start(self, tmp_path: Path) -> None:
        with self.serving(tmp_path, "nowhere:f", "--in-memory") as running:
            running.client("lambda").invoke(FunctionName="f")  # one at a time: the start was first
            running.stop()
        told = [line for line in running.log if "function f: nowhere:f cannot be loaded: " in line]
        assert len(told) == 1 and "No module named 'nowhere'" in told[0]

    @pytest.mark.parametrize("processes", [1, 2])
    def test_a_function_that_is_still_loading_does_not_block_the_stop(self, tmp_path: Path, processes: int) -> None:
        with self.serving(tmp_path, "slow:f", "--workers", str(processes), processes=processes) as running:
            assert running.stop() == 0
        assert "cannot be loaded" not in "".join(running.log)


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["--host", "0.0.0.0"], "use --auth sigv4, or --insecure"),
            (["--port", "many"], "--port must be a number from 0 to 65535, not 'many'"),
            (["--port", "65536"], "--port must be a number from 0 to 65535"),
            (["--port", "-1"], "--port must be a number from 0 to 65535"),
            (["--workers", "0"], "--workers must be a number from 1"),
            (["--workers", "2", "--in-memory"], "several workers cannot share memory"),
            (["--tls-key", "key.pem", "--in-memory", "--port", "0"], "--tls-key needs --tls-cert"),
            (["--workers", "2", "--clock", "manual"], "several workers cannot share a manual clock"),
            (["--account", "1234"], "--account must be twelve digits"),
            (["--region", "Here"], "--region must be a region name such as eu-west-1, not 'Here'"),
            (["--region", "eu-west-1", "--region", "eu-west-1"], "--region eu-west-1 is given twice"),
            (["--region", "eu-west-1", "--region", ""], "--region must be a region name such as eu-west-1, not ''"),
            (["--region", "eu-west-1", "--region", "us-east-1", "--max-regions", "1"], "named by --region, 2"),
            (
                ["--peer", "eu-west-1"],
                "--peer takes a region and the address of its server, as in eu-west-1=https://host",
            ),
            (["--peer", "eu-west-1=host:8000"], "--peer takes a region and the address of its server"),
            (["--peer", "eu-west-1=ftp://host"], "--peer takes a region and the address of its server"),
            (["--peer", "eu-west-1=https://host/path"], "--peer takes a region and the address of its server"),
            (["--peer", "eu-west-1=https://host:99999"], "--peer takes a region and the address of its server"),
            (["--peer", "eu-west-1=https://:8000"], "--peer takes a region and the address of its server"),
            (["--peer", "Here=https://host"], "--peer must be a region name such as eu-west-1, not 'Here'"),
            (["--peer", "us-east-1=https://host"], "this server serves us-east-1 itself (--region)"),
            (["--peer", "eu-west-1=http://a", "--peer", "eu-west-1=http://b"], "--peer eu-west-1 is given twice"),
            (["--peer", "eu-west-1=https://host", "--in-memory"], "or name their file with --peer-credentials"),
            (["--peer", "eu-west-1=https://host", "--port", "0"], "make one with atoll credentials create --peer"),
            (["--peer-credentials", "missing.json"], "--peer-credentials: [Errno 2] No such file"),
            (["--peer-ca", "missing.pem"], "--peer-ca: [Errno 2] No such file or directory: 'missing.pem'"),
            (
                ["--control-plane-delay", "soon"],
                "--control-plane-delay must be a number of seconds, at least 0, not 'soon'",
            ),
            (["--control-plane-delay", "-1"], "--control-plane-delay must be a number of seconds, at least 0"),
            (
                ["--control-plane-delay", "inf"],
                "--control-plane-delay must be a number of seconds, at least 0, not 'inf'",
            ),
            (
                ["--control-plane-delay", "nan"],
                "--control-plane-delay must be a number of seconds, at least 0, not 'nan'",
            ),
            (["--ttl-delay", "later"], "--ttl-delay must be a number of seconds, at least 0, not 'later'"),
            (["--ttl-rate", "all"], "--ttl-rate must be a number from 1, not 'all'"),
            (["--workers", "two"], "--workers must be a number from 1, not 'two'"),
            (["--in-memory", "--data", "there"], "--in-memory and --data exclude each other"),
            (["--ttl-delay", "-1"], "--ttl-delay must be a number of seconds, at least 0"),
            (["--ttl-rate", "0"], "--ttl-rate must be a number from 1"),
            (["--auth", "sigv4", "--in-memory", "--port", "0"], "or name their file with --credentials"),
            (["--account", "١٢٣٤٥٦٧٨٩٠١٢"], "--account must be twelve digits"),
            (["--auth", "sigv4", "--credentials", "missing.json"], "--credentials: [Errno 2] No such file"),
            (["--credentials", "keys.json"], "--credentials holds the keys that sign requests: use --auth sigv4"),
            (["--memory-limit", "much"], "--memory-limit takes a size from 64MB, as in 256MB or 1GB, not 'much'"),
            (["--memory-limit", "63MB"], "--memory-limit takes a size from 64MB"),
            (["--memory-limit", "256"], "--memory-limit takes a size from 64MB"),
            (["--max-connections", "0"], "--max-connections must be a number from 1, not '0'"),
            (["--max-regions", "0"], "--max-regions must be a number from 1, not '0'"),
            (["--cors-origin", "app.example"], "--cors-origin takes an origin as in https://app.example:8443, or *"),
            (["--cors-origin", "https://app.example/"], "--cors-origin takes an origin"),
            (["--tls-cert", "missing.pem", "--port", "0"], "--tls-cert: [Errno 2] No such file or directory"),
            (["--tls-cert", "missing.pem", "--port", "0", "--workers", "2"], "--tls-cert: [Errno 2] No such file"),
            (["--functions", "missing.toml"], "--functions: missing.toml: [Errno 2] No such file or directory"),
            (["--host", "no.such.host.invalid", "--insecure"], "--host no.such.host.invalid, --port 8000: "),
            (["--host", "no..host", "--insecure"], "--host no..host, --port 8000: "),
            (["--host", "no..host", "--insecure", "--workers", "2"], "--host no..host, --port 8000: "),
            (["--host", "192.0.2.1", "--insecure", "--port", "0"], "--host 192.0.2.1, --port 0: "),
            (["--host", "192.0.2.1", "--insecure", "--port", "0", "--workers", "2"], "--host 192.0.2.1, --port 0: "),
        ],
    )
    def test_an_invalid_option_is_reported_and_leaves_nothing_behind(
        self, arguments: list[str], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["serve", *arguments]) == 2
        assert text in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("arguments", [["--auth", "maybe"], ["--clock", "slow"], ["--unknown"], ["--port"]])
    def test_arguments_that_the_parser_refuses_are_reported_in_a_line(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["serve", *arguments]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("atoll: ") and arguments[0] in line

    def test_a_choice_is_refused_alike_by_option_and_by_variable(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["serve", "--auth", "maybe"]) == 2
        monkeypatch.setenv("ATOLL_AUTH", "maybe")
        assert main(["serve"]) == 2
        assert capsys.readouterr().err == 2 * "atoll: --auth must be none or sigv4 or iam or iam-log, not 'maybe'\n"

    def test_a_typing_error_in_the_environment_does_not_disable_signatures(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A parser does not check its defaults: ATOLL_AUTH=SigV4 was neither "none" nor "sigv4", and so it was
        served to everybody without signatures."""
        monkeypatch.setenv("ATOLL_AUTH", "SigV4")
        assert main(["serve", "--host", "0.0.0.0"]) == 2
        assert "--auth must be none or sigv4 or iam or iam-log, not 'SigV4'" in capsys.readouterr().err

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_port_that_is_taken(self, workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            assert main(["serve", "--port", str(port), "--workers", workers]) == 2
        told = capsys.readouterr().err.lower()
        assert told == (
            f"atoll: port {port} of 127.0.0.1 is in use by another program: stop it, or choose another port "
            "with --port or atoll_port\n"
        )
        assert list(tmp_path.iterdir()) == []

    def test_a_port_that_the_workers_of_another_server_share(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Two servers of several workers, each with its own data, once shared a port: half of what a client wrote
        seemed to be gone."""
        with serving(tmp_path, "--workers", "2", processes=2) as running:
            port = running.url.rpartition(":")[2]
            assert main(["serve", "--data", "other", "--port", port, "--workers", "2"]) == 2
        assert "or choose another port with --port" in capsys.readouterr().err
        assert not (tmp_path / "other").exists()

    def test_a_port_whose_last_connections_linger(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as before:
            port = before.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                before.accept()[0].close()
                assert client.recv(1) == b""
        with serving(tmp_path, "--port", str(port), "--workers", "2", processes=2) as running:
            assert running.client().list_tables()["TableNames"] == []

    def test_a_directory_that_another_server_uses(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = [sys.executable, "-m", "atoll", "serve", "--port", "0", "--workers", "3"]
        with serving(tmp_path):
            assert main(["serve", "--port", "0"]) == 2
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        told = "atoll: data/us-east-1 is in use by another server: choose another data directory with --data\n"
        assert told in capsys.readouterr().err
        assert (done.returncode, done.stderr) == (2, told)

    def test_certificate_authorities_that_are_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "ca.pem").write_text("nonsense")
        assert main(["serve", "--in-memory", "--port", "0", "--peer-ca", "ca.pem"]) == 2
        assert "atoll: --peer-ca ca.pem: " in capsys.readouterr().err

    def test_a_certificate_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "server.pem").write_text("nonsense")
        assert main(["serve", "--in-memory", "--port", "0", "--tls-cert", "server.pem"]) == 2
        assert "atoll: --tls-cert server.pem: " in capsys.readouterr().err

    def test_a_data_directory_that_is_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "data").write_text("a file")
        assert main(["serve", "--port", "0"]) == 2
        assert "--data data: [Errno 20] Not a directory" in capsys.readouterr().err

    def test_a_store_that_cannot_be_opened(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "data" / "us-east-1" / "atoll.db").mkdir(parents=True)
        assert main(["serve", "--port", "0"]) == 2
        assert "atoll: data/us-east-1/atoll.db: unable to open" in capsys.readouterr().err

    def test_credentials_that_cannot_be_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "credentials.json").write_text("nonsense")
        assert main(["serve", "--port", "0", "--auth", "sigv4"]) == 2
        assert "does not hold credentials" in capsys.readouterr().err
        assert main(["credentials", "list"]) == 2


class TestCredentials:
    def test_they_are_made_listed_and_deleted(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        def run(*arguments: str) -> str:
            assert main(["credentials", *arguments]) == 0
            return capsys.readouterr().out

        made = run("create")
        found = re.fullmatch(r"AWS_ACCESS_KEY_ID=(AKIA[A-Z2-7]{16})\nAWS_SECRET_ACCESS_KEY=\S{40}\n", made)
        assert found is not None
        admin = run("create", "--admin").partition("\n")[0].partition("=")[2]
        assert set(run("list").splitlines()) == {found[1], f"{admin}  admin"}
        run("delete", found[1])
        assert run("list") == f"{admin}  admin\n"
        assert (tmp_path / "data" / "credentials.json").stat().st_mode & 0o777 == 0o600

    def test_peering_credentials_are_listed_as_such(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["credentials", "create", "--peer"]) == 0
        key = capsys.readouterr().out.partition("\n")[0].partition("=")[2]
        assert main(["credentials", "list"]) == 0
        assert capsys.readouterr().out == f"{key}  peer\n"

    def test_a_key_is_for_one_purpose(self) -> None:
        assert main(["credentials", "create", "--peer", "--admin"]) == 2

    def test_a_file_without_a_peering_credential(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["credentials", "create", "--admin", "--credentials", "keys.json"]) == 0
        assert main(["serve", "--in-memory", "--peer", "eu-west-1=http://x", "--peer-credentials", "keys.json"]) == 2
        assert "keys.json holds no peering credential: make one with" in capsys.readouterr().err

    def test_absent_credentials_cannot_be_deleted(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["credentials", "delete", "AKIANOBODY"]) == 2
        assert "unknown access key: AKIANOBODY" in capsys.readouterr().err


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    sent = urllib.request.Request(url, body, {name.replace("_", "-"): text for name, text in headers.items()})
    sent.method = method
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(sent, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_files_of_the_program_are_private_and_its_caller_s_as_before(tmp_path: Path) -> None:
    call = "import os, sys; from atoll.cli import main; os.umask(0o022); {}; print(oct(os.umask(0)))"
    for run, mask in (("main([])", "0o22"), ("sys.argv = ['atoll']; main()", "0o77")):
        found = subprocess.run([sys.executable, "-c", call.format(run)], capture_output=True, text=True, check=True)
        assert found.stdout.splitlines()[-1] == mask


class TestContainers:
    """A server in a container: reachable from elsewhere, and perhaps without a directory."""

    def test_signatures_are_verified_without_a_data_directory(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["credentials", "create", "--credentials", "keys.json"]) == 0
        access_key, secret = (line.partition("=")[2] for line in capsys.readouterr().out.splitlines())
        with serving(tmp_path, "--in-memory", "--auth", "sigv4", "--credentials", "keys.json") as running:
            assert running.client("dynamodb", access_key, secret).list_tables()["TableNames"] == []
            with pytest.raises(Exception, match="UnrecognizedClientException"):
                running.client().list_tables()
        assert not (tmp_path / "data").exists()

    def test_credentials_that_are_none(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "keys.json").write_text("nonsense")
        assert main(["serve", "--in-memory", "--auth", "sigv4", "--credentials", "keys.json"]) == 2
        assert "--credentials: keys.json does not hold credentials" in capsys.readouterr().err

    @pytest.mark.parametrize("options", [["--host", "0.0.0.0", "--insecure"], ["--auth", "sigv4"], []])
    def test_the_admin_token_opens_the_administration(self, tmp_path: Path, options: list[str]) -> None:
        (tmp_path / "keys.json").write_text('{"credentials": []}')
        if "sigv4" in options:
            options = [*options, "--credentials", "keys.json"]
        with serving(tmp_path, "--in-memory", "--clock", "manual", *options, ATOLL_ADMIN_TOKEN="s3cret") as running:
            url = running.url.replace("0.0.0.0", "127.0.0.1") + "/_atoll/clock"
            status, moved = ask(url, "POST", b'{"advance": "25h"}', Authorization="bearer s3cret")
            assert status == 200
            for wrong in ("Bearer s3cre", "Bearer s3cret2", "Bearer ", "Bearer"):
                assert ask(url, "POST", b'{"advance": "25h"}', Authorization=wrong)[0] in (400, 403), wrong
            status, shown = ask(url, "GET", Authorization="Bearer s3cret")
            assert json.loads(shown) == json.loads(moved)
            if options:
                assert ask(url)[0] in (400, 403)

    def test_without_a_token_none_opens_it(self, tmp_path: Path) -> None:
        with serving(tmp_path, "--in-memory", "--host", "0.0.0.0", "--insecure") as running:
            url = running.url.replace("0.0.0.0", "127.0.0.1") + "/_atoll/clock"
            for token in ("Bearer ", "Bearer x", "Bearer None"):
                assert ask(url, Authorization=token)[0] == 403

    def test_pages_and_names_are_allowed_by_options(self, tmp_path: Path) -> None:
        allowed: dict[str, Any] = {"ATOLL_CORS_ORIGIN": "https://one.example, https://two.example"}
        with serving(tmp_path, "--in-memory", "--allowed-host", "db.example", **allowed) as running:
            for origin, status in (("https://one.example", 200), ("https://two.example", 200), ("http://x", 403)):
                assert ask(running.url, Origin=origin)[0] == status
            for host, status in (("db.example:80", 200), ("localhost", 200), ("evil.example", 403)):
                assert ask(running.url, Host=host)[0] == status
        with serving(tmp_path, "--in-memory", "--cors-origin", "https://three.example", **allowed) as running:
            assert ask(running.url, Origin="https://three.example")[0] == 200
            assert ask(running.url, Origin="https://one.example")[0] == 403, "the command line takes precedence"


class TestRegions:
    def regions(self, running: Running) -> set[tuple[str, str]]:
        status, answer = ask(running.url + "/_atoll/replication/links")
        assert status == 200
        return {(link["from"], link["to"]) for link in json.loads(answer)["links"]}

    def both(self, one: str, other: str) -> set[tuple[str, str]]:
        return {(one, other), (other, one)}

    def test_options_and_the_variable_name_regions(self, tmp_path: Path) -> None:
        options = ["--region", "us-east-1", "--region", "eu-west-1"]
        with serving(tmp_path, *options) as running:
            assert self.regions(running) == self.both("us-east-1", "eu-west-1")
        assert {path.name for path in (tmp_path / "data").iterdir() if path.is_dir()} == {"us-east-1", "eu-west-1"}
        with serving(tmp_path, "--in-memory", ATOLL_REGION="sa-east-1,us-west-2") as running:
            assert self.regions(running) == self.both("sa-east-1", "us-west-2")
        with serving(tmp_path, "--in-memory", *options, ATOLL_REGION="sa-east-1") as running:
            assert self.regions(running) == self.both("us-east-1", "eu-west-1"), "the command line takes precedence"

    def test_only_the_named_regions_are_served(self, tmp_path: Path) -> None:
        with (
            serving(tmp_path, "--in-memory", "--region", "eu-west-1", "--only-regions") as running,
            pytest.raises(ClientError, match="valid region, not 'us-east-1'"),
        ):
            running.client().list_tables()

    def test_two_servers_are_peers(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A fault of a link is set at the server of the receiving region, whichever is asked. The second server has
        the address of the first; the first that of the second by a port that is reserved."""
        assert main(["credentials", "create", "--peer", "--credentials", "peers.json"]) == 0
        port = reserved_port()
        common = ["--in-memory", "--peer-credentials", "peers.json"]
        one = [*common, "--peer", f"eu-west-1=http://localhost:{port}"]
        with serving(tmp_path, *one) as first:
            other = [*common, "--region", "eu-west-1", "--port", str(port)]
            with serving(tmp_path, *other, ATOLL_PEER=f"us-east-1={first.url}") as second:
                change = b'{"from": "us-east-1", "to": "eu-west-1", "delay": "2s"}'
                status, answer = ask(first.url + "/_atoll/replication/links", "POST", change)
                assert status == 200
                for shown in (answer, ask(second.url + "/_atoll/replication/links")[1]):
                    delays = {link["to"]: link["delay_ms"] for link in json.loads(shown)["links"]}
                    assert delays == {"eu-west-1": 2_000, "us-east-1": 0}
                with pytest.raises(ClientError, match=f"served at http://localhost:{port}"):
                    first.client(region="eu-west-1").list_tables()


class TestHelp:
    def test_the_version_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(["--version"])
        assert ended.value.code == 0
        assert capsys.readouterr().out == f"atoll {__version__}\n"

    def test_every_option_is_explained_with_its_variable(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            main(["serve", "--help"])
        shown = " ".join(capsys.readouterr().out.split())
        for name in set(re.findall(r"--([a-z-]+)", shown)) - {"help"}:
            assert f"ATOLL_{name.replace('-', '_').upper()}" in shown


@pytest.mark.parametrize("starting, code", [(True, -signal.SIGINT), (False, 130)])
def test_ctrl_c_shows_no_traceback(starting: bool, code: int) -> None:
    """While modules are imported it ends the process at once: some crash when their import is interrupted."""
    program = f"""
import os, signal, sys
from atoll import __main__, cli

def run(words, ready):
    {"" if starting else "ready()"}
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()

cli._run = run
sys.exit(__main__.main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (code, b"")
