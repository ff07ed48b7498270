"""Where Atoll differs from DynamoDB Local on purpose, each with its reason.

DynamoDB Local is right about what operations *do*; its texts, its order of checks and some limits are not the
service's. An entry covers a difference if all its patterns are found: in the operation, in Atoll's outcome and in
DynamoDB Local's. An outcome is `success` or `400 ValidationException: message`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Explained:
    reason: str
    operation: str = ""
    atoll: str = ""
    local: str = ""
    request: str = ""

    def covers(self, operation: str, body: Any, atoll: str, local: str) -> bool:
        return (
            re.search(self.operation, operation) is not None
            and re.search(self.atoll, atoll) is not None
            and re.search(self.local, local) is not None
            and (not self.request or re.search(self.request, json.dumps(body, default=bytes.decode)) is not None)
        )


EXPLAINED: list[Explained] = [
    Explained(
        "the data plane's text for a missing table is the service's own",
        atoll=r"ResourceNotFoundException: Requested resource not found$",
        local=r"ResourceNotFoundException: Cannot do operations on a non-existent table$",
    ),
]
