"""Errors of policy documents, and refusals by policies."""

from __future__ import annotations

SYNTAX = "Syntax errors in policy."
NOT_JSON = "This policy contains invalid Json"
VERSION = "The policy must contain a valid version string"
NO_STATEMENT = "Could not parse the policy: Statement is empty!"
SIDS_TWICE = "The Statement Ids in the policy are not unique"
SID_CHARACTERS = "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression " \
    "[0-9A-Za-z]*"  # fmt: skip
IDENTITY_PRINCIPAL = "Policy document should not specify a principal."
TRUST_RESOURCE = "Has prohibited field Resource"


def missing(element: str) -> str:
    return f"Missing required field {element}"


def both(element: str) -> str:
    return f"Statement has both {element} and Not{element}"


def unknown_element(name: str) -> str:
    return f"Unknown field {name}"


def invalid_effect(effect: str | None) -> str:
    return SYNTAX if effect is None else f"Invalid effect: {effect}"


def bad_action(action: str) -> str:
    return f"Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.: {action}"


def bad_resource(resource: str) -> str:
    return f'Resource {resource} must be in ARN format or "*".'


def unknown_operator(name: str) -> str:
    return f"Invalid Condition type : {name}"


def bad_condition_value(value: str, operator: str) -> str:
    return f"Invalid value {value} for the condition type {operator}"
