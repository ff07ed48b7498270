"""Application Auto Scaling for tables and indexes: targets, policies, scheduled actions, and their decisions.

schedules   when a scheduled action runs                                      (pure)
decision    the decision of a target-tracking policy in an alarm's breach     (pure)
"""
