"""Candidates from the extension pgvector, where the store is in a PostgreSQL that has it.

Each index has a table beside the region's own ones: of each entry its key, hashes of the attributes that searches
compare, and its vector; when it has many entries, also pgvector's graph (HNSW). The table is derived from the entries:
the front end that holds the region's lease fills it, and applies the index's log of changes to it. Nothing that writes
or copies items knows of it, and it may be dropped at any time.

    statements  the tables and the SQL
    encoding    vectors and hashes as the tables have them
    tables      which tables there are, and how far they are
    upkeep      fills the tables, and measures whether the graphs find what they should
    source      the candidates of a search: those of the table, and the entries that changed since
"""
