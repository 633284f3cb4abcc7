"""Traces leave for where the environment says, and are nobody's business where it says nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from stratos.base.errors import Invalid
from stratos.wiring.tracing import tracing


@contextmanager
def otlp_sink() -> Iterator[tuple[str, list[tuple[str, ExportTraceServiceRequest]]]]:
    received: list[tuple[str, ExportTraceServiceRequest]] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["content-length"])))
            received.append((self.path, request))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", received
        server.shutdown()


def test_spans_arrive_where_the_environment_says_before_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is batched must not be lost with the process that batched it."""
    with otlp_sink() as (endpoint, received):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        with tracing("stratos-controller") as provider:
            assert provider is not None
            provider.get_tracer("test").start_span("pod waits").end()

    ((path, request),) = received
    (resource_spans,) = request.resource_spans
    attributes = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
    assert path == "/v1/traces"
    assert attributes["service.name"] == "stratos-controller"
    assert [span.name for scope in resource_spans.scope_spans for span in scope.spans] == ["pod waits"]


def test_without_an_endpoint_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pays for traces that nobody reads."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    with tracing("stratos-controller") as provider:
        assert provider is None


def test_an_endpoint_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(Invalid, match="OTEL_EXPORTER_OTLP_ENDPOINT") as raised, tracing("stratos-controller"):
        raise AssertionError("there was nothing to send with")

    assert "stratos-compute[tracing]" in (raised.value.hint or "")
