"""`atoll tail`: print the changes of a table from its stream, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

from atoll.client.options import add_endpoint
from atoll.options import Refused
from atoll.shell.session import Description, connect, describe, ending
from atoll.shell.stream import LATEST, OLDEST, Record, Stream
from atoll.shell.values import cell, plain_item, printable, text

ATTEMPTS = 12
"""The attempts of a call: a restarting server may be unreachable for some seconds."""
POLL_S = 0.5

_STARTS = {"latest": LATEST, "oldest": OLDEST}
_RED, _GREEN, _YELLOW = "31", "32", "33"
_COLOURS = {"INSERT": _GREEN, "MODIFY": _YELLOW, "REMOVE": _RED}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = "Print the changes of a table as they happen, until Ctrl-C. The table needs a stream."
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument(
        "--from", dest="start", choices=list(_STARTS), default="latest",
        help="begin with the next change (default), or with the oldest one in the stream",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="end when there are no more changes")
    parser.add_argument(
        "--output", choices=["text", "json", "dynamodb"], default="",
        help="text (default on a terminal), json lines (default elsewhere), or the records themselves (dynamodb)",
    )  # fmt: skip
    add_endpoint(parser)
    parser.set_defaults(run=ending(_run))


def _run(options: argparse.Namespace) -> None:
    client = connect(options, ATTEMPTS)
    stream = Stream(client, stream_of(describe(client, options.table)), _STARTS[options.start])
    terminal = sys.stdout.isatty()
    form = options.output or ("text" if terminal else "json")
    coloured = terminal and not os.environ.get("NO_COLOR")
    gaps = 0
    while True:
        found = False
        for record in stream.records():
            found = True
            print(_line(record, form, coloured=coloured))
        if found:
            sys.stdout.flush()
        if stream.gaps > gaps:
            gaps = stream.gaps
            print("atoll: records were deleted before they could be read", file=sys.stderr)
        if stream.ended:
            print("atoll: the stream has ended", file=sys.stderr)
            return
        if options.once and not found and stream.settled:
            return
        if not found:
            time.sleep(POLL_S if not options.once else 0)


def _line(record: Record, form: str, *, coloured: bool) -> str:
    if form == "text":
        return shown(record, coloured=coloured)
    return as_json(record) if form == "json" else text(record)


def stream_of(description: Description) -> str:
    """The ARN of the table's stream."""
    name = description["TableName"]
    if not description.get("StreamSpecification", {}).get("StreamEnabled"):
        raise Refused(f"{name} has no stream. Enable one: aws dynamodb update-table --table-name {name} "
                      "--stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES")  # fmt: skip
    arn: str = description["LatestStreamArn"]
    return arn


def change_of(record: Record) -> dict[str, Any]:
    """The change in a record: its author, time, key and images; items have typed values."""
    data = record["dynamodb"]
    expired = record.get("userIdentity", {}).get("principalId") == "dynamodb.amazonaws.com"
    return {
        "time": data.get("ApproximateCreationDateTime", 0),
        "event": record["eventName"],
        "by": "time to live" if expired else "",
        "key": data.get("Keys", {}),
        "old": data.get("OldImage"),
        "new": data.get("NewImage"),
        "sequence": data["SequenceNumber"],
    }


def as_json(record: Record) -> str:
    change = change_of(record)
    when = datetime.fromtimestamp(change["time"], UTC).isoformat().replace("+00:00", "Z")
    parts = [f'"time": {text(when)}, "event": {text(change["event"])}']
    if change["by"]:
        parts.append(f'"by": {text(change["by"])}')
    parts += [f'"{part}": {plain_item(change[part])}' for part in ("key", "old", "new") if change[part] is not None]
    return f'{{{", ".join(parts)}, "sequence": {text(change["sequence"])}}}'


def shown(record: Record, *, coloured: bool) -> str:
    """The key, then a line for each removed, added or changed attribute."""
    change = change_of(record)

    def painted(colour: str, line: str) -> str:
        return f"\x1b[{colour}m{line}\x1b[0m" if coloured else line

    when = datetime.fromtimestamp(change["time"], UTC).astimezone().strftime("%H:%M:%S")
    key = " ".join(f"{name}={cell(value)}" for name, value in change["key"].items())
    event = painted(_COLOURS.get(change["event"], "0"), printable(change["event"]))
    lines = [f"{when} {event} {printable(key)}{' (expired)' if change['by'] else ''}"]
    old, new = change["old"] or {}, change["new"] or {}
    for name in dict.fromkeys([*old, *new]):
        if name in change["key"] or old.get(name) == new.get(name):
            continue
        for sign, image, colour in (("-", old, _RED), ("+", new, _GREEN)):
            if name in image:
                lines.append(painted(colour, printable(f"    {sign} {name}: {cell(image[name])}")))
    return "\n".join(lines)
