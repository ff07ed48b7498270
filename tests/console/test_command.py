"""`atoll console`: the options that it refuses, and the console of `atoll serve --console`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from atoll.cli import main
from atoll.console.child import endpoint

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ATOLL_")}
open_url = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


@pytest.mark.parametrize(
    "options, why",
    [
        (["--host", "0.0.0.0"], "set a password"),
        (["--host", "tables.example"], "set a password"),
        (["--endpoint-url", "localhost:8000"], "'localhost:8000' is not an endpoint"),
        (["--endpoint", "http://user:secret@localhost:8000"], "cannot have a user name and password"),
        (["--port", "65536"], "--port must be a number"),
        (["--port", "x"], "--port must be a number"),
        (["--password-file", "/nowhere"], "--password-file"),
        (["--tls-cert", "/nowhere"], "--tls-cert"),
    ],
)
def test_an_option_without_sense_is_refused(options, why, capsys, monkeypatch):
    monkeypatch.delenv("ATOLL_CONSOLE_PASSWORD", raising=False)
    assert main(["console", *options]) == 2
    assert why in capsys.readouterr().err


def test_the_endpoint_is_that_of_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:8000")
    assert main(["console"]) == 2
    assert "'localhost:8000' is not an endpoint" in capsys.readouterr().err


def test_a_short_password_is_refused(tmp_path: Path, capsys):
    (tmp_path / "password").write_text("short\n")
    assert main(["console", "--password-file", str(tmp_path / "password")]) == 2
    assert "at least 8 characters" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host, port, url",
    [
        ("127.0.0.1", 8000, "http://127.0.0.1:8000"),
        ("0.0.0.0", 80, "http://127.0.0.1:80"),
        ("::", 8000, "http://[::1]:8000"),
        ("::1", 8000, "http://[::1]:8000"),
    ],
)
def test_the_console_of_a_server_calls_it_on_this_machine(host, port, url):
    assert endpoint(host, port) == url


def test_a_console_ends_with_its_server(tmp_path: Path):
    """Even if the server is killed."""
    command = [sys.executable, "-m", "atoll", "serve", "--in-memory", "--port", "0", "--console", "--console-port", "0"]
    server = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    address = next(found[1] for line in server.stderr if (found := re.search(r"the console is at (\S+)", line)))
    with open_url(address) as answer:
        page = answer.read().decode()
    assert "This region has no table" in page and "Read-only" not in page
    server.send_signal(signal.SIGKILL)
    server.wait()
    assert "Traceback" not in server.stderr.read()  # returns when the console, which has this pipe too, has ended
    with pytest.raises(OSError):
        open_url(address)
