"""Metrics: what the meter counts and what clients put, by the minute, as CloudWatch keeps it.

series      metrics and their datapoints                                                             (pure)
statistics  the statistics of datapoints, percentiles among them                                     (pure)
math        metric math: expressions over series of datapoints                                       (pure)
batches     the encodings of datapoints in rows                                                      (pure)
store       stores datapoints and reads them
upkeep      moves datapoints into blocks, keeps older ones at a coarser grain
measured    from the counts of a meter to datapoints of `AWS/DynamoDB`                               (pure)
collection  does so for a process, minute by minute, and stores them
steps       when the capacity of tables changed
implied     datapoints that follow from steps and definitions, or from the fact that nothing happened
reading     the datapoints of a metric, aligned to periods
"""
