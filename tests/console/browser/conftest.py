"""A browser, a server in this process, and consoles in separate processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from atoll import testing

sys.path.insert(0, str(Path(__file__).parent))

from pages import Browser  # type: ignore[import-not-found]

Console = Callable[..., str]
ADDRESS = re.compile(r"the console is at (\S+)")


@pytest.fixture(scope="session")
def chrome() -> Iterator[Chrome]:
    options = ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--window-size=1280,900", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="session")
def server() -> Iterator[testing.LocalServer]:
    with testing.serve(regions=["us-east-1", "eu-west-1"]) as server:
        yield server


@contextmanager
def running(endpoint: str, *options: str, **environment: str) -> Iterator[str]:
    command = [sys.executable, "-m", "atoll", "console", "--endpoint", endpoint, "--port", "0", *options]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ATOLL_"))}
    aws = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**inherited, **aws, **environment})
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = ADDRESS.match(line)
        assert found is not None, line + process.stderr.read()
        yield found[1]
    finally:
        process.terminate()
        rest = process.stderr.read()
        process.wait()
    assert "Traceback" not in rest, rest


@pytest.fixture(scope="session")
def console(server: testing.LocalServer) -> Iterator[Console]:
    """Start a console with options, once; returns its address."""
    started: dict[tuple[str, ...], str] = {}
    with ExitStack() as stack:

        def start(*options: str, endpoint: str = server.endpoint_url) -> str:
            if (endpoint, *options) not in started:
                started[(endpoint, *options)] = stack.enter_context(running(endpoint, *options))
            return started[(endpoint, *options)]

        yield start


@pytest.fixture
def browser(chrome: Chrome, console: Console) -> Iterator[Browser]:
    """A tab at the console of the server. The browser's log must stay free of errors."""
    chrome.get_log("browser")
    tab = Browser(chrome, console())
    yield tab
    assert tab.faults() == []
    chrome.delete_all_cookies()
