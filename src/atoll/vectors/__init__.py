"""Vector search. The entries of an index are rows in the store (`database.vectors`), written with their items.

    searching  one search: finds candidates, reads their entries, scores them exactly
    searchers  the memories of a region's indexes: loaded, caught up, dropped
    memory     the codes and hashes of one index in a process's memory, which find candidates
    codes      vectors as 8-bit integers, and approximate distances between them
    scan       candidates from a scan of the entries, for an index that is too large for memory
    distances  the three distance functions

It needs numpy and numkong, so the server imports it at the first search.
"""
