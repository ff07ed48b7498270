"""Capacity: the cost of operations in read and write units, and throttling."""
