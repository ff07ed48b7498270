"""Atoll in a separate process, which a test may kill."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config


class Server:
    def __init__(self, directory: Path, functions: Path, *options: str) -> None:
        self._words = [sys.executable, "-m", "atoll.cli", "serve", "--functions", str(functions), *options]
        if "--in-memory" not in options:
            self._words += ["--data", str(directory / "data")]
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """On the port that it had before, if there was one."""
        self._process = subprocess.Popen([*self._words, "--port", str(self.port)], stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = re.search(r"serves http://127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                break
        else:
            raise AssertionError(f"it did not start: {self._words}")
        # Somebody has to read on, or it would block some day.
        subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def client(self, service: str, **config: Any) -> Any:
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(**{"retries": {"max_attempts": 0}, "connect_timeout": 2, "read_timeout": 5, **config}),
        )
