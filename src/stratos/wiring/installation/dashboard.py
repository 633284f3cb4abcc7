"""The Grafana dashboard: pools at the top, then what they cost in time, templates, and the cloud underneath."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_WIDTH, _HEIGHT = 12, 8


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    unit: str
    series: tuple[tuple[str, str], ...]  # an expression, and how its lines are called


def _quantiles(metric: str, by: str) -> tuple[tuple[str, str], ...]:
    buckets = f"sum by ({by}, le) (rate({metric}_bucket[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({quantile}, {buckets})", f"{{{{{by}}}}} p{quantile * 100:.0f}")
        for quantile in (0.5, 0.95)
    )


PANELS: tuple[Panel, ...] = (
    Panel("Machines of pools", "short", (("stratos_nodepool_nodes_total", "{{pool}} {{state}}"),)),
    Panel(
        "Standing by, and wanted so",
        "short",
        (
            ('stratos_nodepool_nodes_total{state="standby"}', "{{pool}}"),
            ("stratos_nodepool_desired_standby", "{{pool}} wanted"),
        ),
    ),
    Panel("From start to ready", "s", _quantiles("stratos_nodepool_scaleup_duration_seconds", "pool")),
    Panel("From launch to prepared", "s", _quantiles("stratos_nodepool_warmup_duration_seconds", "pool")),
    Panel(
        "Brought into service, returned to standby",
        "short",
        (
            ("sum by (pool) (rate(stratos_nodepool_scaleup_total[$__rate_interval]))", "{{pool}} into service"),
            ("sum by (pool) (rate(stratos_nodepool_scaledown_total[$__rate_interval]))", "{{pool}} to standby"),
        ),
    ),
    Panel(
        "Spot: taken back, replaced, fallen back",
        "short",
        (
            ("sum by (pool) (increase(stratos_nodepool_spot_interruptions_total[1h]))", "{{pool}} taken back"),
            ("sum by (pool) (increase(stratos_nodepool_spot_replacements_total[1h]))", "{{pool}} replaced"),
            ("sum by (pool) (increase(stratos_nodepool_spot_fallbacks_total[1h]))", "{{pool}} fallen back"),
        ),
    ),
    Panel(
        "What templates' machines cost",
        "currencyUSD",
        (("stratos_nodetemplate_cost_usd_per_hour", "{{template}} per hour"),),
    ),
    Panel("Pods without a machine that fits", "short", (("stratos_provisioning_unplaced_pods", "pods"),)),
    Panel(
        "Calls to the cloud",
        "reqps",
        (
            (
                "sum by (operation, status) (rate(stratos_cloud_provider_calls_total[$__rate_interval]))",
                "{{operation}} {{status}}",
            ),
        ),
    ),
    Panel("How long the cloud takes", "s", _quantiles("stratos_cloud_provider_latency_seconds", "operation")),
)


def dashboard_model() -> dict[str, Any]:
    return {
        "uid": "stratos",
        "title": "Stratos",
        "tags": ["kubernetes"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": number % 2 * _WIDTH, "y": number // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.series)
        ],
    }
