"""Write the JSON for functions and destinations: Lambda's event for DynamoDB Streams, and its report of a failed batch.

    {"Records": [record, ...]}

A record is that of GetRecords with the stream's ARN as `eventSourceARN`. With tumbling windows the event also has the
window, the state that the function returned last, and whether the window ends. Sources: "Using AWS Lambda with Amazon
DynamoDB" and "Retain discarded records" (Lambda Developer Guide).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from atoll.database import streams
from atoll.database.log.rows import ChangeRow
from atoll.database.streams import StreamDescription
from atoll.triggers.batches import Discard, Invoke, Lane, Record


def record(region_name: str, stream_arn: str, stream: StreamDescription, shard: int, sequence: int,
           change: ChangeRow) -> Record:  # fmt: skip
    content = streams.record_of(region_name, stream, shard, sequence, change)
    content["eventSourceARN"] = stream_arn
    return Record(sequence, content["dynamodb"]["SequenceNumber"], change.written_ms, orjson.dumps(content))


def event(invoke: Invoke, stream_arn: str, shard_id: str, window_ms: int) -> bytes:
    records = b'{"Records":[' + b",".join([r.json for r in invoke.records]) + b"]"
    if invoke.window is None:
        return records + b"}"
    start_ms = invoke.window.start_ms
    window: dict[str, Any] = {
        "window": {"start": timestamp(start_ms, "seconds"), "end": timestamp(start_ms + window_ms, "seconds")},
        "state": invoke.window.state or {},
        "shardId": shard_id,
        "eventSourceARN": stream_arn,
        "isFinalInvokeForWindow": invoke.final,
        "isWindowTerminatedEarly": invoke.window.early,
    }
    return records + b"," + orjson.dumps(window)[1:]


def failure(
    discard: Discard, lane: Lane, *, function_arn: str, stream_arn: str, shard_id: str, request_id: str, now_ms: int
) -> dict[str, Any]:
    """The report of discarded records. It has their positions in the stream, not the records themselves."""
    first, last = discard.records[0], discard.records[-1]
    report: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": discard.condition,
            "approximateInvokeCount": lane.attempts,
        },
        "version": "1.0",
        "timestamp": timestamp(now_ms),
        "DDBStreamBatchInfo": {
            "shardId": shard_id,
            "startSequenceNumber": first.number,
            "endSequenceNumber": last.number,
            "approximateArrivalOfFirstRecord": timestamp(first.written_ms),
            "approximateArrivalOfLastRecord": timestamp(last.written_ms),
            "batchSize": len(discard.records),
            "streamArn": stream_arn,
        },
    }
    if lane.attempts:
        report["responseContext"] = {"statusCode": 200, "executedVersion": "$LATEST"}
        if lane.unhandled:
            report["responseContext"]["functionError"] = "Unhandled"
    return report


def timestamp(ms: int, precision: str = "milliseconds") -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=precision).removesuffix("+00:00") + "Z"
