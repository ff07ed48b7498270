"""A global table: three regions accept writes, one of them is cut off, and all end with the same items.

Three regions run in this process. Each changes a table, one is cut off, two change the same item, the link is healed.
The later write wins everywhere, and the conflict report shows the one that lost.

    python examples/global_table.py

It needs only Atoll and boto3.
"""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

from atoll import testing

VIRGINIA, IRELAND, TOKYO = REGIONS = ("us-east-1", "eu-west-1", "ap-northeast-1")
TABLE = "Seats"


def main() -> None:
    with testing.serve(regions=REGIONS, clock="system") as server:
        tables = {region: server.resource(region_name=region).Table(TABLE) for region in REGIONS}
        create(server)
        write_everywhere(server, tables)
        cut_off_tokyo(server, tables)
        heal(server, tables)
        report(server)


def create(server: Any) -> None:
    client = server.client(region_name=VIRGINIA)
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "seat", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "seat", "AttributeType": "S"}],
    )
    for region in (IRELAND, TOKYO):
        client.update_table(TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        while not is_active(client, region):
            time.sleep(0.02)
        print(f"{region}: has a replica of {TABLE}")


def is_active(client: Any, region: str) -> bool:
    replicas = client.describe_table(TableName=TABLE)["Table"].get("Replicas", [])
    return any((one["RegionName"], one["ReplicaStatus"]) == (region, "ACTIVE") for one in replicas)


def write_everywhere(server: Any, tables: dict[str, Any]) -> None:
    for seat, region in zip(("1A", "1B", "1C"), REGIONS, strict=True):
        sell(tables, region, seat, f"a guest of {region}")
    begin = time.monotonic()
    while len({show(table) for table in tables.values()}) > 1 or not show(tables[TOKYO]):
        time.sleep(0.001)
    print(f"all regions have the same seats after {(time.monotonic() - begin) * 1000:.0f} ms")
    server.settle()


def cut_off_tokyo(server: Any, tables: dict[str, Any]) -> None:
    for region in (VIRGINIA, IRELAND):
        server.link(region, TOKYO).partition()
    print(f"{TOKYO}: cut off")
    sell(tables, TOKYO, "2A", "Akira")
    sell(tables, VIRGINIA, "2A", "Ann")
    sell(tables, IRELAND, "2B", "Aoife")
    server.settle()
    for region, table in tables.items():
        print(f"{region}: {show(table)}")
    assert show(tables[VIRGINIA]) == show(tables[IRELAND]) != show(tables[TOKYO])


def heal(server: Any, tables: dict[str, Any]) -> None:
    for region in (VIRGINIA, IRELAND):
        server.link(region, TOKYO).heal()
    print(f"{TOKYO}: connected again")
    server.settle()
    for region, table in tables.items():
        print(f"{region}: {show(table)}")
    assert len({show(table) for table in tables.values()}) == 1


def report(server: Any) -> None:
    with urllib.request.urlopen(f"{server.endpoint_url}/_atoll/replication/conflicts?table={TABLE}") as answer:
        conflicts = json.load(answer)["conflicts"]
    losers = {(one["loser"]["region"], one["loser"]["image"]["guest"]["S"]) for one in conflicts}
    winners = {(one["winner"]["region"], one["winner"]["image"]["guest"]["S"]) for one in conflicts}
    for (lost_in, loser), (won_in, winner) in zip(sorted(losers), sorted(winners), strict=True):
        print(f"seat 2A: {winner} has it, sold in {won_in}; {loser} lost it, sold in {lost_in}")


def sell(tables: dict[str, Any], region: str, seat: str, guest: str) -> None:
    tables[region].put_item(Item={"seat": seat, "guest": guest})
    print(f"{region}: sells {seat} to {guest}")


def show(table: Any) -> str:
    items = table.scan()["Items"]
    return ", ".join(sorted(f"{item['seat']} {item['guest']}" for item in items))


if __name__ == "__main__":
    main()
