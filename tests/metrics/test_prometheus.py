"""`GET /metrics`, and the dashboard that shows its metrics."""

from __future__ import annotations

import itertools
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from atoll.api.prometheus import MORE_LABELS, STATISTICS, exported, snake
from atoll.config import Config
from atoll.testing import LocalServer, serve
from tests.metrics.conftest import START_S, client, table
from tests.metrics.test_collection import PROVISIONED, index
from tests.metrics.test_names import LISTED

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def scrape(server: LocalServer) -> dict[str, dict[str, float]]:
    """The values by name and by table, index and operation."""
    with urllib.request.urlopen(f"{server.endpoint_url}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        for sample in family.samples:
            names = ("table_name", "global_secondary_index_name", "vector_index_name", "operation", "version")
            key = "/".join(filter(None, (sample.labels.get(name, "") for name in names)))
            assert key not in found.setdefault(sample.name, {}) or not key
            found[sample.name][key] = sample.value
    return found


def test_the_last_full_minute_is_shown(server: LocalServer) -> None:
    things = table(server, **{**PROVISIONED, **index(ProvisionedThroughput=PROVISIONED["ProvisionedThroughput"])})
    things.put_item(Item={"pk": "a", "g": "g"})
    things.get_item(Key={"pk": "a"})
    server.clock.advance("1m")
    things.put_item(Item={"pk": "b"})
    found = scrape(server)
    assert found["aws_dynamodb_consumed_write_capacity_units_sum"] == {"Things": 1}
    assert found["aws_dynamodb_consumed_write_capacity_units_index_sum"] == {"Things/by-g": 1}
    assert found["aws_dynamodb_consumed_read_capacity_units_sum"] == {"Things": 0.5}
    assert found["aws_dynamodb_provisioned_read_capacity_units_average"] == {"Things": 5}
    assert found["aws_dynamodb_successful_request_latency_sample_count"] == {"Things/PutItem": 1, "Things/GetItem": 1}
    assert found["aws_dynamodb_successful_request_latency_p99"].keys() == {"Things/PutItem", "Things/GetItem"}
    server.clock.advance("1m")
    assert scrape(server)["aws_dynamodb_consumed_write_capacity_units_sum"] == {"Things": 1}
    server.clock.advance("1m")
    later = scrape(server)
    assert later["aws_dynamodb_consumed_write_capacity_units_sum"] == {"Things": 0}
    assert "aws_dynamodb_successful_request_latency_p99" not in later


def test_each_vector_index_of_a_table_has_its_bytes(server: LocalServer) -> None:
    indexes = [
        {
            "IndexName": name, "VectorAttribute": {"AttributeName": "v"}, "Dimensions": 2, "DistanceFunction": "COSINE",
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        for name in ("one", "two")
    ]  # fmt: skip
    things = table(server, VectorIndexes=indexes)
    things.put_item(Item={"pk": "a", "v": [1, 2]})
    server.clock.advance("1m")
    found = scrape(server)["aws_dynamodb_vector_write_request_bytes_index_sum"]
    assert found.keys() == {"Things/one", "Things/two"} and all(found.values())
    assert scrape(server)["aws_dynamodb_consumed_write_capacity_units_sum"] == {"Things": 1}


def test_the_minute_is_shown_while_its_datapoints_move_to_blocks(server: LocalServer) -> None:
    things = table(server)
    server.clock.advance("14m")
    for _ in range(20):
        things.put_item(Item={"pk": "a"})
        server.clock.advance("1m")
        assert scrape(server)["aws_dynamodb_consumed_write_capacity_units_sum"] == {"Things": 1}


def test_a_server_that_verifies_signatures_shows_metrics_for_the_admin_token_only() -> None:
    with serve() as server:
        config: Config = server._node.config
        assert config.auth == "none"
        request = urllib.request.Request(f"{server.endpoint_url}/metrics", headers={"Authorization": "Bearer wrong"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        assert caught.value.code == 403


def names_of(dashboard: Any) -> set[str]:
    return set(re.findall(r"aws_dynamodb_\w+", json.dumps(dashboard)))


def test_the_dashboard_shows_metrics_that_exist() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    exist = {
        exported(name, statistic, "".join([MORE_LABELS.get(snake(one), "") for one in of.split()]))
        for name, (_, dimensions) in LISTED.items()
        for of in dimensions
        for statistic in STATISTICS.get(name, ("Sum",))
    }
    assert names_of(dashboard) <= exist
    assert len(dashboard["panels"]) > 10
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["targets"]


def test_every_metric_is_documented() -> None:
    documented = {name for pattern in re.findall(r"(?:\w|\{[\w,]*\})+", PAGE.read_text()) for name in expanded(pattern)}
    assert {*STATISTICS, *LISTED} <= documented


def expanded(pattern: str) -> list[str]:
    """`Consumed{Read,Write}CapacityUnits` as the two names that it stands for."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split(",") if place % 2 else [part] for place, part in enumerate(parts)]
    return ["".join(one) for one in itertools.product(*choices)]


def test_parts_of_a_metric_have_names_of_their_own(server: LocalServer) -> None:
    """Otherwise a sum over the metric would count them twice."""
    table(server)
    server.client().execute_statement(Statement="INSERT INTO Things VALUE {'pk': 'a'}")
    server.clock.advance("1m")
    found = scrape(server)
    assert found["aws_dynamodb_successful_request_latency_sample_count"] == {"Things/ExecuteStatement": 1}
    assert found["aws_dynamodb_successful_request_latency_verb_sample_count"] == {"Things/ExecuteStatement": 1}


def test_client_is_not_needed_for_the_metrics(server: LocalServer) -> None:
    assert client(server).list_metrics()["Metrics"] == []
    server.clock.set(START_S + 600)
    assert scrape(server)["atoll_store_writable"] == {"": 1}
