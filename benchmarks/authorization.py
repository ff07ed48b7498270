"""`python -m benchmarks.authorization` prints the microseconds that it takes to authorize a GetItem.

`kept` is a decision that no condition can change. `conditions` are decisions that compare the request's leading key and
attributes.
"""

from __future__ import annotations

import asyncio
from typing import Any

from atoll.api import services
from atoll.api.authorization.authorizer import Authorizer
from atoll.api.call import Caller
from atoll.clock import SystemClock, monotonic_ns
from atoll.database import catalog
from atoll.database.region import Region
from atoll.security.directory import read
from atoll.security.identities import Access
from atoll.storage.memory import MemoryEngine
from tests.desk import call

ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Notes"
REQUESTS = 100_000
GET = services.TARGETS[b"DynamoDB_20120810.GetItem"]
BODY = {"TableName": "Notes", "Key": {"owner": {"S": "ann"}}}


def policy(condition: dict[str, Any]) -> dict[str, Any]:
    row = {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": TABLE}
    return {"Version": "2012-10-17", "Statement": [{**row, "Condition": condition} if condition else row]}


CASES = {
    "kept": policy({}),
    "conditions": policy({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}),
    "conditions on attributes, too": policy(
        {
            "ForAllValues:StringEquals": {
                "dynamodb:LeadingKeys": ["${aws:username}"],
                "dynamodb:Attributes": ["owner", "title"],
            },
        }
    ),
}


async def measure(document: dict[str, Any]) -> float:
    """Microseconds for each request."""
    region = Region("us-east-1", MemoryEngine(), SystemClock())
    await call(
        region, "CreateTable",
        {"TableName": "Notes", "BillingMode": "PAY_PER_REQUEST",
         "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
         "AttributeDefinitions": [{"AttributeName": "owner", "AttributeType": "S"}]},
    )  # fmt: skip
    region.catalog.learn(await region.engine.read(catalog.read_definitions))
    user = read([{"users": {"ann": {"policies": [document]}}}], ACCOUNT).account(ACCOUNT).users["ann"]
    caller = Caller("AKIA", ACCOUNT, admin=False, access=Access(user.principal, user.policies))
    authorize = Authorizer(lambda account, name: region)
    best = float("inf")
    for _ in range(5):
        started = monotonic_ns()
        for _ in range(REQUESTS):
            pending = authorize(caller, GET, BODY, region, 0)
            if pending is not None:
                await pending
        best = min(best, (monotonic_ns() - started) / REQUESTS / 1000)
    return best


def main() -> None:
    for name, document in CASES.items():
        print(f"{name}: {asyncio.run(measure(document)):.2f} µs")


if __name__ == "__main__":
    main()
