"""The process that runs a Python function: `python -m atoll.triggers.worker module:function`.

Its standard input is a socket: the process reads one event after the other from it, and writes back what the function
returns. The function itself sees an empty standard input, and its output goes to standard error. A message is 4 bytes
of length, then JSON:

    in    {"requestId": ..., "functionArn": ..., "deadlineMs": ..., "event": ...} or {} to import the function only
    out   {"payload": ...} or {"error": {"errorType", "errorMessage", "stackTrace"}}

The process calls the function with the event and a context, as Lambda does. It ends when the socket closes.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from atoll.clock import SystemClock


class Context:
    """The second argument of a function. It has the members of Lambda's context that are useful here."""

    function_version = "$LATEST"
    memory_limit_in_mb = "128"

    def __init__(self, message: dict[str, Any]) -> None:
        self.aws_request_id: str = message["requestId"]
        self.invoked_function_arn: str = message["functionArn"]
        self.function_name = self.invoked_function_arn.rpartition(":")[2]
        self._deadline_ms: int = message["deadlineMs"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, self._deadline_ms - SystemClock().now_ms())


def load(name: str) -> Callable[[Any, Context], Any]:
    module, _, function = name.partition(":")
    found: Callable[[Any, Context], Any] = getattr(importlib.import_module(module), function)
    return found


def answer(name: str, message: dict[str, Any]) -> bytes:
    try:
        function = load(name)
        payload = function(message["event"], Context(message)) if message else None
        return json.dumps({"payload": payload}).encode()
    except Exception as error:
        trace = traceback.format_tb(error.__traceback__)[1:]
        failed = {"errorMessage": str(error), "errorType": type(error).__name__, "stackTrace": trace}
        return json.dumps({"error": failed}).encode()


def read(source: BinaryIO) -> bytes | None:
    """Read a message; None at the end."""
    head = source.read(4)
    length = int.from_bytes(head, "big")
    body = source.read(length) if len(head) == 4 else b""
    return body if len(head) == 4 and len(body) == length else None


def write(line: socket.socket, message: bytes) -> None:
    line.sendall(len(message).to_bytes(4, "big") + message)


def main() -> None:
    os.dup(0)  # never closed, so that the server sees the end of the socket only when this process has an exit code
    with socket.socket(fileno=os.dup(0)) as line, line.makefile("rb") as source:
        with open(os.devnull) as nothing:  # a program that the function starts must not read our messages
            os.dup2(nothing.fileno(), 0)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        while (message := read(source)) is not None:
            write(line, answer(sys.argv[1], json.loads(message)))


if __name__ == "__main__":
    main()
