"""The objects of an installation in the order in which they are applied, and what each one depends on.

The builders never decide by a value: what is only there if a value says so is a `Part` with a condition, and a field
that may be empty is `given`. So the same functions build plain objects from values and a template from placeholders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from stratos.apis.crds import custom_resource_definitions
from stratos.wiring.installation import agents, controller, luna, monitoring, network
from stratos.wiring.installation.values import Values

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Objects that belong together, ``when`` the value of that path is true. Empty: always."""

    name: str
    objects: Sequence[Obj]
    when: str = ""

    def wanted(self, values: Values) -> bool:
        return not self.when or bool(value_at(values, self.when))


def value_at(values: Values, path: str) -> object:
    """``doorman.enabled``, or ``cloudProvider=fake`` for whether it is that."""
    path, equals, wanted = path.partition("=")
    value: Any = msgspec.to_builtins(values)
    for name in path.split("."):
        value = value[name]
    return value == wanted if equals else value


def all_parts(values: Values) -> tuple[Part, ...]:
    """With the order in mind: kinds before objects, rights before those who use them, webhooks once they are served."""
    return (
        Part("namespace", [controller.namespace()], "namespace.create"),
        Part("crds", custom_resource_definitions()),
        Part("serviceaccount", [controller.service_account(values)], "serviceAccount.create"),
        Part("rbac", controller.rights(values)),
        Part("rbac-fake", controller.rights_of_fake_machines(values), "cloudProvider=fake"),
        Part("configmap", [controller.config_map(values)]),
        Part("deployment", [controller.deployment(values)]),
        Part("service", [controller.metrics_service()]),
        Part("webhook-service", [controller.webhook_service()], "webhook.enabled"),
        Part("poddisruptionbudget", [controller.pod_disruption_budget()], "podDisruptionBudget.enabled"),
        Part("agent", agents.agent(values), "agent.enabled"),
        Part("doorman", agents.doorman(values), "doorman.enabled"),
        Part("networkpolicy", network.policies(), "networkPolicy.enabled"),
        Part("servicemonitor", monitoring.service_monitors(values), "serviceMonitor.enabled"),
        Part("prometheusrule", [monitoring.prometheus_rule(values)], "prometheusRule.enabled"),
        Part("dashboard", [monitoring.dashboard(values)], "dashboard.enabled"),
        Part("webhook", controller.webhooks(values), "webhook.enabled"),
        Part("luna", [luna.node_template(values)], "luna.enabled"),
    )


def installation(values: Values) -> tuple[Obj, ...]:
    """The objects that these values ask for, in order."""
    return tuple(msgspec.to_builtins(obj) for part in all_parts(values) if part.wanted(values) for obj in part.objects)
