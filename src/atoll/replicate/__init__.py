"""`atoll replicate`: copy one table to another endpoint and keep the copy up to date, over the public APIs alone.

Source and target may be any endpoints that speak DynamoDB's protocol: the service, Atoll, DynamoDB Local. This package
is a client. It calls both ends with `client` and uses nothing of the server.

A replication has three phases (`run`):

    1. fix     Note a position in each open shard of the source's stream: after its last record (`stream`).
    2. copy    Scan the whole source, with consistent reads, and put each item into the target (`copying`). If the
               target had items before, also delete those that the source does not have.
    3. follow  Read the stream from the positions on, parents before children, and put or delete what it says
               (`lineage`, `following`).

Why the target converges although items have no version. Phase 2 ends before phase 3 begins, so a scanned value never
overwrites one of the stream. Every change after the scan read its item is after the fixed position, so phase 3 applies
it. Phase 3 applies all records of an item in their order, so the last one decides. It may repeat changes that the scan
saw already: until their successors are applied, the target shows an older value.

Why a restart does no harm. A record holds the whole item, so to apply it twice is to apply it once. A position is
stored after its records are applied (`checkpoints`), so a process that is killed repeats some records and skips none.
The same holds for pages of the scan. A lease keeps two processes from writing to one target, because the older records
of the slower one could be the last to arrive.

If records were trimmed before they were read, the target may lack any change. Then all phases begin again, and phase 2
deletes items that the source deleted in the meantime.
"""
