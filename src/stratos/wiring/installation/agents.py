"""What runs beside the controllers if wanted: the agent on our nodes, and the doorman before services that sleep."""

from __future__ import annotations

from typing import Any

from stratos.apis import labels
from stratos.wiring.installation import rights as rbac
from stratos.wiring.installation.pods import container, given, metadata, placement, pod_security, probes, selector
from stratos.wiring.installation.values import Values

AGENT = "agent"
DOORMAN = "doorman"
_GRACE_SECONDS = 40  # more than the doorman leaves requests under way

Obj = dict[str, Any]


def agent(values: Values) -> list[Obj]:
    name = rbac.AGENT.name
    node_name = {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    args = ["agent", "--json-logs"]
    ours = [{"matchExpressions": [{"key": key, "operator": "Exists"}]} for key in (labels.POOL, labels.TEMPLATE)]
    spec = {
        "serviceAccountName": name,
        **given("imagePullSecrets", values.image_pull_secrets),
        "hostNetwork": True,  # many machines answer questions about themselves to the host alone
        "dnsPolicy": "ClusterFirstWithHostNet",
        "priorityClassName": "system-node-critical",
        "securityContext": pod_security(),
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": ours}},
        },
        "tolerations": [{"operator": "Exists"}],
        "containers": [container(values, AGENT, args, values.agent.resources, env=[node_name])],
    }
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata(name, AGENT),
        "spec": {
            "selector": {"matchLabels": selector(AGENT)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": {"labels": selector(AGENT)}, "spec": spec},
        },
    }
    return [_account(name, AGENT), *rbac.objects_of(rbac.AGENT, rbac.account(name)), daemon_set]


def doorman(values: Values) -> list[Obj]:
    name = rbac.DOORMAN.name
    ports = [{"name": "http", "containerPort": 8000}, {"name": "metrics", "containerPort": 8080}]
    args = ["doorman", "--listen=:8000", "--metrics-bind-address=:8080"]
    spec = {
        "serviceAccountName": name,
        **given("imagePullSecrets", values.image_pull_secrets),
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        **placement(values),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(DOORMAN)},
            }
        ],
        "containers": [container(values, DOORMAN, args, values.doorman.resources, ports=ports, **probes("metrics"))],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, DOORMAN),
        "spec": {
            "replicas": values.doorman.replica_count,
            "selector": {"matchLabels": selector(DOORMAN)},
            "template": {"metadata": {"labels": selector(DOORMAN)}, "spec": spec},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, DOORMAN),
        "spec": {
            "type": values.doorman.service_type,
            "selector": selector(DOORMAN),
            "ports": [{"name": "http", "port": 80, "targetPort": "http"}],
        },
    }
    metrics = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(f"{name}-metrics", DOORMAN),
        "spec": {"selector": selector(DOORMAN), "ports": [{"name": "metrics", "port": 8080, "targetPort": "metrics"}]},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, DOORMAN),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(DOORMAN)}},
    }
    rights = rbac.objects_of(rbac.DOORMAN, rbac.account(name))
    return [_account(name, DOORMAN), *rights, deployment, service, metrics, budget]


def _account(name: str, component: str) -> Obj:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(name, component)}
