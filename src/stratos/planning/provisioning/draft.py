"""The node that an offering would become under a template: labels, taints, and what it has left for pods.

Labels that the cloud and the kubelet put on nodes are foretold here; those that are ours to put there go into the
claim, see `settings_of`. What they say of the machine itself is in `machine_labels`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stratos.apis import labels
from stratos.apis.node import Taint
from stratos.apis.nodeclaim import NodeSettings
from stratos.apis.nodetemplate import NodeTemplate
from stratos.catalog.allocatable import node_allocatable
from stratos.catalog.catalog import Catalog
from stratos.catalog.instance_type import CapacityType, InstanceType
from stratos.planning.packing.problem import Candidate, OfferingName
from stratos.planning.provisioning.annotations import micro_usd
from stratos.planning.provisioning.machine_labels import MACHINE_LABELS, labels_of_type
from stratos.planning.scheduling.daemons import Daemons, daemons_on
from stratos.planning.scheduling.nodes import NodeDescription
from stratos.planning.scheduling.requirements import NodeRules
from stratos.snapshot.provisioning import LaunchGround

CREATED_BY = "luna"  # what tools that look for machine-made nodes expect to read

# Google's own labels of nodes whose GPUs are shared: pods that share one have to select them there
_GKE_SHARING = "cloud.google.com/gke-gpu-sharing-strategy"
_GKE_SHARED_BY = "cloud.google.com/gke-max-shared-clients-per-gpu"
_SHARED_GPUS = "nvidia"
_OF_OFFERINGS = (labels.DEDICATED_GROUP, labels.GPU_REPLICAS, _GKE_SHARING, _GKE_SHARED_BY, *MACHINE_LABELS)
"""Labels of ours that follow from the offering."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An offering under the template's terms."""

    zone: str
    capacity_type: CapacityType
    price_usd_per_hour: float
    stands_in: bool = False  # on-demand, for want of spot


class NodeDraft:
    """Drafts the nodes of one template; what is the same for many of them is worked out once."""

    def __init__(self, template: NodeTemplate, catalog: Catalog, ground: LaunchGround, daemons: Daemons) -> None:
        self._template = template
        self._catalog = catalog
        self._ground = ground
        self._daemons = _DaemonMemory(daemons)
        self._taints = (*ground.taints, *taints_of(template))
        self._own = {offered: own_labels(template, *offered) for offered in _OFFERED}
        self._types: dict[str, tuple[dict[str, str], dict[str, int]]] = {}
        self._machine: dict[str, dict[str, str]] = {}

    def candidate(self, type_: InstanceType, offer: Offer, group: str = "") -> Candidate:
        node_labels = self.labels(type_, offer)
        if group:
            node_labels[labels.DEDICATED_GROUP] = group
        _, allocatable = self._of_type(type_)
        left = self._daemons.leave(type_.name, node_labels, self._taints, allocatable)
        return Candidate(
            offering=OfferingName(type_.name, offer.zone, offer.capacity_type),
            node=NodeDescription(name="", labels=node_labels, taints=self._taints, allocatable=left),
            price_usd_per_hour=offer.price_usd_per_hour,
            template=self._template.metadata.name,
        )

    def labels(self, type_: InstanceType, offer: Offer) -> dict[str, str]:
        """All labels of the node but its hostname and, on hosts of our own, their group."""
        known, _ = self._of_type(type_)
        return {
            **known,
            labels.ZONE: offer.zone,
            **self._own[offer.capacity_type, offer.stands_in],
            **self._machine[type_.name],
            labels.PRICE: str(micro_usd(offer.price_usd_per_hour)),
        }

    def _of_type(self, type_: InstanceType) -> tuple[dict[str, str], dict[str, int]]:
        found = self._types.get(type_.name)
        if found is None:
            found = self._types[type_.name] = self._known_labels(type_), self._allocatable(type_)
            self._machine[type_.name] = labels_of_type(type_)
        return found

    def _known_labels(self, type_: InstanceType) -> dict[str, str]:
        return known_labels(type_, self._catalog, self._ground, self._template.spec.nvidia_gpu_time_slices)

    def _allocatable(self, type_: InstanceType) -> dict[str, int]:
        kubelet = self._template.spec.kubelet
        max_pods = kubelet.max_pods if kubelet is not None else None
        return room_on(type_, self._catalog, self._ground, max_pods, self._template.spec.nvidia_gpu_time_slices)


def known_labels(type_: InstanceType, catalog: Catalog, ground: LaunchGround, time_slices: int) -> dict[str, str]:
    """What the cloud, the kubelet and the class put on a node of the type, wherever it is."""
    known = {
        **ground.labels,
        labels.ARCH: type_.arch,
        labels.OS: "linux",
        labels.INSTANCE_TYPE: type_.cloud_name,
        labels.REGION: catalog.region,
    }
    if time_slices > 1 and type_.gpu is not None and type_.gpu.manufacturer == _SHARED_GPUS:
        known[labels.GPU_REPLICAS] = str(time_slices)
        if catalog.cloud == "gcp":
            known |= {_GKE_SHARING: "time-sharing", _GKE_SHARED_BY: str(time_slices)}
    return known


def room_on(
    type_: InstanceType, catalog: Catalog, ground: LaunchGround, max_pods: int | None, time_slices: int
) -> dict[str, int]:
    """What a node of the type has for pods, DaemonSets among them."""
    pods = max_pods if max_pods is not None else ground.max_pods
    allocatable = node_allocatable(catalog.cloud, type_, max_pods=pods, disk_gib=ground.disk_gib)
    gpu = type_.gpu
    if gpu is not None and gpu.manufacturer == _SHARED_GPUS and gpu.resource in allocatable:
        allocatable[gpu.resource] *= time_slices
    return allocatable


_OFFERED = ((CapacityType.ON_DEMAND, False), (CapacityType.ON_DEMAND, True), (CapacityType.SPOT, False))


def own_labels(template: NodeTemplate, capacity_type: CapacityType, stands_in: bool) -> dict[str, str]:
    """What we put on a node ourselves, in our words and in those of others."""
    spec, name = template.spec, template.metadata.name
    own = {
        **spec.custom_labels,
        **(spec.kubelet.node_labels if spec.kubelet else {}),
        labels.TEMPLATE: name,
        labels.CAST_TEMPLATE: name,
        labels.CREATED_BY: CREATED_BY,
        labels.CAPACITY_TYPE: str(capacity_type),
    }
    # A machine that stands in for spot takes the pods that select spot: that is what it is for.
    own[labels.CAST_SPOT if capacity_type is CapacityType.SPOT or stands_in else labels.CAST_ON_DEMAND] = "true"
    if stands_in:
        own |= {labels.SPOT_FALLBACK: "true", labels.CAST_SPOT_FALLBACK: "true"}
    return own


def taints_of(template: NodeTemplate) -> tuple[Taint, ...]:
    """Those that stay."""
    spec = template.spec
    from_kubelet = spec.kubelet.node_taints if spec.kubelet else ()
    if not spec.should_taint:
        return tuple(from_kubelet)
    default = Taint(key=labels.CAST_TEMPLATE, value=template.metadata.name, effect="NoSchedule")
    return (*from_kubelet, *(spec.custom_taints or (default,)))


def settings_of(template: NodeTemplate, candidate: Candidate, packing: str) -> NodeSettings:
    """What a claim for ``candidate`` says of its node. ``packing`` is how it was filled, see `strategies`."""
    spec = template.spec
    capacity_type, stands_in = candidate.offering.capacity_type, stands_in_for_spot(candidate.node.labels)
    drafted = candidate.node.labels
    return NodeSettings(
        labels={
            **own_labels(template, capacity_type, stands_in),
            **{key: drafted[key] for key in _OF_OFFERINGS if key in drafted},
            labels.PACKING: packing,
        },
        taints=taints_of(template),
        startup_taints=spec.startup_taints,
        max_pods=spec.kubelet.max_pods if spec.kubelet else None,
        join_timeout=spec.scale_up_timeout,
        drain_timeout=spec.disruption.drain_timeout,
    )


def stands_in_for_spot(node_labels: Mapping[str, str]) -> bool:
    return node_labels.get(labels.SPOT_FALLBACK) == "true"


class _DaemonMemory:
    """What DaemonSets leave of a node, remembered by its type and the labels that they look at."""

    def __init__(self, daemons: Daemons) -> None:
        self._daemons = daemons
        self._keys = sorted({key for _, asks in daemons for key in _looked_at(asks.node_rules)})
        self._known: dict[tuple[str | None, ...], Mapping[str, int]] = {}

    def leave(
        self,
        instance_type: str,
        node_labels: Mapping[str, str],
        taints: tuple[Taint, ...],
        allocatable: Mapping[str, int],
    ) -> Mapping[str, int]:
        seen = (instance_type, *(node_labels.get(key) for key in self._keys))
        found = self._known.get(seen)
        if found is None:
            left = dict(allocatable)
            for _, asks in daemons_on(self._daemons, NodeDescription(name="", labels=node_labels, taints=taints)):
                for resource, amount in asks.requests:
                    left[resource] = max(0, left.get(resource, 0) - amount)
            found = self._known[seen] = left
        return found


def _looked_at(rules: NodeRules) -> Iterator[str]:
    yield from (requirement.key for requirement in rules.selector.requirements)
    for term in rules.required or ():
        yield from (requirement.key for requirement in term.labels.requirements)
