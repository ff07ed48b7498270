"""Tables on a key-value store: plain functions over a snapshot or a transaction."""
