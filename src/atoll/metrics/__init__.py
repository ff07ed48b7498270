"""Metrics: what the meter counts and what clients put, by the minute, as CloudWatch keeps it."""
