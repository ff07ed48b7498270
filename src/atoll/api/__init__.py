"""What AWS calls operations: a target is mapped to a request shape and a function."""
