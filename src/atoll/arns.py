"""Amazon Resource Names: arn:partition:service:region:account:resource."""

from __future__ import annotations

import re
from typing import NamedTuple


class Arn(NamedTuple):
    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @property
    def table(self) -> str:
        """The table's name if the ARN is of a table or of a part of one, such as an index; else empty."""
        kind, _, rest = self.resource.partition("/")
        return rest.partition("/")[0] if kind == "table" else ""


def parse(text: str) -> Arn | None:
    """Parse an ARN; None if the text is not one. Only a resource may contain colons."""
    parts = text.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":
        return None
    _, partition, service, region, account, resource = parts
    return Arn(service, region, account, resource, partition)


_TABLE = re.compile(r"arn:aws[\w-]{0,64}:dynamodb:[a-z0-9-]{1,64}:\d{12}:table/[a-zA-Z0-9_.-]{3,255}")


def parse_table(text: str) -> Arn | None:
    """Parse a table's ARN; None if the text does not have the form that DynamoDB requires."""
    return parse(text) if _TABLE.fullmatch(text) else None


_STREAM = re.compile(rf"{_TABLE.pattern}/stream/[^/]{{1,64}}")


def is_stream(text: str) -> bool:
    """Whether the text has the form of a stream's ARN."""
    return _STREAM.fullmatch(text) is not None
