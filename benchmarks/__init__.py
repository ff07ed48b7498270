"""Atoll beside its peers: what a request costs, measured in one run on one machine."""
