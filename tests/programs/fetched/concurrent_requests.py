"""A service on aiobotocore: many requests at once on one client. Prints the results."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

TABLE = {"TableName": "Waves"}
COUNT = 200


async def main() -> dict[str, Any]:
    config = AioConfig(max_pool_connections=COUNT)
    async with get_session().create_client("dynamodb", config=config) as client:
        await client.create_table(
            **TABLE,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        await client.get_waiter("table_exists").wait(**TABLE)
        await asyncio.gather(
            *(client.put_item(**TABLE, Item={"pk": {"S": str(n)}, "n": {"N": str(n)}}) for n in range(COUNT))
        )
        read = await asyncio.gather(
            *(client.get_item(**TABLE, Key={"pk": {"S": str(n)}}, ConsistentRead=True) for n in range(COUNT))
        )
        increments = await asyncio.gather(
            *(
                client.update_item(
                    **TABLE,
                    Key={"pk": {"S": "counter"}},
                    UpdateExpression="ADD n :one",
                    ExpressionAttributeValues={":one": {"N": "1"}},
                    ReturnValues="UPDATED_NEW",
                )
                for _ in range(COUNT)
            )
        )
        claims = await asyncio.gather(
            *(
                client.put_item(
                    **TABLE,
                    Item={"pk": {"S": "claimed"}, "by": {"N": str(n)}},
                    ConditionExpression="attribute_not_exists(pk)",
                )
                for n in range(COUNT)
            ),
            return_exceptions=True,
        )
        pages = [
            page["Items"]
            async for page in client.get_paginator("scan").paginate(**TABLE, PaginationConfig={"PageSize": 50})
        ]
        await client.delete_table(**TABLE)
        await client.get_waiter("table_not_exists").wait(**TABLE)
    return {
        "read": [int(answer["Item"]["n"]["N"]) for answer in read],
        "increments": [int(answer["Attributes"]["n"]["N"]) for answer in increments],
        "claims": [type(claim).__name__ for claim in claims],
        "pages": [len(page) for page in pages],
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
