"""Find the parent of a request's span in the client's trace headers.

`traceparent` and what else OTEL_PROPAGATORS names come first, then X-Amzn-Trace-Id, which AWS's SDKs send from Lambda:
Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter

Headers = Mapping[bytes, bytes]

_ROOT = re.compile(rb"(?:^|;)\s*Root=1-([0-9a-f]{8})-([0-9a-f]{24})\s*(?:;|$)")
_PARENT = re.compile(rb"(?:^|;)\s*Parent=([0-9a-f]{16})\s*(?:;|$)")
_SAMPLED = re.compile(rb"(?:^|;)\s*Sampled=1\s*(?:;|$)")


class _Getter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        found = carrier.get(key.lower().encode())
        return None if found is None else [found.decode("latin-1")]

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_GETTER = _Getter()


def parent(headers: Headers) -> Context:
    """An empty context if the headers name no trace, or a malformed one."""
    found = propagate.extract(headers, Context(), _GETTER)
    amazon = headers.get(b"x-amzn-trace-id")
    if amazon is None or trace.get_current_span(found).get_span_context().is_valid:
        return found
    root, above = _ROOT.search(amazon), _PARENT.search(amazon)
    if root is None or above is None:
        return found
    flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if _SAMPLED.search(amazon) else trace.TraceFlags.DEFAULT)
    remote = trace.SpanContext(int(root[1] + root[2], 16), int(above[1], 16), is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(trace.NonRecordingSpan(remote), found)
