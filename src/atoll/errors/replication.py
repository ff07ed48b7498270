"""Atoll's own errors about regions and replication: peers, links, the admin API, replicas with one master.

`not_served` and `served_by_peer` have DynamoDB's code. `errors.replicas` has the errors of DynamoDB's operations.
"""

from __future__ import annotations

from collections.abc import Iterable

from atoll.errors import CORAL, ApiError, validation
from atoll.errors.auth import bad_scope


def not_served(region: str) -> ApiError:
    """DynamoDB's error for a signature that names another region."""
    return bad_scope(region=region)


def served_by_peer(region: str, url: str) -> ApiError:
    """The same, with the address of the server of the region."""
    error = bad_scope(region=region)
    return ApiError(error.code, f"{error.message} The region is served at {url}", prefix=error.prefix)


# Peers


def _denied(message: str) -> ApiError:
    return ApiError("AccessDeniedException", message, status=403, prefix=CORAL)


def no_peers() -> ApiError:
    return _denied("This server has no peers: start it with --peer or --peer-credentials")


def not_a_peer(error: ApiError) -> ApiError:
    """Any error of a peer's signature, with a single status."""
    return ApiError(error.code, error.message, status=403, prefix=error.prefix)


def no_region_of_this_node(region: str) -> ApiError:
    return validation(f"{region!r} is not a region of this server")


def region_of_this_node(region: str) -> ApiError:
    return validation(f"{region!r} is a region of this server, too: no two servers may serve the same region")


def malformed(reason: str) -> ApiError:
    return validation(f"The body is not a message of a peer: {reason}")


# Requests of the administration


def unknown_member(name: str, known: Iterable[str]) -> ApiError:
    return validation(f"{name!r} is not a member of this request; it has {', '.join(known)}")


def member_required(name: str) -> ApiError:
    return validation(f"The body has to be a JSON object with a text as {name}")


def bad_limit(value: object) -> ApiError:
    return validation(f"limit has to be a number from 1, not {value!r}")


def no_legacy_global_table(table: str) -> ApiError:
    return validation(f"{table} is not a replica of a global table of version 2017.11.29")


# Links


def link_needs_regions() -> ApiError:
    return validation("The body has to be a JSON object with the names of two regions, as from and to")


def link_to_itself(region: str) -> ApiError:
    return validation(f"A link leads from one region to another, not from {region} to itself")


def unknown_region(region: str, known: Iterable[str]) -> ApiError:
    return validation(f"{region!r} is neither a region of this server nor of its peers: {', '.join(known)}")


def no_boolean(name: str, value: object) -> ApiError:
    return validation(f"{name} of a link has to be true or false, not {value!r}")


def no_part(name: str, value: object) -> ApiError:
    return validation(f"{name} of a link has to be a number from 0 to 1, not {value!r}")


def negative_duration(name: str, value: object) -> ApiError:
    return validation(f"{name} of a link cannot be negative: {value!r}")


def links_need_one_worker() -> ApiError:
    return validation("Several worker processes share no faults of links: start the server with --workers 1")


def unreachable(region: str, reason: str) -> ApiError:
    return ApiError(
        "ServiceUnavailableException", f"The server of {region} cannot be asked: {reason}", status=503, prefix=CORAL
    )


# Single-master replicas


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


def replica_of_itself(table: str, region: str) -> ApiError:
    return validation(f"Table {table} is in {region} already: name another region as its replica.")


def replica_exists(table: str, region: str) -> ApiError:
    return validation(f"There is a table {table} in {region} already.")


def replica_not_found(table: str, region: str) -> ApiError:
    return validation(f"Table {table} has no replica in {region}.")


def master_is_not_removed(table: str, region: str) -> ApiError:
    return validation(f"{region} is the master of table {table}: promote another replica first, or delete the table.")
