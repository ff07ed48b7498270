"""Tables as key-values: plain functions over a snapshot or a transaction."""
