"""Check a store: whether its rows match their checksums, and whether they agree with each other.

The checks are functions over a `Snapshot` that yield a `Finding` for each damage; `sections` lists them. A finding has
the changes that repair it, if the lost data can be derived from other rows. The same checks serve a file that no server
has open (`store`), a running server (`online`), and an engine in memory. `file` checks the file itself and the
checksums of its rows; `repair` writes a new file.
"""
