"""Errors about replicas of tables."""

from __future__ import annotations

from atoll.errors import ApiError, validation


def is_read_replica(table: str, region: str, master: str | None) -> ApiError:
    """Atoll's own: the service has no replicas that can only be read."""
    return validation(
        f"Table {table} in {region} is a read replica. Write to its master"
        + (f" in {master}." if master is not None else ".")
    )


def has_no_master(table: str) -> ApiError:
    return validation(f"Table {table} is not a single-master replica.")


def is_master(table: str, region: str) -> ApiError:
    return validation(f"Table {table} in {region} is the master already.")


def cannot_be_promoted(table: str, region: str, status: str) -> ApiError:
    return validation(f"Table {table} in {region} is {status}: only an ACTIVE replica can become the master.")
