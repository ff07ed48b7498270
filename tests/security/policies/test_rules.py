"""A second, plain statement of the documented rules, with which random policies are decided again."""

from __future__ import annotations

import fnmatch
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.security.policies.world import ANA, NOTES, OTHER, OWNER, ROOT, S1, context, decide, outcome, user

ACTIONS = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:*", "dynamodb:Get*", "*"]
RESOURCES = [NOTES, NOTES + "/*", "*", NOTES[:-1] + "?", NOTES.replace("Notes", "Other")]
VISITOR = user("ben", OTHER)
CALLERS = [ANA, S1, ROOT, VISITOR]
NAMES = ["*", OWNER, OTHER, ANA.arn, S1.arn, str(S1.role), VISITOR.arn]
VALUES = ["a", "b", "ab", "1"]
OPERATORS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def one_condition(operator: str, key: str, wanted: list[str], keys: dict[str, list[str]]) -> bool:
    given_values = keys.get(key, [])
    if operator == "Null":
        return (not given_values) == (wanted == ["true"])
    set_operator, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name

    def one(value: str) -> bool:
        if "Like" in name:
            found = any(fnmatch.fnmatchcase(value, pattern) for pattern in wanted)
        else:
            found = value in wanted
        return not found if negated else found

    if not given_values:
        if set_operator == "ForAllValues":
            return True
        if set_operator == "ForAnyValue":
            return if_exists
        return negated or if_exists
    if set_operator == "ForAllValues":
        return all(one(value) for value in given_values)
    if set_operator == "ForAnyValue":
        return any(one(value) for value in given_values)
    return one(given_values[0])


def applies(row: dict[str, Any], caller: Any, action: str, keys: dict[str, list[str]]) -> bool:
    listed = as_list(row.get("Action", row.get("NotAction")))
    if any(fnmatch.fnmatchcase(action.lower(), one.lower()) for one in listed) == ("NotAction" in row):
        return False
    listed = as_list(row.get("Resource", row.get("NotResource")))
    if any(fnmatch.fnmatchcase(NOTES, one) for one in listed) == ("NotResource" in row):
        return False
    return all(
        one_condition(operator, key, as_list(wanted), keys)
        for operator, conditions in row.get("Condition", {}).items()
        for key, wanted in conditions.items()
    )


def meant(row: dict[str, Any], caller: Any) -> set[str]:
    """By which kinds of names a statement of a resource policy means the caller."""
    kinds = {"*": "anyone", caller.account: "account", caller.arn: "self"}
    if caller.is_root:
        kinds = {"*": "anyone", caller.account: "account"}
    if caller.role:
        kinds[caller.role] = "role"
    if "Principal" in row:
        return {kinds[name] for name in as_list(row["Principal"]["AWS"]) if name in kinds}
    listed = set(as_list(row["NotPrincipal"]["AWS"]))
    if row["Effect"] == "Allow":
        return set() if listed & kinds.keys() else {"anyone"}
    needed = {caller.account, *([] if caller.is_root else [caller.arn]), *([caller.role] if caller.role else [])}
    return set() if needed <= listed or "*" in listed else {"anyone"}


def plain(caller: Any, action: str, keys: dict[str, list[str]], policies: dict[str, Any]) -> str:
    order = [("identity", "id"), ("resource", "rp"), ("boundary", "pb"), ("session", "sp"), ("control", "scp")]
    found: dict[str, list[dict[str, Any]]] = {}
    for kind, name in order:
        rows = [row for row in policies.get(name) or () if applies(row, caller, action, keys)]
        found[kind] = [row for row in rows if kind != "resource" or meant(row, caller)]
    for kind, _ in order:
        if any(row["Effect"] == "Deny" for row in found[kind]):
            return f"explicit {kind}"
    if policies.get("scp") is not None and not found["control"]:
        return "implicit control"
    names = set().union(*(meant(row, caller) for row in found["resource"]))
    same = caller.account == OWNER
    if same and names & {"anyone", "self"}:
        return "allow"
    if not found["identity"] and not caller.is_root and not (same and "role" in names):
        return "implicit identity"
    for kind, name in (("boundary", "pb"), ("session", "sp")):
        if policies.get(name) is not None and not found[kind]:
            return f"implicit {kind}"
    return "allow" if same or names else "implicit resource"


def some(values: list[str]) -> st.SearchStrategy[Any]:
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=3)


CONDITIONS = st.dictionaries(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]),
        st.sampled_from(OPERATORS),
        st.sampled_from(["", "IfExists"]),
    ),
    st.dictionaries(st.sampled_from(["x:one", "x:many"]), some([*VALUES, "a*", "?"]), min_size=1, max_size=2),
    max_size=2,
) | st.builds(lambda value: {"Null": {"x:one": value}}, st.sampled_from(["true", "false"]))


@st.composite
def statements(draw: Any, principal: bool = False) -> dict[str, Any]:
    row = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}
    row[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(some(ACTIONS))
    row[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(some(RESOURCES))
    if draw(st.booleans()):
        row["Condition"] = draw(CONDITIONS)
    if principal:
        row[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = {"AWS": draw(some(NAMES))}
    return row


ROWS = st.lists(statements(), max_size=3)
MANY = st.lists(st.sampled_from(VALUES), max_size=3)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(CALLERS), st.sampled_from(["GetItem", "PutItem"]), st.lists(st.sampled_from(VALUES), max_size=1),
    MANY, ROWS, st.lists(statements(principal=True), max_size=3), st.none() | ROWS, st.none() | ROWS, st.none() | ROWS,
)  # fmt: skip
def test_random_policies_are_decided_as_the_plain_rules_say(
    caller: Any, action: str, one: list[str], many: list[str], id: Any, rp: Any, pb: Any, sp: Any, scp: Any
) -> None:
    keys = {"x:one": one, "x:many": many}
    for row in [*id, *rp, *(pb or ()), *(sp or ()), *(scp or ())]:
        for operator, conditions in row.get("Condition", {}).items():
            if ":" not in operator:  # such an operator is for keys of one value
                conditions.pop("x:many", None)
    policies = {"id": id, "rp": rp, "pb": pb, "sp": sp, "scp": scp}
    expected = plain(caller, f"dynamodb:{action}", keys, policies)
    assert outcome(decide(caller, action, NOTES, dict(keys), **policies)) == expected
    assert context(caller, dict(keys))("x:one") == tuple(one)
