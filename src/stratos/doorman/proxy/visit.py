"""One request's visit: its trace, how it ended, and what its client is told if it does not get through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, propagate
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from stratos.base.errors import StratosError
from stratos.doorman.doorman import Doorman
from stratos.doorman.gate import Backend, Gate
from stratos.doorman.metrics import Outcome
from stratos.doorman.proxy.refusals import Refusal, refusal_for
from stratos.doorman.traces import Spans, inside


class Visit:
    def __init__(self, spans: Spans, span: Span, here: Context) -> None:
        self.refusal: Refusal | None = None
        self.outcome = Outcome.CLIENT_GONE  # until somebody knows better
        self._spans = spans
        self._span = span
        self._here = here
        self._asking: Span | None = None

    def ask(self, backend: Backend) -> Mapping[str, str]:
        """A backend is asked. These headers carry the trace on to it."""
        self._end_asking("it could not be reached")
        self._asking = self._spans.begin("first byte", self._here, SpanKind.CLIENT, k8s_pod_name=backend.pod)
        headers: dict[str, str] = {}
        propagate.inject(headers, inside(self._asking, self._here))
        return headers

    def answered(self, status: int) -> None:
        """The head of the answer is there."""
        self._span.set_attribute("http.response.status_code", status)
        self._end_asking()

    def _end_asking(self, error: str = "") -> None:
        if self._asking is not None:
            self._spans.end(self._asking, error)
            self._asking = None

    def end(self) -> None:
        error = self.refusal.message if self.refusal is not None else ""
        self._end_asking(error or self.outcome)
        self._span.set_attribute("stratos.outcome", self.outcome)
        self._spans.end(self._span, error)


@contextmanager
def visit(doorman: Doorman, gate: Gate, *, method: str, authority: str, headers: Mapping[str, str]) -> Iterator[Visit]:
    """Errors of the family end up as the visit's ``refusal``. Otherwise the block says what the outcome was."""
    parent = propagate.extract(headers)
    span = doorman.spans.begin(
        "request",
        parent,
        SpanKind.SERVER,
        http_request_method=method,
        server_address=authority,
        stratos_route=gate.route.service,
    )
    here = inside(span, parent)
    this = Visit(doorman.spans, span, here)
    token = context.attach(here)
    try:
        yield this
    except StratosError as error:
        this.refusal = refusal_for(error)
        this.outcome = this.refusal.outcome
    finally:
        context.detach(token)
        this.end()
        gate.metrics.ended(this.outcome)
