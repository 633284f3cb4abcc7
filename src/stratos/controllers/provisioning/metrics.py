"""What provisioning adds to the metrics: templates' machines and their price, and what plans came to."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stratos.apis.nodetemplate import NodeTemplateStatus
from stratos.planning.provisioning.plan import ProvisioningPlan

_TEMPLATE = "stratos_nodetemplate_"


class ProvisioningMetrics:
    """One for all templates of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(_TEMPLATE + name, text, ("template",), registry=registry)

        self.nodes = gauge("nodes", "Machines of the template that are not about to go.")
        self.cost = gauge("cost_usd_per_hour", "What they cost.")
        self.matching_types = gauge("matching_types", "Instance types that satisfy the constraints.")
        self.backed_off = gauge("backed_off", "Offerings that failed and are left alone for a while.")
        self.machines = Counter(
            "stratos_provisioning_machines_total", "Machines asked for.", ("template", "capacity_type"),
            registry=registry,
        )  # fmt: skip
        self.unplaced = Gauge(
            "stratos_provisioning_unplaced_pods", "Waiting pods that the last plan found no machine for.",
            registry=registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "stratos_provisioning_duration_seconds",
            "From the look at the cluster until the claims were written.",
            buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            registry=registry,
        )

    def planned(self, plan: ProvisioningPlan, seconds: float) -> None:
        self.seconds.observe(seconds)
        self.unplaced.set(len(plan.unplaced))
        for new in plan.machines:
            self.machines.labels(new.template, new.candidate.offering.capacity_type).inc()

    def show(self, template: str, status: NodeTemplateStatus) -> None:
        self.nodes.labels(template).set(status.nodes or 0)
        self.cost.labels(template).set(status.cost_usd_per_hour or 0.0)
        self.matching_types.labels(template).set(status.matching_types or 0)
        self.backed_off.labels(template).set(len(status.backed_off))

    def forget(self, template: str) -> None:
        """A template that is gone has no numbers."""
        for gauge in (self.nodes, self.cost, self.matching_types, self.backed_off):
            gauge.remove(template)
