"""`atoll replicate`: copy one table to another endpoint and keep the copy up to date, only through public APIs.

Source and target may be any endpoints that speak DynamoDB's protocol: the service, Atoll, DynamoDB Local. This package
is a client. It calls both ends with `client` and uses nothing of the server.

A replication has three phases (`run`):

    1. fix     Record a position in each open shard of the source's stream: after its last record (`stream`).
    2. copy    Scan the whole source, with consistent reads, and put each item into the target (`copying`). If the
               target had items before, also delete those that the source does not have.
    3. follow  Read the stream from these positions on, parents before children, and put or delete the items of its
       records (`lineage`, `following`).

The target converges although items have no version. Phase 2 ends before phase 3 begins, so a scanned value never
overwrites a value from the stream. A change made after the scan has read the item is after the fixed position, so phase
3 applies it. Phase 3 applies all records of an item in order, so the last one decides. It may repeat changes that the
scan already saw; until it applies their successors, the target shows an older value.

A restart does no harm. A record holds the whole item, so applying it twice has the same result. A position is stored
after its records are applied (`checkpoints`), so a killed process repeats some records and skips none; likewise for
pages of the scan. A lease prevents two processes from writing to one target, because the older records of the slower
one could arrive last.

If records were trimmed before they were read, the target may lack any change. Then all phases begin again, and phase 2
deletes items that the source deleted in the meantime.
"""
