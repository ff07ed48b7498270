"""The member TableName, which is the name of a table or its ARN."""

from __future__ import annotations

from typing import Any

from atoll.api.shapes import table_name as parse_table_name
from atoll.database.region import Region
from atoll.errors import requests as request_errors


def table_name(region: Region, body: dict[str, Any]) -> str:
    given: str = body["TableName"]
    return resolve_table(region, given) if ":" in given else given


def resolve_table(region: Region, given: str) -> str:
    """The table's name, given as such or as an ARN, which must be of this partition, region and account."""
    if ":" not in given:
        return given
    name, where, account = parse_table_name(given)
    if not given.startswith("arn:aws:"):
        raise request_errors.invalid_arn("AWS partition", given)
    if where != region.name:
        raise request_errors.invalid_arn("AWS region", given)
    if account != region.settings.account:
        raise request_errors.foreign_table(given)
    return name
