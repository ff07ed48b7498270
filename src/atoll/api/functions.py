"""The part of the Lambda API that triggers need: event source mappings, descriptions of functions, and Invoke.

Bodies and answers have the members of botocore's model; `wire.rest` maps them to their places in HTTP. This API cannot
create functions: the server reads them from the functions file.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import orjson

from atoll import arns, limits
from atoll.api import large, shapes
from atoll.aside import aside
from atoll.errors import ApiError
from atoll.errors import triggers as trigger_errors
from atoll.storage.engine import Snapshot, Transaction
from atoll.triggers import batches, events, mapping
from atoll.triggers.functions import Functions
from atoll.triggers.mapping import Mapping
from atoll.triggers.poller import Triggers
from atoll.triggers.registry import BadRegistry, Function, Registry

Body = dict[str, Any]
Answer = dict[str, Any]

_LATEST = "$LATEST"


def check_registry(registry: Registry) -> None:
    """Check the file's triggers by the same rules as CreateEventSourceMapping."""
    for trigger in registry.triggers:
        body = {"FunctionName": trigger.function, **trigger.request}
        try:
            shapes.validator("lambda", "CreateEventSourceMapping")(body)
            mapping.changed(Mapping("", trigger.function, ""), body)
        except ApiError as error:
            raise BadRegistry(f"trigger of {trigger.table} for {trigger.function}: {error.message}") from error


# Event source mappings


async def create_event_source_mapping(triggers: Triggers, body: Body) -> Answer:
    functions, now_ms = triggers.functions, triggers.region.clock.now_ms()
    arn = body.get("EventSourceArn") or ""
    source = arns.parse(arn)
    if source is None or source.service != "dynamodb":
        raise trigger_errors.source_unrecognized()
    if body.get("StartingPosition") is None:
        raise trigger_errors.position_required()
    function = _named(functions, body["FunctionName"])
    one = mapping.changed(Mapping(str(uuid.uuid4()), function.name, arn, now_ms), body)
    _check_destination(functions, one)

    def create(tx: Transaction) -> None:
        mapping.create(tx, triggers.region, one, now_ms)

    await triggers.region.transact(create)
    triggers.wake()
    return _described(functions, one, None, "Creating")


def _named(functions: Functions, name: str) -> Function:
    function = functions.find(name)
    if function is None:
        raise trigger_errors.function_does_not_exist()
    return function


def _check_destination(functions: Functions, one: Mapping) -> None:
    if one.on_failure is not None and functions.destination(one.on_failure) is None:
        raise trigger_errors.destination_not_found(one.on_failure)


async def get_event_source_mapping(triggers: Triggers, body: Body) -> Answer:
    def read(snapshot: Snapshot) -> Answer:
        one = mapping.find(snapshot, body["UUID"])
        return _described(triggers.functions, one, _last_result(snapshot, one))

    return await triggers.region.read(read)


async def list_event_source_mappings(triggers: Triggers, body: Body) -> Answer:
    arn, name = body.get("EventSourceArn"), body.get("FunctionName")
    count, after = min(body.get("MaxItems") or limits.MAPPINGS_LISTED, limits.MAPPINGS_LISTED), body.get("Marker", "")
    function = None if name is None else triggers.functions.find(name)
    if name is not None and function is None:
        raise trigger_errors.function_not_found(triggers.functions.arn(name))

    def read(snapshot: Snapshot) -> Answer:
        found = [
            one
            for one in mapping.listed(snapshot)
            if one.uuid > after
            and arn in (None, one.stream_arn)
            and (function is None or one.function == function.name)
        ]
        answer: Answer = {
            "EventSourceMappings": [
                _described(triggers.functions, one, _last_result(snapshot, one)) for one in found[:count]
            ]
        }
        if len(found) > count:
            answer["NextMarker"] = found[count - 1].uuid
        return answer

    return await triggers.region.read(read)


async def update_event_source_mapping(triggers: Triggers, body: Body) -> Answer:
    functions, now_ms = triggers.functions, triggers.region.clock.now_ms()
    name = body.get("FunctionName")
    function = None if name is None else _named(functions, name)

    def update(tx: Transaction) -> Answer:
        one = mapping.find(tx, body["UUID"])
        if function is not None:
            one = replace(one, function=function.name)
        one = replace(mapping.changed(one, body), modified_ms=now_ms)
        _check_destination(functions, one)
        mapping.check_unique(tx, one)
        mapping.save(tx, one)
        return _described(functions, one, _last_result(tx, one), "Updating")

    answer = await triggers.region.transact(update)
    triggers.wake()
    return answer


async def delete_event_source_mapping(triggers: Triggers, body: Body) -> Answer:
    def delete(tx: Transaction) -> Answer:
        one = mapping.find(tx, body["UUID"])
        answer = _described(triggers.functions, one, _last_result(tx, one), "Deleting")
        mapping.delete(tx, one.uuid)
        return answer

    answer = await triggers.region.transact(delete)
    triggers.wake()
    return answer


def _last_result(snapshot: Snapshot, one: Mapping) -> str | None:
    results = {lane.result for _, _, lane in mapping.lanes(snapshot, one.uuid)}
    return batches.FAILED if batches.FAILED in results else batches.OK if batches.OK in results else None


def _described(functions: Functions, one: Mapping, result: str | None, state: str | None = None) -> Answer:
    answer: Answer = {
        "UUID": one.uuid,
        "EventSourceMappingArn": functions.mapping_arn(one.uuid),
        "EventSourceArn": one.stream_arn,
        "FunctionArn": functions.arn(one.function),
        "StartingPosition": one.starting_position,
        "BatchSize": one.batch_size,
        "MaximumBatchingWindowInSeconds": one.batching_window_ms // 1000,
        "ParallelizationFactor": one.parallelization,
        "MaximumRecordAgeInSeconds": -1 if one.record_age_ms < 0 else one.record_age_ms // 1000,
        "MaximumRetryAttempts": one.retries,
        "BisectBatchOnFunctionError": one.bisect,
        "TumblingWindowInSeconds": one.tumbling_window_ms // 1000,
        "FunctionResponseTypes": [mapping.REPORT_FAILURES] if one.report_failures else [],
        "DestinationConfig": {"OnFailure": {"Destination": one.on_failure} if one.on_failure else {}},
        "LastModified": one.modified_ms / 1000,
        "LastProcessingResult": result or "No records processed",
        "State": state or ("Enabled" if one.enabled else "Disabled"),
        "StateTransitionReason": "User action",
    }
    if one.patterns:
        answer["FilterCriteria"] = {"Filters": [{"Pattern": pattern} for pattern in one.patterns]}
    return answer


# Functions


async def get_function(triggers: Triggers, body: Body) -> Answer:
    function = _found(triggers.functions, body["FunctionName"])
    return {"Configuration": _configuration(triggers, function), "Code": {}, "Tags": {}}


async def get_function_configuration(triggers: Triggers, body: Body) -> Answer:
    return _configuration(triggers, _found(triggers.functions, body["FunctionName"]))


async def list_functions(triggers: Triggers, body: Body) -> Answer:
    after, count = body.get("Marker", ""), min(body.get("MaxItems") or limits.FUNCTIONS_LISTED, limits.FUNCTIONS_LISTED)
    names = [name for name in sorted(triggers.functions.registry.functions) if name > after]
    listed = [triggers.functions.registry.functions[name] for name in names[:count]]
    answer: Answer = {"Functions": [_configuration(triggers, function) for function in listed]}
    if len(names) > count:
        answer["NextMarker"] = names[count - 1]
    return answer


async def invoke(triggers: Triggers, body: Body) -> Answer:
    """Invoke a function; `Payload` is bytes. An invocation of type Event runs in the background and is lost if the
    server restarts."""
    function = _found(triggers.functions, body["FunctionName"])
    payload = body.get("Payload") or b"{}"
    if len(payload) > limits.INVOCATION_BYTES:
        raise trigger_errors.payload_too_large(len(payload))
    try:
        if large.is_large(payload):
            await aside(large.parse_pieces, payload)
        else:
            orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise trigger_errors.payload_invalid(str(error)) from None
    kind = body.get("InvocationType", "RequestResponse")
    answer: Answer = {"StatusCode": _INVOKED[kind], "ExecutedVersion": _LATEST}
    if kind == "DryRun":
        return answer
    invocation = triggers.invocation(function, payload)
    if kind == "Event":
        return answer
    outcome = await invocation
    answer["Payload"] = outcome.payload
    if outcome.error is not None:
        answer["FunctionError"] = outcome.error
    return answer


_INVOKED = {"RequestResponse": 200, "Event": 202, "DryRun": 204}
"""The status of the answer, by the type of the invocation."""


def _found(functions: Functions, name: str) -> Function:
    function = functions.find(name)
    if function is None:
        raise trigger_errors.function_not_found(name if arns.parse(name) else functions.arn(name))
    return function


def _configuration(triggers: Triggers, function: Function) -> Answer:
    return {
        "FunctionName": function.name,
        "FunctionArn": triggers.functions.arn(function.name),
        "Handler": function.python or function.webhook or " ".join(function.command or ()),
        "Description": function.description,
        "Timeout": max(1, int(function.timeout_s)),
        "Version": _LATEST,
        "LastModified": events.timestamp(triggers.started_ms).replace("Z", "+0000"),
        "PackageType": "Zip",
        "State": "Active",
        "LastUpdateStatus": "Successful",
    }
