"""A workload on its way from no replica to the first one that answers: follows its pods, and times each stage.

Pods are watched only meanwhile and only those of the one Service, so that a doorman stays small in a large cluster.
"""

from __future__ import annotations

import random

from opentelemetry.context import Context

from stratos.apis.meta import is_condition_true
from stratos.apis.pod import POD, Pod
from stratos.apis.service import Service
from stratos.doorman.targets import Workload
from stratos.doorman.traces import Spans, inside
from stratos.kube.cache import Cache, CacheEvent
from stratos.kube.client import Client
from stratos.planning.doorman.reasons import why_waiting
from stratos.planning.doorman.routes import Target

# What is waited for, one after the other; each is a span.
_STAGES = ("replica asked for", "pod made", "node found", "pod ready", "reachable")
_MADE, _FOUND, _READY, _REACHABLE = 1, 2, 3, 4


class Wake:
    """``cause`` is the trace of the request that was first to wait. Run `run` in a task; `end` when it is over."""

    def __init__(
        self,
        client: Client,
        target: Target,
        service: Service | None,
        *,
        spans: Spans,
        rng: random.Random,
        cause: Context,
    ) -> None:
        self._target = target
        self._spans = spans
        self._whole = spans.begin("wake", cause, stratos_target=str(target))
        self._context = inside(self._whole, cause)
        self._stage = 0
        self._span = spans.begin(_STAGES[0], self._context)
        self._pods: Cache[Pod] | None = None
        if service is not None and service.spec.selector:
            selector = ",".join(f"{name}={value}" for name, value in sorted(service.spec.selector.items()))
            namespace = service.metadata.namespace
            self._pods = Cache(client, POD, rng=rng, namespace=namespace, label_selector=selector)

    async def run(self) -> None:
        if self._pods is not None:
            self._pods.subscribe(self._seen)
            await self._pods.run()

    def asked(self) -> None:
        """The replica has been asked for."""
        self._advance(_MADE)

    def end(self, reached: bool) -> None:
        if reached:
            self._advance(_REACHABLE)
        error = "" if reached else "nobody waits any more"
        self._spans.end(self._span, error)
        self._spans.end(self._whole, error)

    def why(self, workload: Workload | None) -> str:
        conditions = workload.status.conditions if workload is not None else ()
        return why_waiting(str(self._target), conditions, self._pods.list() if self._pods is not None else ())

    def _seen(self, event: CacheEvent[Pod]) -> None:
        pod = event.object
        if pod.metadata.deletion_timestamp is not None or pod.finished:
            return
        if is_condition_true(pod.status.conditions, "Ready"):
            self._advance(_REACHABLE, pod)
        elif pod.spec.node_name:
            self._advance(_READY, pod)
        else:
            self._advance(_FOUND, pod)

    def _advance(self, stage: int, pod: Pod | None = None) -> None:
        """End the spans of what has come about, and begin that of what is waited for next."""
        while self._stage < stage:
            if pod is not None:
                self._span.set_attribute("k8s.pod.name", pod.metadata.name)
                if pod.spec.node_name:
                    self._span.set_attribute("k8s.node.name", pod.spec.node_name)
            self._spans.end(self._span)
            self._stage += 1
            self._span = self._spans.begin(_STAGES[self._stage], self._context)
