"""The console of `atoll serve --console`: a separate process, so that no page delays a request of the server.

It exits when its standard input is closed: the server holds the other end, so the console ends with it even after a
crash.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LINGER_S = 5.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def endpoint(host: str, port: int) -> str:
    host = _ANY_ADDRESS.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def running(url: str, region: str, port: int, *, asks: bool) -> Iterator[None]:
    """Run a console for the server at `url`. `asks`: visitors must sign in with their own access key."""
    command = [sys.executable, "-m", "atoll", "console", "--endpoint-url", url, "--region", region, "--port", str(port)]
    command += ["--with-server", *(["--ask-credential"] if asks else [])]
    child = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(LINGER_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
