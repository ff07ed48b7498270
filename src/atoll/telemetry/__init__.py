"""OpenTelemetry: a span for each operation, and metrics. It needs an extra, so only `atoll serve --otel` imports it.

units       a meter that also records the units of each operation
parents     the client's trace, from the headers of a request
spans       the call that makes spans
readings    metrics: the totals of the meters, read when they are exported
exporters   sends spans and metrics, configured by OTEL_* variables
outages     of the collector: two lines of the log each
"""
