"""The links between regions in the admin API: their faults and the progress of replication.

    GET  /_atoll/replication/links
    POST /_atoll/replication/links   {"from": "us-east-1", "to": "eu-west-1", "partition": true}; likewise "paused",
                                     "delay" and "jitter" ("200ms"), "loss" and "duplicate" (0 to 1)

A request changes only the members that it names. Both answer with all links, as they are then.
"""

from __future__ import annotations

from typing import Any, Protocol

from atoll.replication.links import Links

Body = dict[str, Any]


class Linked(Protocol):
    """The server, as far as links are concerned."""

    links: Links


async def show_links(server: Linked, body: Body) -> Body:
    return {"links": await server.links.show()}


async def change_link(server: Linked, body: Body) -> Body:
    await server.links.change(body)
    return await show_links(server, {})
