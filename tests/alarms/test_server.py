"""An application's alarms on a separate server: boto3, a webhook, a function, a restart."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from tests.triggers.server import Server

ACTION = "arn:aws:{}:us-east-1:000000000000:{}"


class Listener:
    """Notes what is posted to it, by path."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, Any]] = []
        posts = self.posts

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posts.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.stop()


def advance(server: Server, duration: str) -> None:
    body = json.dumps({"advance": duration}).encode()
    request = Request(f"http://127.0.0.1:{server.port}/_atoll/clock", body, {"Content-Type": "application/json"})
    build_opener(ProxyHandler({})).open(request).close()


def state(cloudwatch: Any) -> str:
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=["throttled"])["MetricAlarms"]
    return str(alarm["StateValue"])


def test_an_alarm_on_throttling_calls_a_webhook_and_a_function(tmp_path: Path, listener: Listener) -> None:
    functions = tmp_path / "functions.toml"
    functions.write_text(f"""
        [functions.scale]
        webhook = "{listener.url}/function"
        [destinations.ops]
        webhook = "{listener.url}/topic"
    """)
    server = Server(tmp_path, functions, "--clock", "manual")
    server.start()
    try:
        dynamodb, cloudwatch = server.client("dynamodb"), server.client("cloudwatch")
        dynamodb.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        )
        cloudwatch.put_metric_alarm(
            AlarmName="throttled",
            Namespace="AWS/DynamoDB",
            MetricName="WriteThrottleEvents",
            Dimensions=[{"Name": "TableName", "Value": "orders"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            AlarmActions=[ACTION.format("sns", "ops"), ACTION.format("lambda", "function:scale")],
            OKActions=[ACTION.format("sns", "ops")],
        )
        advance(server, "1m")
        assert state(cloudwatch) == "OK"
        # 300 units are saved up.
        item = {"pk": {"S": "1"}, "data": {"B": b"x" * 400_000}}
        dynamodb.put_item(TableName="orders", Item=item)
        with pytest.raises(dynamodb.exceptions.ProvisionedThroughputExceededException):
            dynamodb.put_item(TableName="orders", Item=item)
        advance(server, "1m")
        assert state(cloudwatch) == "ALARM"
        server.end()
        server.start()
        cloudwatch = server.client("cloudwatch")
        assert state(cloudwatch) == "ALARM"
        advance(server, "10m")
        assert state(cloudwatch) == "OK"
    finally:
        server.end()
    told = [(path, body.get("NewStateValue") or body["alarmData"]["state"]["value"]) for path, body in listener.posts]
    # A manual clock begins at the real time again, so the server may have seen the same minutes twice.
    assert sorted(told[1:3]) == [("/function", "ALARM"), ("/topic", "ALARM")]
    assert told[0] == told[-1] == ("/topic", "OK")
