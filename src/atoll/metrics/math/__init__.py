"""CloudWatch's metric math: expressions over series of data points. Pure."""
