"""The change log of a table: its records, its shards, the cursor that reads it, and how long it is kept."""
