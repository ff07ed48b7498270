"""Benchmarks: the cost of a request in Atoll and in its peers, measured in one run on one machine."""
