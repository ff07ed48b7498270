"""`atoll tables`: the tables of an endpoint, or one of them in detail."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from atoll.client import Client
from atoll.client.failures import NOT_FOUND, Refusal
from atoll.client.options import add_endpoint
from atoll.shell.output import FORMS, Output, form_of, rows_of
from atoll.shell.session import Description, connect, describe, ending
from atoll.shell.values import text

PAGE = 20


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the tables of an endpoint, or the keys and indexes of those that are named."
    parser.add_argument("tables", nargs="*", metavar="TABLE", help="a table (default: all tables)")
    parser.add_argument("--output", choices=[form for form in FORMS if form != "dynamodb"], default="",
                        help="table (default on a terminal), json (DescribeTable's, in lines), or csv")  # fmt: skip
    add_endpoint(parser)
    parser.set_defaults(run=ending(_run))


def _run(options: argparse.Namespace) -> None:
    client = connect(options)
    form = form_of(options)
    output = Output(form, ["table", "status", "items", "bytes", "key", "indexes", "billing", "stream"])
    page: list[Description] = []
    for description in descriptions(client, options.tables):
        if form == "json":
            print(text(description))
            continue
        page += _indexes(description) if options.tables else [summary(description)]
        if len(page) == PAGE:
            output.page(rows_of(page))
            page = []
    if form != "json":
        output.page(rows_of(page))
    if form == "table" and not output.items:
        print(f"there are no tables at {client.endpoint.url} in {client.endpoint.region}", file=sys.stderr)


def descriptions(client: Client, names: Sequence[str] = (), after: str = "") -> Iterator[Description]:
    """The descriptions of these tables, or of all whose names are greater than `after`."""
    if names:
        yield from (describe(client, name) for name in names)
        return
    for name in names_of(client, after):
        try:
            yield client.call("DescribeTable", TableName=name)["Table"]
        except Refusal as error:
            if error.code != NOT_FOUND:  # otherwise the table was deleted meanwhile
                raise


def names_of(client: Client, after: str = "") -> Iterator[str]:
    """The names of tables, in order, that are greater than `after`."""
    start = {"ExclusiveStartTableName": after} if after else {}
    while True:
        answer = client.call("ListTables", **start)
        yield from answer["TableNames"]
        if "LastEvaluatedTableName" not in answer:
            return
        start = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}


def summary(description: Description) -> dict[str, Any]:
    stream = description.get("StreamSpecification", {})
    return {
        "table": description["TableName"],
        "status": description["TableStatus"],
        "items": description.get("ItemCount", 0),
        "bytes": description.get("TableSizeBytes", 0),
        "key": key_of(description, description["KeySchema"]),
        "indexes": ", ".join(index["IndexName"] for index in indexes_of(description)),
        "billing": _billing(description),
        "stream": stream.get("StreamViewType", "") if stream.get("StreamEnabled") else "",
    }


def _indexes(description: Description) -> list[dict[str, Any]]:
    """A row for the table and for each of its indexes."""
    return [summary(description) | {"indexes": None}] + [
        {
            "table": f"  {index['IndexName']}",
            "status": index.get("IndexStatus", "local"),
            "items": index.get("ItemCount", 0),
            "bytes": index.get("IndexSizeBytes", 0),
            "key": key_of(description, index["KeySchema"]),
            "billing": ", ".join(
                [index["Projection"].get("ProjectionType", ""), *index["Projection"].get("NonKeyAttributes", ())]
            ),
        }
        for index in indexes_of(description)
    ]


def indexes_of(description: Description) -> list[Description]:
    return [*description.get("LocalSecondaryIndexes", ()), *description.get("GlobalSecondaryIndexes", ())]


def key_of(description: Description, schema: list[dict[str, str]]) -> str:
    types = {one["AttributeName"]: one["AttributeType"] for one in description["AttributeDefinitions"]}
    return ", ".join(f"{key['AttributeName']} {types[key['AttributeName']]}" for key in schema)


def _billing(description: Description) -> str:
    if description.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return "on demand"
    units = description.get("ProvisionedThroughput", {})
    return f"{units.get('ReadCapacityUnits', 0)} read, {units.get('WriteCapacityUnits', 0)} write"
