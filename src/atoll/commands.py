"""The commands of `atoll`, in the groups of its help.

A command's module is imported only when the command is used, so that no command waits for the imports of others. Its
function `add` adds the options to the command's parser and sets `run`, a function of the parsed options that returns
the exit code.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    summary: str
    module: str
    function: str = "add"

    def add(self, parser: argparse.ArgumentParser) -> None:
        getattr(import_module(self.module), self.function)(parser)


GROUPS: dict[str, dict[str, Command]] = {
    "Serve": {
        "serve": Command("serve DynamoDB's API", "atoll.serve_command"),
        "console": Command("serve a web page that shows and changes tables", "atoll.console.command"),
    },
    "Use the tables of any endpoint": {
        "tables": Command("list tables, their keys and indexes", "atoll.shell.tables"),
        "query": Command("print the items that match a key condition", "atoll.shell.query"),
        "sql": Command("run a PartiQL statement", "atoll.shell.sql"),
        "tail": Command("print the changes of a table as they happen", "atoll.shell.tail"),
        "mcp": Command("let an assistant look at tables", "atoll.mcp.command"),
    },
    "Copy tables": {
        "import": Command("put the items of files into a table", "atoll.files.command", "add_import"),
        "export": Command("write a table into a directory", "atoll.files.command", "add_export"),
        "replicate": Command("copy a table to another endpoint and keep it up to date", "atoll.replicate.command"),
    },
    "Administer a server": {
        "credentials": Command("manage the access keys that may sign requests", "atoll.credential_commands"),
        "users": Command(
            "declare users, which have access keys and policies", "atoll.policy_commands", "add_users"
        ),
        "roles": Command("declare roles, which users and applications assume", "atoll.policy_commands", "add_roles"),
        "policies": Command(
            "declare policies, and explain what they allow", "atoll.policy_commands", "add_policies"
        ),
        "replicas": Command("keep read replicas of a table in other regions", "atoll.replica_commands"),
        "backup": Command("back up a data directory while a server uses it", "atoll.backup_commands", "add_backup"),
        "restore": Command("restore a data directory from a backup", "atoll.backup_commands", "add_restore"),
        "store": Command("maintain the stores of a data directory", "atoll.store_commands"),
    },
    "Your shell": {
        "completion": Command("print the script that completes commands, options and tables", "atoll.completion"),
    },
}  # fmt: skip

COMMANDS: dict[str, Command] = {name: command for group in GROUPS.values() for name, command in group.items()}
