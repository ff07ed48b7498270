"""`atoll credentials`: manage the access keys of clients and of peers."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from atoll.clock import SystemClock
from atoll.options import Refused
from atoll.security.credentials import FILE_NAME as CREDENTIALS_FILE
from atoll.security.credentials import BadCredentials, Credential, Credentials, new
from atoll.serve_options import check_store, secrets_key
from atoll.storage.postgresql.url import BadStore


def add(credentials: argparse.ArgumentParser) -> None:
    actions = credentials.add_subparsers(required=True, metavar="ACTION")
    for name, help_ in (
        ("create", "create an access key and print it with its secret"),
        ("list", "print the access keys"),
        ("delete", "delete an access key"),
        ("encrypt", "encrypt the secrets in the file with --secrets-key"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("--data", default=os.environ.get("ATOLL_DATA", "data"), help="the data directory")
        store = os.environ.get("ATOLL_STORE", "")
        action.add_argument("--store", default=store, help="the URL of the store, if servers share one")
        file = os.environ.get("ATOLL_CREDENTIALS", "")
        action.add_argument("--credentials", default=file, help="the file, if it is not in the data directory")
        key = os.environ.get("ATOLL_SECRETS_KEY", "")
        action.add_argument("--secrets-key", default=key, help="a file with the key that encrypts secrets, or env:NAME")
        action.set_defaults(run=_credentials, action=name)
        if name == "create":
            action.add_argument("--user", default=None, help="the user that owns the key (default: the root)")
            action.add_argument("--account", default=None, help="the account of the user, or of the root")
            kind = action.add_mutually_exclusive_group()
            kind.add_argument("--admin", action="store_true", help="allow the key to administer the server")
            kind.add_argument("--peer", action="store_true", help="create a key that servers use among each other")
        if name == "delete":
            action.add_argument("access_key")


def _credentials(options: argparse.Namespace) -> int:
    if options.store and not options.credentials:
        return asyncio.run(_shared_credentials(options))
    try:
        path = Path(options.credentials or Path(options.data) / CREDENTIALS_FILE)
        credentials = Credentials(path, secrets_key("--secrets-key", options.secrets_key))
    except BadCredentials as error:
        raise Refused(str(error)) from error
    if options.action == "create":
        _show(
            credentials.create(
                SystemClock().now_ms(),
                admin=options.admin,
                peer=options.peer,
                user=options.user,
                account=options.account,
            )
        )
    elif options.action == "list":
        _list(credentials.list())
    elif options.action == "encrypt":
        if not options.secrets_key:
            raise Refused("encrypt needs --secrets-key")
        credentials.rewrite()
    elif not credentials.delete(options.access_key):
        raise Refused(f"unknown access key: {options.access_key}")
    return 0


async def _shared_credentials(options: argparse.Namespace) -> int:
    check_store(options.store, "", in_memory=False, data_named=False)
    from atoll.shared_store import SharedStore  # its driver is an extra

    store = SharedStore(options.store, clock="", vault=secrets_key("--secrets-key", options.secrets_key))
    try:
        await store.start()
    except BadStore as error:
        raise Refused(str(error)) from None
    try:
        if options.action == "create":
            credential = new(
                SystemClock().now_ms(), admin=options.admin, peer=options.peer, user=options.user,
                account=options.account,
            )  # fmt: skip
            await store.credentials.add(credential)
            _show(credential)
        elif options.action == "encrypt":
            raise Refused("a shared store encrypts its secrets the next time that one of them changes")
        elif options.action == "list":
            _list(store.credentials.list())
        elif not await store.credentials.delete(options.access_key):
            raise Refused(f"unknown access key: {options.access_key}")
    finally:
        await store.close()
    return 0


def _show(credential: Credential) -> None:
    print(f"AWS_ACCESS_KEY_ID={credential.access_key}\nAWS_SECRET_ACCESS_KEY={credential.secret}")


def _list(credentials: Sequence[Credential]) -> None:
    for credential in credentials:
        kind = "  admin" if credential.admin else "  peer" if credential.peer else ""
        owner = f"  user {credential.user}" if credential.user else ""
        account = f"  account {credential.account}" if credential.account else ""
        print(credential.access_key + kind + owner + account)
