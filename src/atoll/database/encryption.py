"""The names of KMS keys. Atoll has no key service: it accepts every key and alias."""

from __future__ import annotations

import uuid

from atoll.database.region import Region

MANAGED_KEY = "alias/aws/dynamodb"
"""The service's managed key."""


def key_arn(key: str, region: Region) -> str:
    """The ARN of a key that is named by its id, its ARN or an alias. DynamoDB shows keys, never aliases, so an alias
    gets a made-up key id."""
    arn = key if key.startswith("arn:") else region.arn(key if key.startswith("alias/") else f"key/{key}", "kms")
    prefix, separator, _ = arn.partition(":alias/")
    return f"{prefix}:key/{uuid.uuid5(uuid.NAMESPACE_URL, arn)}" if separator else arn
