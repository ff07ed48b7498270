"""Common parts of the commands: the options of the endpoint, the client, and exit codes.

Exit codes: 0 done, 1 failed, 2 invalid options, 130 ended by Ctrl-C, 141 the reader of a pipe has ended.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from atoll.client import Client, resolve
from atoll.client.endpoint import DEFAULT_URL
from atoll.client.failures import NOT_FOUND, CallError, Misconfigured, Refusal, Unreachable
from atoll.options import INTERRUPTED, Refused

FAILED, BROKEN_PIPE = 1, 141
ATTEMPTS = 6
"""The attempts of a call: people wait, and these take less than two seconds."""

Description = dict[str, Any]


def connect(options: argparse.Namespace, attempts: int = ATTEMPTS) -> Client:
    try:
        endpoint = resolve(options.endpoint_url, options.region, options.profile, ca_bundle=options.ca_bundle)
    except Misconfigured as error:
        raise Refused(str(error)) from error
    return Client(endpoint, attempts=attempts)


def ending(work: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], int]:
    """A command that does the work; it ends with an exit code, and prints at most one line about an error."""

    def run(options: argparse.Namespace) -> int:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # the terminal may lack characters
        try:
            work(options)
            sys.stdout.flush()
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it again when it exits
            return BROKEN_PIPE
        except Misconfigured as error:  # the credentials could not be renewed
            raise Refused(str(error)) from error
        except CallError as error:
            print(f"atoll: {explained(error)}", file=sys.stderr)
            return FAILED
        return 0

    return run


def explained(error: CallError) -> str:
    if isinstance(error, Unreachable) and str(error).startswith(DEFAULT_URL):
        return f"{error}: start a server with `atoll serve`, or name another endpoint with --endpoint-url"
    if isinstance(error, Refusal) and error.code in ("UnrecognizedClientException", "MissingAuthenticationToken"):
        return f"{error} Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile"
    return str(error)


def describe(client: Client, table: str) -> Description:
    try:
        description: Description = client.call("DescribeTable", TableName=table)["Table"]
    except Refusal as error:
        if error.code == NOT_FOUND:
            raise Refused(f"there is no table {table} at {client.endpoint.url} in {client.endpoint.region}: "
                          "see `atoll tables`") from None  # fmt: skip
        raise
    return description
