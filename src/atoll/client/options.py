"""The command-line options that name an endpoint, the same for all commands.

`add_endpoint` is for commands that read and write tables, `add_server` for those that administer a server of Atoll.
"""

from __future__ import annotations

import argparse
import os

from atoll.client.endpoint import DEFAULT_URL

_CONFIGURED = f"AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, that of the profile, or {DEFAULT_URL}"


def add_endpoint(parser: argparse.ArgumentParser, *aliases: str) -> None:
    """`aliases` are older names of --endpoint-url."""
    group = parser.add_argument_group("the endpoint")
    group.add_argument(
        "--endpoint-url", *aliases, default="", metavar="URL",
        help="a URL, a region of the service such as eu-west-1, or aws: the service in the configured region "
        f"(default: {_CONFIGURED})",
    )  # fmt: skip
    group.add_argument("--region", default="", metavar="REGION", help="the region of the tables (default: AWS_REGION)")
    group.add_argument("--profile", default="", metavar="NAME", help="the AWS profile (default: AWS_PROFILE)")
    add_ca_bundle(group)


def add_server(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the server")
    group.add_argument(
        "--endpoint-url", "--endpoint", default=os.environ.get("ATOLL_ENDPOINT", ""), metavar="URL",
        help=f"the server's URL (default: ATOLL_ENDPOINT, {_CONFIGURED})",
    )  # fmt: skip
    group.add_argument(
        "--admin-token", default=os.environ.get("ATOLL_ADMIN_TOKEN", ""), metavar="TOKEN",
        help="the server's --admin-token (default: ATOLL_ADMIN_TOKEN)",
    )  # fmt: skip
    add_ca_bundle(group)


def add_ca_bundle(group: argparse._ActionsContainer) -> None:
    group.add_argument("--ca-bundle", default="", metavar="FILE",
                       help="a PEM file of trusted authorities (default: AWS_CA_BUNDLE)")  # fmt: skip
