"""The JSON models of the services that Atoll serves, and the names of regions, taken from botocore.

`make models` writes them from the installed botocore: the models without their documentation. VERSION names botocore's
version, LICENSE.txt and NOTICE are botocore's. The server reads them as data and needs no botocore, which is 32 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).parent
SERVICES = ("application-autoscaling", "cloudwatch", "dynamodb", "dynamodbstreams", "lambda", "sts")
"""botocore's names of the services that have a model here."""


def read(name: str) -> Any:
    """The model of a service by botocore's name; for `regions`, the long names of all regions by their codes."""
    return orjson.loads((FOLDER / f"{name}.json").read_bytes())
