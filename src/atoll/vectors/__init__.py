"""Vector search. The entries of an index are rows in the store (`database.vectors`), written with their items.

    searching  one search: finds candidates, reads their entries, scores them exactly
    scan       candidates from a scan of the entries
    distances  the three distance functions

It needs numpy, so the server imports it at the first search.
"""
