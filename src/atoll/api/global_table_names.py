"""The names of global tables of version 2017."""

from __future__ import annotations

from typing import Any

from atoll.errors import features as feature_errors

NAME_CHARS = (3, 255)


def global_table_name(body: dict[str, Any]) -> str:
    name: str = body["GlobalTableName"]
    if not NAME_CHARS[0] <= len(name) <= NAME_CHARS[1]:
        raise feature_errors.global_table_name_length()
    return name
