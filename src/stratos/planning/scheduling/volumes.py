"""What a pod's volumes demand of a node: that it reaches them, and has room to attach them.

Only claims that are bound demand anything. Binding and provisioning are for whoever provisions: until then a claim
holds no pod back here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stratos.apis import labels
from stratos.apis.persistentvolume import CSINode, PersistentVolume
from stratos.base.selectors import EVERYTHING, LabelSelector, Operator, Requirement
from stratos.planning.scheduling.selection import NodeTerms, compile_node_selector

# Volumes older than node affinity say by labels where they are; several zones are joined by two underscores.
_ZONE_LABELS = (
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    labels.REGION,
    labels.ZONE,
)


class Attachment(NamedTuple):
    driver: str
    volume: str


@dataclass(frozen=True, slots=True)
class VolumeNeeds:
    reachable: tuple[NodeTerms, ...] = ()  # each volume's own demand; all must hold
    zones: LabelSelector = EVERYTHING
    attachments: tuple[Attachment, ...] = ()


NO_VOLUMES = VolumeNeeds()


def volume_needs(volumes: Iterable[PersistentVolume]) -> VolumeNeeds:
    """What the volumes that a pod's claims are bound to demand."""
    reachable: list[NodeTerms] = []
    zones: list[Requirement] = []
    attachments: set[Attachment] = set()
    for volume in volumes:
        affinity = volume.spec.node_affinity
        if affinity is not None and affinity.required is not None:
            reachable.append(compile_node_selector(affinity.required, "spec.nodeAffinity.required"))
        for key in _ZONE_LABELS:
            if key in volume.metadata.labels:
                values = frozenset(volume.metadata.labels[key].split("__"))
                zones.append(Requirement(key, Operator.IN, values))
        if volume.spec.csi is not None:
            attachments.add(Attachment(volume.spec.csi.driver, volume.spec.csi.volume_handle))
    return VolumeNeeds(tuple(reachable), LabelSelector(tuple(zones)), tuple(sorted(attachments)))


def attach_limits(node: CSINode) -> dict[str, int]:
    """How many volumes of each driver the node can attach; a driver that states no limit has none."""
    return {
        driver.name: driver.allocatable.count
        for driver in node.spec.drivers
        if driver.allocatable is not None and driver.allocatable.count is not None
    }
