"""DynamoDB's numbers: 38 significant decimal digits, magnitudes from 1E-130 to 9.99...E+125, and zero.

A number is kept as canonical text: plain decimal without exponent, plus sign or superfluous zeros ("150", "-0.5", "0"),
so that two numbers are equal if and only if their texts are. A decimal context has this range and precision, so it
detects every violation, both in client input and in computed updates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, Overflow, Subnormal
from typing import Any

from atoll import limits
from atoll.errors import values as errors

# The syntax of Java's BigDecimal, as in DynamoDB. It includes digits of other scripts.
_is_number = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,10})?").fullmatch

# Already canonical, if it has at most 38 characters.
_is_canonical = re.compile(r"0|-?(?:0\.[0-9]*[1-9]|[1-9][0-9]*(?:\.[0-9]*[1-9])?)").fullmatch

# A longer text, with as many zeros as that, is nobody's number.
_MOST_CHARS = 10_000

_context = Context(
    prec=limits.NUMBER_DIGITS,
    Emax=limits.NUMBER_MAX_EXPONENT,
    Emin=limits.NUMBER_MIN_EXPONENT,
    traps=[Overflow, Subnormal, Inexact],
)


def canonical(text: str) -> str:
    """The canonical text of a number sent by a client."""
    if len(text) <= limits.NUMBER_DIGITS and _is_canonical(text):
        return text
    if len(text) > _MOST_CHARS:
        raise errors.NumberTooLong()
    if not _is_number(text):
        raise errors.not_numeric(text)
    return _within_range(_context.create_decimal, text)


def add(a: str, b: str) -> str:
    return _within_range(_context.add, Decimal(a), Decimal(b))


def subtract(a: str, b: str) -> str:
    return _within_range(_context.subtract, Decimal(a), Decimal(b))


def _within_range(compute: Callable[..., Decimal], *operands: Any) -> str:
    try:
        number = compute(*operands)
    except Overflow:
        raise errors.number_overflow() from None
    except Subnormal:
        raise errors.number_underflow() from None
    except Inexact:
        raise errors.NumberTooLong() from None
    # `or 0` removes a negative zero.
    return format(_context.normalize(number) or Decimal(0), "f")


def size(text: str) -> int:
    """The size in bytes of a canonical number: one, plus one per two digits, plus one for a minus sign.

    The guide: "approximately (1 byte per two significant digits) + (1 byte)", leading and trailing zeros trimmed. The
    pairs are those of DynamoDB's binary form of numbers (keycode.py), which start at the decimal point: 1|23.45|6.
    """
    whole, _, fraction = text.lstrip("-").partition(".")
    if whole == "0":
        pairs = (len(fraction) + 1) // 2 - (len(fraction) - len(fraction.lstrip("0"))) // 2
    elif fraction:
        pairs = (len(whole) + 1) // 2 + (len(fraction) + 1) // 2
    else:
        pairs = (len(whole) + 1) // 2 - (len(whole) - len(whole.rstrip("0"))) // 2
    return 1 + pairs + (text[0] == "-")
