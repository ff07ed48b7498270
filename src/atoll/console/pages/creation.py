"""The page that creates a table."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from atoll.console import samples
from atoll.console.shell import View, page
from atoll.console.values import KEY_TYPES
from atoll.console.widgets import Field, box, button, callout, code, link, put, section, text

BILLING = {"PAY_PER_REQUEST": "On demand", "PROVISIONED": "Provisioned"}
VIEWS = {
    "": "None",
    "NEW_AND_OLD_IMAGES": "New and old images",
    "NEW_IMAGE": "New images",
    "OLD_IMAGE": "Old images",
    "KEYS_ONLY": "Keys only",
}


class Key:
    """Two controls: a name and a type."""

    def __init__(self, label: str, name: str, change: Any) -> None:
        self.name = Field(label, name, change=change, width="240px")
        self.type = Field("Type", "S", "select", KEY_TYPES, change=change, width="120px")

    def definition(self) -> dict[str, str]:
        return {"AttributeName": self.name.text, "AttributeType": self.type.value}


class Creation:
    def __init__(self, view: View) -> None:
        self._view = view
        with section("Table"):
            self._name = Field("Name", change=self._show, width="400px")
            with box("row"):
                self._hash = Key("Partition key", "id", self._show)
            with box("row"):
                self._range = Key("Sort key, if it has one", "", self._show)
        with section("Capacity"), box("row"):
            self._billing = Field("Billing", "PAY_PER_REQUEST", "choice", BILLING, change=self._show)
            self._read = Field("Read units", "5", "number", least="1", change=self._show, width="120px")
            self._write = Field("Write units", "5", "number", least="1", change=self._show, width="120px")
        with section("Local secondary indexes"):
            text(
                "They share the table's partition key, and can only be made with it. Global ones can be added later.",
                kind="soft",
            )
            self._local: list[tuple[Field, Key]] = []
            self._rows = box("stack")
            with box("actions"):
                button("Add local index", self._add_local, "small")
        with section("Options"), box("row"):
            self._stream = Field("Stream", "", "select", VIEWS, change=self._show, width="220px")
            self._protected = Field("Protect from deletion", False, "checkbox", change=self._show)
        with section("Request"):
            self._code = code("", "the request in boto3")
        with box("actions"):
            self._button = button("Create table", self._create, "primary")
            link("Cancel", view.url("/"), "button")
        self._show()

    def _add_local(self) -> None:
        with self._rows, box("row"):
            name = Field("Index name", change=self._show, width="240px")
            self._local.append((name, Key("Sort key", "", self._show)))
        self._show()

    def _request(self) -> dict[str, Any]:
        keys = [self._hash, *([self._range] if self._range.name.text else [])]
        locals_ = [(name, key) for name, key in self._local if name.text]
        definitions: dict[str, dict[str, str]] = {}
        for key in [*keys, *(key for _, key in locals_)]:
            definitions.setdefault(key.name.text, key.definition())
        found: dict[str, Any] = {
            "TableName": self._name.text,
            "KeySchema": _schema(*(key.name.text for key in keys)),
            "AttributeDefinitions": list(definitions.values()),
            "BillingMode": self._billing.value,
        }
        if self._billing.value == "PROVISIONED":
            found["ProvisionedThroughput"] = units(self._read, self._write)
        if locals_:
            found["LocalSecondaryIndexes"] = [
                {
                    "IndexName": name.text,
                    "KeySchema": _schema(self._hash.name.text, key.name.text),
                    "Projection": {"ProjectionType": "ALL"},
                }
                for name, key in locals_
            ]
        if self._stream.value:
            found["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": self._stream.value}
        if self._protected.value:
            found["DeletionProtectionEnabled"] = True
        return found

    def _show(self) -> None:
        if not hasattr(self, "_button"):
            return
        provisioned = self._billing.value == "PROVISIONED"
        self._read.set_visibility(provisioned)
        self._write.set_visibility(provisioned)
        connection = self._view.connection
        place = samples.SampleEndpoint(connection.endpoint.address.url, connection.region)
        put(self._code, samples.boto3(place, "create_table", self._request()))

    async def _create(self) -> None:
        await self._view.connection.call("create_table", **self._request())
        ui.navigate.to(self._view.table_url(self._name.text, "settings"))


def _schema(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


def units(read: Field, write: Field) -> dict[str, int]:
    return {"ReadCapacityUnits": number(read), "WriteCapacityUnits": number(write)}


def number(field: Field) -> int:
    try:
        return int(float(field.text or 0))
    except (ValueError, OverflowError):
        return 0


@page("/create-table", "Create table")
async def creation(view: View) -> None:
    if not view.writable:
        callout("This console only reads: start it with --allow-writes to create tables.", "warn")
        return
    Creation(view)
