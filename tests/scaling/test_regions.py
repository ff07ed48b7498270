"""A provisioned global table under traffic: its regions decide alike, since each region consumes the writes of the
others."""

from __future__ import annotations

from datetime import timedelta

from atoll import testing
from tests.scaling.test_operations import WRITE, of, tracking

US, EU = "us-east-1", "eu-west-1"


def test_writes_in_one_region_raise_and_lower_the_capacity_of_all() -> None:
    with testing.serve(regions=[US, EU], quotas=True) as server:
        clients = {region: server.client(region_name=region) for region in (US, EU)}
        home = clients[US]
        home.create_table(
            TableName="Orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
        )
        scaling = server.client("application-autoscaling", region_name=US)
        scaling.register_scalable_target(**of("Orders", WRITE), MinCapacity=2, MaxCapacity=100)
        scaling.put_scaling_policy(**of("Orders", WRITE), PolicyName="P", **tracking(kind="Write"))
        home.update_table(TableName="Orders", ReplicaUpdates=[{"Create": {"RegionName": EU}}])
        server.settle()

        def units() -> list[int]:
            described = (one.describe_table(TableName="Orders")["Table"] for one in clients.values())
            return [one["ProvisionedThroughput"]["WriteCapacityUnits"] for one in described]

        number = 0
        for _ in range(4):
            for _ in range(12):
                puts = [{"PutRequest": {"Item": {"pk": {"S": str(number + one)}}}} for one in range(25)]
                home.batch_write_item(RequestItems={"Orders": puts})
                number += 25
            server.settle()
            server.clock.advance("1m")
        assert units() == [8, 8]
        for region in (US, EU):
            (consumed,) = server.client("cloudwatch", region_name=region).get_metric_statistics(
                Namespace="AWS/DynamoDB",
                MetricName="ConsumedWriteCapacityUnits",
                Dimensions=[{"Name": "TableName", "Value": "Orders"}],
                StartTime=server.clock.now - timedelta(hours=1),
                EndTime=server.clock.now + timedelta(hours=1),
                Period=7200,
                Statistics=["Sum"],
            )["Datapoints"]
            assert consumed["Sum"] == number
        for region in (US, EU):
            activities = server.client("application-autoscaling", region_name=region).describe_scaling_activities(
                ServiceNamespace="dynamodb"
            )["ScalingActivities"]
            assert all(one["StatusCode"] == "Successful" for one in activities), activities
        server.clock.advance("25m")
        assert units() == [2, 2]
