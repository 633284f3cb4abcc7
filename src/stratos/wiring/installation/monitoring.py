"""For whoever watches: where Prometheus finds metrics, when it raises an alert, and a dashboard for Grafana."""

from __future__ import annotations

import json
from typing import Any

from stratos.wiring.installation.agents import DOORMAN
from stratos.wiring.installation.alerts import ALERTS
from stratos.wiring.installation.controller import COMPONENT
from stratos.wiring.installation.dashboard import dashboard_model
from stratos.wiring.installation.pods import labels, metadata, selector
from stratos.wiring.installation.values import Values

Obj = dict[str, Any]


def service_monitors(values: Values) -> list[Obj]:
    return [_service_monitor(values, COMPONENT), _service_monitor(values, DOORMAN)]


def _service_monitor(values: Values, component: str) -> Obj:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": _found_by(f"stratos-{component}", component, values.service_monitor.labels),
        "spec": {
            "selector": {"matchLabels": selector(component)},
            "endpoints": [{"port": "metrics", "interval": values.service_monitor.interval}],
        },
    }


def prometheus_rule(values: Values) -> Obj:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": _found_by("stratos", COMPONENT, values.prometheus_rule.labels),
        "spec": {"groups": [{"name": "stratos", "rules": [alert.rule() for alert in ALERTS]}]},
    }


def dashboard(values: Values) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _found_by("stratos-dashboard", COMPONENT, values.dashboard.labels),
        "data": {"stratos.json": json.dumps(dashboard_model(), indent=1)},
    }


def _found_by(name: str, component: str, more_labels: dict[str, str]) -> Obj:
    """Labelled as values say as well: operators look for what bears their labels."""
    return metadata(name, component) | {"labels": {**labels(component), **more_labels}}
