"""The example: a user signs up, an email follows, without a second write and without polling."""

from __future__ import annotations

import shutil
from email import message_from_bytes
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.ports import reserved_port
from tests.triggers.server import Server
from tests.triggers.test_crash import until

EXAMPLE = Path(__file__).parents[2] / "examples" / "welcome_email"


class Mailbox:
    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(message_from_bytes(envelope.content))
        return "250 OK"


def load(name: str) -> ModuleType:
    spec = spec_from_file_location(name, EXAMPLE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_new_user_gets_one_email_although_the_mail_server_was_down(tmp_path: Path) -> None:
    port = reserved_port()
    here = tmp_path / "welcome_email"
    shutil.copytree(EXAMPLE, here)
    file = here / "functions.toml"
    file.write_text(file.read_text().replace('"1025"', f'"{port}"'))
    server = Server(tmp_path, file, "--in-memory")
    server.start()
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    try:
        dynamodb, example = server.client("dynamodb"), load("sign_up")
        example.make_table(dynamodb)
        example.sign_up(dynamodb, "ann@example.com", "Ann")
        controller.start()
        example.sign_up(dynamodb, "bob@example.com", "Bob")
        dynamodb.update_item(
            TableName="users",
            Key={"email": {"S": "bob@example.com"}},
            UpdateExpression="SET seen = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )
        assert until(lambda: len({m["To"] for m in mailbox.messages}) == 2)
        with pytest.raises(dynamodb.exceptions.ConditionalCheckFailedException):
            example.sign_up(dynamodb, "ann@example.com", "Ann")
    finally:
        server.end()
        controller.stop()
    assert sorted(m["Subject"] for m in mailbox.messages) == ["Welcome, Ann", "Welcome, Bob"]
