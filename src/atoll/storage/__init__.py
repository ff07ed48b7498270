"""Ordered bytes with transactions: the contract (`engine`) and the engines."""
