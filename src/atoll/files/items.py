"""Convert other forms of values to attribute values. A binary value is base64, as in the JSON of the protocol."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from atoll.attribute_values import Unfit, attribute_value

Value = dict[str, Any]
Item = dict[str, Value]

TYPES = ("S", "N", "B", "BOOL")
_FORMS: dict[str, Any] = {
    **dict.fromkeys(("S", "N", "B"), str),
    **dict.fromkeys(("BOOL", "NULL"), bool),
    **dict.fromkeys(("SS", "NS", "BS", "L"), list),
    "M": dict,
}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,37})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", re.ASCII)


class Invalid(Exception):
    """A value cannot be converted; the text is the reason."""


# DynamoDB JSON


def from_json(members: Mapping[str, Any]) -> Item:
    """The item, after a check of its values."""
    return {name: _from_json(value) for name, value in members.items()}


def _from_json(value: Any) -> Value:
    if not isinstance(value, dict) or len(value) != 1:
        raise Invalid(f"{value!r:.100} is not an attribute value")
    ((kind, content),) = value.items()
    if kind not in _FORMS or not isinstance(content, _FORMS[kind]):
        raise Invalid(f"{value!r:.100} is not an attribute value")
    try:
        if kind == "B":
            return {kind: _canonical(content)}
        if kind == "BS":
            return {kind: [_canonical(one) for one in content]}
        if kind == "M":
            return {kind: from_json(content)}
        if kind == "L":
            return {kind: [_from_json(one) for one in content]}
    except ValueError:
        raise Invalid(f"{value!r:.100} is not an attribute value") from None
    if kind in ("SS", "NS") and not all(isinstance(one, str) for one in content):
        raise Invalid(f"{value!r:.100} is not an attribute value")
    return {kind: content}


def _canonical(text: str) -> str:
    """The canonical base64 of the text: the last character may have unused bits, but equal bytes must have equal
    texts."""
    return b64encode(b64decode(text, validate=True)).decode()


# Values of Python, as JSON and Parquet give them


def from_plain(members: Mapping[str, Any]) -> Item:
    """An item from Python values; a member that is None gives no attribute."""
    try:
        return {name: attribute_value(value, _date) for name, value in members.items() if value is not None}
    except Unfit as unfit:
        raise Invalid(f"a table cannot store a value of the type {unfit}") from None


def _date(value: Any) -> Value | None:
    return {"S": value.isoformat()} if isinstance(value, (datetime, date, time)) else None


# Text, as CSV gives it


def from_text(text: str, type_: str | None) -> Value:
    """A value of the type. None guesses: a text that is the only form of a number or boolean becomes one."""
    if type_ is None:
        if text in ("true", "false"):
            type_ = "BOOL"
        else:
            type_ = "N" if _NUMBER.fullmatch(text) is not None else "S"
    if type_ == "BOOL":
        if text.lower() not in ("true", "false"):
            raise Invalid(f"{text!r:.100} is neither true nor false")
        return {"BOOL": text.lower() == "true"}
    if type_ == "B":
        try:
            return {"B": _canonical(text)}
        except ValueError:
            raise Invalid(f"{text!r:.100} is not base64") from None
    return {type_: text}
