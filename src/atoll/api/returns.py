"""Request options that add members to the answer: ReturnConsumedCapacity and ReturnItemCollectionMetrics."""

from __future__ import annotations

from typing import Any

_MODES = ("TOTAL", "INDEXES")


def capacity_mode(body: dict[str, Any]) -> str | None:
    """TOTAL or INDEXES if the request wants ConsumedCapacity, else None."""
    mode = body.get("ReturnConsumedCapacity")
    return mode if mode in _MODES else None


def wants_collection_metrics(body: dict[str, Any]) -> bool:
    return body.get("ReturnItemCollectionMetrics") == "SIZE"
