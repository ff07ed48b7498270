"""The page of streams: the lineage of shards, and a live tail of records with both images compared."""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

from nicegui import ui

from atoll.console import features
from atoll.console.endpoint import STREAMS, CallFailed, checked_answers
from atoll.console.images import compared
from atoll.console.lineage import drawn, short
from atoll.console.pages.creation import VIEWS
from atoll.console.shell import View, page
from atoll.console.sizes import time
from atoll.console.values import shown
from atoll.console.widgets import Cell, Field, Grid, box, button, confirmed, drawing, facts, put, section, text
from atoll.console.widgets_diff import diff

KEPT = 200
POLL_S = 1.0
READ = 100
SHARD_PAGES = 20
ADMIN_ACTIONS = {"rotate": "Rotate shards", "split": "Split shards", "trim": "Trim records"}


class Tail:
    """Follows new records of all shards. It starts with the open shards and continues with their children."""

    def __init__(self, view: View, arn: str) -> None:
        self._view = view
        self._arn = arn
        self._iterators: dict[str, str | None] = {}
        """By shard; None for one that was read to its end."""
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._busy = False
        with section("Live tail"):
            with box("row between"):
                with box("row"):
                    self._start = Field(
                        "Begin with", "LATEST", "choice", {"LATEST": "New records", "TRIM_HORIZON": "All records"}
                    )
                    self._switch = button("Start", self._toggle, "primary")
                self._summary = text("The tail is not running", kind="soft")
                self._summary.props["role"] = "status"
            self._grid = Grid(
                "Records, the latest first",
                ("Time (UTC)", "Event", "Key", "Changes", "By", "Shard"),
                empty="No records",
                acted=self._open,
            )
        self._detail = box()
        self._timer = ui.timer(POLL_S, self._poll, active=False)

    async def _toggle(self) -> None:
        if self._timer.active:
            self._timer.deactivate()
        else:
            self._iterators.clear()
            await self._follow(self._start.value)
            self._timer.activate()
        running = self._timer.active
        self._switch._text = "Stop" if running else "Start"
        self._switch.update()
        put(self._summary, "Waiting for records" if running else "Stopped")

    async def _follow(self, place: str) -> None:
        """Get iterators of shards that have none yet."""
        for shard in await all_shards(self._view, self._arn):
            name = shard["ShardId"]
            closed = "EndingSequenceNumber" in shard["SequenceNumberRange"]
            if name in self._iterators or (closed and place == "LATEST" and not self._iterators):
                continue
            first = place if shard.get("ParentShardId") not in self._iterators else "TRIM_HORIZON"
            answer = await self._view.connection.call(
                "get_shard_iterator", STREAMS, StreamArn=self._arn, ShardId=name, ShardIteratorType=first
            )
            self._iterators[name] = answer.get("ShardIterator")

    async def _poll(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            with checked_answers():
                if await self._read() and self._timer.active:
                    self._show()
        except CallFailed as failure:
            put(self._summary, f"Stopped: {failure}")
            self._timer.deactivate()
            self._switch._text = "Start"
            self._switch.update()
        finally:
            self._busy = False

    async def _read(self) -> bool:
        waiting = {shard: iterator for shard, iterator in self._iterators.items() if iterator is not None}
        calls = (
            self._view.connection.call("get_records", STREAMS, ShardIterator=one, Limit=READ)
            for one in waiting.values()
        )
        found: list[dict[str, Any]] = []
        ended = False
        for shard, answer in zip(waiting, await asyncio.gather(*calls), strict=True):
            self._iterators[shard] = answer.get("NextShardIterator")
            ended |= self._iterators[shard] is None
            found += [record | {"shard": shard} for record in answer["Records"]]
        if ended:
            await self._follow("TRIM_HORIZON")
        found.sort(
            key=lambda record: (record["dynamodb"]["ApproximateCreationDateTime"], record["dynamodb"]["SequenceNumber"])
        )
        self._records.extendleft(found)
        return bool(found)

    def _show(self) -> None:
        put(self._summary, f"{len(self._records)} records shown, at most {KEPT}")
        self._grid.fill(_row(record) for record in self._records)

    def _open(self, row: int, act: str) -> None:
        record = self._records[row]["dynamodb"]
        self._detail.clear()
        with self._detail, section(f"Record {record['SequenceNumber']}"):
            old, new = record.get("OldImage"), record.get("NewImage")
            if old is None and new is None:
                text("This stream has only keys.", kind="soft")
                diff(compared(record["Keys"], record["Keys"]), "Keys")
            else:
                text("The old image is left, the new image right.", kind="soft")
                diff(compared(old, new), "Old and new image")


def _row(record: dict[str, Any]) -> list[Cell]:
    data, event = record["dynamodb"], record["eventName"]
    lines = compared(data.get("OldImage"), data.get("NewImage")) if event == "MODIFY" else []
    changes = ", ".join(line.name for line in lines if line.kind != "same")
    kind = {"INSERT": "good", "REMOVE": "bad"}.get(event, "")
    return [
        {"text": time(data["ApproximateCreationDateTime"]), "act": "open", "label": f"Record {data['SequenceNumber']}"},
        {"text": event.capitalize(), "kind": kind},
        {"text": ", ".join(shown(value, 60) for value in data["Keys"].values()), "kind": "mono"},
        changes,
        record.get("userIdentity", {}).get("PrincipalId", ""),
        {"text": short(record["shard"]), "kind": "mono", "title": record["shard"]},
    ]


async def all_shards(view: View, arn: str) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    for _ in range(SHARD_PAGES):
        found = (await view.connection.call("describe_stream", STREAMS, StreamArn=arn, **more))["StreamDescription"]
        shards += found["Shards"]
        if "LastEvaluatedShardId" not in found:
            break
        more = {"ExclusiveStartShardId": found["LastEvaluatedShardId"]}
    return shards


@page("/table/{table}/stream", "{table}")
async def stream(view: View) -> None:
    table = await view.connection.describe(view.table)
    specification, arn = table.get("StreamSpecification", {}), table.get("LatestStreamArn")
    enabled = bool(specification.get("StreamEnabled"))
    with section("Stream"):
        if enabled:
            facts([("View", VIEWS.get(specification["StreamViewType"], "")), ("ARN", arn)])
        else:
            text("The stream is off.", kind="soft")
        if view.writable:
            _switch(view, enabled)
    if arn and enabled:
        await _lineage(view, arn)
        Tail(view, arn)


def _switch(view: View, enabled: bool) -> None:
    async def change() -> None:
        wanted: dict[str, Any] = {"StreamEnabled": not enabled}
        if chosen is not None:
            wanted["StreamViewType"] = chosen.value
        elif not await confirmed(
            "Turn off the stream", "Consumers can read the records that are there for a day.", "Turn off"
        ):
            return
        await view.connection.call("update_table", TableName=view.table, StreamSpecification=wanted)
        ui.navigate.reload()

    with box("row"):
        views = {name: label for name, label in VIEWS.items() if name}
        chosen = None if enabled else Field("View", "NEW_AND_OLD_IMAGES", "select", views, width="220px")
        button("Turn off" if enabled else "Turn on", change, "danger" if enabled else "primary")


async def _lineage(view: View, arn: str) -> None:
    async def draw() -> None:
        shards = await all_shards(view, arn)
        place.clear()
        with place:
            drawing(drawn(shards))

    async def act(name: str) -> None:
        if name == "trim" and not await confirmed(
            "Trim records", "All records of the stream are deleted.", "Trim records"
        ):
            return
        await view.connection.tell(f"streams/{name}", stream=arn)
        await draw()

    with section("Shards"):
        with box("row between"):
            text("Parents stand left of their children. Open shards are coloured.", kind="soft")
            with box("actions"):
                button("Refresh", draw, "small")
                if features.CLOCK in view.features:
                    for name, label in ADMIN_ACTIONS.items():
                        button(label, partial(act, name), "small")
        place = box()
    await draw()


@page("/streams", "Streams")
async def streams(view: View) -> None:
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    for _ in range(SHARD_PAGES):
        answer = await view.connection.call("list_streams", STREAMS, Limit=100, **more)
        found += answer["Streams"]
        if "LastEvaluatedStreamArn" not in answer:
            break
        more = {"ExclusiveStartStreamArn": answer["LastEvaluatedStreamArn"]}
    with section("Streams", "flush"):
        rows: list[list[Cell]] = [
            [
                {"text": one["TableName"], "href": view.table_url(one["TableName"], "stream")},
                one["StreamLabel"],
                {"text": one["StreamArn"], "kind": "mono"},
            ]
            for one in found
        ]
        Grid("Streams", ("Table", "Label", "ARN"), rows, empty="No table has a stream")
