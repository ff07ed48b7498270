"""Check a store: whether its rows match their checksums, and whether they agree with each other.

The checks are functions over a `Snapshot` that yield a `Finding` for each damage; `sections` lists them. A finding has
the changes that repair it, if other rows allow to derive the lost data. So the same checks serve a file that no server
has open (`store`), a running server (`online`), and an engine in memory. The file itself and the checksums of its rows
are checked by `file`; `repair` writes a new file.
"""
