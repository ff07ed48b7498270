"""`atoll users`, `roles` and `policies`: declare users, roles and policies in the data directory or the store, and ask
a server why it allows or denies a request.

The commands store declarations in `principals.json`, or in a document of the store. The server reads these and
`policies.toml`, which people write. `atoll credentials create --user` creates a user's access keys.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from atoll.client.options import add_server
from atoll.database.region import DEFAULT_ACCOUNT
from atoll.options import Refused
from atoll.replica_commands import ask
from atoll.security import directory
from atoll.security.directory import BadDirectory
from atoll.security.identities import COMMANDS_FILE_NAME, FILE_NAME, load
from atoll.serve_options import check_store
from atoll.storage.postgresql.url import BadStore

if TYPE_CHECKING:
    from atoll.shared_documents import SharedPrincipals

Document = dict[str, Any]
T = TypeVar("T")


def add_users(users: argparse.ArgumentParser) -> None:
    actions = _actions(users)
    creating = _action(actions, "create", "users", _create, "create a user")
    creating.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE")
    creating.add_argument("--boundary", default="", help="the permissions boundary: a name, or a file")
    _add_changes(actions, "users")


def add_roles(roles: argparse.ArgumentParser) -> None:
    actions = _actions(roles)
    creating = _action(actions, "create", "roles", _create, "create a role")
    creating.add_argument("--trust", required=True, help="a file with the trust policy")
    creating.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE")
    creating.add_argument("--boundary", default="", help="the permissions boundary: a name, or a file")
    _add_changes(actions, "roles")


def add_policies(policies: argparse.ArgumentParser) -> None:
    actions = _actions(policies)
    putting = _action(actions, "put", "policies", _put, "declare a policy, or replace it")
    putting.add_argument("file", help="a JSON file with the document")
    _action(actions, "delete", "policies", _delete, "delete a policy")
    _list(actions, "policies")
    _add_questions(actions)


def _add_changes(actions: Any, section: str) -> None:
    attach = _action(actions, "attach", section, _attach, "attach a policy: a name, or a file with a document")
    attach.add_argument("policy")
    detach = _action(actions, "detach", section, _detach, "detach a policy, by its name or number")
    detach.add_argument("policy")
    _action(actions, "delete", section, _delete, f"delete a {section[:-1]}")
    _list(actions, section)


def _actions(parser: argparse.ArgumentParser) -> Any:
    return parser.add_subparsers(required=True, metavar="ACTION")


def _options(action: argparse.ArgumentParser) -> None:
    action.add_argument("--data", default=os.environ.get("ATOLL_DATA", "data"), help="the data directory")
    store = os.environ.get("ATOLL_STORE", "")
    action.add_argument("--store", default=store, help="the URL of the store, if servers share one")
    action.add_argument("--account", default=os.environ.get("ATOLL_ACCOUNT", DEFAULT_ACCOUNT), help="the account")


def _action(
    actions: Any, name: str, section: str, run: Callable[[argparse.Namespace, Document], str], help_: str
) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=help_)
    _options(action)
    action.add_argument("name")
    action.set_defaults(run=lambda options: _change(options, section, run), section=section)
    return action


def _list(actions: Any, section: str) -> None:
    action: argparse.ArgumentParser = actions.add_parser("list", help="print the declarations of both files")
    _options(action)
    action.set_defaults(run=_print, section=section)


def _print(options: argparse.Namespace) -> int:
    data = Path(options.data)
    try:
        documents: list[Mapping[str, Any]]
        if options.store:
            documents = [asyncio.run(_shared(options, _load))]
        else:
            documents = [load(data / FILE_NAME), load(data / COMMANDS_FILE_NAME)]
        found = directory.merged(documents, options.account)
    except BadDirectory as fault:
        raise Refused(str(fault)) from None
    for name, row in sorted(found[options.account].get(options.section, {}).items()):
        shown = [one if isinstance(one, str) and one[:1] != "{" else "(document)" for one in _attached(row)]
        print(name + (f"  {', '.join(shown)}" if shown and options.section != "policies" else ""))
    return 0


async def _load(principals: SharedPrincipals) -> Document:
    return dict(principals.load())


async def _shared(options: argparse.Namespace, use: Callable[[SharedPrincipals], Awaitable[T]]) -> T:
    """Use the principals of the store."""
    check_store(options.store, "", in_memory=False, data_named=False)
    from atoll.shared_store import SharedStore  # its driver is an extra

    store = SharedStore(options.store, clock="")
    try:
        await store.start()
    except BadStore as error:
        raise Refused(str(error)) from None
    try:
        return await use(store.principals)
    finally:
        await store.close()


def _attached(row: Document) -> list[Any]:
    policies = row.get("policies", [])
    return policies if isinstance(policies, list) else [policies]


def _change(options: argparse.Namespace, section: str, change: Callable[[argparse.Namespace, Document], str]) -> int:
    """Change the declarations; refuses a result that the server would refuse."""
    said = ""

    def apply(found: Document) -> None:
        nonlocal said
        account = found.setdefault("accounts", {}).setdefault(options.account, {})
        said = change(options, account.setdefault(section, {}))
        beside = [] if options.store else [load(Path(options.data) / FILE_NAME)]
        directory.read([*beside, found], options.account)

    try:
        if options.store:
            asyncio.run(_shared(options, lambda principals: principals.change(apply)))
        else:
            _change_file(Path(options.data) / COMMANDS_FILE_NAME, apply)
    except BadDirectory as fault:
        raise Refused(str(fault)) from None
    print(said)
    return 0


def _change_file(path: Path, apply: Callable[[Document], None]) -> None:
    """Read, change and write the file under a lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found: Document = dict(load(path))
        apply(found)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(found, option=orjson.OPT_INDENT_2))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        os.close(lock)


def _row(options: argparse.Namespace, rows: Document) -> Document:
    if options.name not in rows:
        raise Refused(f"there is no {options.section[:-1]} {options.name!r} that a command has declared")
    row: Document = rows[options.name]
    return row


def _create(options: argparse.Namespace, rows: Document) -> str:
    if options.name in rows:
        raise Refused(f"the {options.section[:-1]} {options.name} exists")
    row: Document = {"policies": []}
    if options.tag:
        row["tags"] = dict(tag.partition("=")[::2] for tag in options.tag)
    if options.boundary:
        row["boundary"] = _policy(options.boundary)
    if options.section == "roles":
        row["trust"] = _document(options.trust)
    rows[options.name] = row
    kind = options.section[:-1]
    return f"arn:aws:iam::{options.account}:{kind}/{options.name}"


def _delete(options: argparse.Namespace, rows: Document) -> str:
    _row(options, rows)
    del rows[options.name]
    return f"deleted {options.name}"


def _put(options: argparse.Namespace, rows: Document) -> str:
    rows[options.name] = _document(options.file)
    return f"arn:aws:iam::{options.account}:policy/{options.name}"


def _attach(options: argparse.Namespace, rows: Document) -> str:
    _row(options, rows)["policies"].append(_policy(options.policy))
    return f"attached {options.policy} to {options.name}"


def _detach(options: argparse.Namespace, rows: Document) -> str:
    policies = _row(options, rows)["policies"]
    if options.policy in policies:
        policies.remove(options.policy)
    elif options.policy.isdigit() and 0 < int(options.policy) <= len(policies):
        del policies[int(options.policy) - 1]
    else:
        raise Refused(f"{options.policy} is not attached to {options.name}")
    return f"detached {options.policy} from {options.name}"


def _policy(given: str) -> Any:
    """The name of a policy, or the document in a file."""
    return _document(given) if Path(given).is_file() else given


def _document(path: str) -> Any:
    try:
        return json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise Refused(f"{path}: {error}") from None


# Questions to a server

_CHECK = {"decision": str, "action": str, "resource": str, "reason": str, "keys": {...: [str]}}
_EXPLAINED = {"checks": [_CHECK], "allowed": bool}


def _add_questions(actions: Any) -> None:
    explain: argparse.ArgumentParser = actions.add_parser(
        "explain", help="ask a server which statement allows or denies a request"
    )
    observed: argparse.ArgumentParser = actions.add_parser(
        "observed", help="print policies that allow the requests which a server with --auth iam-log has seen"
    )
    for action in (explain, observed):
        add_server(action)
    explain.add_argument("principal", help="the caller: an ARN, or a user's name")
    explain.add_argument("action", help="an action such as dynamodb:GetItem; with --request, an operation")
    explain.add_argument("resource", nargs="?", default="", help="the ARN of a resource")
    explain.add_argument("--request", default="", help="the request, as JSON")
    explain.add_argument("--context", default="", help="condition keys and their values, as JSON")
    explain.set_defaults(run=_explain)
    observed.set_defaults(run=_observed)


def _explain(options: argparse.Namespace) -> int:
    body: Document = {"principal": options.principal}
    try:
        if options.context:
            body["context"] = json.loads(options.context)
        if options.resource:
            body |= {"action": options.action, "resource": options.resource}
        else:
            body |= {"operation": options.action, "request": json.loads(options.request or "{}")}
    except ValueError as error:
        raise Refused(f"invalid JSON: {error}") from None
    answer = ask(options, "/_atoll/policies/explain", body, _EXPLAINED)
    for check in answer["checks"]:
        print(f"{check['decision']}: {check['action']} on {check['resource']}: {check['reason']}")
        for key, values in check["keys"].items():
            print(f"  {key} = {', '.join(values) or '(absent)'}")
    print("allowed" if answer["allowed"] else "denied")
    return 0 if answer["allowed"] else 1


def _observed(options: argparse.Namespace) -> int:
    print(json.dumps(ask(options, "/_atoll/policies/observed", None, {"policies": object})["policies"], indent=2))
    return 0
