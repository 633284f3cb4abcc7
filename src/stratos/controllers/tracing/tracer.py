"""Emits a pod's trace when it becomes ready; what was recorded before is all that is needed.

The trace's id is the pod's uid, so that whoever knows the pod finds its trace, and others can add to it. A pod that
becomes ready while no controller runs leaves none.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from stratos.apis.meta import find_condition
from stratos.apis.node import NODE
from stratos.apis.nodeclaim import NODE_CLAIM, NodeClaim
from stratos.apis.pod import POD, Pod
from stratos.controllers.tracing.journey import Journey, is_ready, journey_of
from stratos.kube.cache import CacheEvent, Change
from stratos.kube.controller import Manager

_NAME = "stratos.controllers"
_BY_NODE = "nodeName"
_WAITING_MAX = 100_000


class PodTracer:
    """Follows the caches of ``manager``; it runs nothing of its own. Without an SDK its spans go nowhere."""

    def __init__(self, manager: Manager, provider: trace.TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer(_NAME, tracer_provider=provider)
        self._claims = manager.cache(NODE_CLAIM, indexes={_BY_NODE: _node_of})
        self._nodes = manager.cache(NODE)
        self._waiting: dict[str, datetime] = {}  # since when, by uid
        manager.cache(POD).subscribe(self._pod_changed)

    def _pod_changed(self, event: CacheEvent[Pod]) -> None:
        pod = event.object
        uid = pod.metadata.uid
        if event.change is Change.DELETED or pod.finished:
            self._waiting.pop(uid, None)
        elif pod.unschedulable:
            scheduled = find_condition(pod.status.conditions, "PodScheduled")
            since = scheduled.last_transition_time if scheduled else None
            if since is not None and uid not in self._waiting and len(self._waiting) < _WAITING_MAX:
                self._waiting[uid] = since
        elif uid in self._waiting and is_ready(pod):
            self._emit(pod, self._waiting.pop(uid))

    def _emit(self, pod: Pod, unschedulable_at: datetime) -> None:
        for claim in self._claims.by_index(_BY_NODE, pod.spec.node_name):
            journey = journey_of(pod, unschedulable_at, claim, self._nodes.get(pod.spec.node_name))
            if journey is not None:
                self._record(journey)

    def _record(self, journey: Journey) -> None:
        uid = journey.pod.metadata.uid
        whole = self._tracer.start_span(
            f"pod {journey.pod.metadata.key} waits for a machine",
            trace_context(uid),
            attributes=dict(journey.facts),
            start_time=_nanoseconds(journey.begins),
        )
        inside = trace.set_span_in_context(whole, Context())
        for stage in journey.stages:
            span = self._tracer.start_span(stage.name, inside, start_time=_nanoseconds(stage.begins))
            span.end(_nanoseconds(stage.ends))
        whole.end(_nanoseconds(journey.ends))


def trace_context(uid: str) -> Context:
    """Where spans about the pod of this uid belong."""
    parent = hashlib.sha256(uid.encode()).digest()[:8]
    identity = SpanContext(
        trace_id=uuid.UUID(uid).int,
        span_id=int.from_bytes(parent),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(identity), Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000_000)


def _node_of(claim: NodeClaim) -> Iterable[str]:
    return (claim.status.node_name,) if claim.status.node_name else ()
