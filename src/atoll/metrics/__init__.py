"""Metrics: what the meter counts and what clients put, by the minute, as CloudWatch keeps it.

series      metrics, their datapoints, statistics and percentiles                                    (pure)
batches     the encodings of datapoints in rows                                                      (pure)
store       stores datapoints and reads them
collection  turns the meter of a process into datapoints of `AWS/DynamoDB`, minute by minute
reading     the datapoints of a metric, aligned to periods
math        metric math: expressions over series of datapoints                                     (pure)
"""
