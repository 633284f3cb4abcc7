"""What a host says about itself: the Node it registers, and the status it keeps up to date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from stratos.apis import labels
from stratos.base.quantity import format_amount
from stratos.providers.simulated.host import Host

_KUBELET_VERSION = "v1.32.3"
_IMAGES_REPORTED = 50  # as a kubelet does, the largest first


class NetworkPlugin(StrEnum):
    """Plugins say in different ways that a node's network is up."""

    CILIUM = "cilium"  # NetworkUnavailable=False, reason CiliumIsUp
    EKS = "eks"  # NetworkingReady=True


@dataclass(frozen=True, slots=True)
class Observation:
    """One condition as it is now."""

    type: str
    status: bool | None  # None: not known yet
    reason: str
    message: str


def conditions_of(
    network_up: bool, plugin: NetworkPlugin, images_pulled: Observation | None
) -> tuple[Observation, ...]:
    """All conditions of a host whose kubelet runs; ``images_pulled`` once there is something to say about it."""
    healthy = (
        Observation("MemoryPressure", False, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        Observation("DiskPressure", False, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        Observation("PIDPressure", False, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    )
    ready = (
        Observation("Ready", True, "KubeletReady", "kubelet is posting ready status")
        if network_up
        else Observation("Ready", False, "KubeletNotReady", "container runtime network not ready: cni not initialized")
    )
    return (*healthy, ready, _network(network_up, plugin), *((images_pulled,) if images_pulled else ()))


def _network(up: bool, plugin: NetworkPlugin) -> Observation:
    if plugin is NetworkPlugin.EKS:
        return Observation("NetworkingReady", up, "NetworkingIsReady" if up else "NetworkingNotReady", "")
    reason, message = ("CiliumIsUp", "Cilium is running on this node") if up else ("CiliumIsDown", "Cilium is starting")
    return Observation("NetworkUnavailable", not up, reason, message)


def node_object(host: Host, name: str) -> dict[str, Any]:
    """The Node as a host first registers it."""
    bootstrap = host.bootstrap
    taints = [
        {"key": taint.key, "effect": taint.effect, **({"value": taint.value} if taint.value else {})}
        for taint in bootstrap.node_taints
    ]
    return {
        "metadata": {"name": name, "labels": {**bootstrap.node_labels, **host_labels(host)}},
        "spec": {"providerID": host.provider_id, **({"taints": taints} if taints else {})},
    }


def host_labels(host: Host) -> dict[str, str]:
    """The labels that a kubelet puts right at every start."""
    type_ = host.shape.instance_type
    return {
        labels.HOSTNAME: host.hostname,
        labels.ARCH: type_.arch,
        labels.OS: "linux",
        labels.INSTANCE_TYPE: type_.cloud_name,
        labels.ZONE: host.zone,
        labels.REGION: host.region,
    }


def node_status(host: Host, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    images = sorted(host.disk.images.items(), key=lambda image: (-image[1], image[0]))[:_IMAGES_REPORTED]
    return {
        "capacity": _quantities(host.shape.capacity),
        "allocatable": _quantities(host.shape.allocatable),
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": host.private_ip},
            {"type": "Hostname", "address": host.hostname},
        ],
        "nodeInfo": {
            "architecture": host.shape.instance_type.arch,
            "bootID": f"{host.machine_id}-{host.boot}",
            "containerRuntimeVersion": "containerd://2.0.4",
            "kernelVersion": "6.12.0",
            "kubeProxyVersion": _KUBELET_VERSION,
            "kubeletVersion": _KUBELET_VERSION,
            "machineID": host.machine_id,
            "operatingSystem": "linux",
            "osImage": host.image,
            "systemUUID": host.machine_id,
        },
        "images": [{"names": [name], "sizeBytes": size} for name, size in images],
    }


class ConditionBook:
    """Remembers when each condition last changed, so that a report moves only what did."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[bool | None, datetime]] = {}

    def report(self, observations: tuple[Observation, ...], now: datetime) -> list[dict[str, Any]]:
        return [self._entry(observation, now) for observation in observations]

    def _entry(self, observation: Observation, now: datetime) -> dict[str, Any]:
        status, since = self._since.setdefault(observation.type, (observation.status, now))
        if status is not observation.status:
            since = now
            self._since[observation.type] = (observation.status, now)
        return {
            "type": observation.type,
            "status": "Unknown" if observation.status is None else str(observation.status),
            "reason": observation.reason,
            "message": observation.message,
            "lastHeartbeatTime": rfc3339(now),
            "lastTransitionTime": rfc3339(since),
        }


def rfc3339(moment: datetime) -> str:
    """A time as Kubernetes writes it, whole seconds in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _quantities(amounts: Mapping[str, int]) -> dict[str, str]:
    return {resource: format_amount(resource, amount) for resource, amount in amounts.items()}
