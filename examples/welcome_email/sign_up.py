"""Sign up a user: write the user to the table `users`, nothing else. A trigger sends the email.

python sign_up.py ann@example.com Ann      (AWS_ENDPOINT_URL is the address of Atoll)
"""

from __future__ import annotations

import sys
from typing import Any

import boto3


def make_table(dynamodb: Any) -> None:
    if "users" in dynamodb.list_tables()["TableNames"]:
        return
    dynamodb.create_table(
        TableName="users",
        KeySchema=[{"AttributeName": "email", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "email", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )


def sign_up(dynamodb: Any, email: str, name: str) -> None:
    dynamodb.put_item(
        TableName="users",
        Item={"email": {"S": email}, "name": {"S": name}},
        ConditionExpression="attribute_not_exists(email)",
    )


if __name__ == "__main__":
    client = boto3.client("dynamodb")
    make_table(client)
    sign_up(client, sys.argv[1], sys.argv[2])
