"""Triggers whose functions work, fail or are switched off, on the console's page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Browser  # type: ignore[import-not-found]

from tests.triggers.server import Server

FUNCTIONS = """
[functions.good]
python = "handlers:good"
[functions.bad]
python = "handlers:bad"
[[triggers]]
table = "Users"
function = "good"
batch_size = 7
[[triggers]]
table = "Users"
function = "bad"
"""
HANDLERS = """
def good(event, context):
    pass

def bad(event, context):
    raise ValueError("no")
"""
ITEMS = 3


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("functions")
    (folder / "functions.toml").write_text(FUNCTIONS)
    (folder / "handlers.py").write_text(HANDLERS)
    server = Server(folder, folder / "functions.toml", "--in-memory")
    server.start()
    client = server.client("dynamodb")
    client.create_table(
        TableName="Users", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )  # fmt: skip
    client.get_waiter("table_exists").wait(TableName="Users", WaiterConfig={"Delay": 1})
    for number in range(ITEMS):
        client.put_item(TableName="Users", Item={"id": {"S": str(number)}})
    yield f"http://127.0.0.1:{server.port}"
    server.end()


def row(browser: Browser, function: str) -> dict[str, str]:
    names = ("function", "table", "state", "result", "backlog", "lag", "failed", "retry", "batch", "act")
    found = [one for one in browser.rows("Triggers") if one[0] == function]
    return dict(zip(names, found[0], strict=True)) if found else {}


def test_progress_failures_and_the_switch(chrome, console, endpoint):
    tab = Browser(chrome, console(endpoint=endpoint))
    chrome.get_log("browser")

    def refreshed(function: str, name: str, value: str) -> bool:
        tab.open("/triggers")
        return row(tab, function).get(name) == value

    tab.wait(lambda: refreshed("bad", "result", "PROBLEM: Function call failed"))
    bad = row(tab, "bad")
    assert bad["table"] == "Users" and bad["state"] == "Enabled" and bad["act"] == "Disable"
    assert int(bad["backlog"]) == ITEMS and bad["lag"] and int(bad["failed"]) > 0
    tab.wait(lambda: refreshed("good", "result", "OK") and refreshed("good", "backlog", "0"))
    good = row(tab, "good")
    assert (good["failed"], good["retry"], good["lag"], good["batch"]) == ("0", "", "", "7")
    assert tab.pale() == [] and tab.nameless() == []

    tab.press("Disable the trigger of Users for bad")
    tab.wait(lambda: row(tab, "bad").get("act") == "Enable")
    tab.wait(lambda: refreshed("bad", "state", "Disabled"))
    assert row(tab, "good")["state"] == "Enabled"
    tab.press("Enable the trigger of Users for bad")
    tab.wait(lambda: row(tab, "bad").get("act") == "Disable")
    tab.wait(lambda: refreshed("bad", "state", "Enabled"))
    assert tab.faults() == []
