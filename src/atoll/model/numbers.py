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
from atoll.errors import ApiError
from atoll.errors import values as errors

# The syntax of Java's BigDecimal, as in DynamoDB. It includes digits of other scripts.
_number = re.compile(r"[+-]?(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?").fullmatch

# The exponents that the current layers of the service can read, and the sums that the older layer can compute.
_LONG, _INT = 1 << 63, 1 << 31
_LONG_DIGITS = 19

# Already canonical, if it has at most 38 characters.
_is_canonical = re.compile(r"0|-?(?:0\.[0-9]*[1-9]|[1-9][0-9]*(?:\.[0-9]*[1-9])?)").fullmatch

# A longer text is refused: it would have more zeros than any sensible number.
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
    parts = _number(text)
    if parts is None:
        raise errors.not_numeric(text)
    fraction, exponent = parts[2] or parts[3] or "", parts[4]
    if exponent is not None or len(fraction) > limits.NUMBER_DIGITS:
        _check_exponent(text, (parts[1] or "") + fraction, len(fraction), exponent or "0")
    return _within_range(_context.create_decimal, text)


def _check_exponent(text: str, digits: str, fraction: int, exponent: str) -> None:
    """Refuse a number, even zero, whose exponent is out of range; the layers of the service have different rules."""
    exponent = exponent.lstrip("+")
    power = int(exponent) if len(exponent.lstrip("-").lstrip("0")) <= _LONG_DIGITS else _LONG
    significant = digits.lstrip("0") or "0"
    magnitude = power - fraction + (len(significant) - 1)
    older, newer = _of_older(text, power - fraction, len(significant)), _of_current(text, power, magnitude)
    if older is not None or newer is not None:
        raise errors.differently_read(older or newer, newer or older)  # type: ignore[arg-type]


def _of_current(text: str, power: int, magnitude: int) -> ApiError | None:
    return _out_of_range(magnitude) if -_LONG <= power < _LONG else errors.not_numeric(text)


def _of_older(text: str, power: int, digits: int) -> ApiError | None:
    """The older layer's check with 32-bit numbers: it cannot read a larger power, and its magnitude wraps around."""
    if not -_INT < power < _INT:
        return errors.not_numeric(text)
    return _out_of_range(-_INT if power + digits >= _INT else power + digits - 1)


def _out_of_range(magnitude: int) -> ApiError | None:
    if magnitude > limits.NUMBER_MAX_EXPONENT:
        return errors.NumberOutOfRange(is_large=True)
    return errors.NumberOutOfRange(is_large=False) if magnitude < limits.NUMBER_MIN_EXPONENT else None


def add(a: str, b: str) -> str:
    return _computed(_context.add, Decimal(a), Decimal(b))


def subtract(a: str, b: str) -> str:
    return _computed(_context.subtract, Decimal(a), Decimal(b))


def _computed(compute: Callable[..., Decimal], a: Decimal, b: Decimal) -> str:
    """Compute a result. Unlike in a client's number, too many digits are an overflow."""
    try:
        return _within_range(compute, a, b)
    except errors.NumberTooLong:
        raise errors.computed_overflow() from None
    except errors.NumberOutOfRange as error:
        raise (errors.computed_overflow() if error.is_large else errors.computed_underflow()) from None


def _within_range(compute: Callable[..., Decimal], *operands: Any) -> str:
    try:
        number = compute(*operands)
    except Overflow:
        raise errors.NumberOutOfRange(is_large=True) from None
    except Subnormal:
        raise errors.NumberOutOfRange(is_large=False) from None
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
