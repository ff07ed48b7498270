"""All long jobs on the tables of a region, with the buckets and the Kinesis streams that they use."""

from __future__ import annotations

from atoll.database.region import Region
from atoll.recovery.copies import STEPS
from atoll.recovery.long_jobs import Runner
from atoll.transfer import bulk, bulk_puts, exports, imports
from atoll.transfer.buckets import Buckets
from atoll.transfer.destinations import Sender
from atoll.transfer.kinesis import Streams


def runner_of(region: Region, buckets: Buckets, streams: Streams | None = None, *, alone: bool = True) -> Runner:
    steps = {
        exports.JOB: exports.Exporter(buckets).step,
        imports.JOB: imports.Importer(buckets).step,
        bulk.JOB: bulk_puts.BulkPutter(buckets).step,
    }
    return Runner(region, {**STEPS, **steps}, Sender(region, streams, alone=alone), alone=alone)
