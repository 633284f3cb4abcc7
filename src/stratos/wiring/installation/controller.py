"""The controllers: their account and rights, their settings, the Deployment, and how others reach them."""

from __future__ import annotations

import hashlib
from typing import Any

import yaml

from stratos.apis.namespace import SYSTEM_NAMESPACE
from stratos.controllers.webhook.registration import SERVICE, webhook_configurations
from stratos.wiring.installation import rights as rbac
from stratos.wiring.installation.pods import (
    container,
    given,
    metadata,
    placement,
    pod_security,
    port_of,
    probes,
    selector,
)
from stratos.wiring.installation.values import Values

COMPONENT = "controller"
NAME = "stratos-controller"
WEBHOOK_PORT = 9443
CHECKSUM = "checksum/config"
_CONFIG_FOLDER = "/etc/stratos"
_GRACE_SECONDS = 60

Obj = dict[str, Any]


def namespace() -> Obj:
    labels = {"app.kubernetes.io/part-of": "stratos"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE, "labels": labels}}


def service_account(values: Values) -> Obj:
    account = values.service_account
    more = given("annotations", account.annotations)
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(account.name, COMPONENT, **more)}


def rights(values: Values) -> list[Obj]:
    return rbac.objects_of(
        rbac.controller_rights(values.webhook.config_prefix), rbac.account(values.service_account.name)
    )


def rights_of_fake_machines(values: Values) -> list[Obj]:
    return rbac.objects_of(rbac.FAKE_MACHINES, rbac.account(values.service_account.name))


def config(values: Values) -> str:
    """The options of `stratos controller`, under the names that its ``--config`` knows."""
    options = {
        "clusterName": values.cluster_name,
        "cloudProvider": values.cloud_provider,
        **given("region", values.region),
        **given("clusterEndpoint", values.cluster_endpoint),
        **given("clusterCA", values.cluster_ca),
        **given("clusterCIDR", values.cluster_cidr),
        **given("interruptionQueue", values.interruption_queue),
        "standbyNode": values.standby_node,
        "syncPeriod": values.sync_period,
        "gracefulShutdownTimeout": values.graceful_shutdown_timeout,
        "metricsBindAddress": values.metrics_bind_address,
        "healthProbeBindAddress": values.health_probe_bind_address,
        "leaderElect": values.leader_elect,
        "webhookBindAddress": f":{WEBHOOK_PORT}",
        **given("webhookConfigPrefix", values.webhook.config_prefix),
        "qps": values.qps,
        "burst": values.burst,
        **given("clusterCostLimit", values.cluster_cost_limit),
        **given("clusterGPULimit", values.cluster_gpu_limit),
        "logLevel": values.log_level,
        "logFormat": values.log_format,
    }
    plain = {name: str(value) if isinstance(value, str) else value for name, value in options.items()}
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000)


def config_map(values: Values) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(NAME, COMPONENT),
        "data": {"config.yaml": config(values)},
    }


def deployment(values: Values) -> Obj:
    args = ["controller", f"--config={_CONFIG_FOLDER}/config.yaml", *values.extra_args]
    ports = [
        {"name": "metrics", "containerPort": port_of(values.metrics_bind_address)},
        {"name": "probes", "containerPort": port_of(values.health_probe_bind_address)},
        {"name": "webhook", "containerPort": WEBHOOK_PORT},
    ]
    folders = [
        {"name": "config", "mountPath": _CONFIG_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # keys pass through it on their way into the TLS library
    ]
    controllers = container(
        values,
        COMPONENT,
        args,
        values.resources,
        env=[
            {"name": "STRATOS_LEADER_ELECT_IDENTITY", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            *values.extra_env,
        ],
        ports=ports,
        volumeMounts=folders,
        **probes("probes"),
    )
    spec = {
        "serviceAccountName": values.service_account.name,
        **given("imagePullSecrets", values.image_pull_secrets),
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        **placement(values),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": selector(COMPONENT)},
            }
        ],
        "containers": [controllers],
        "volumes": [
            {"name": "config", "configMap": {"name": NAME}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
        ],
    }
    settings = {CHECKSUM: hashlib.sha256(config(values).encode()).hexdigest()}  # other settings make other pods
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(NAME, COMPONENT),
        "spec": {
            "replicas": values.replica_count,
            "selector": {"matchLabels": selector(COMPONENT)},
            # The new one waits for the lease while the old one finishes: there is no gap, and never two that act.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": selector(COMPONENT), "annotations": settings}, "spec": spec},
        },
    }


def metrics_service() -> Obj:
    return _service("stratos-metrics", "metrics", 8080)


def webhook_service() -> Obj:
    return _service(SERVICE[1], "webhook", 443)


def _service(name: str, port: str, number: int) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, COMPONENT),
        "spec": {"selector": selector(COMPONENT), "ports": [{"name": port, "port": number, "targetPort": port}]},
    }


def pod_disruption_budget() -> Obj:
    """One at a time: it never stands in the way of a drain, not even of that of the only replica's node."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(NAME, COMPONENT),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": selector(COMPONENT)}},
    }


def webhooks(values: Values) -> list[Obj]:
    """Without an authority: the controllers write it in, once they have made it."""
    return webhook_configurations(prefix=values.webhook.config_prefix)
