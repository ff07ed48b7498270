"""Migrate stores that an older version wrote: translate their rows, and replace the file."""
