"""One process of writers that increment one item by read and conditional write: `increments.py PORT THREADS COUNT`.

Prints, as JSON, the versions that its acknowledged writes made.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.client import Client

KEY = {"pk": {"S": "counter"}}
TABLE = "locked"


def increment(port: int, count: int) -> list[int]:
    """Optimistic locking: who loses the race reads again."""
    written: list[int] = []
    with Client(port) as client:
        while len(written) < count:
            read = client.call("GetItem", {"TableName": TABLE, "Key": KEY, "ConsistentRead": True})
            version = int(read.body["Item"]["version"]["N"])
            body = {
                "TableName": TABLE,
                "Key": KEY,
                "UpdateExpression": "SET version = :new",
                "ConditionExpression": "version = :old",
                "ExpressionAttributeValues": {":new": {"N": str(version + 1)}, ":old": {"N": str(version)}},
            }
            answer = client.call("UpdateItem", body)
            if answer.ok:
                written.append(version + 1)
            elif answer.code != "ConditionalCheckFailedException":
                raise RuntimeError(str(answer))
    return written


def main(port: int, threads: int, count: int) -> None:
    with ThreadPoolExecutor(threads) as pool:
        found = list(pool.map(lambda _: increment(port, count), range(threads)))
    print(json.dumps([version for versions in found for version in versions]))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
