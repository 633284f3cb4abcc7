"""The alerts and the dashboard: nobody reads them before the night on which they matter."""

from __future__ import annotations

import re

import pytest

from stratos.base.duration import parse_duration_seconds
from stratos.wiring.installation.alerts import ALERTS, Alert
from stratos.wiring.installation.dashboard import PANELS, dashboard_model

DOCUMENTED = {
    *("InsufficientStandby", "NoStandby", "WarmupFailures", "SlowScaleUp", "ReconciliationErrors", "PoolAtCapacity"),
    *("HighSpotInterruptionRate", "LowSpotReplacementSuccess", "CloudAPIErrors"),
}
FUNCTIONS = {
    *("sum", "by", "on", "and", "rate", "increase", "histogram_quantile", "group_left", "absent", "time"),
}
EXPRESSIONS = [alert.expression for alert in ALERTS] + [
    expression for panel in PANELS for expression, _ in panel.series
]


def test_every_documented_alert_is_there() -> None:
    """People route their pages by these names."""
    assert {alert.name for alert in ALERTS} >= DOCUMENTED


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_well_formed(expression: str) -> None:
    """Prometheus refuses the whole file of rules for one that is not."""
    bare = re.sub(r'"[^"]*"', "", expression)
    depth = 0
    for letter in bare:
        depth += (letter in "({[") - (letter in ")}]")
        assert depth >= 0
    assert depth == 0
    assert bare.count('"') == 0
    called = set(re.findall(r"\b([a-z_]+)\s*\(", bare))
    assert called <= FUNCTIONS


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_says_what_is_wrong_with_what_and_what_to_do(alert: Alert) -> None:
    """Whoever is woken did not build this."""
    assert alert.severity in ("warning", "critical")
    assert parse_duration_seconds(alert.lasting) >= 0
    assert alert.summary.endswith(".")
    assert alert.runbook.endswith(".")
    labels = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.runbook))
    assert all(re.search(rf"\b{label}\b", alert.expression) or label == "pool" for label in labels)


def test_no_two_panels_of_the_dashboard_share_a_place() -> None:
    """Grafana would lay one over the other."""
    places = [tuple(panel["gridPos"].values()) for panel in dashboard_model()["panels"]]

    assert len(set(places)) == len(places) == len(PANELS)
