"""OpenTelemetry: a span of each operation, and metrics. An extra: only `atoll serve --otel` imports it.

units       a meter that also tells each operation what it consumed
parents     the client's trace, from the headers of a request
spans       the call that makes spans
readings    metrics: the totals of the meters, read when they are exported
exporters   where spans and metrics go, as OTEL_* variables say
outages     of the collector: two lines of the log each
"""
