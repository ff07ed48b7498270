"""The documentation, page by page, as a reader follows it: files are saved, commands run, outputs compared.

- A block with a file's name as its title is saved under that name.
- A `sh` block runs in bash. The page's blocks share a directory and the exported variables. A command `atoll serve`
  stays in the background, until the page ends or another one wants its port.
- A `text` block after it shows what it prints; `...` stands for anything.
- `<!-- run: COMMANDS -->` runs, too, but is not shown. `<!-- not run: REASON -->` excludes the next block.

Ports of the pages become free ones, so pages can run while the machine has a server of its own.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import ProxyHandler, build_opener

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

PART = re.compile(
    r"^<!-- (?P<kind>run|not run): (?P<words>.*?)-->$"
    r'|^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^ *```$',
    re.MULTILINE | re.DOTALL,
)
SERVE = re.compile(r"^(\w+=\S+ )*atoll serve\b")
PORT = re.compile(r"\b(?<=:|=| )(8000|8001|8002)\b")

urlopen = build_opener(ProxyHandler({})).open


class Block(NamedTuple):
    language: str
    title: str
    text: str
    output: str | None


def blocks(page: Path) -> Iterator[Block]:
    """What a page has to run, in its order."""
    parts = list(PART.finditer(page.read_text()))
    for number, part in enumerate(parts):
        before = parts[number - 1] if number else None
        after = parts[number + 1] if number + 1 < len(parts) else None
        if part["kind"] == "run":
            yield Block("sh", "", part["words"], None)
        elif part["language"] and not (before and before["kind"] == "not run"):
            output = after["text"] if after and after["language"] == "text" and not after["title"] else None
            yield Block(part["language"], part["title"] or "", part["text"], output)


class Reader:
    """A person with a directory, a shell and servers."""

    def __init__(self, directory: Path, commands: Path) -> None:
        self.directory = directory
        self.ports: dict[str, int] = {}
        self.servers: dict[int, subprocess.Popen[bytes]] = {}
        path = f"{Path(sys.executable).parent}:{commands}:{os.environ['PATH']}"
        self.environment = {
            "PATH": path, "HOME": str(directory), "PYTHONPATH": str(ROOT / "src"), "NO_PROXY": "*", "AWS_PAGER": "",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:8000", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader",
        }  # fmt: skip
        self.environment = {name: self.moved(value) for name, value in self.environment.items()}

    def moved(self, text: str) -> str:
        """The text with this page's ports."""
        return PORT.sub(lambda found: str(self.port(found[1])), text)

    def port(self, shown: str) -> int:
        if shown not in self.ports:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.ports[shown] = free.getsockname()[1]
        return self.ports[shown]

    def save(self, name: str, text: str) -> None:
        (self.directory / name).write_text(self.moved(text))

    def run(self, text: str) -> str:
        """Runs the commands of a block; returns what they print."""
        printed, waiting = "", []
        for command in re.sub(r" *\\\n *", " ", text).split("\n"):
            if SERVE.match(command):
                printed += self.shell("\n".join(waiting))
                waiting = []
                self.serve(command)
            else:
                waiting.append(command)
        return printed + self.shell("\n".join(waiting))

    def shell(self, commands: str) -> str:
        if not commands.strip():
            return ""
        variables = self.directory / ".variables"
        script = f"{self.moved(commands)}\nenv -0 > {shlex.quote(str(variables))}\n"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.directory, env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        pairs = variables.read_text().rstrip("\0").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in pairs)
        return done.stdout

    def serve(self, command: str) -> None:
        shown = re.search(r"(?:--port |ATOLL_PORT=)(\d+)", command)
        port = self.port(shown[1] if shown else "8000")
        if shown is None:
            command += f" --port {port}"
        self.stop(port)
        log = self.directory / f".server-{port}.log"
        with log.open("wb") as written:
            self.servers[port] = subprocess.Popen(
                ["bash", "-c", self.moved(command)], cwd=self.directory, env=self.environment, stdout=written,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        begin = time.monotonic()
        while not self.answers(port):
            ended = self.servers[port].poll() is not None
            assert not ended and time.monotonic() - begin < 60, f"{command}\n{log.read_text()}"
            time.sleep(0.02)

    def answers(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return True
        except OSError:
            return False

    def stop(self, port: int) -> None:
        server = self.servers.pop(port, None)
        if server is not None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)

    def leave(self) -> None:
        for port in list(self.servers):
            self.stop(port)


@pytest.fixture
def reader(tmp_path: Path, environment: Path) -> Iterator[Reader]:
    someone = Reader(tmp_path, environment)
    yield someone
    someone.leave()


def matches(shown: str, printed: str) -> bool:
    pattern = re.escape(shown.rstrip()).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, printed.rstrip(), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_works_as_it_is_shown(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        if block.title:
            reader.save(block.title, block.text)
        elif block.language == "sh":
            printed = reader.run(block.text)
            assert block.output is None or matches(reader.moved(block.output), printed), printed
