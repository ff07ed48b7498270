"""Copy a whole store between a data directory and PostgreSQL, while no server uses either.

    command     the copy itself, and `atoll store copy`
    directory   a data directory, as the source and as the target
    database    a store in PostgreSQL, as the source and as the target
    contents    the common terms of both ends: batches of rows, counters, documents, sums

Rows are copied in the form in which PostgreSQL stores them (`storage.postgresql.longkeys`). A source gives the rows of
a region in any fixed order, in batches, each with the position after it. A target writes a batch and its position in
one transaction, so an interrupted copy can resume. No server can use a target before its copy is complete and verified:
both ends count all rows and counters that they store, and sum up their hashes.
"""
