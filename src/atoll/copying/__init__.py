"""Copy a whole store between a data directory and PostgreSQL, while no server uses either.

    command     the copy itself, and `atoll store copy`
    directory   a data directory, as the source and as the target
    database    a store in PostgreSQL, as the source and as the target
    contents    what both ends speak of: batches of rows, counters, documents, sums

Rows travel in the form in which PostgreSQL stores them (`storage.postgresql.longkeys`). A source gives the rows of a
region in an order of its own, in batches, each with the position after it. A target writes a batch and its position
in one transaction, so a copy that was ended goes on where it was. Nobody can serve a target before its copy is
complete and verified: both ends count and sum up all rows and counters that they store.
"""
