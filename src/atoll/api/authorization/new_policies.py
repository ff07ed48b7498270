"""Checks of a new resource policy against identities: whether it locks its caller out, and whether the principals that
it names exist."""

from __future__ import annotations

from typing import Any

import orjson

from atoll.api.authorization.resource_policies import compiled
from atoll.security.directory import Directory
from atoll.security.policies.decision import Policies, Question, narrow
from atoll.security.policies.patterns import Context
from atoll.security.policies.principals import Principal


def locks_out(caller: Principal, policies: Policies, text: str, arn: str, owner: str, context: Context) -> bool:
    """Whether this policy would forbid the caller to put another one."""
    question = Question(caller, "dynamodb:PutResourcePolicy", arn)
    decision = narrow(question, policies, compiled(text), owner).decide(context)
    return not decision.allowed


def names_unknown(text: str, directory: Directory) -> bool:
    """Whether the policy names a user or role that does not exist."""
    document: Any = orjson.loads(text)
    for statement in document["Statement"]:
        principal = statement.get("Principal", statement.get("NotPrincipal"))
        names = principal.get("AWS", []) if isinstance(principal, dict) else []
        for name in names if isinstance(names, list) else [names]:
            if not directory.exists(name):
                return True
    return False
