"""The documentation, page by page, as a reader follows it: files are saved, commands run, outputs compared.

- A block with a file's name as its title is saved under that name.
- A `sh` block runs in bash. The page's blocks share a directory and the exported variables. A command `atoll serve`
  stays in the background, until the page ends or another one wants its port.
- A `text` block after it shows what it prints; `...` stands for anything.
- `<!-- run: COMMANDS -->` runs, too, but is not shown; its command `stop` stops the servers. `<!-- not run: REASON -->`
  excludes the next block.
- A command that only Ctrl-C ends gets it after three seconds.
- Directories of the system that a page names lie in the reader's directory.

`make pages` runs this in a network namespace of its own, where every port is free.
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

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ROOT / ".cache" / "programs" / "aws" / "bin"
"""Of AWS's command line."""

PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

PART = re.compile(
    r"^<!-- (?P<kind>run|not run): (?P<words>.*?)-->$"
    r'|^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^ *```$',
    re.MULTILINE | re.DOTALL,
)
SYSTEM = re.compile(r"(?<![\w.])/(?=(var/lib|run/secrets)/)")
ENDLESS = re.compile(r"^atoll tail\b(?!.* --once)")
SERVE = re.compile(r"^(\w+=\S+ )*atoll serve\b")


class Block(NamedTuple):
    language: str
    title: str
    text: str
    output: str | None


def blocks(page: Path) -> Iterator[Block]:
    """The parts of a page that run, in order."""
    text = page.read_text()
    parts = list(PART.finditer(text))
    for number, part in enumerate(parts):
        before = parts[number - 1] if number else None
        after = parts[number + 1] if number + 1 < len(parts) else None
        if part["kind"] == "run":
            yield Block("sh", "", part["words"], None)
        elif part["language"] and not (before and before["kind"] == "not run"):
            shown = after and after["language"] == "text" and "\n#" not in text[part.end() : after.start()]
            output = after["text"] if after and shown else None
            yield Block(part["language"], part["title"] or "", part["text"], output)


class Reader:
    """A person with a directory, a shell and servers."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.servers: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{COMMANDS}:{os.environ['PATH']}",
            "HOME": str(directory),
            "PYTHONPATH": str(ROOT / "src"),
            "AWS_ENDPOINT_URL": "http://127.0.0.1:8000",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "reader",
            "AWS_PAGER": "",
        }

    def run(self, text: str) -> str:
        """Runs the commands of a block; returns what they print."""
        printed = ""
        waiting: list[str] = []
        text = SYSTEM.sub(f"{self.directory}/", text)
        for command in re.sub(r" *\\\n *", " ", text).split("\n"):
            command = command.strip()
            if command == "stop" or SERVE.match(command):
                printed += self.shell("\n".join(waiting))
                waiting = []
                self.leave() if command == "stop" else self.serve(command)
            else:
                ended = f"timeout -s INT 3 {command.partition(' # ')[0]} || test $? -eq 124"
                waiting.append(ended if ENDLESS.match(command) else command)
        return printed + self.shell("\n".join(waiting))

    def shell(self, commands: str) -> str:
        if not commands.strip():
            return ""
        variables = self.directory / ".variables"
        script = f"{commands}\nenv -0 > {shlex.quote(str(variables))}\n"
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
        port = shown[1] if shown else "8000"
        self.stop(port)
        log = self.directory / f".server-{port}.log"
        with log.open("wb") as written:
            server = self.servers[port] = subprocess.Popen(
                ["bash", "-c", command], cwd=self.directory, env=self.environment, stdout=written,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        begin = time.monotonic()
        while not answers(int(port)):
            assert server.poll() is None and time.monotonic() - begin < 60, f"{command}\n{log.read_text()}"
            time.sleep(0.02)

    def stop(self, port: str) -> None:
        server = self.servers.pop(port, None)
        if server is not None and server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)

    def leave(self) -> None:
        for port in list(self.servers):
            self.stop(port)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    someone = Reader(tmp_path)
    yield someone
    someone.leave()


def matches(shown: str, printed: str) -> bool:
    pattern = re.escape(shown.rstrip()).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, printed.rstrip(), re.DOTALL) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_works_as_it_is_shown(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        if block.title:
            (reader.directory / block.title).write_text(block.text)
        elif block.language == "sh":
            printed = reader.run(block.text)
            assert block.output is None or matches(block.output, printed), printed
