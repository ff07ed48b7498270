"""Errors of attribute values, items and numbers."""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Sequence

from atoll.errors import (
    VALIDATE,
    ApiError,
    enveloped_since_2026,
    invalid_parameter,
    keep_in_start_key,
    serialization,
    validation,
)

# Numbers


def not_numeric(text: str) -> ApiError:
    without = "The parameter cannot be converted to a numeric value"
    newer = f"{without}: {text}"
    return enveloped_since_2026(keep_in_start_key(validation(newer if text else without)), newer)


class NumberTooLong(ApiError):
    def __init__(self) -> None:
        text = "Attempting to store more than 38 significant digits in a Number"
        super().__init__("ValidationException", text, prefix=VALIDATE)
        self.bare = True
        self.drifts = True


_OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
_UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"


class NumberOutOfRange(ApiError):
    """A number that a client sent; `is_large` tells an overflow from an underflow."""

    def __init__(self, *, is_large: bool) -> None:
        super().__init__("ValidationException", _OVERFLOW if is_large else _UNDERFLOW, prefix=VALIDATE)
        self.is_large = is_large
        self.bare = True
        self.drifts = True


def computed_overflow() -> ApiError:
    return validation(_OVERFLOW)


def computed_underflow() -> ApiError:
    return validation(_UNDERFLOW)


def differently_read(older: ApiError, newer: ApiError) -> ApiError:
    """A number that the two layers of the service refuse with different texts."""
    older.newer = newer.message if newer.newer is None else newer.newer
    return older


# Attribute values


def no_type() -> ApiError:
    return validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")


def many_types() -> ApiError:
    return validation(
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )


def null_value(name: str | None) -> ApiError:
    """`name` is the attribute's name; None for a list member."""
    return validation("The supplied Item contains a null AttributeValue" + (f": {name} is null" if name else ""))


def null_not_true() -> ApiError:
    return enveloped_since_2026(invalid_parameter("Null attribute value types must have the value of true"))


def empty_set(kind: str) -> ApiError:
    """DynamoDB's exact text, with its article and double space."""
    texts = {
        "SS": "An string set  may not be empty",
        "NS": "An number set  may not be empty",
        "BS": "Binary sets should not be empty",
    }
    error = enveloped_since_2026(invalid_parameter(texts[kind]))
    return keep_in_start_key(error) if kind == "NS" else error


def null_in_set(kind: str) -> ApiError:
    if kind == "SS":
        return invalid_parameter("An string set may not have a null string as a member")
    return not_numeric("") if kind == "NS" else null_value(None)


def duplicates(kind: str, members: Sequence[str]) -> ApiError:
    """DynamoDB has a different text for each set type."""
    if kind == "NS":
        older, newer = validation("Input collection contains duplicates"), "Input collection contains duplicates."
    elif kind == "SS":
        older = invalid_parameter(f"Input collection [{', '.join(members)}] contains duplicates.")
        newer = f"Input collection [{', '.join(_to_first_repeat(_in_order(members)))}] contains duplicates."
    else:
        older = invalid_parameter(f"Input collection [{', '.join(members)}]of type BS contains duplicates.")
        newer = f"Input collection [{','.join(_to_first_repeat(members))}]of type BS contains duplicates."
    return keep_in_start_key(enveloped_since_2026(older, invalid_parameter(newer).message))


_SORTED_MEMBERS = 10_000


def _in_order(members: Sequence[str]) -> list[str]:
    """The members, sorted in parts, so that other threads can run in between."""
    parts = range(0, len(members), _SORTED_MEMBERS)
    return sorted(one for start in parts for one in sorted(members[start : start + _SORTED_MEMBERS]))


def _to_first_repeat(members: Sequence[str]) -> list[str]:
    """The members in quotes, up to the first repeated one."""
    seen: dict[str, None] = {}
    for member in members:
        if member in seen:
            return [f'"{one}"' for one in (*seen, member)]
        seen[member] = None
    raise AssertionError(members)


class TooDeep(ApiError):
    """A value has too many levels."""

    def __init__(self) -> None:
        text = (
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit"
        )
        super().__init__("ValidationException", text, prefix=VALIDATE)
        enveloped_since_2026(self)


# Items


def empty_name() -> ApiError:
    return validation("Empty attribute name")


def attribute_name(size: int) -> ApiError:
    """The name's `size` in bytes is out of range."""
    if size == 0:
        return empty_name()
    return validation("Attribute name is too large, must be less than 65536 bytes")


def item_too_large() -> ApiError:
    return validation("Item size has exceeded the maximum allowed size")


def updated_item_too_large() -> ApiError:
    return validation("Item size to update has exceeded the maximum allowed size")


def invalid_update_path() -> ApiError:
    """The parent of an updated path is missing, or is not a list or map as the path requires."""
    return validation("The document path provided in the update expression is invalid for update")


def java_binary(content: str) -> str:
    """Java's text form of a binary value; the argument is base64."""
    size = len(a2b_base64(content))
    return f"java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]"


# JSON of the wrong type, in DynamoDB's words. `expected` is a Java type: "String", "Boolean", ...


def wrong_scalar(value: object, expected: str) -> ApiError:
    """A boolean, number or string in the place of another of these types."""
    if isinstance(value, bool):
        token = "TRUE_VALUE" if value else "FALSE_VALUE"
    elif isinstance(value, int):
        token = "NUMBER_VALUE"
    elif isinstance(value, float):
        token = "DECIMAL_VALUE"
    else:
        token = "STRING_VALUE"
    return serialization(f"{token} cannot be converted to {expected}")


def unexpected_object() -> ApiError:
    return serialization("Start of structure or map found where not expected")


def unexpected_list(java_type: str) -> ApiError:
    return serialization(f"Unrecognized collection type {java_type}")


def unexpected_field() -> ApiError:
    """A scalar in the place of a list or map."""
    return serialization("Unexpected field type")


def unexpected_value() -> ApiError:
    """A scalar in the place of an attribute value."""
    return serialization("Unexpected value type in payload")


def unexpected_token() -> ApiError:
    """A string in the place of a boolean, and not the text of one."""
    return serialization("Unexpected token received from parser")


def not_binary() -> ApiError:
    return serialization("only base-64-encoded strings are convertible to bytes")


def invalid_base64(text: str) -> ApiError:
    if len(text) % 4:
        return serialization(f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(text)}")
    return serialization("Invalid last non-pad Base64 character dectected")
