"""Spans of what the doorman does, on the clock it is given.

One trace shows a request that was held: that it waited, the replica it asked for, the node its pod got, when that was
ready, and the first byte of the answer. Without an OpenTelemetry SDK all of this costs next to nothing, and goes
nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from stratos.base.clock import Clock

NAME = "stratos.doorman"


class Spans:
    def __init__(self, clock: Clock, provider: trace.TracerProvider | None = None) -> None:
        """Without a ``provider`` the global one is used, once there is one."""
        self._clock = clock
        self._tracer = trace.get_tracer(NAME, tracer_provider=provider)

    def begin(
        self, name: str, parent: Context | None = None, kind: SpanKind = SpanKind.INTERNAL, **attributes: AttributeValue
    ) -> Span:
        """Underscores in the names of ``attributes`` stand for dots."""
        named = {key.replace("_", "."): value for key, value in attributes.items()}
        return self._tracer.start_span(name, parent, kind=kind, attributes=named, start_time=self._now())

    def end(self, span: Span, error: str = "") -> None:
        if error:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end_time=self._now())

    @contextmanager
    def during(self, name: str) -> Iterator[None]:
        """A span around a block; what begins within it is below it."""
        span = self.begin(name)
        token = context.attach(inside(span))
        error = ""
        try:
            yield
        except Exception as problem:
            error = str(problem)
            raise
        finally:
            context.detach(token)
            self.end(span, error)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000_000)


def inside(span: Span, parent: Context | None = None) -> Context:
    """The context for spans below ``span``."""
    return trace.set_span_in_context(span, parent if parent is not None else context.get_current())
