"""Errors of UpdateTableReplicaAutoScaling."""

from __future__ import annotations

from collections.abc import Iterable

from atoll.errors import ApiError, validation


def _failed(table: str, because: str) -> ApiError:
    return validation(f"Failed to update settings for global table with name: ‘{table}’{because}")


def parameters_required(table: str) -> ApiError:
    required = "'MaximumUnits', 'ScalingPolicyUpdate', 'MinimumUnits'"
    return _failed(table, f": Parameters {required} are required unless auto scaling is being disabled.")


def nothing_for_region(table: str, region: str) -> ApiError:
    return _failed(table, f" because at least one update parameter must be specified for region: ‘{region}’.")


def nothing_to_update(table: str) -> ApiError:
    """The text is assumed."""
    return _failed(table, " because at least one update parameter must be specified.")


def indexes_missing(table: str, names: Iterable[str]) -> ApiError:
    shown = ", ".join(names)
    return _failed(table, f" because the global secondary indexes with names: ‘[{shown}]’ do not exist.")


def index_missing_in_region(table: str, name: str, region: str) -> ApiError:
    return _failed(
        table, f" because a global secondary index with name: ‘{name}’ does not exist in region: ‘{region}’."
    )


def updated_twice(table: str, index: str | None) -> ApiError:
    """The text is assumed."""
    what = "the table" if index is None else f"the global secondary index with name: ‘{index}’"
    return _failed(table, f" because {what} is updated more than once.")


def role_unsupported(table: str, role: str) -> ApiError:
    """The text is assumed."""
    return _failed(table, f" because only the service-linked role is supported, not: ‘{role}’.")


def on_demand(table: str, regions: Iterable[str], parameter: str) -> ApiError:
    shown = ", ".join(f"'{region.upper()}'" for region in regions)
    return validation(
        f"Failed to update global table with name ‘{table}‘. Replicas {shown} BillingMode is PayPerRequest. You must "
        f"convert table's BillingMode to PROVISIONED to set parameters: '{parameter}'."
    )


def refused_by_auto_scaling(error: ApiError, request_id: str) -> ApiError:
    """An error of Application Auto Scaling, which the caller never sees itself."""
    told = f"Service: AWSApplicationAutoScaling; Status Code: {error.status}; Error Code: {error.code}"
    return validation(f"{error.message} ({told}; Request ID: {request_id}; Proxy: null)")
