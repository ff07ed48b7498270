"""`examples/auto_scaling.py`: the steep peak at noon, without the picture."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLE = Path(__file__).parents[2] / "examples" / "auto_scaling.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("auto_scaling", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_peak_at_noon_is_throttled_until_the_capacity_has_followed() -> None:
    module = example()
    noon = list(module.simulate(minutes=30, first=12 * 60 + 12))
    assert noon[0].provisioned == module.LEAST
    assert max(minute.provisioned for minute in noon) == module.MOST
    assert any(minute.throttled for minute in noon)
    assert not noon[-1].throttled
    for minute in noon:
        assert abs(minute.consumed + minute.throttled - minute.demand) <= 2, minute
