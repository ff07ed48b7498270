"""The image of `deploy/Containerfile`, built by buildah on a base that debootstrap made, and started.

Isolation is chroot, which works where namespaces may not be made. So the container shares the host's network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.client import Client, resolve
from benchmarks import servers
from tests.packages.built.conftest import ROOT, UV, run

FOLDER = servers.CACHE / "container"
BASE, IMAGE = "localhost/debian:bookworm", "localhost/atoll"
BUILDAH = ["buildah", "--root", str(FOLDER / "root"), "--runroot", str(FOLDER / "run"), "--storage-driver", "vfs"]


def buildah(*words: str) -> str:
    return run(*BUILDAH, *words).strip()


@pytest.fixture(scope="session")
def base() -> str:
    servers.require("buildah", "debootstrap")
    if not (FOLDER / "complete").exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        include = "--include=python3,python3-venv"
        subprocess.run(["debootstrap", "--variant=minbase", include, "bookworm", str(FOLDER / "debian")], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        made = buildah("from", "scratch")
        buildah("add", "--quiet", made, str(FOLDER / "debian"), "/")
        buildah("commit", "--quiet", "--rm", made, BASE)
        shutil.rmtree(FOLDER / "debian")
        (FOLDER / "complete").touch()
    return BASE


@pytest.fixture(scope="session")
def image(base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    context = tmp_path_factory.mktemp("context")
    run(UV, "build", "--quiet", "--wheel", "--out-dir", str(context / "wheels"), str(ROOT))
    (wheel,) = (context / "wheels").glob("*.whl")
    run("/usr/bin/python3", "-m", "venv", str(context / "pip"))
    run(str(context / "pip/bin/pip"), "download", "--quiet", "--dest", str(context / "wheels"), f"{wheel}[uvloop]")
    shutil.rmtree(context / "pip")
    file = ROOT / "deploy" / "Containerfile"
    buildah("build", "--isolation", "chroot", "--quiet", "--build-arg", f"BASE={base}", "--file", str(file),
            "--tag", IMAGE, str(context))  # fmt: skip
    return IMAGE


@pytest.fixture
def container(image: str) -> Iterator[str]:
    found = buildah("from", image)
    yield found
    buildah("rm", found)


def start(container: str, *command: str) -> subprocess.Popen[str]:
    """Run the image with this command instead of its default one."""
    settings = json.loads(buildah("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    words = [*settings["Entrypoint"], *(command or settings["Cmd"])]
    return subprocess.Popen([*BUILDAH, "run", "--isolation", "chroot", container, "--", *words], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def started(process: subprocess.Popen[str]) -> dict[str, str]:
    """The line of the log that names the address."""
    assert process.stderr is not None
    for line in process.stderr:
        if " serves " in line:
            found: dict[str, str] = json.loads(line)
            return found
    raise AssertionError("the server has not started")


def test_the_image_serves_and_keeps_its_data(container: str) -> None:
    for expected in (None, {"id": {"S": "1"}}):
        process = start(container, "serve", "--insecure", "--port", str(servers.free_port()))
        try:
            port = started(process)["message"].rpartition(":")[2]
            client = Client(resolve(f"http://127.0.0.1:{port}"))
            if expected is None:
                client.call(
                    "CreateTable", TableName="Things", BillingMode="PAY_PER_REQUEST",
                    KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                    AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                )  # fmt: skip
                client.call("PutItem", TableName="Things", Item={"id": {"S": "1"}})
            else:
                assert client.call("GetItem", TableName="Things", Key=expected)["Item"] == expected
            client.close()
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def test_without_options_it_verifies_signatures(container: str) -> None:
    process = start(container)
    try:
        assert started(process)["auth"] == "sigv4"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_the_unit_of_systemd_is_valid_and_its_command_serves(tmp_path: Path) -> None:
    """systemd itself does not run here: its checker reads the unit, and the test runs the command."""
    servers.require("systemd-analyze")
    program = Path(UV).with_name("atoll")
    text = (ROOT / "deploy" / "atoll.service").read_text()
    unit = tmp_path / "atoll.service"
    unit.write_text(text.replace("/opt/atoll/bin/atoll", str(program)))
    checked = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    pairs = (line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    lines = dict(pairs)
    variables = dict(one.split("=", 1) for one in lines["Environment"].split())
    assert variables["ATOLL_DATA"] == f"/var/lib/{lines['StateDirectory']}"
    variables |= {"ATOLL_DATA": str(tmp_path / "state"), "ATOLL_PORT": str(servers.free_port())}
    environment = {"PYTHONPATH": str(ROOT / "src"), **variables}
    process = subprocess.Popen(lines["ExecStart"].split(), env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert started(process)["data"] == variables["ATOLL_DATA"]
    finally:
        process.terminate()
        assert process.wait(30) == 0
