"""`atoll sql`: PartiQL statements."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from atoll.attribute_values import attribute_value
from atoll.client import Client
from atoll.client.options import add_endpoint
from atoll.options import Refused
from atoll.shell.output import Output, add_output, form_of
from atoll.shell.query import limit_of, show
from atoll.shell.session import connect, ending
from atoll.shell.values import Item, Value

DONE = {
    "INSERT": "1 item inserted",
    "UPDATE": "1 item updated",
    "DELETE": "1 item deleted, if it was there",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run a PartiQL statement: SELECT, INSERT, UPDATE or DELETE, as in "
        "\"SELECT * FROM Orders WHERE pk = 'a'\". A SELECT without a key reads the whole table."
    )
    parser.add_argument("statement", metavar="STATEMENT", help="the statement, or - to read it from standard input")
    parser.add_argument(
        "--parameter", action="append", default=[], metavar="VALUE",
        help="the value of the next ? in the statement: JSON, or else a string",
    )  # fmt: skip
    parser.add_argument("--limit", default="", metavar="N", help="print at most this many items")
    parser.add_argument("--consistent", action="store_true", help="read consistently")
    add_output(parser)
    add_endpoint(parser)
    parser.set_defaults(run=ending(_run))


def _run(options: argparse.Namespace) -> None:
    limit = limit_of(options.limit)
    statement = (sys.stdin.read() if options.statement == "-" else options.statement).strip().rstrip(";")
    if not statement:
        raise Refused("the statement is empty")
    request: dict[str, Any] = {"Statement": statement}
    if options.parameter:
        request["Parameters"] = [_parameter(one) for one in options.parameter]
    if options.consistent:
        request["ConsistentRead"] = True
    client = connect(options)
    kind = statement.split(maxsplit=1)[0].upper()
    pages = _pages(client, request)
    if kind not in DONE:
        show(Output(form_of(options), []), pages, limit)
        return
    for items in pages:  # the items of RETURNING
        Output(form_of(options), []).page(items)
    print(DONE[kind], file=sys.stdout if sys.stdout.isatty() else sys.stderr)


def _pages(client: Client, request: dict[str, Any]) -> Iterator[list[Item]]:
    while True:
        answer = client.call("ExecuteStatement", **request)
        yield answer.get("Items", [])
        if "NextToken" not in answer:
            return
        request = request | {"NextToken": answer["NextToken"]}


def _parameter(text: str) -> Value:
    try:
        return attribute_value(json.loads(text, parse_float=Decimal, parse_constant=_no_number))
    except ValueError:
        return {"S": text}


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not JSON")
