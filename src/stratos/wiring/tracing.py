"""Where traces go: to whom the standard OTEL_* environment says, through the SDK that the extra ``tracing`` brings."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import TracerProvider

from stratos.base.errors import Invalid

_WANTED_BY = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


@contextmanager
def tracing(service: str) -> Iterator[TracerProvider | None]:
    """A provider for the length of the block, whose last spans leave at its end; None when nobody wants any."""
    wanted = next((name for name in _WANTED_BY if os.environ.get(name)), "")
    if not wanted:
        yield None
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider as Provider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Invalid(
            f"{wanted} is set, and there is nothing to send traces with: {error}",
            hint="pip install 'stratos-compute[tracing]', or unset it",
        ) from error
    name = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = Provider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield provider
    finally:
        provider.shutdown()
