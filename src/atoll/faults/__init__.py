"""Faults on demand, for the tests of applications: rules, and their effects on the requests that they match.

rule       a rule: the requests that it matches, and how often it strikes; parsed from JSON
requests   the items that a request names
effects    the errors and answers of faults
injection  the rules of a node, and the path of a request through them
past       the state of a region some time ago, for stale reads
"""
