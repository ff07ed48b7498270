"""`atoll query`: items with a key, of a table or an index."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any

from atoll.client import Client
from atoll.client.options import add_endpoint
from atoll.options import Refused, number
from atoll.shell.expressions import Placeholders, filter_of, key_condition_of, projection_of
from atoll.shell.output import Output, add_output, form_of
from atoll.shell.session import Description, connect, describe, ending
from atoll.shell.tables import indexes_of
from atoll.shell.values import Item

_TOP = re.compile(r"(?:^|,)\s*(?:`([^`]*)`|([^.,\[`\s]+))")


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        'Print the items that meet a key condition, such as \'pk = "a" and sk begins_with "2026-"\'. '
        "Comparisons are =, <, <=, >, >=, between ... and ..., and begins_with."
    )
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument("condition", metavar="CONDITION", help="the key condition; values are literals")
    parser.add_argument("--index", default="", metavar="NAME", help="query this index")
    parser.add_argument(
        "--filter", default="", metavar="CONDITION", help="print only items that match this condition, too"
    )
    parser.add_argument("--select", default="", metavar="NAME,...", help="print only these attributes")
    parser.add_argument("--limit", default="", metavar="N", help="print at most this many items")
    parser.add_argument("--reverse", action="store_true", help="begin with the greatest sort key")
    parser.add_argument("--consistent", action="store_true", help="read consistently")
    parser.add_argument("--count", action="store_true", help="print only the number of items")
    add_output(parser)
    add_endpoint(parser)
    parser.set_defaults(run=ending(_run))


def _run(options: argparse.Namespace) -> None:
    limit = limit_of(options.limit)
    client = connect(options)
    description = describe(client, options.table)
    key = key_types(description, options.index)
    request = _request(options, key)
    pages = pages_of(client, "Query", request, limit if not options.filter else None)
    if options.count:
        print(counted(pages, limit))
        return
    columns = [*key, *(one["AttributeName"] for one in description["KeySchema"])]
    selected = tops(options.select) if options.select else []
    output = Output(form_of(options), list(dict.fromkeys(selected or columns)), only=bool(selected))
    show(output, (page["Items"] for page in pages), limit)


def tops(select: str) -> list[str]:
    """The top-level attributes of paths, which an answer has."""
    return [found[1] or found[2] for found in _TOP.finditer(select)]


def limit_of(text: str) -> int | None:
    return number("--limit", text, 1) if text else None


def key_types(description: Description, index: str) -> dict[str, str]:
    """The attributes of the queried key, and their types."""
    types = {one["AttributeName"]: one["AttributeType"] for one in description["AttributeDefinitions"]}
    schemas = {one["IndexName"]: one["KeySchema"] for one in indexes_of(description)}
    if index and index not in schemas:
        raise Refused(f"{description['TableName']} has no index {index}"
                      + (f": it has {', '.join(schemas)}" if schemas else ""))  # fmt: skip
    schema = schemas[index] if index else description["KeySchema"]
    return {one["AttributeName"]: types[one["AttributeName"]] for one in schema}


def _request(options: argparse.Namespace, key: dict[str, str]) -> dict[str, Any]:
    placeholders = Placeholders()
    request: dict[str, Any] = {
        "TableName": options.table,
        "KeyConditionExpression": key_condition_of(options.condition, key, placeholders),
        "ScanIndexForward": not options.reverse,
        "ConsistentRead": options.consistent,
    }
    if options.index:
        request["IndexName"] = options.index
    if options.filter:
        request["FilterExpression"] = filter_of(options.filter, placeholders)
    if options.count:
        request["Select"] = "COUNT"
    elif options.select:
        request["ProjectionExpression"] = projection_of(options.select, placeholders)
    return request | placeholders.parameters()


def pages_of(
    client: Client, operation: str, request: dict[str, Any], limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """The pages. A limit also limits each page, so that it reads no unneeded items."""
    while True:
        if limit is not None:
            request = request | {"Limit": limit}
        page = client.call(operation, **request)
        yield page
        if limit is not None:
            limit -= page["Count"]
        if "LastEvaluatedKey" not in page or limit == 0:
            return
        request = request | {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def counted(pages: Iterator[dict[str, Any]], limit: int | None) -> int:
    """The number of items, up to the limit; stops reading pages when that is reached."""
    count = 0
    for page in pages:
        count += page["Count"]
        if limit is not None and count >= limit:
            return limit
    return count


def show(output: Output, pages: Iterator[list[Item]], limit: int | None) -> None:
    """Print items, at most `limit`."""
    for items in pages:
        room = None if limit is None else limit - output.items
        output.page(items[:room])
        if output.items == limit:
            break
    output.end()
