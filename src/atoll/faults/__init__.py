"""Faults on demand, for the tests of applications: rules, and what they do to the requests that they match.

rule       a rule: which requests it matches, how often it strikes; parsed from JSON
requests   which items a request names
effects    the errors and answers of faults
injection  the rules of a node, and the path of a request through them
past       the state of a region some time ago, for stale reads
"""
