"""What interruptions add to the metrics, by pool and by template."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from stratos.apis.nodeclaim import NodeClaim


class InterruptionMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(owner: str, name: str, text: str) -> Counter:
            return Counter(f"stratos_node{owner}_spot_{name}_total", text, (owner,), registry=registry)

        taken = "Spot machines that the cloud took back, told of before or not."
        fell_back = "Spot machines that were taken back with pods on them, which fell back to other machines."
        self._interruptions = {owner: counter(owner, "interruptions", taken) for owner in ("pool", "template")}
        self._fallbacks = {owner: counter(owner, "fallbacks", fell_back) for owner in ("pool", "template")}

    def interrupted(self, claim: NodeClaim, *, with_pods: bool) -> None:
        owner = "pool" if claim.spec.pool else "template"
        self._interruptions[owner].labels(claim.spec.owner).inc()
        if with_pods:
            self._fallbacks[owner].labels(claim.spec.owner).inc()
