"""The expression language: one grammar for all expressions. Pure."""
