"""`atoll credentials`: manage the access keys, those of clients and those of other servers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from atoll.clock import SystemClock
from atoll.options import Refused
from atoll.security.credentials import FILE_NAME as CREDENTIALS_FILE
from atoll.security.credentials import BadCredentials, Credentials


def add(credentials: argparse.ArgumentParser) -> None:
    actions = credentials.add_subparsers(required=True, metavar="ACTION")
    for name, help_ in (
        ("create", "create an access key and print it with its secret"),
        ("list", "print the access keys"),
        ("delete", "delete an access key"),
    ):
        action = actions.add_parser(name, help=help_)
        action.add_argument("--data", default=os.environ.get("ATOLL_DATA", "data"), help="the data directory")
        action.add_argument("--credentials", default=os.environ.get("ATOLL_CREDENTIALS", ""), help="the file itself")
        action.set_defaults(run=_credentials, action=name)
        if name == "create":
            action.add_argument("--user", default=None, help="the user that the key belongs to; none: the root")
            action.add_argument("--account", default=None, help="the account of the user, or of the root")
            kind = action.add_mutually_exclusive_group()
            kind.add_argument("--admin", action="store_true", help="allow the key to administer the server")
            kind.add_argument("--peer", action="store_true", help="make a key with which servers ask each other")
        if name == "delete":
            action.add_argument("access_key")


def _credentials(options: argparse.Namespace) -> int:
    try:
        credentials = Credentials(Path(options.credentials or Path(options.data) / CREDENTIALS_FILE))
    except BadCredentials as error:
        raise Refused(str(error)) from error
    if options.action == "create":
        credential = credentials.create(
            SystemClock().now_ms(),
            admin=options.admin,
            peer=options.peer,
            user=options.user,
            account=options.account,
        )
        print(f"AWS_ACCESS_KEY_ID={credential.access_key}\nAWS_SECRET_ACCESS_KEY={credential.secret}")
    elif options.action == "list":
        for credential in credentials.list():
            kind = "  admin" if credential.admin else "  peer" if credential.peer else ""
            owner = f"  user {credential.user}" if credential.user else ""
            account = f"  account {credential.account}" if credential.account else ""
            print(credential.access_key + kind + owner + account)
    elif not credentials.delete(options.access_key):
        raise Refused(f"unknown access key: {options.access_key}")
    return 0
