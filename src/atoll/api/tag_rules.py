"""Checks of tags; the operations on tags and CreateTable share them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from atoll import limits
from atoll.errors import tags as tag_errors

Body = dict[str, Any]

RESERVED = "aws:"
_PUNCTUATION = frozenset("+-=._:/@")


def check(tags: list[Body]) -> None:
    """Check the tags of one request; `check_set` checks them together with existing tags. Of too many tags, only the
    first ones are checked."""
    first = tags[: limits.TAGS + 1]
    for tag in first:
        key, value = tag.get("Key"), tag.get("Value")
        _check_key(key)
        if value is None or len(value) > limits.TAG_VALUE_CHARS or not _legible(value):
            raise tag_errors.invalid_value(value)
    _check_distinct(tag["Key"] for tag in first)
    if len(tags) > limits.TAGS:
        raise tag_errors.too_many()


def check_keys(keys: list[str]) -> None:
    """Check the keys of a request that removes tags."""
    for key in keys[: limits.TAGS + 1]:
        _check_key(key)
    _check_distinct(keys[: limits.TAGS + 1])
    if len(keys) > limits.TAGS:
        raise tag_errors.too_many()


def check_set(tags: Mapping[str, str]) -> None:
    """Check all tags that a resource would have."""
    if len(tags) > limits.TAGS:
        raise tag_errors.too_many()
    size = sum(len(key.encode()) + len(value.encode()) for key, value in tags.items())
    if size > limits.TAGS_BYTES:
        raise tag_errors.too_large(size)


def _check_key(key: str | None) -> None:
    if not key or len(key) > limits.TAG_KEY_CHARS or not _legible(key):
        raise tag_errors.invalid_key(key)
    if key.lower().startswith(RESERVED):
        raise tag_errors.reserved_key(key)


def _check_distinct(keys: Iterable[str]) -> None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise tag_errors.repeated_key(key)
        seen.add(key)


def _legible(text: str) -> bool:
    """Whether all characters are letters, digits or blanks of any script, or one of `+-=._:/@`."""
    return all(char in _PUNCTUATION or unicodedata.category(char)[0] in "LNZ" for char in text)
