from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

_spec = importlib.util.spec_from_file_location("storage_processes", Path(__file__).with_name("processes.py"))
assert _spec is not None and _spec.loader is not None
_programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)


@pytest.fixture
def processes() -> Iterator[SimpleNamespace]:
    """Starts programs of processes.py and leaves none behind."""
    started = []

    def start(*arguments):
        started.append(_programs.start(*arguments))
        return started[-1]

    yield SimpleNamespace(start=start)
    for process in started:
        process.kill()
        process.communicate()
