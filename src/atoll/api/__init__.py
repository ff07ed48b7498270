"""The AWS operations: each target maps to a request shape and a function."""
