"""The tables at both ends: compare their descriptions, create the target, and find the source's stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from atoll.client.failures import NOT_FOUND
from atoll.replicate.ends import End
from atoll.replicate.failures import CallFailed, Failed

T = TypeVar("T")
Description = dict[str, Any]
Key = tuple[tuple[str, str, str], ...]
"""For each attribute of the key its name, its kind (HASH or RANGE), and its type."""

IMAGE_VIEWS = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")
POLL_S = 0.5
WAIT_S = 900.0
"""How long an endpoint may take to create a table or to enable a stream."""
_PASSING = ("CREATING", "DELETING", "UPDATING")


def describe(end: End, table: str) -> Description | None:
    """The description of a table; None if it does not exist."""
    try:
        description: Description = end.call("DescribeTable", TableName=table)["Table"]
    except CallFailed as error:
        if error.code == NOT_FOUND:
            return None
        raise
    return description


def wait_for(end: End, what: str, look: Callable[[], T | None]) -> T:
    """What `look` returns as soon as that is not None. Raises Failed if it takes too long."""
    for _ in range(round(WAIT_S / POLL_S)):
        found = look()
        if found is not None:
            return found
        end.pause(POLL_S)
    raise Failed(f"{end.role}: waited {WAIT_S / 60:.0f} minutes for {what}")


def wait_until_active(end: End, table: str) -> Description:
    def look() -> Description | None:
        description = describe(end, table)
        if description is None:
            raise Failed(f"{end.role}: the table {table} no longer exists")
        status = description["TableStatus"]
        if status != "ACTIVE" and status not in _PASSING:
            raise Failed(f"{end.role}: the table {table} cannot be used: its status is {status}")
        return description if status == "ACTIVE" else None

    return wait_for(end, f"the table {table} to become ACTIVE", look)


def identity(description: Description) -> str:
    """A text that distinguishes a table from others of its name, at other endpoints or before it was deleted and
    recreated."""
    found = description.get("TableId") or description.get("CreationDateTime")
    if not found:
        raise Failed(f"the table {description['TableName']} has neither an id nor a time of creation")
    return str(found)


def key_of(description: Description) -> Key:
    types = {one["AttributeName"]: one["AttributeType"] for one in description["AttributeDefinitions"]}
    return tuple(
        (one["AttributeName"], one["KeyType"], types[one["AttributeName"]]) for one in description["KeySchema"]
    )


def check_keys(source: Description, target: Description) -> None:
    if key_of(source) != key_of(target):
        told = [", ".join(f"{name} {kind} {type_}" for name, kind, type_ in key_of(one)) for one in (source, target)]
        raise Failed(f"the tables have different keys: source: {told[0]}; target: {told[1]}")


# Creation


def definition(source: Description, name: str) -> dict[str, Any]:
    """The parameters of CreateTable for a table with the same keys, indexes, billing mode and throughput."""
    on_demand = source.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    wanted: dict[str, Any] = {
        "TableName": name,
        "KeySchema": source["KeySchema"],
        "AttributeDefinitions": source["AttributeDefinitions"],
        "BillingMode": "PAY_PER_REQUEST" if on_demand else "PROVISIONED",
    }
    if not on_demand:
        wanted["ProvisionedThroughput"] = _throughput(source)
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        indexes = [index for index in source.get(kind, ()) if index.get("IndexStatus") != "DELETING"]
        if indexes:
            wanted[kind] = [_index(index, throughput=kind.startswith("Global") and not on_demand) for index in indexes]
    vectors = [index for index in source.get("VectorIndexes", ()) if index.get("IndexStatus") != "DELETING"]
    if vectors:
        wanted["VectorIndexes"] = [{name: index[name] for name in _OF_VECTORS if name in index} for index in vectors]
    used = {key["AttributeName"] for key in _keys(wanted)}
    wanted["AttributeDefinitions"] = [one for one in source["AttributeDefinitions"] if one["AttributeName"] in used]
    return wanted


_OF_VECTORS = ("IndexName", "VectorAttribute", "SearchSchema", "Projection", "Dimensions", "DistanceFunction")


def _index(index: Description, *, throughput: bool) -> dict[str, Any]:
    wanted = {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
    if throughput:
        wanted["ProvisionedThroughput"] = _throughput(index)
    return wanted


def _throughput(described: Description) -> dict[str, int]:
    return {name: described["ProvisionedThroughput"][name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}


def _keys(wanted: dict[str, Any]) -> list[dict[str, Any]]:
    indexes = [*wanted.get("LocalSecondaryIndexes", ()), *wanted.get("GlobalSecondaryIndexes", ())]
    searched = [element for index in wanted.get("VectorIndexes", ()) for element in index.get("SearchSchema", ())]
    return [key for one in (wanted, *indexes) for key in one["KeySchema"]] + searched


def create(end: End, wanted: dict[str, Any]) -> Description:
    """Create a table and wait for it. Another process may create it at the same time."""
    try:
        end.call("CreateTable", **wanted)
    except CallFailed as error:
        if error.code != "ResourceInUseException":
            raise
    return wait_until_active(end, wanted["TableName"])


# The stream of the source


def check_stream(end: End, description: Description, *, enable: bool) -> bool:
    """Whether the table already has a stream; raises Failed if that cannot be used, or none can be enabled."""
    table = description["TableName"]
    stream = description.get("StreamSpecification", {})
    if not stream.get("StreamEnabled"):
        if not enable:
            raise Failed(f"{end.role}: the table {table} has no stream: enable one, or give --enable-stream")
        return False
    if stream["StreamViewType"] not in IMAGE_VIEWS:
        raise Failed(
            f"{end.role}: the stream of {table} has the view type {stream['StreamViewType']}, which holds no new "
            f"images: it must be {' or '.join(IMAGE_VIEWS)}"
        )
    return True


def stream_of(end: End, description: Description, *, enable: bool) -> str:
    """The ARN of the table's stream, which is enabled if necessary and allowed."""
    if not check_stream(end, description, enable=enable):
        table, wanted = description["TableName"], {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
        end.call("UpdateTable", TableName=table, StreamSpecification=wanted)
        description = wait_until_active(end, table)
        if not description.get("StreamSpecification", {}).get("StreamEnabled"):
            raise Failed(f"{end.role}: the table {table} still has no stream")
    arn: str = description["LatestStreamArn"]

    def look() -> str | None:
        status = end.call("DescribeStream", StreamArn=arn)["StreamDescription"]["StreamStatus"]
        return None if status == "ENABLING" else arn

    return wait_for(end, f"the stream of {description['TableName']} to become ENABLED", look)
