"""The charge of an update's statement."""

from __future__ import annotations

import pytest

from atoll.expressions import charge
from atoll.expressions.charge import Charge
from atoll.model.values import AttributeValue, value_size


def test_a_value_that_is_used_often_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def measure(value: AttributeValue) -> int:
        measured.append(value)
        return value_size(value)

    monkeypatch.setattr(charge, "value_size", measure)
    values: dict[str, AttributeValue] = {":v": {"S": "x" * 100}, ":w": {"S": "y"}}
    often = Charge(3, (":v",) * 50 + (":w",))
    assert often.exceeds(5_003, values, 101)
    assert not often.exceeds(5_004, values, 101)
    assert len(measured) == 4
