"""The change log of a table: its records, shards, cursor and retention."""
