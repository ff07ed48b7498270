"""aiobotocore: two hundred requests at once on one client."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.programs.endpoint import Endpoint

SCRIPT = Path(__file__).with_name("concurrent_requests.py")


@pytest.mark.parametrize("server", ["endpoint", "signed_endpoint"])
def test_two_hundred_requests_at_once(aiobotocore: Path, server: str, request: pytest.FixtureRequest) -> None:
    endpoint: Endpoint = request.getfixturevalue(server)
    command = [str(aiobotocore / "python"), str(SCRIPT)]
    done = subprocess.run(command, env=endpoint.environment("ap-southeast-2"), stdout=subprocess.PIPE, timeout=60)
    assert done.returncode == 0
    seen = json.loads(done.stdout)
    assert seen["read"] == list(range(200))
    assert sorted(seen["increments"]) == list(range(1, 201))
    assert Counter(seen["claims"]) == {"dict": 1, "ConditionalCheckFailedException": 199}
    assert seen["pages"] == [50, 50, 50, 50, 2]
