"""The answer to a health request, from the health of all open stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from atoll.database.health import StoreHealth

Examine = Callable[[], Awaitable[Mapping[str, StoreHealth]]]
"""Examines the stores that this process has open; returns their health by region."""

FAILING = "failing"


def status(stores: Mapping[str, StoreHealth]) -> str:
    """failing if a store cannot be read or written, degraded if something else is wrong, otherwise ok."""
    if any(one.store != "ok" or not one.writable for one in stores.values()):
        return FAILING
    return "degraded" if any(one.problems for one in stores.values()) else "ok"


def report(stores: Mapping[str, StoreHealth]) -> dict[str, Any]:
    return {"status": status(stores), "regions": {name: _store(one) for name, one in sorted(stores.items())}}


def _store(one: StoreHealth) -> dict[str, Any]:
    shown: dict[str, Any] = {"store": one.store, "writable": one.writable, "problems": list(one.problems)}
    if one.lag:
        shown["lagSeconds"] = {name: None if lag is None else round(lag, 1) for name, lag in one.lag.items()}
    return shown if one.progress is None else shown | {"progress": round(one.progress, 4)}


def summary(stores: Mapping[str, StoreHealth]) -> str:
    """One line that names the failures."""
    wrong = [
        f"{name}: {'; '.join(one.problems) or one.store}"
        for name, one in sorted(stores.items())
        if one.store != "ok" or not one.writable
    ]
    return ", ".join(wrong)
