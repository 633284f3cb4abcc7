"""What runs where: a node with the pods placed on it, and what they leave free.

A `NodeState` belongs to its `ClusterState`, which alone changes it: counts over many nodes hang on each change.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import ANY_IP, HostPort, PodRequirements
from stratos.planning.scheduling.volumes import Attachment


@dataclass(frozen=True, slots=True)
class PlacedPod:
    key: str  # namespace/name
    requirements: PodRequirements
    started_at: datetime | None = None
    terminating: bool = False


class NodeState:
    """One node as it fills up."""

    __slots__ = (
        "_attached",
        "_ports",
        "description",
        "free",
        "labels",
        "name",
        "nominated",
        "pods",
        "scored_cpu",
        "scored_memory",
    )

    def __init__(self, description: NodeDescription) -> None:
        self.description = description
        self.name = description.name
        self.labels = description.labels
        self.free = dict(description.allocatable)  # may go below zero: someone may have overruled the scheduler
        self.scored_cpu = 0
        self.scored_memory = 0
        self.pods: dict[str, PlacedPod] = {}
        self.nominated: dict[str, PlacedPod] = {}  # pods that wait for victims to leave, and count as if here
        self._attached: dict[str, dict[str, int]] = {}  # driver → volume → how many pods use it
        self._ports: dict[tuple[str, int], dict[str, int]] = {}

    def add(self, pod: PlacedPod) -> None:
        self.pods[pod.key] = pod
        requirements = pod.requirements
        for resource, amount in requirements.requests:
            self.free[resource] = self.free.get(resource, 0) - amount
        self.scored_cpu += requirements.scored_cpu
        self.scored_memory += requirements.scored_memory
        for port in requirements.host_ports:
            users = self._ports.setdefault((port.protocol, port.port), {})
            users[port.ip] = users.get(port.ip, 0) + 1
        for driver, volume in requirements.node_rules.volumes.attachments:
            volumes = self._attached.setdefault(driver, {})
            volumes[volume] = volumes.get(volume, 0) + 1

    def remove(self, pod: PlacedPod) -> None:
        del self.pods[pod.key]
        requirements = pod.requirements
        for resource, amount in requirements.requests:
            self.free[resource] += amount
        self.scored_cpu -= requirements.scored_cpu
        self.scored_memory -= requirements.scored_memory
        for port in requirements.host_ports:
            users = self._ports[(port.protocol, port.port)]
            users[port.ip] -= 1
            if not users[port.ip]:
                del users[port.ip]
        for driver, volume in requirements.node_rules.volumes.attachments:
            volumes = self._attached[driver]
            volumes[volume] -= 1
            if not volumes[volume]:
                del volumes[volume]

    def can_attach(self, wanted: Iterable[Attachment]) -> bool:
        """A volume that is attached already, for another pod, takes no more room."""
        more: dict[str, int] = {}
        for driver, volume in wanted:
            if volume not in self._attached.get(driver, {}):
                more[driver] = more.get(driver, 0) + 1
        limits = self.description.attach_limits
        return all(
            driver not in limits or len(self._attached.get(driver, {})) + number <= limits[driver]
            for driver, number in more.items()
        )

    def has_port_free(self, wanted: HostPort) -> bool:
        """A port is taken by the same address, and the address that means all takes it from everyone."""
        users = self._ports.get((wanted.protocol, wanted.port))
        if not users:
            return True
        return wanted.ip != ANY_IP and wanted.ip not in users and ANY_IP not in users
