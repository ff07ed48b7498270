"""Policies in the admin API: why a request is allowed or denied, and the policy that an application needs.

    POST /_atoll/policies/explain   {"principal": an ARN or a user's name, "operation": "GetItem", "request": {...}},
                                    or with "action" and "resource" in place of the latter two; "context" has further
                                    condition keys; "region" and "account" say where
    GET  /_atoll/policies/observed  with --auth iam-log: a minimal policy of each principal since the start

An explanation has one part for each action that the request needs; the request is allowed if all are.
"""

from __future__ import annotations

from atoll.api.admin import Body, Server


async def explain(server: Server, body: Body) -> Body:
    return await server.explanations.explain(body)


async def observed(server: Server, body: Body) -> Body:
    return {"policies": server.observed.policies()}
