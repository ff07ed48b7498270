"""Candidates from pgvector, an extension of PostgreSQL, if the store is in a PostgreSQL server that has it.

Each index has a table in the region's schema, with a row for each entry: its key, its vector, and hashes of the
attributes that searches compare. If the index has many entries, the table has pgvector's graph (HNSW), too. The front
end that holds the region's lease fills the table from the entries, and applies the index's change log to it. No write
or copy of items uses the table, and it may be dropped at any time.

    statements  the tables and the SQL
    encoding    vectors and hashes in the form that the tables store
    tables      which tables exist, and which changes they have
    upkeep      fills the tables, and measures whether their graphs find the nearest entries
    source      the candidates of a search: from the table, and from the entries that changed since
"""
