"""Metrics by the minute, as CloudWatch keeps them: the counts of the meter, and datapoints that clients put.

series      metrics and their datapoints                                                             (pure)
statistics  the statistics of datapoints, percentiles among them                                     (pure)
math        metric math: expressions over series of datapoints                                       (pure)
batches     the encodings of datapoints in rows                                                      (pure)
store       stores datapoints and reads them
upkeep      moves datapoints into blocks, and stores older ones at a coarser grain
measured    converts a meter's counts to datapoints of `AWS/DynamoDB`                               (pure)
collection  does this for a process, minute by minute, and stores them
steps       records changes of the capacity of tables
implied     datapoints that follow from steps and definitions, or from the absence of requests
reading     the datapoints of a metric, aligned to periods
"""
