"""Faults on demand in the admin API.

    GET  /_atoll/faults
    POST /_atoll/faults   {"fault": "throttling", "table": "Orders", "count": 3}: adds a rule; see `faults.rule`
    POST /_atoll/faults   {"remove": an id} or {"remove": "all"}

All answer with the rules after the request; the addition also has the new rule's id, as `added`.
"""

from __future__ import annotations

from atoll.api.admin import Body, Server


async def show_faults(server: Server, body: Body) -> Body:
    return {"faults": server.faults.all()}


async def change_faults(server: Server, body: Body) -> Body:
    if "remove" in body:
        if body["remove"] == "all":
            server.faults.clear()
        else:
            server.faults.remove(body["remove"])
        return await show_faults(server, {})
    added = server.faults.add(body, server.operations)
    return {"added": added, **await show_faults(server, {})}
