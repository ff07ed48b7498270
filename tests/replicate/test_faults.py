"""Endpoints that throttle, fail or answer in part; two processes with one target."""

from __future__ import annotations

import os
from typing import Any

import pytest

from atoll.client.client import FIRST_DELAY_S
from atoll.client.failures import Refusal, Unreachable
from atoll.replicate import checkpoints, ends
from atoll.replicate.failures import Failed, Stopped
from tests.replicate.world import Killed, QuickPauses, World


def failure(operation: str, code: str, status: int) -> Refusal:
    return Refusal(operation, status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"})


class TestThrottling:
    def test_a_throttled_target_gets_everything_in_time(self) -> None:
        """One unit a second, after 300 that are saved. The target's clock moves while the replication waits."""
        with World(target={"throttling": True}) as world:
            world.create()
            world.fill(range(400))
            world.there.create_table(
                TableName="Things", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            )  # fmt: skip

            def advance(seconds: float) -> None:
                world.target.clock.advance(seconds)

            world.replicate(pauses=QuickPauses(advance))
            assert world.counters.throttled > 0
            world.target.clock.advance("10m")
            assert world.is_equal

    def test_the_waits_grow_and_differ(self, world: World) -> None:
        world.create()
        slept: list[float] = []
        throttled = 12

        def throttle(role: str, operation: str, parameters: dict[str, Any]) -> None:
            nonlocal throttled
            if operation == "DescribeStream" and throttled:
                throttled -= 1
                raise failure(operation, "ThrottlingException", 400)

        world.replicate(throttle, pauses=QuickPauses(slept.append))
        waits = slept[:12]
        assert waits[0] <= FIRST_DELAY_S and ends.LONGEST_DELAY_S / 2 <= waits[-1] <= ends.LONGEST_DELAY_S
        assert all(later > earlier for earlier, later in zip(waits[:-6:2], waits[2:-4:2], strict=False))
        assert world.counters.throttled == 12

    def test_requests_that_a_batch_left_over_are_sent_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.create()
        world.fill(range(200))
        send = ends.End.send

        def partly(end: ends.End, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            if operation == "BatchWriteItem":
                requests = parameters["RequestItems"]["Things"]
                kept = requests[: len(requests) // 2]
                answer = send(end, operation, parameters | {"RequestItems": {"Things": kept}}) if kept else {}
                return answer | {"UnprocessedItems": {"Things": requests[len(kept) :]} if len(requests) > 1 else {}}
            return send(end, operation, parameters)

        def all_alone(end: ends.End, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            if operation == "BatchWriteItem" and len(parameters["RequestItems"]["Things"]) == 1:
                return send(end, operation, parameters)
            return partly(end, operation, parameters)

        monkeypatch.setattr(ends.End, "send", all_alone)
        world.replicate()
        assert world.is_equal

    def test_keys_that_a_batch_left_over_are_read_again(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.create()
        world.fill(range(100))
        world.replicate()
        send = ends.End.send

        def partly(end: ends.End, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
            if operation != "BatchGetItem":
                return send(end, operation, parameters)
            wanted = parameters["RequestItems"]["Things"]
            kept, left = wanted["Keys"][:7], wanted["Keys"][7:]
            answer = send(end, operation, parameters | {"RequestItems": {"Things": wanted | {"Keys": kept}}})
            return answer | {"UnprocessedKeys": {"Things": wanted | {"Keys": left}} if left else {}}

        monkeypatch.setattr(ends.End, "send", partly)
        assert world.replication().verify() == []


class TestFailures:
    def test_a_failing_server_is_asked_again(self, world: World) -> None:
        world.create()
        world.fill(range(50))
        failures = {"Scan": 3, "BatchWriteItem": 3, "GetRecords": 3, "TransactWriteItems": 3}

        def fail(role: str, operation: str, parameters: dict[str, Any]) -> None:
            left = failures.get(operation, 0)
            if left:
                failures[operation] -= 1
                raise (
                    failure(operation, "InternalServerError", 500)
                    if left % 2
                    else Unreachable("http://nowhere: nothing listens there")
                )

        told = world.replicate(fail)
        assert not any(failures.values())
        assert world.is_equal
        assert "trying again: " in told

    def test_an_endpoint_that_cannot_be_reached_at_first_ends_the_program(self, world: World) -> None:
        def fail(role: str, operation: str, parameters: dict[str, Any]) -> None:
            raise Unreachable("http://nowhere: nothing listens there")

        with pytest.raises(Failed, match="source: DescribeTable: http://nowhere: nothing listens there"):
            world.replicate(fail)

    def test_an_endpoint_that_fails_for_long_ends_the_program(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ends, "PATIENCE_S", 0.0)
        world.create()

        def fail(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "GetRecords":
                raise failure(operation, "InternalServerError", 500)

        with pytest.raises(Failed, match=r"source: GetRecords: .*InternalServerError"):
            world.replicate(fail)

    def test_a_refused_call_names_the_end_and_the_operation(self, world: World) -> None:
        world.create()

        def refuse(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "CreateTable":
                raise failure(operation, "AccessDeniedException", 400)

        with pytest.raises(Failed, match="target: CreateTable: AccessDeniedException: no"):
            world.replicate(refuse)

    def test_a_failure_in_one_thread_ends_those_that_wait(self, world: World) -> None:
        """One segment is throttled forever, another one is refused."""
        world.create()
        world.fill(range(50))

        def disturb(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "Scan" and parameters.get("Segment") == 0:
                raise failure(operation, "ThrottlingException", 400)
            if operation == "Scan" and parameters.get("Segment") == 1:
                raise failure(operation, "AccessDeniedException", 400)

        with pytest.raises(Failed, match="AccessDenied"):
            world.replicate(disturb)

    def test_stopping_ends_threads_that_wait(self, world: World) -> None:
        world.create()
        world.fill(range(50))

        def disturb(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "BatchWriteItem":
                world.pauses.stop()
                raise failure(operation, "ThrottlingException", 400)

        with pytest.raises(Stopped):
            world.replicate(disturb)
        world.replicate()
        assert world.is_equal


LEASE = {"table": {"S": "Things"}, "row": {"S": "lease"}}


class TestTheLease:
    def held_elsewhere(self, world: World) -> None:
        """Another machine holds the lease."""
        world.create()
        world.put("a", 1)
        world.replicate()
        self.change(world, owner="other", host="elsewhere")

    def change(self, world: World, **values: str) -> None:
        lease = world.there.get_item(TableName="checkpoints", Key=LEASE)["Item"]
        changed = {name: {"S": value} for name, value in values.items()}
        world.there.put_item(TableName="checkpoints", Item=lease | changed)

    def beat(self, world: World) -> None:
        world.there.update_item(
            TableName="checkpoints", Key=LEASE, UpdateExpression="SET beat = beat + :n",
            ExpressionAttributeValues={":n": {"N": "1"}},
        )  # fmt: skip

    def test_two_processes_do_not_replicate_into_one_target(self, world: World) -> None:
        self.held_elsewhere(world)
        with pytest.raises(Failed, match=f"another process replicates Things into this target: process {os.getpid()}"):
            world.replicate(pauses=QuickPauses(lambda _: self.beat(world)))

    def test_a_lease_that_does_not_change_is_taken(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held_elsewhere(world)
        monkeypatch.setattr(checkpoints, "EXPIRES_S", 0.01)
        world.replicate()
        assert world.is_equal

    def test_a_process_that_was_killed_on_this_machine_is_followed_at_once(self, world: World) -> None:
        world.create()

        def kill(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "GetRecords":
                raise Killed

        with pytest.raises(Killed):
            world.replicate(kill)
        slept: list[float] = []
        world.replicate(pauses=QuickPauses(slept.append))
        assert checkpoints.WATCH_S not in slept

    def test_a_process_that_has_lost_its_lease_writes_nothing_more(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(checkpoints, "HELD_S", 0.0)
        world.create()
        world.put("a", 1)

        written = []

        def take(role: str, operation: str, parameters: dict[str, Any]) -> None:
            if operation == "BatchWriteItem":
                written.append(parameters)
            if operation == "Scan" and "Segment" in parameters:
                self.change(world, owner="other")

        with pytest.raises(Failed, match="another process has taken over"):
            world.replicate(take)
        assert written == []
        assert world.there.get_item(TableName="checkpoints", Key=LEASE)["Item"]["owner"] == {"S": "other"}
