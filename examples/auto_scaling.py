"""A day of a table whose reads scale: how much traffic is throttled, and what a schedule and a policy change about it.

The table has from 5 to 80 read units a second. A policy keeps 70 % of them in use. Traffic grows in the morning, has a
steep peak at noon that nobody expected, and one in the evening that a scheduled action expects. The server runs inside
this program, on a clock that the program moves, so the day takes about a minute.

    pip install '.[examples]'
    python examples/auto_scaling.py            prints a line for every quarter of an hour, and draws auto_scaling.png
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from atoll import testing

TABLE = "Offers"
MINUTES = 24 * 60
LEAST, MOST, TARGET = 5, 80, 70.0
EVENING = 19 * 60  # the expected peak begins
KILOBYTES = 240  # of all offers of one shop, so that to count them takes 60 units


class Minute(NamedTuple):
    """All in read units a second."""

    time: datetime
    demand: float
    consumed: float
    throttled: float
    provisioned: int


def demand(minute: int) -> float:
    """Read units a second that clients want in this minute of the day."""
    day = 2 + 14 * max(0.0, math.sin(math.pi * (minute - 6 * 60) / (17 * 60)))
    noon = 95 * math.exp(-(((minute - 12.5 * 60) / 7) ** 2))
    evening = 40.0 if EVENING <= minute < EVENING + 75 else 0.0
    return day + noon + evening


def create(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[
            {"AttributeName": "shop", "KeyType": "HASH"},
            {"AttributeName": "offer", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "shop", "AttributeType": "S"},
            {"AttributeName": "offer", "AttributeType": "N"},
        ],
        ProvisionedThroughput={"ReadCapacityUnits": LEAST, "WriteCapacityUnits": 20},
    )
    for offer in range(KILOBYTES // 20):
        text = {"S": "x" * (20 * 1024 - 40)}
        dynamodb.put_item(TableName=TABLE, Item={"shop": {"S": "shop"}, "offer": {"N": str(offer)}, "text": text})


def scale(scaling: Any, evening: datetime) -> None:
    """Let the table follow its traffic, and be ready for the evening."""
    target = {
        "ServiceNamespace": "dynamodb",
        "ResourceId": f"table/{TABLE}",
        "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
    }
    scaling.register_scalable_target(**target, MinCapacity=LEAST, MaxCapacity=MOST)
    scaling.put_scaling_policy(
        **target,
        PolicyName="reads",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": TARGET,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
            "ScaleInCooldown": 300,
        },
    )
    for name, time, least in (
        ("EveningBegins", evening - timedelta(minutes=10), 75),
        ("EveningEnds", evening + timedelta(minutes=75), LEAST),
    ):
        scaling.put_scheduled_action(
            **target,
            ScheduledActionName=name,
            Schedule=f"at({time:%Y-%m-%dT%H:%M:%S})",
            ScalableTargetAction={"MinCapacity": least},
        )


def read(dynamodb: Any, units: float) -> tuple[float, float]:
    """Read until so many units are consumed; returns those, and the units of the requests that were throttled."""
    consumed = throttled = 0.0
    while consumed + throttled < units:
        try:
            answer = dynamodb.query(
                TableName=TABLE,
                KeyConditionExpression="shop = :shop",
                ExpressionAttributeValues={":shop": {"S": "shop"}},
                Select="COUNT",
                ConsistentRead=True,
                ReturnConsumedCapacity="TOTAL",
            )
            consumed += answer["ConsumedCapacity"]["CapacityUnits"]
        except dynamodb.exceptions.ProvisionedThroughputExceededException:
            throttled += KILOBYTES / 4
    return consumed, throttled


def simulate(minutes: int = MINUTES, first: int = 0) -> Iterator[Minute]:
    """The minutes of a day, from the minute `first` on."""
    from botocore.config import Config

    with testing.serve(throttling=True, quotas=True) as server:
        midnight = server.clock.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        server.clock.set(midnight + timedelta(minutes=first))
        # A client that does not try again shows what is throttled.
        dynamodb = server.client(config=Config(retries={"total_max_attempts": 1}))
        create(dynamodb)
        scale(server.client("application-autoscaling"), midnight + timedelta(minutes=EVENING))
        owed = 0.0
        for minute in range(first, first + minutes):
            wanted = demand(minute) * 60
            described = dynamodb.describe_table(TableName=TABLE)["Table"]["ProvisionedThroughput"]
            consumed, throttled = read(dynamodb, wanted - owed)
            owed += consumed + throttled - wanted
            time = server.clock.now.astimezone(UTC)
            yield Minute(time, demand(minute), consumed / 60, throttled / 60, described["ReadCapacityUnits"])
            server.clock.advance("1m")


def draw(day: list[Minute], path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.dates as dates
    import matplotlib.pyplot as plt

    times: Any = [minute.time for minute in day]
    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")
    axes.fill_between(times, [m.throttled for m in day], color="#c0392b", alpha=0.8, label="throttled", linewidth=0)
    axes.plot(times, [m.demand for m in day], color="#7f8c8d", linestyle=":", label="demand")
    axes.plot(times, [m.consumed for m in day], color="#2980b9", linewidth=0.8, label="consumed")
    axes.step(times, [m.provisioned for m in day], color="#27ae60", where="post", label="provisioned")
    axes.set_ylabel("read units a second")
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(dates.HourLocator(interval=2))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else "auto_scaling.png"
    day = []
    print("time    demand  consumed  throttled  provisioned", flush=True)
    for minute in simulate():
        day.append(minute)
        if minute.time.minute % 15 == 0:
            print(
                f"{minute.time:%H:%M}  {minute.demand:8.1f}  {minute.consumed:8.1f}  {minute.throttled:9.1f}"
                f"  {minute.provisioned:11}",
                flush=True,
            )
    try:
        draw(day, path)
    except ImportError:
        print("install matplotlib to draw the day: pip install '.[examples]'")
    else:
        print(f"the day is drawn in {path}")


if __name__ == "__main__":
    main()
