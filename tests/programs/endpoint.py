"""The settings that a program needs to call a server."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """Where a server is, and who may ask it."""

    url: str
    access_key: str = "anything"
    secret: str = "anything"

    def client_options(self, region: str) -> dict[str, str]:
        """For the clients of the botocore family."""
        return {
            "endpoint_url": self.url,
            "region_name": region,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret,
        }

    def environment(self, region: str) -> dict[str, str]:
        """For a program: the machine's environment, without what it may say about AWS."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return plain | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
