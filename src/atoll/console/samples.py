"""Write a request as code: for boto3 and for the AWS CLI. Pure."""

from __future__ import annotations

import pprint
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.console.values import as_json

WIDTH = 100


@dataclass(frozen=True)
class SampleEndpoint:
    """The endpoint that the code calls."""

    url: str | None
    region: str


def boto3(place: SampleEndpoint, operation: str, parameters: Mapping[str, Any], service: str = "dynamodb") -> str:
    endpoint = f", endpoint_url={place.url!r}" if place.url else ""
    lines = [
        "import boto3",
        "",
        f"client = boto3.client({service!r}, region_name={place.region!r}{endpoint})",
        f"answer = client.{operation}(",
    ]
    for name, value in parameters.items():
        shown = pprint.pformat(value, width=WIDTH, sort_dicts=False).replace("\n", "\n" + " " * (len(name) + 5))
        lines.append(f"    {name}={shown},")
    return "\n".join([*lines, ")"])


def cli(place: SampleEndpoint, operation: str, parameters: Mapping[str, Any], service: str = "dynamodb") -> str:
    words = [f"aws {service} {operation.replace('_', '-')}"]
    if place.url:
        words.append(f"--endpoint-url {shlex.quote(place.url)}")
    words.append(f"--region {shlex.quote(place.region)}")
    for name, value in parameters.items():
        words.append(_option(operation, name, value))
    return " \\\n    ".join(words)


def _option(operation: str, name: str, value: Any) -> str:
    option = "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower()
    # The CLI pages by itself: --limit would be the size of a page, and it would read all pages.
    if name == "Limit" and operation in ("query", "scan"):
        return f"--max-items {value}"
    if isinstance(value, bool):
        return option if value else f"--no-{option[2:]}"
    if isinstance(value, str):
        return f"{option} {shlex.quote(value)}" if not value.startswith("-") else f"{option}={shlex.quote(value)}"
    if isinstance(value, dict | list):
        return f"{option} {shlex.quote(as_json(value, indent=None))}"
    return f"{option} {value}"
