"""Stores that an older Atoll wrote: translate their rows, and replace the file."""
