"""Vector search. The entries of an index are rows in the store (`database.vectors`), written with their items.

    searching   run one search: find candidates, read their entries, score them exactly
    best        the nearest entries that a search has read so far
    candidates  what a source of candidates returns
    searchers   the memories of a region's indexes: load, update and drop them
    following   a memory that follows the change log of its index
    memory      the codes and hashes of one index in a process's memory; a source of candidates
    codes       vectors as 8-bit integers, and approximate distances between them
    scan        candidates from a scan of the entries, for an index that is too large for memory
    distances   the three distance functions
    pgvector/   candidates from a table of pgvector

These modules need numpy and numkong, so the server imports them at the first search.
"""
