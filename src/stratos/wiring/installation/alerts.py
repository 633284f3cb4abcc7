"""When somebody should be told, and what to do then: the alerts, for any Prometheus.

Those about pools bear the names under which they are documented; the rest are about Stratos itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alert:
    name: str
    expression: str
    lasting: str  # how long it must have been so
    severity: str  # warning, or critical: somebody is woken
    summary: str
    runbook: str  # the first thing to do

    def rule(self) -> dict[str, Any]:
        return {
            "alert": f"Stratos{self.name}",
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook": self.runbook},
        }


ALERTS: tuple[Alert, ...] = (
    Alert(
        "InsufficientStandby",
        'stratos_nodepool_nodes_total{state="standby"} < on (pool) group_left () stratos_nodepool_desired_standby',
        "10m",
        "warning",
        "Pool {{ $labels.pool }} has fewer machines standing by than minStandby.",
        "stratos explain nodepool/{{ $labels.pool }} says what it waits for; mind poolSize and warm-up failures.",
    ),
    Alert(
        "NoStandby",
        'stratos_nodepool_nodes_total{state="standby"} == 0 and on (pool) stratos_nodepool_desired_standby > 0',
        "5m",
        "critical",
        "Pool {{ $labels.pool }} has no machine standing by: pods wait for a cold boot, or for ever.",
        "stratos explain nodepool/{{ $labels.pool }}; raise minStandby if it is simply used up.",
    ),
    Alert(
        "WarmupFailures",
        "sum by (pool, reason) (increase(stratos_nodepool_warmup_failures_total[30m])) > 2",
        "0m",
        "warning",
        "Machines of pool {{ $labels.pool }} cannot be prepared: {{ $labels.reason }}.",
        "Read the events of its NodeClaims; then the image, the subnets and the user data of its class.",
    ),
    Alert(
        "SlowScaleUp",
        "histogram_quantile(0.95, sum by (pool, le)"
        " (rate(stratos_nodepool_scaleup_duration_seconds_bucket[15m]))) > 60",
        "10m",
        "warning",
        "Machines of pool {{ $labels.pool }} take more than 60 s from start to ready (95th percentile).",
        "Look at the network plug-in on its nodes and at the images that pods pull; consider preWarm.images.",
    ),
    Alert(
        "ReconciliationErrors",
        "sum by (pool, type) (rate(stratos_nodepool_reconciliation_errors_total[10m])) > 0.1",
        "10m",
        "warning",
        "Looking after pool {{ $labels.pool }} keeps failing: {{ $labels.type }}.",
        "kubectl logs deployment/stratos-controller -n stratos-system names the request that fails.",
    ),
    Alert(
        "PoolAtCapacity",
        "sum by (pool) (stratos_nodepool_nodes_total) >= on (pool) stratos_nodepool_pool_size",
        "15m",
        "warning",
        "Pool {{ $labels.pool }} owns as many machines as poolSize allows.",
        "Raise poolSize, or see with stratos get pools whether machines are kept busy by what need not run.",
    ),
    Alert(
        "HighSpotInterruptionRate",
        "sum by (pool) (increase(stratos_nodepool_spot_interruptions_total[1h])) > 5",
        "0m",
        "warning",
        "The cloud took back more than five spot machines of pool {{ $labels.pool }} within an hour.",
        "Name more types in the class's spotConfig.instanceTypes, or switch spotReplacement off for now.",
    ),
    Alert(
        "LowSpotReplacementSuccess",
        "sum by (pool) (increase(stratos_nodepool_spot_fallbacks_total[1h]))"
        " > 2 * (sum by (pool) (increase(stratos_nodepool_spot_replacements_total[1h])) + 1)",
        "15m",
        "warning",
        "Pool {{ $labels.pool }} falls back to on-demand machines far more often than it gets spot ones.",
        "Name more types in the class's spotConfig.instanceTypes, and mind its maxPrice.",
    ),
    Alert(
        "CloudAPIErrors",
        'sum by (operation, status) (rate(stratos_cloud_provider_calls_total{status!="ok"}[10m])) > 0.1',
        "10m",
        "critical",
        "The cloud refuses {{ $labels.operation }}: {{ $labels.status }}.",
        "Forbidden: compare the role with stratos install --print-iam-policy. Throttled: lower qps. "
        "QuotaExceeded: ask the cloud for more.",
    ),
    Alert(
        "NobodyLeads",
        "absent(stratos_leading == 1)",
        "5m",
        "critical",
        "No replica of the controllers leads: nothing is started, stopped or launched.",
        "kubectl get pods,lease -n stratos-system; the log of a replica says why it cannot take the lease.",
    ),
    Alert(
        "UnplacedPods",
        "stratos_provisioning_unplaced_pods > 0",
        "30m",
        "warning",
        "Pods have been waiting for half an hour without any machine that fits.",
        "stratos explain pod/NAME lists the offerings looked at, and what each of them lacks.",
    ),
    Alert(
        "WebhookCertificateExpiring",
        "stratos_webhook_certificate_expiry_seconds - time() < 86400",
        "1h",
        "warning",
        "The certificate of the admission webhook ends within a day, and has not been renewed.",
        "The events of Secret stratos-webhook-certificates in stratos-system say what keeps it from being renewed.",
    ),
)
