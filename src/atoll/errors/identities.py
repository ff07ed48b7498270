"""Faults of the file that declares users, groups and roles. Each text begins with the place of the fault."""

from __future__ import annotations


def not_a_table(place: str) -> str:
    return f"{place} must be a table"


def unknown_member(place: str, name: str) -> str:
    return f"{place}: unknown key {name}"


def not_account(text: str) -> str:
    return f"accounts: {text!r} is not twelve digits"


def wrong_name(place: str, name: str) -> str:
    return f"{place}: {name!r} must consist of letters, digits and +=,.@_-"


def wrong_type(place: str, expected: str) -> str:
    return f"{place} must be {expected}"


def unknown_policy(place: str, name: str) -> str:
    return f"{place}: there is no policy named {name!r}"


def unknown_group(place: str, name: str) -> str:
    return f"{place}: there is no group named {name!r}"


def bad_policy(place: str, fault: str) -> str:
    return f"{place}: {fault}"


def twice(what: str, name: str) -> str:
    return f"{what} {name} is declared twice"


def key_twice(access_key: str) -> str:
    return f"the access key {access_key} belongs to two users"


def no_trust(place: str) -> str:
    return f"{place} needs trust, the policy that says who may assume the role"


def unreadable(path: object, fault: object) -> str:
    return f"{path}: {fault}"
