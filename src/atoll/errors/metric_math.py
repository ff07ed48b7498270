"""Errors of metric math. The parser and the evaluation do not know the id of their expression, so they raise a `Fault`;
`in_expression` adds it."""

from __future__ import annotations

from collections.abc import Sequence

from atoll import limits


class Fault(Exception):
    """An invalid expression; `args[0]` is the reason."""


def in_expression(id: str, fault: Fault) -> str:
    return f"Error in expression '{id}': {fault.args[0]}"


def too_long() -> Fault:
    return Fault(f"The expression exceeds the maximum length of {limits.MATH_EXPRESSION_CHARS} characters")


def too_deep() -> Fault:
    return Fault("The expression is nested too deeply")


def too_many_points() -> Fault:
    return Fault("The expression has too many data points to process")


def syntax(token: str) -> Fault:
    return Fault(f"Unexpected token '{token}'" if token else "Unexpected end of expression")


def unknown_function(name: str) -> Fault:
    return Fault(f"Unknown function '{name}'")


def unsupported_function(name: str) -> Fault:
    return Fault(f"{name} is not supported")


def unknown_id(id: str) -> Fault:
    return Fault(f"Unknown identifier '{id}'")


def circular() -> Fault:
    return Fault("The expression refers to itself")


def operands(operator: str, kinds: Sequence[str]) -> Fault:
    return Fault(f"Unsupported operand type(s) for {operator}: '[{', '.join(kinds)}]'")


def arguments(function: str, kinds: Sequence[str]) -> Fault:
    return Fault(f"Unsupported argument type(s) for {function}: '[{', '.join(kinds)}]'")


def is_scalar() -> Fault:
    return Fault("The expression must return a time series or an array of time series")
