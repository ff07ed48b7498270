"""Errors of time to live."""

from __future__ import annotations

from atoll.errors import ApiError, validation


def already_enabled() -> ApiError:
    return validation("TimeToLive is already enabled")


def already_disabled() -> ApiError:
    return validation("TimeToLive is already disabled")


def other_attribute(current: str) -> ApiError:
    return validation(f"TimeToLive is active on a different AttributeName: current AttributeName is {current}")


def changed_too_often() -> ApiError:
    return validation("Time to live has been modified multiple times within a fixed interval")


def not_described(status: str) -> ApiError:
    return validation(f"Cannot describe time to live while table is in {status} state: Current table state is {status}")
