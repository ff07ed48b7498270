"""The wheel in a clean environment, on every Python of this machine: it installs fast, is small, and works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from atoll import __version__
from tests.packages.built.conftest import UV, clean_environment, run

LARGEST_MB = 30
INSTALL_SECONDS = 5

urlopen = build_opener(ProxyHandler({})).open


@contextmanager
def served(*command: str) -> Iterator[str]:
    """The address of a server that this command starts."""
    process = subprocess.Popen([*command, "serve", "--in-memory", "--port", "0", "--log-format", "json"], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_environment())  # fmt: skip
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["message"].rpartition(" ")[2]
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def call(address: str, operation: str, body: object) -> dict[str, object]:
    headers = {
        "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0",
    }
    with urlopen(Request(address, json.dumps(body).encode(), headers), timeout=20) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def write_and_read(address: str) -> None:
    item = {"id": {"S": "1"}, "n": {"N": "1"}}
    call(address, "CreateTable", {
        "TableName": "Things", "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    })  # fmt: skip
    call(address, "PutItem", {"TableName": "Things", "Item": item})
    assert call(address, "GetItem", {"TableName": "Things", "Key": {"id": {"S": "1"}}})["Item"] == item


def test_an_installed_server_serves(installed: Path) -> None:
    with served(str(installed / "atoll")) as address:
        write_and_read(address)


def test_botocore_is_not_installed(installed: Path) -> None:
    listed = json.loads(run(UV, "pip", "list", "--quiet", "--format", "json", "--python", str(installed / "python")))
    names = {one["name"] for one in listed}
    assert "atoll" in names
    assert not names & {"boto3", "botocore", "pytest"}


def test_the_installed_size(installed: Path) -> None:
    (packages,) = installed.parent.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    assert size < LARGEST_MB * 1_000_000, f"{size:,} bytes"


def test_the_command_line_works_without_extras(installed: Path) -> None:
    assert run(str(installed / "atoll"), "--version").strip() == f"atoll {__version__}"
    assert "Serve DynamoDB" in run(str(installed / "atoll"), "serve", "--help")


def test_the_wheel_installs_within_seconds_of_cpu(wheel: Path, tmp_path: Path) -> None:
    """CPU time, for the machine may do other work."""
    run("python3", "-m", "venv", "--without-pip", str(tmp_path / "venv"))
    before = os.times()
    run(UV, "pip", "install", "--quiet", "--python", str(tmp_path / "venv" / "bin" / "python"), str(wheel))
    after = os.times()
    assert after.children_user - before.children_user < INSTALL_SECONDS


def test_uvx_starts_it(wheel: Path) -> None:
    with served(UV, "tool", "run", "--quiet", "--no-python-downloads", "--from", str(wheel), "atoll") as address:
        write_and_read(address)
