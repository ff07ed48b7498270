"""The SDK for JavaScript with its document client."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.programs.endpoint import Endpoint

SCRIPT = Path(__file__).with_name("document_client.mjs")


@pytest.mark.parametrize("server", ["endpoint", "signed_endpoint"])
def test_the_document_client(node_modules: Path, server: str, request: pytest.FixtureRequest) -> None:
    endpoint: Endpoint = request.getfixturevalue(server)
    script = shutil.copy(SCRIPT, node_modules)
    done = subprocess.run(["node", script], env=endpoint.environment("sa-east-1"), stdout=subprocess.PIPE, timeout=120)
    assert done.returncode == 0
    seen = json.loads(done.stdout)
    assert seen == {
        "exists": "SUCCESS",
        "types": {
            "big": "12345678901234567890123456789012345678",
            "bigint": "9007199254740993",
            "fraction": "0.1",
            "binary": [0, 1, 254, 255],
            "strings": ["a", "ü"],
            "numbers": ["1", "2.5"],
            "binaries": [[7]],
            "nothing": None,
            "yes": True,
            "left": False,
            "nested": {"list": [1, "two", {"three": [None]}], "empty": "", "none": []},
        },
        "missing": True,
        "plain": "12345678901234567890123456789012345678",
        "unprocessed": 0,
        "batch": [3, 4],
        "pages": [[7, 15], [8, 15], [5, 10]],
        "queried": {"reef": "north", "n": 41},
        "scanned": 51,
        "segments": 51,
        "updated": [1, ["x"]],
        "lost": ["ConditionalCheckFailedException", "The conditional request failed", "1", 400, 1],
        "deleted": 1,
        "cancelled": ["TransactionCanceledException", ["ConditionalCheckFailed", "None", "None"]],
        "read": [1, None],
        "errors": [
            ["ResourceNotFoundException", "Requested resource not found: Table: Absent not found"],
            ["ResourceInUseException", "Table already exists: Reefs"],
            ["ValidationException", "One or more parameter values were invalid: Missing the key n in the item"],
        ],
        "tables": ["A-1", "A-2", "A-3", "Reefs"],
        "protected": "ValidationException",
        "gone": "SUCCESS",
        "many": ["ResourceNotFoundException"],
    }
