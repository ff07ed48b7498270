"""The links between regions in the admin API: their faults and the progress of replication.

    GET  /_atoll/replication/links
    POST /_atoll/replication/links   {"from": "us-east-1", "to": "eu-west-1", "partition": true}; likewise "paused",
                                     "delay" and "jitter" ("200ms"), "loss" and "duplicate" (0 to 1)

A request changes only the members that it names. Both answer with all links, after the change.
"""

from __future__ import annotations

from atoll.api.admin import Body, Server


async def show_links(server: Server, body: Body) -> Body:
    return {"links": await server.links.show()}


async def change_link(server: Server, body: Body) -> Body:
    await server.links.change(body)
    return await show_links(server, {})
