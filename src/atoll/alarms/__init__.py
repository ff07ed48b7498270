"""CloudWatch's alarms: their configuration, how they decide, and the actions that they run."""
