"""What a pod's volumes demand of a node: that it reaches them, and has room to attach them.

A claim that is bound demands what its volume demands. One that waits for its first pod lets it go wherever its class
may make the volume. Binding and provisioning are for whoever provisions: until then nothing else holds a pod back here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from stratos.apis import labels
from stratos.apis.persistentvolume import CSINode, PersistentVolume, PersistentVolumeClaim
from stratos.apis.pod import NodeSelector, NodeSelectorTerm, Pod, SelectorRequirement
from stratos.apis.storageclass import StorageClass
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


def claim_keys(pod: Pod) -> list[str]:
    """The claims a pod uses, as namespace/name."""
    return [
        f"{pod.metadata.namespace}/{volume.persistent_volume_claim.claim_name}"
        for volume in pod.spec.volumes or ()
        if volume.persistent_volume_claim is not None
    ]


def needs_of_pod(
    pod: Pod,
    *,
    claim: Callable[[str], PersistentVolumeClaim | None],
    volume: Callable[[str], PersistentVolume | None],
    storage_class: Callable[[str], StorageClass | None],
) -> VolumeNeeds:
    """What the claims of ``pod`` demand, each looked up by its key; one that is not there demands nothing yet."""
    if not pod.spec.volumes:
        return NO_VOLUMES
    bound: list[PersistentVolume] = []
    places: list[NodeTerms] = []
    for key in claim_keys(pod):
        used = claim(key)
        if used is None:
            continue
        if used.spec.volume_name:
            found = volume(used.spec.volume_name)
            if found is not None:
                bound.append(found)
        elif used.spec.storage_class_name:
            made_by = storage_class(used.spec.storage_class_name)
            if made_by is not None and made_by.waits_for_pod and made_by.allowed_topologies is not None:
                places.append(_where_volumes_may_be(made_by))
    return volume_needs(bound, places) if bound or places else NO_VOLUMES


def volume_needs(volumes: Iterable[PersistentVolume], places: Iterable[NodeTerms] = ()) -> VolumeNeeds:
    """What ``volumes`` demand of a node, and those still to be made, each in one of its ``places``."""
    reachable: list[NodeTerms] = list(places)
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


def _where_volumes_may_be(made_by: StorageClass) -> NodeTerms:
    terms = tuple(
        NodeSelectorTerm(
            match_expressions=tuple(
                SelectorRequirement(each.key, "In", each.values) for each in term.match_label_expressions
            )
        )
        for term in made_by.allowed_topologies or ()
    )
    return compile_node_selector(NodeSelector(terms), "allowedTopologies")


def attach_limits(node: CSINode) -> dict[str, int]:
    """How many volumes of each driver the node can attach; a driver that states no limit has none."""
    return {
        driver.name: driver.allocatable.count
        for driver in node.spec.drivers
        if driver.allocatable is not None and driver.allocatable.count is not None
    }
