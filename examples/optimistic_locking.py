"""Optimistic locking: several sellers sell seats of one concert at the same time, and no seat is sold twice.

There are no locks. Each seller reads the concert with its version, computes its new state, and writes it on condition
that the version has not changed since. If the condition fails, the seller reads again.

    python examples/optimistic_locking.py

boto3 finds the server through environment variables: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from boto3.dynamodb.conditions import Attr

TABLE = "Concerts"
SEATS = 20
SELLERS = 6
ATTEMPTS = 50

Item = dict[str, Any]


def say(line: str) -> None:
    print(line + "\n", end="", flush=True)  # one write, so that lines of several threads do not mix


def update(table: Any, key: Item, change: Callable[[Item], Item], who: str) -> Item:
    """Read, change, write; again if another seller has written meanwhile."""
    for attempt in range(ATTEMPTS):
        old = table.get_item(Key=key, ConsistentRead=True)["Item"]
        new = {**change(old), "version": old["version"] + 1}
        try:
            table.put_item(Item=new, ConditionExpression=Attr("version").eq(old["version"]))
        except table.meta.client.exceptions.ConditionalCheckFailedException:
            say(f"{who}: version {old['version']} is outdated, reading again")
            time.sleep(random.uniform(0, 0.002) * (attempt + 1))  # so that the same two sellers do not collide again
        else:
            return new
    raise TimeoutError(f"{who} failed {ATTEMPTS} times")


class SoldOut(Exception):
    pass


def sell(who: str) -> int:
    """Sell seats until none is left; return how many were sold."""
    table = boto3.Session().resource("dynamodb").Table(TABLE)  # a boto3 resource is not thread-safe

    def take_a_seat(concert: Item) -> Item:
        if concert["free"] == 0:
            raise SoldOut
        return {**concert, "free": concert["free"] - 1, "sold": [*concert["sold"], who]}

    sold = 0
    while True:
        try:
            concert = update(table, {"name": "Lagoon"}, take_a_seat, who)
        except SoldOut:
            return sold
        sold += 1
        say(f"{who}: sold a seat, {concert['free']} left")


def main() -> None:
    dynamodb = boto3.resource("dynamodb")
    table = dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    try:
        table.put_item(Item={"name": "Lagoon", "free": SEATS, "sold": [], "version": 1})
        sellers = [f"seller {number}" for number in range(1, SELLERS + 1)]
        with ThreadPoolExecutor(SELLERS) as pool:
            sales = list(pool.map(sell, sellers))
        concert = table.get_item(Key={"name": "Lagoon"}, ConsistentRead=True)["Item"]
        say(f"{sum(sales)} seats sold, {concert['free']} left, version {concert['version']}")
    finally:
        table.delete()


if __name__ == "__main__":
    main()
