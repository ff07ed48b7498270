"""`atoll replicas`: replicas of a running server's tables, over its admin API."""

from __future__ import annotations

import argparse
import json
import urllib.error
import urllib.request
from typing import Any

from atoll.client.endpoint import server
from atoll.client.failures import Misconfigured
from atoll.client.options import add_server
from atoll.options import Refused

PATHS = {
    "list": "/_atoll/replication/replicas",
    "add": "/_atoll/replication/replicas/add",
    "remove": "/_atoll/replication/replicas/remove",
    "promote": "/_atoll/replication/replicas/promote",
    "upgrade": "/_atoll/replication/upgrade",
}
TIMEOUT_S = 60.0

_READ = {"backlog": int, "lag_ms": int, "from": str, "last_error": (str, type(None))}
_REPLICA = {
    "table": str,
    "region": str,
    "status": str,
    "kind": str,
    "master": (str, type(None)),
    "replicas": [{"region": str, "state": str}],
    "reads": [_READ],
}
_LISTED = {"replicas": [_REPLICA]}
_UPGRADED = {"table": str, "version": str, "replicas": [str]}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Keep read replicas of a table in other regions. One region is the master and accepts writes; "
        "the others follow, and any of them can be promoted."
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _action(actions, "list", "print all tables with replicas")
    adding = _action(actions, "add", "add a replica; the table's region becomes the master")
    removing = _action(actions, "remove", "remove a replica with its table")
    for action in (adding, removing):
        action.add_argument("table")
        action.add_argument("replica", help="the region of the replica")
        action.add_argument("--region", default="", help="the master's region (default: the server's default region)")
    promoting = _action(actions, "promote", "make a replica the master")
    promoting.add_argument("table")
    promoting.add_argument("region", help="the region of the replica")
    upgrading = _action(actions, "upgrade", "upgrade a global table of version 2017 to 2019.11.21")
    upgrading.add_argument("table")
    upgrading.add_argument(
        "--region", default="", help="all replicas get the settings of this one (default: the server's default region)"
    )


def _action(actions: Any, name: str, help_: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=help_)
    add_server(action)
    action.set_defaults(run=_run, action=name)
    return action


def _run(options: argparse.Namespace) -> int:
    body = {member: getattr(options, member, "") for member in ("table", "replica", "region")}
    body = {member: value for member, value in body.items() if value}
    form = _UPGRADED if options.action == "upgrade" else _LISTED
    answer = ask(options, PATHS[options.action], None if options.action == "list" else body, form)
    if options.action == "upgrade":
        print(f"{answer['table']} is a global table of version {answer['version']}: {', '.join(answer['replicas'])}")
        return 0
    for replica in answer["replicas"]:
        _print(replica)
    if not answer["replicas"]:
        print("no table has replicas")
    return 0


def ask(options: argparse.Namespace, path: str, body: dict[str, Any] | None, form: Any) -> Any:
    """The answer of the admin API at this path: to a POST with the body, or to a GET without one.

    `form` is what the answer must be at least: a type, a list with the form of all items, or an object with the forms
    of some members, or under `...` that of all its members."""
    try:
        url, trust = server(options.endpoint_url, ca_bundle=options.ca_bundle)
    except Misconfigured as error:
        raise Refused(str(error)) from None
    request = urllib.request.Request(url + path, None if body is None else json.dumps(body).encode())
    if options.admin_token:
        request.add_header("Authorization", f"Bearer {options.admin_token}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S, context=trust) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise Refused(_message(error.read()) or f"{url} answers {error.code}") from None
    except urllib.error.URLError as error:
        refused = isinstance(error.reason, ConnectionRefusedError)
        raise Refused(f"{url} cannot be asked: {'nothing listens there' if refused else error.reason}") from None
    except (OSError, ValueError) as error:
        raise Refused(f"{url} cannot be asked: {error}") from None
    if not _has_form(found, form):
        raise Refused(f"{url} did not answer as Atoll does")
    return found


def _has_form(value: Any, form: Any) -> bool:
    if isinstance(form, list):
        return isinstance(value, list) and all(_has_form(one, form[0]) for one in value)
    if isinstance(form, dict) and ... in form:
        return isinstance(value, dict) and all(_has_form(one, form[...]) for one in value.values())
    if isinstance(form, dict):
        return isinstance(value, dict) and all(
            member in value and _has_form(value[member], one) for member, one in form.items()
        )
    return isinstance(value, form)


def _message(body: bytes) -> str:
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    return str(answer.get("message") or answer.get("Message") or "") if isinstance(answer, dict) else ""


def _print(replica: dict[str, Any]) -> None:
    role = "master" if replica["master"] == replica["region"] else f"replica of {replica['master']}"
    if replica["master"] is None:
        role = replica["kind"]
    others = ", ".join(f"{one['region']} {one['state']}" for one in replica["replicas"])
    print(f"{replica['table']} in {replica['region']}: {replica['status']}, {role}; replicas: {others}")
    for read in replica["reads"]:
        late = f"{read['backlog']} changes and {read['lag_ms']} ms behind {read['from']}"
        print(f"  {late}" + (f"; {read['last_error']}" if read["last_error"] else ""))
