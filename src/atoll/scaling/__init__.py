"""Application Auto Scaling for tables and indexes: targets, policies, scheduled actions, and what they decide.

schedules   when a scheduled action runs                                        (pure)
decision    what a target-tracking policy decides when its alarm is in breach   (pure)
"""
