from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atoll.errors import ApiError


@pytest.fixture
def message() -> Callable[..., str | None]:
    """The text of the ValidationException that a call raises."""

    def run(call: Callable[..., Any], *args: Any) -> str | None:
        with pytest.raises(ApiError) as caught:
            call(*args)
        assert caught.value.code == "ValidationException"
        return caught.value.message

    return run
