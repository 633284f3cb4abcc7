"""What a pod spec means when it does not say: the defaults every manifest relies on, in pods and in templates."""

from __future__ import annotations

from typing import Any

from stratos.apiserver.registry.builtin.amounts import quantity, spell_amounts
from stratos.apiserver.registry.builtin.fields import mapping, mappings
from stratos.apiserver.registry.resource import Obj

_FILE_MODE = 0o644
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")


def fill(target: Obj, **defaults: Any) -> None:
    """Give each field that is absent or null its default."""
    for key, value in defaults.items():
        if target.get(key) is None:
            target[key] = value


def default_pod_spec(spec: Obj) -> None:
    """Everything but what admission decides: service account, priority and the tolerations of every pod."""
    fill(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=30,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
        enableServiceLinks=True,
    )
    spell_amounts(spec.get("overhead"))
    for name in _CONTAINER_LISTS:
        for container in mappings(spec, name):
            _default_container(container, host_network=spec.get("hostNetwork") is True)
    for volume in mappings(spec, "volumes"):
        _default_volume(volume)


def default_pod_template(owner_spec: Obj) -> None:
    """The template of a workload, under ``spec.template``."""
    template = owner_spec.get("template")
    if isinstance(template, dict) and isinstance(template.get("spec"), dict):
        default_pod_spec(template["spec"])


def _default_container(container: Obj, *, host_network: bool) -> None:
    fill(
        container,
        imagePullPolicy=_pull_policy(container.get("image")),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    _default_requests(container)
    for port in mappings(container, "ports"):
        fill(port, protocol="TCP")
        if host_network and "containerPort" in port:
            fill(port, hostPort=port["containerPort"])
    for variable in mappings(container, "env"):
        _default_field_ref(mapping(variable, "valueFrom"))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := mapping(container, name):
            fill(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
            _default_http_get(probe)
            if grpc := mapping(probe, "grpc"):
                fill(grpc, service="")
    for name in ("postStart", "preStop"):
        _default_http_get(mapping(container, "lifecycle", name))


def _pull_policy(image: object) -> str:
    """An image without a tag or with ``latest`` may change behind our back, so it is pulled each time."""
    name = image if isinstance(image, str) else ""
    if "@" in name:
        return "IfNotPresent"
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def _default_requests(container: Obj) -> None:
    """A container that only names a limit asks for as much as it may use."""
    resources = mapping(container, "resources")
    spell_amounts(resources.get("limits"))
    spell_amounts(resources.get("requests"))
    if limits := mapping(resources, "limits"):
        requests = resources.get("requests")
        if requests is None:
            resources["requests"] = dict(limits)
        elif isinstance(requests, dict):
            for name, amount in limits.items():
                requests.setdefault(name, amount)


def _default_http_get(handler: Obj) -> None:
    if http_get := mapping(handler, "httpGet"):
        fill(http_get, path="/", scheme="HTTP")


def _default_field_ref(source: Obj) -> None:
    if field_ref := mapping(source, "fieldRef"):
        fill(field_ref, apiVersion="v1")


def _default_volume(volume: Obj) -> None:
    if not any(source is not None for key, source in volume.items() if key != "name"):
        volume["emptyDir"] = {}
    for kind in ("secret", "configMap", "downwardAPI", "projected"):
        if isinstance(source := volume.get(kind), dict):
            fill(source, defaultMode=_FILE_MODE)
    if isinstance(host_path := volume.get("hostPath"), dict):
        fill(host_path, type="")
    for file in mappings(volume, "downwardAPI", "items"):
        _default_field_ref(file)
    for source in mappings(volume, "projected", "sources"):
        if token := mapping(source, "serviceAccountToken"):
            fill(token, expirationSeconds=3600)
        for file in mappings(source, "downwardAPI", "items"):
            _default_field_ref(file)
    if claim := mapping(volume, "ephemeral", "volumeClaimTemplate", "spec"):
        fill(claim, volumeMode="Filesystem")


def quality_of_service(spec: Obj) -> str:
    """The QoS class: Guaranteed when every container's CPU and memory requests equal its limits."""
    containers = mappings(spec, "initContainers") + mappings(spec, "containers")
    asks = [(mapping(c, "resources", "requests"), mapping(c, "resources", "limits")) for c in containers]
    guarded = ("cpu", "memory")
    if not any(name in amounts for pair in asks for amounts in pair for name in guarded):
        return "BestEffort"
    if all(
        name in limits and quantity(requests.get(name)) == quantity(limits[name])
        for requests, limits in asks
        for name in guarded
    ):
        return "Guaranteed"
    return "Burstable"
