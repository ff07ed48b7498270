"""The SDK for Java v2 against a server that throttles a hot partition key, as the service does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks import servers

HERE = Path(__file__).parent
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}
RETRIES = {"AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "10"}


def test_standard_retries_get_all_writes_to_a_hot_key_through(tmp_path: Path) -> None:
    servers.require("javac", "mvn")
    folder = servers.CACHE / "programs" / "java-hot-key"
    tests = folder / "src" / "test" / "java"
    tests.mkdir(parents=True, exist_ok=True)
    shutil.copy(servers.ROOT / "examples" / "java" / "pom.xml", folder)
    shutil.copy(HERE / "HotKeyTest.java", tests)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with servers.atoll(tmp_path / "data", "--throttling", "full", name="Atoll throttled") as server:
        url = {"AWS_ENDPOINT_URL": f"http://{servers.HOST}:{server.port}"}
        command = ["mvn", "-q", "-B", "test"]
        done = subprocess.run(
            command, cwd=folder, env=plain | CREDENTIALS | RETRIES | url, capture_output=True, text=True, timeout=300
        )
    assert done.returncode == 0, done.stdout + done.stderr
    report = next((folder / "target" / "surefire-reports").glob("*.txt")).read_text()
    assert "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0" in report
