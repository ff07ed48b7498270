"""`atoll replicate`: its options, its signals and its exit codes."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from atoll.client.endpoint import DEFAULT_URL, Location, locate
from atoll.client.failures import Misconfigured
from atoll.client.options import add_ca_bundle
from atoll.options import Refused, number

if TYPE_CHECKING:
    from atoll.replicate.progress import Display
    from atoll.replicate.run import Replication
    from atoll.replicate.verifying import Difference

SUCCEEDED, FAILED = 0, 1
DIFFERENT = 1

SEGMENTS = 1_000
TABLE_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]+)?", re.ASCII)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of `atoll replicate`."""
    parser.description = (
        "Copy a table to another DynamoDB endpoint and keep the copy up to date, until SIGTERM or SIGINT. "
        "Exit codes: 0 done, 1 failed or different, 2 invalid options."
    )
    for end, preposition in (("source", "from"), ("target", "to")):
        option = f"--{preposition}"
        parser.add_argument(
            option, default="", dest=end, metavar="ENDPOINT",
            help=f"the {end}: a URL, a region of the service such as eu-west-1, or aws: the service in the configured "
            "region (default: AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, that of the profile, "
            f"or {DEFAULT_URL})",
        )  # fmt: skip
        parser.add_argument(f"{option}-region", default="", metavar="REGION", help=f"the region of a {end} URL")
        parser.add_argument(f"{option}-profile", default="", metavar="NAME", help=f"the AWS profile for the {end}")
    parser.add_argument(
        "--from-streams", default="", metavar="URL", help="the URL of the source's streams, if it differs"
    )
    add_ca_bundle(parser)
    parser.add_argument("--table", required=True, metavar="NAME", help="the table")
    parser.add_argument(
        "--to-table", default="", metavar="NAME", help="the table's name at the target (default: the same)"
    )
    parser.add_argument("--checkpoint-table", default="", metavar="NAME",
                        help="the target's table for checkpoints (default: atoll-replicate-NAME)")  # fmt: skip
    parser.add_argument("--segments", default="4", metavar="N", help="the number of parallel scans (default: 4)")
    parser.add_argument("--read-rate", default="", metavar="UNITS", help="the maximum read units per second")
    parser.add_argument("--write-rate", default="", metavar="UNITS", help="the maximum write units per second")
    parser.add_argument("--enable-stream", action="store_true", help="enable the source's stream if it has none")
    parser.add_argument("--overwrite", action="store_true",
                        help="copy anew, over the target's items, and delete those that the source lacks")  # fmt: skip
    parser.add_argument("--stop-on-gap", action="store_true",
                        help="fail if records were trimmed before they were read, instead of copying anew")  # fmt: skip
    parser.add_argument("--once", action="store_true", help="end when the target has caught up")
    parser.add_argument("--verify", action="store_true",
                        help="compare both tables and print differences; with --once, copy first")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print progress as JSON, one object a line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    wanted, addresses = _wanted(options), _addresses(options)
    from atoll.clock import SystemClock
    from atoll.replicate.crew import Pauses
    from atoll.replicate.ends import Address, End
    from atoll.replicate.progress import Counters, Display
    from atoll.replicate.run import Options, Replication

    pauses, counters = Pauses(), Counters()
    try:
        clients = {role: Address(*one, options.ca_bundle).client() for role, one in addresses.items()}
    except Misconfigured as error:
        raise Refused(str(error)) from error
    source, target = (End(role, client, pauses, counters) for role, client in clients.items())
    display = Display(counters, sys.stdout if options.json else sys.stderr, as_json=options.json)
    replication = Replication(Options(**wanted), source, target, pauses, counters, display, SystemClock())
    end_on_signals(pauses.stop)
    return _carry_out(replication, display, once=options.once, verifies=options.verify)


def _carry_out(replication: Replication, display: Display, *, once: bool, verifies: bool) -> int:
    from atoll.replicate.failures import Failed, Stopped

    try:
        if once or not verifies:
            replication.replicate()
        return _report(replication.verify(), display) if verifies else SUCCEEDED
    except Stopped:
        display.say("stopped; another run continues from here")
        return FAILED if once or verifies else SUCCEEDED
    except Failed as failure:
        display.end(str(failure))
        print(f"atoll: {failure}", file=sys.stderr)
        return FAILED


def _report(differences: list[Difference], display: Display) -> int:
    display.say(f"differences: {len(differences):,}")
    for difference in differences:
        print(json.dumps({"event": "difference", **difference.as_json()}) if display.as_json else difference)
    return DIFFERENT if differences else SUCCEEDED


def end_on_signals(stop: Callable[[], None]) -> None:
    """The first signal ends the replication cleanly, a second one at once."""

    def handle(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        # In another thread, since this one may hold the lock that `stop` needs.
        threading.Thread(target=stop, name="stop").start()

    for which in (signal.SIGTERM, signal.SIGINT):
        signal.signal(which, handle)


# Options


def _addresses(options: argparse.Namespace) -> dict[str, tuple[str, str, str, str]]:
    """For each end: its place, region, profile and the URL of its streams."""
    found = {
        "source": (options.source, options.from_region, options.from_profile, options.from_streams),
        "target": (options.target, options.to_region, options.to_profile, ""),
    }
    places = [_place(option, *given[:3]) for option, given in zip(("--from", "--to"), found.values(), strict=True)]
    if places[0] == places[1] and options.to_table in ("", options.table):
        raise Refused(f"source and target are the same table, at {places[0].url or 'the service'}: name the other end "
                      "with --from or --to")  # fmt: skip
    if options.from_streams:
        _place("--from-streams", options.from_streams)
    return found


def _place(option: str, given: str, region: str = "", profile: str = "") -> Location:
    try:
        return locate(given, region, profile)
    except Misconfigured as error:
        raise Refused(f"{option}: {error}") from None


def _wanted(options: argparse.Namespace) -> dict[str, Any]:
    """The members of `run.Options`."""
    target_table = options.to_table or options.table
    checkpoint_table = options.checkpoint_table or f"atoll-replicate-{target_table}"
    for option, name in (("--table", options.table), ("--to-table", target_table)):
        if TABLE_NAME.fullmatch(name) is None:
            raise Refused(f"{option} must be the name of a table, not {name!r}")
    if TABLE_NAME.fullmatch(checkpoint_table) is None:
        raise Refused(f"--checkpoint-table must be the name of a table, not {checkpoint_table!r}")
    if checkpoint_table == target_table:
        raise Refused("--checkpoint-table must not be the table itself")
    return {
        "table": options.table,
        "target_table": target_table,
        "checkpoint_table": checkpoint_table,
        "segments": number("--segments", options.segments, 1, SEGMENTS),
        "read_rate": rate_of("--read-rate", options.read_rate),
        "write_rate": rate_of("--write-rate", options.write_rate),
        "enable_stream": options.enable_stream,
        "overwrite": options.overwrite,
        "stop_on_gap": options.stop_on_gap,
        "once": options.once,
    }


def rate_of(option: str, text: str) -> float | None:
    if not text:
        return None
    if _RATE.fullmatch(text) is None or not float(text):
        raise Refused(f"{option} must be a number of capacity units per second, greater than 0, not {text!r}")
    return float(text)
