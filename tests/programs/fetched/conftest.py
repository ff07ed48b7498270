"""Fixtures of fetched programs: see `tests/programs/fetching`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import fetching


@pytest.fixture(scope="session")
def aws_commands() -> Path:
    return fetching.aws()


@pytest.fixture(scope="session")
def aiobotocore() -> Path:
    return fetching.aiobotocore()


@pytest.fixture(scope="session")
def moto_server() -> Path:
    return fetching.moto_server()


@pytest.fixture(scope="session")
def node_modules() -> Path:
    return fetching.node_modules()
